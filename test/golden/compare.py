#!/usr/bin/env python3
"""Runs a program that mparc made from a golden .mp file and compares it with what PyTorch gave.

  compare.py [--slack 1] NAME PROGRAM [-- flags for the program]

Compared with NAME.json, in this order; each disagreement is one line that says where and how far:

  initial weights      --epochs 0 --save: the bytes of every parameter, by SHA-256 (those drawn by `normal` to 1e-6)
  first gradients      --dump-gradients: of every parameter, the norm of the difference within 1e-6 of its norm
  first batch losses   --dump-losses: the first 20, to 1e-5 relative, with cross-entropy 2e-4
  epoch losses         what it prints, skipped steps too: to the same, up to the last epoch at which PyTorch agrees with itself
  last buffers         --save: where there are any, every one after training, to 1e-5 of its largest value

A program whose products are in less precision than f32, or that is deep, may have tolerances of its own. --slack multiplies
all but that of weights: where sums are taken in another order, as on GPUs.

The program runs in this folder, to which the paths in the .mp files are relative. Exit status: 0 all agree, 1 something
does not, 2 wrong use. Needs only Python 3.
"""

import argparse
import array
import hashlib
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))

GRADIENT_TOLERANCE = 1e-6
NORMAL_TOLERANCE = 1e-6
LOSS_TOLERANCE = 1e-5
BUFFER_TOLERANCE = 1e-5
CROSS_ENTROPY_TOLERANCE = 2e-4

EPOCH_LINE = re.compile(r"Epoch : (\d+) \| train_Loss: (\S+)(?: \| test_Loss: (\S+))?(?: \| test_Accuracy: (\S+))?"
                        r"(?: \| skipped_Steps: (\d+))?$")


class Failure(Exception):
    """The program cannot be compared at all."""


def read_safetensors(path):
    """The f32 and i32 tensors of a file, by name: (shape, bytes)."""
    with open(path, "rb") as file:
        data = file.read()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        count = math.prod(entry["shape"])
        if entry["dtype"] not in ("F32", "I32") or end - begin != 4 * count or 8 + size + end > len(data):
            raise Failure(f"{os.path.basename(path)}: {name} is no whole F32 or I32 tensor: {entry}")
        tensors[name] = entry["shape"], data[8 + size + begin:8 + size + end]
    return tensors


