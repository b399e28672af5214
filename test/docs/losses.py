#!/usr/bin/env python3
"""Holds the losses that the pages of the examples print against what the programs print.

  losses.py --mparc mparc

Of each page the first epochs: another kind of processor rounds differently, and training lets such differences grow. Exit
status: 0 they agree, 1 they do not, one line each.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EPOCHS = {"autoencoder": 3, "digits": 2, "gpt": 1, "parallel": 2}
TOLERANCE = 2e-3
LINE = re.compile(r"^Epoch : (\d+) \| (.*)$", re.M)


def numbers(rest):
    """The names and numbers of a line after its epoch."""
    return {name: float(value) for name, value in (part.split(": ") for part in rest.split(" | "))}


def printed(mparc, example, epochs, work):
    """The first lines that a program prints, which is ended then: schedules of the learning rate go by all its epochs."""
    folder, program = os.path.join(ROOT, "examples", example), os.path.join(work, example)
    subprocess.run([mparc, "build", f"{example}.mp", "-o", program], cwd=folder, check=True)
    lines = []
    with subprocess.Popen([program], cwd=folder, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            lines += LINE.findall(line)
            if len(lines) == epochs:
                running.kill()
                break
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mparc", default=os.path.join(ROOT, "build", "bin", "mparc"))
    arguments = parser.parse_args()
    problems = []
    with tempfile.TemporaryDirectory() as work:
        for example, epochs in EPOCHS.items():
            with open(os.path.join(ROOT, "examples", example, "README.md"), encoding="utf-8") as page:
                said = LINE.findall(page.read())
            made = printed(os.path.abspath(arguments.mparc), example, epochs, work)
            if len(said) < epochs or len(made) < epochs:
                problems.append(f"{example}: {len(said)} epochs on the page and {len(made)} printed, not {epochs}")
            for (number, one), (_, other) in zip(said, made):
                here, there = numbers(one), numbers(other)
                if here.keys() != there.keys():
                    problems.append(f"{example}: epoch {number} has {', '.join(there)}, on the page {', '.join(here)}")
                problems += [f"{example}: the {name} of epoch {number} is {there[name]}, on the page {here[name]}"
                             for name in here.keys() & there.keys()
                             if "Loss" in name and abs(there[name] - here[name]) > TOLERANCE * abs(here[name])]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
