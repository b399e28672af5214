#!/usr/bin/env python3
"""Trains an example as mparc emits it and in PyTorch from the same weights, and compares the losses of the first steps.

  losses.py autoencoder|gpt PROGRAM [--devices cuda:0] [--device cuda] [--steps 100] [--tolerance 1e-5]

PROGRAM, built from examples/autoencoder/autoencoder.mp or examples/gpt/gpt.mp, writes the weights that both begin with
(--save, --load: safetensors), and runs on --devices; PyTorch, all of it in f32, on --device. The order of rows is drawn from
the same seed on both sides. Prints the largest relative difference of a step's loss and the tolerance; exit status 1 where
it is larger, or where a loss is no number, 2 where one of both does not run.
"""

import argparse
import collections
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "examples")
sys.path.insert(0, os.path.join(EXAMPLES, "gpt"))
import gpt  # noqa: E402

# As examples/autoencoder/autoencoder.mp has it.
WIDTHS, TEST, BATCH, SEED = [12, 256, 128, 64, 8, 64, 128, 256, 12], 0.2, 32, 0


def autoencoder():
    """The seed is set: the model, its optimiser, its loss, the training and test rows, and the batch."""
    layers = collections.OrderedDict()
    for number, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:]), 1):
        layers[f"layer{number}"] = nn.Linear(inputs, outputs)
        layers[f"relu{number}"] = nn.ReLU()
    layers.popitem()
    rows = torch.from_numpy(np.loadtxt("sunspots.csv", delimiter=",", dtype=np.float32, skiprows=1))
    train = len(rows) - int(len(rows) * TEST)
    data = [TensorDataset(*part.split(WIDTHS[0], dim=1)) for part in (rows[:train], rows[train:])]
    return nn.Sequential(layers), lambda parameters: torch.optim.Adam(parameters, lr=1e-3), F.mse_loss, data, BATCH


def transformer():
    model = gpt.Gpt()

    def cross_entropy(output, target):
        return F.cross_entropy(output.transpose(1, 2), target)

    return model, lambda parameters: torch.optim.AdamW(parameters, lr=1e-3), cross_entropy, gpt.windows(), gpt.BATCH


MODELS = {"autoencoder": (autoencoder, SEED), "gpt": (transformer, gpt.SEED)}


def pytorch(name, weights, device, steps):
    make, seed = MODELS[name]
    torch.manual_seed(seed)
    model, make_optimizer, criterion, (train, test), batch = make()
    model.load_state_dict(gpt.read_safetensors(weights), strict=True)
    model.to(device)
    optimizer = make_optimizer(model.parameters())
    loader, test_loader = DataLoader(train, batch_size=batch, shuffle=True), DataLoader(test, batch_size=batch)
    losses = []
    while True:
        for x, y in loader:
            loss = criterion(model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == steps:
                return losses
        iter(test_loader)  # draws from the generator that orders the next epoch, as evaluating does


def emitted(program, folder, devices, weights, steps):
    def run(*flags):
        done = subprocess.run([program, "--quiet", "--devices", devices, *flags], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            print(f"losses: {os.path.basename(program)} {' '.join(flags)}: {done.stdout.strip()}")
            sys.exit(2)

    run("--epochs", "0", "--save", weights)
    losses, epochs, path = [], 0, os.path.join(folder, "losses")
    while len(losses) < steps:  # whole epochs
        epochs = max(epochs + 1, epochs and -(-steps * epochs // len(losses)))
        run("--load", weights, "--epochs", str(epochs), "--dump-losses", path)
        with open(path) as file:
            losses = [float(line) for line in file]
    return losses[:steps]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=list(MODELS))
    parser.add_argument("program")
    parser.add_argument("--devices", default="cuda:0", help="where the program runs")
    parser.add_argument("--device", default="cuda", help="where PyTorch runs")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.program)
    os.chdir(os.path.join(EXAMPLES, arguments.model))
    torch.set_float32_matmul_precision("highest")
    with tempfile.TemporaryDirectory() as folder:
        weights = os.path.join(folder, "init.safetensors")
        ours = emitted(program, folder, arguments.devices, weights, arguments.steps)
        theirs = pytorch(arguments.model, weights, arguments.device, arguments.steps)
    differences = [abs(a - b) / abs(b) for a, b in zip(ours, theirs)]
    worst = max(differences, key=lambda each: math.inf if math.isnan(each) else each)
    print(f"{arguments.model}: losses of {len(differences)} steps differ from PyTorch's by at most {worst:.1e} (step "
          f"{differences.index(worst) + 1}: {ours[differences.index(worst)]} and {theirs[differences.index(worst)]}); "
          f"allowed: {arguments.tolerance:.0e}")
    return 0 if worst <= arguments.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