def floats(data, code="f"):
    values = array.array(code, data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def norm(values):
    return math.sqrt(math.fsum(value * value for value in values))


def relative(got, expected):
    if got == expected:
        return 0.0
    distance = abs(got - expected) / abs(expected) if expected else math.inf
    return math.inf if math.isnan(distance) else distance


class Comparison:
    def __init__(self, name, program, flags, slack=1):
        with open(os.path.join(FOLDER, name + ".json")) as file:
            self.golden = json.load(file)
        self.name, self.flags = name, flags
        self.program = os.path.abspath(program)
        self.failures = []
        entropy = self.golden["loss"] == "cross_entropy"
        self.tolerance = slack * self.golden.get("loss_tolerance", CROSS_ENTROPY_TOLERANCE if entropy else LOSS_TOLERANCE)
        self.gradient_tolerance = slack * self.golden.get("gradient_tolerance", GRADIENT_TOLERANCE)
        self.buffer_tolerance = slack * BUFFER_TOLERANCE

    def fail(self, text):
        self.failures.append(text)

    def run(self, *flags):
        """The program's standard output."""
        command = [self.program, *flags, *self.flags]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"exit status {done.returncode} of {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def same_names(self, what, got, expected):
        for name in sorted(set(expected) - set(got)):
            self.fail(f"{what}: {name} is missing")
        for name in sorted(set(got) - set(expected)):
            self.fail(f"{what}: {name} is not PyTorch's")
        return [name for name in expected if name in got]

    def compare_weights(self, path):
        self.run("--epochs", "0", "--save", path)
        saved = read_safetensors(path)
        for name in self.same_names("initial weights", saved, self.golden["weights"]):
            expected, (_, data) = self.golden["weights"][name], saved[name]
            if isinstance(expected, str):
                if hashlib.sha256(data).hexdigest() != expected:
                    self.fail(f"initial weights: the bytes of {name} differ")
            else:
                values = floats(data)
                if isinstance(expected, dict):
                    values = [values[index] for index in expected["indices"] if index < len(values)]
                    expected = expected["values"]
                worst = max(map(relative, values, expected)) if len(values) == len(expected) else math.inf
                if not worst <= NORMAL_TOLERANCE:
                    self.fail(f"initial weights: {name} is off by {worst:.2g}")

    def compare_gradients(self, path):
        saved = read_safetensors(path)
        for name in self.same_names("first gradients", saved, self.golden["gradients"]):
            expected, (shape, data) = self.golden["gradients"][name], saved[name]
            if shape != expected["shape"]:
                self.fail(f"first gradients: {name} has shape {shape}, not {expected['shape']}")
                continue
            values = floats(data)
            off = abs(norm(values) - expected["norm"])
            scale = expected["norm"]
            if not off <= self.gradient_tolerance * scale:
                self.fail(f"first gradients: the norm of {name} is off by {relative(norm(values), scale):.2g}")
                continue
            if "indices" in expected:
                # 64 values of n: their share of the norm, by number or by what they are, whichever is more.
                count = len(values)
                values = [values[index] for index in expected["indices"]]
                scale = max(norm(expected["values"]), scale * math.sqrt(len(values) / count))
            off = norm(a - b for a, b in zip(values, expected["values"]))
            if not off <= self.gradient_tolerance * scale:
                self.fail(f"first gradients: {name} is off by {off / scale if scale else math.inf:.2g} of its norm")

    def compare_batches(self, path):
        with open(path) as file:
            losses = [float(line) for line in file]
        expected = self.golden["batch_losses"][:self.golden["stable_batches"]]
        if len(losses) < len(expected):
            self.fail(f"first batch losses: {len(losses)} of them, not {len(expected)} or more")
        for index, (got, loss) in enumerate(zip(losses, expected)):
            if not relative(got, loss) <= self.tolerance:
                self.fail(f"first batch losses: batch {index + 1} gives {got!r}, not {loss!r}: off by "
                          f"{relative(got, loss):.2g}")
                break

    def compare_epochs(self, output):
        lines = [EPOCH_LINE.search(line) for line in output.splitlines()]
        epochs = [[field for field in line.groups()[:4] if field is not None] for line in lines if line]
        skipped = [int(line.group(5) or 0) for line in lines if line]
        if skipped != self.golden.get("skipped", [0] * len(skipped)):
            self.fail(f"epochs: skip {skipped} steps, not {self.golden.get('skipped', 'any')}")
        expected = self.golden["epochs"]
        if len(epochs) != len(expected):
            return self.fail(f"epochs: {len(epochs)} lines, not {len(expected)}")
        for index, (got, want) in enumerate(zip(epochs, expected)):
            if int(got[0]) != index + 1 or len(got) - 1 != len(want):
                return self.fail(f"epochs: line {index + 1} has {len(got) - 1} values for epoch {got[0]}, not {len(want)}")
            if index >= self.golden["stable_epochs"]:
                continue
            for label, value, loss in zip(["train loss", "test loss"], map(float, got[1:3]), want):
                if not relative(value, loss) <= self.tolerance:
                    return self.fail(f"epochs: the {label} of epoch {index + 1} is {value!r}, not {loss!r}: off by "
                                     f"{relative(value, loss):.2g}")
            if len(want) == 3 and not float(got[3]) == want[2]:
                return self.fail(f"epochs: the accuracy of epoch {index + 1} is {got[3]}, not {want[2]!r}")

    def compare_buffers(self, path):
        saved = read_safetensors(path)
        for name, expected in self.golden["buffers"].items():
            if name not in saved:
                self.fail(f"last buffers: {name} is missing")
                continue
            shape, data = saved[name]
            values = floats(data, "i" if expected["dtype"] == "I32" else "f")
            if shape != expected["shape"]:
                self.fail(f"last buffers: {name} has shape {shape}, not {expected['shape']}")
                continue
            scale = max(map(abs, expected["values"]))
            off = max(abs(got - want) for got, want in zip(values, expected["values"]))
            if not off <= self.buffer_tolerance * scale:
                self.fail(f"last buffers: {name} is off by {off / scale if scale else math.inf:.2g} of its largest value")

    def compare(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("weights.safetensors", "gradients.safetensors", "losses")]
            self.compare_weights(paths[0])
            output = self.run("--dump-gradients", paths[1], "--dump-losses", paths[2], "--save", paths[0])
            self.compare_gradients(paths[1])
            self.compare_batches(paths[2])
            self.compare_epochs(output)
            if "buffers" in self.golden:
                self.compare_buffers(paths[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slack", type=float, default=1, help="what tolerances are multiplied by")
    parser.add_argument("name", help="a golden program: NAME.json lies beside this script")
    parser.add_argument("program", help="what mparc built from NAME.mp")
    parser.add_argument("flags", nargs="*", help="further flags for the program")
    arguments = parser.parse_args()
    if not os.path.exists(os.path.join(FOLDER, arguments.name + ".json")):
        parser.error(f"no golden program {arguments.name}")
    comparison = Comparison(arguments.name, arguments.program, arguments.flags, arguments.slack)
    try:
        comparison.compare()
    except (Failure, OSError, ValueError, KeyError, struct.error) as failure:
        comparison.fail(f"{type(failure).__name__}: {failure}")
    for failure in comparison.failures:
        print(f"{arguments.name}: {failure}", file=sys.stderr)
    if comparison.failures:
        return 1
    stable, count = comparison.golden["stable_epochs"], len(comparison.golden["epochs"])
    print(f"{arguments.name}: agrees with PyTorch: weights, first gradients, "
          f"{comparison.golden['stable_batches']} batches, {stable} of {count} epochs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
