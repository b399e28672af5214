#!/usr/bin/env python3
"""Builds the examples with nvcc, for all GPUs that the kernels are made for, and runs them on the processor.

One by hand: test/cuda/programs/nvcc.py
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "end-to-end"))
from harness import ROOT, Failures, arguments, run  # noqa: E402

FLAGS = {"autoencoder": ["--epochs", "1"], "digits": ["--epochs", "1"],
         "gpt": ["--epochs", "0", "--generate", "A", "--tokens", "1"]}


def main():
    settings = arguments(__doc__)
    failures = Failures("built with nvcc")
    for name, flags in FLAGS.items():
        folder = os.path.join(ROOT, "examples", name)
        outputs = []
        for kind, more in [("plain", []), ("cuda", ["--cuda"])]:
            program = os.path.join(settings.work, f"{name}-{kind}")
            done = run([settings.mparc, "build", name + ".mp", "-o", program, *more], folder, timeout=900)
            if failures.expect(done.returncode == 0 and not done.stderr, f"{name} {more}: {done.stderr.strip()}"):
                outputs.append(run([program, *flags], folder, timeout=300))
        if len(outputs) < 2:
            continue
        plain, cuda = outputs
        failures.expect(plain.returncode == 0 and not plain.stderr, f"{name}: {plain.stderr.strip()}")
        said = "note: no GPU: " in cuda.stderr and cuda.stderr.count("\n") == 1
        on_gpu = not cuda.stderr  # where there is one, sums are rounded in another order
        failures.expect(cuda.returncode == 0 and (said or on_gpu), f"{name} --cuda: {cuda.stderr.strip()}")
        failures.expect(on_gpu or plain.stdout == cuda.stdout,
                        f"{name}: on the processor a program of nvcc's prints {cuda.stdout!r}, not {plain.stdout!r}")
        done = run([os.path.join(settings.work, f"{name}-plain"), "--devices", "cuda:0", *flags], folder)
        failures.expect(done.returncode == 2 and "was built for processors alone" in done.stderr,
                        f"{name} --devices cuda:0 without nvcc: {done.returncode}, {done.stderr.strip()}")
    return failures.finish()


if __name__ == "__main__":
    sys.exit(main())
