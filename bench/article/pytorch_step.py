#!/usr/bin/python3
"""Times a training step of the article's model in eager PyTorch, and an epoch with its loader. Prints JSON.

A step is what the article's loop does for a batch: forward, loss, zero_grad, backward, Adam. Medians, in microseconds;
the epoch, of 10,000 rows at batch 32 through a shuffling DataLoader, in milliseconds. Which BLAS stands behind PyTorch
decides much of it, so its file is printed too; choose another by LD_LIBRARY_PATH.

  pytorch_step.py [--batch 1 32 256 4096] [--threads 1 2] [--seconds 2] [--no-epoch] [--widths 12 256 …]
"""

import argparse
import json
import os
import statistics
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WIDTHS = [12, 256, 128, 64, 8, 64, 128, 256, 12]


def make_model(widths):
    torch.manual_seed(0)
    modules = []
    for inputs, outputs in zip(widths, widths[1:]):
        modules += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*modules[:-1])
    return model, nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=1e-3)


def step(model, criterion, optimizer, x, y):
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def step_time(widths, batch, seconds):
    """The median time of a step in microseconds, of at least 20 steps and about `seconds`."""
    model, criterion, optimizer = make_model(widths)
    x, y = torch.rand(batch, widths[0]), torch.rand(batch, widths[-1])
    for _ in range(5):
        step(model, criterion, optimizer, x, y)
    times, end = [], time.perf_counter() + seconds
    while len(times) < 20 or time.perf_counter() < end:
        begin = time.perf_counter()
        step(model, criterion, optimizer, x, y)
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


def epoch_time(rows=10000, batch=32, epochs=5):
    """The median time of an epoch in milliseconds, the first one left out."""
    model, criterion, optimizer = make_model(WIDTHS)
    data = TensorDataset(torch.rand(rows, WIDTHS[0]), torch.rand(rows, WIDTHS[-1]))
    loader = DataLoader(data, batch_size=batch, shuffle=True)
    times = []
    for _ in range(epochs + 1):
        begin = time.perf_counter()
        for x, y in loader:
            step(model, criterion, optimizer, x, y).item()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:]) * 1e3


def blas():
    """The file of the BLAS that this process has loaded."""
    with open("/proc/self/maps") as maps:
        files = {line.split()[-1] for line in maps if "blas" in line or "libmkl" in line}
    return sorted(os.path.realpath(file) for file in files)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32, 256, 4096])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=2, help="time spent on each batch size")
    parser.add_argument("--no-epoch", action="store_true")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="of a chain of linear layers")
    arguments = parser.parse_args()
    result = {"torch": torch.__version__, "blas": blas(), "step_us": {}, "epoch_ms": {}}
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        result["step_us"][str(threads)] = {
            str(batch): round(step_time(arguments.widths, batch, arguments.seconds), 1)
            for batch in arguments.batch}
        if not arguments.no_epoch:
            result["epoch_ms"][str(threads)] = round(epoch_time(), 1)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
