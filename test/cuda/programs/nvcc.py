#!/usr/bin/env python3
"""Builds the examples and the benchmarks with nvcc, for all GPUs that the kernels are made for, and runs them on the
processor, where that is no work for a GPU.

One by hand: test/cuda/programs/nvcc.py
"""

import concurrent.futures
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "end-to-end"))
from harness import ROOT, Failures, arguments, run  # noqa: E402

FLAGS = {"autoencoder": ["--epochs", "1"], "digits": ["--epochs", "1"],
         "gpt": ["--epochs", "0", "--generate", "A", "--tokens", "1"]}
# What is only to compile, link and begin: how its numbers are compared is seen above.
MORE = {"examples/parallel/parallel.mp": ["--epochs", "1"], "examples/embed/wave.mp": ["--help"], "bench/cuda/wide.mp": ["--help"],
        "bench/cuda/wide_bf16.mp": ["--help"], "bench/cuda/gpt2.mp": ["--help"]}


def build_more(settings, source, flags):
    """The program's run, or what kept it from being built."""
    folder, name = os.path.split(os.path.join(ROOT, source))
    program = os.path.join(settings.work, name[:-3] + "-more")
    done = run([settings.mparc, "build", name, "-o", program, "--cuda"], folder, timeout=900)
    return run([program, *flags], folder, timeout=300) if done.returncode == 0 and not done.stderr else done


def main():
    settings = arguments(__doc__)
    failures = Failures("built with nvcc")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, done in zip(MORE, pool.map(lambda each: build_more(settings, *each), MORE.items())):
            failures.expect(done.returncode == 0 and (not done.stderr or done.stderr.startswith("note: no GPU: ")),
                            f"{source}: {done.returncode}, {done.stderr.strip()}")
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
