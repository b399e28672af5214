#!/usr/bin/python3
"""Times training steps of examples/gpt in PyTorch: prints its version, then the median of as many steps as each line of
standard input asks for, in milliseconds.

  pytorch_step.py [--compile] [--bf16] [--threads 1] [--batch 16] [--processor-time]

A step is what the example's loop does for a batch: forward, cross-entropy, zero_grad, backward, AdamW. The model is that of
examples/gpt/gpt.py, and PyTorch is given its best: fused attention and a fused AdamW where the version has them.
`--bf16` runs the forward pass under autocast.
"""

import argparse
import contextlib
import os
import statistics
import sys
import time

EXAMPLE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "examples", "gpt")
sys.path.insert(0, EXAMPLE)

import torch
from torch.nn import functional as F

import gpt


def make_optimizer(parameters):
    try:
        return torch.optim.AdamW(parameters, lr=1e-3, fused=True)
    except (RuntimeError, TypeError):  # this version has none for processors
        return torch.optim.AdamW(parameters, lr=1e-3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=gpt.BATCH)
    parser.add_argument("--processor-time", action="store_true", help="not wall time")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor_time else time.perf_counter
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(gpt.SEED)
    os.chdir(EXAMPLE)
    inputs, targets = gpt.windows()[0].tensors
    model = gpt.Gpt()
    optimizer = make_optimizer(model.parameters())

    def loss_of(x, y):
        return F.cross_entropy(model(x).flatten(0, 1), y.flatten())

    if arguments.compile:
        loss_of = torch.compile(loss_of)

    def step(number):
        rows = torch.arange(number * arguments.batch, (number + 1) * arguments.batch) % len(inputs)
        x, y = inputs[rows], targets[rows]
        begin = clock()
        with torch.autocast("cpu", torch.bfloat16) if arguments.bf16 else contextlib.nullcontext():
            loss = loss_of(x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return clock() - begin

    done = 0
    while done < 5:
        step(done)
        done += 1
    print(torch.__version__, flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            times.append(step(done))
            done += 1
        print(statistics.median(times) * 1e3, flush=True)


if __name__ == "__main__":
    main()
