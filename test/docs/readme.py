#!/usr/bin/env python3
"""Checks that the C++ in README.md stands in the emitted source of the example, and its model's lines in the example."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def main():
    text, problems = read("README.md"), []
    blocks = re.findall(r"^```(cpp|mp)\n(.*?)^```$", text, re.S | re.M)
    emitted, model = read("examples", "autoencoder", "autoencoder.cpp"), read("examples", "autoencoder", "autoencoder.mp")
    for kind, block in blocks:
        if kind == "cpp" and block not in emitted:
            problems.append("the C++ is not what examples/autoencoder/autoencoder.cpp contains")
        if kind == "mp":
            problems += [f"the example has no line {line!r}" for line in block.splitlines()
                         if line.startswith("  ") and "…" not in line and line not in model.splitlines()]
    shown = text.split("Epoch : 1")[0].count("\n") + 1
    if shown > 60:
        problems.append(f"the console's output begins in line {shown}, after the first 60")
    if len(blocks) < 2:
        problems.append("a block of C++ and one of .mp are expected")
    for problem in problems:
        print(f"README.md: {problem}")
    return 1 if problems else 0


sys.exit(main())
