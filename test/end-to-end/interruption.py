#!/usr/bin/env python3
"""The article's program is killed at random moments and resumed, 50 times; the parameters come out the same bytes.

  interruption.py [--kills 50] [--seed N]

Also a full disk: the run ends with one line, and the checkpoint that was there stays as it was.
"""

import os
import random
import resource
import signal
import subprocess
import time

import harness

EXAMPLE = os.path.join(harness.ROOT, "examples", "autoencoder")
# Quick to train, so that fifty kills fall over the whole run.
FLAGS = ["--data", "some.csv", "--epochs", "60", "--quiet"]
CHECKPOINT = ["--checkpoint", "run.ckpt", "--every", "13"]


def copy_rows(work, rows):
    lines = harness.read(os.path.join(EXAMPLE, "sunspots.csv"), "r").splitlines(keepends=True)
    with open(os.path.join(work, "some.csv"), "w") as file:
        file.writelines(lines[: rows + 1])


def interrupted(program, work, kills, generator, seconds, failures):
    """Starts the program until it ends by itself, killing it at most `kills` times. How many it took."""
    killed = 0
    while True:
        resume = ["--resume", "run.ckpt"] if os.path.exists(os.path.join(work, "run.ckpt")) else []
        command = [program, *FLAGS, *CHECKPOINT, "--save", "resumed.safetensors", *resume]
        process = subprocess.Popen(command, cwd=work, stderr=subprocess.PIPE, text=True)
        try:
            if killed < kills:
                time.sleep(generator.uniform(0.002, 2.2 * seconds / kills))
                process.send_signal(signal.SIGKILL)
            _, error = process.communicate(timeout=120)
        finally:
            process.kill()
        if process.returncode == -signal.SIGKILL:
            killed += 1
            failures.expect(error == "", f"kill {killed}: says {error.strip()}")
            continue
        failures.expect(process.returncode == 0, f"after {killed} kills: {process.returncode}: {error.strip()}")
        return killed


def full_disk(program, work, failures):
    """A limit on the size of files stands in for a full disk: `write` fails halfway."""
    before = harness.read(os.path.join(work, "run.ckpt"))
    files = sorted(os.listdir(work))
    done = harness.run([program, *FLAGS, "--epochs", "61", "--resume", "run.ckpt", *CHECKPOINT], work,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
    failures.expect(done.returncode == 1, f"full disk: exit status {done.returncode}")
    failures.expect(done.stderr.count("\n") == 1 and done.stderr.startswith("error: cannot write run.ckpt: "),
                    f"full disk: says {done.stderr.strip()}")
    failures.expect(harness.read(os.path.join(work, "run.ckpt")) == before, "full disk: the old checkpoint has changed")
    failures.expect(sorted(os.listdir(work)) == files, "full disk: leaves other files")


def test():
    settings = harness.arguments(__doc__, kills=50, seed=int.from_bytes(os.urandom(4), "little"))
    print(f"interruption: seed {settings.seed}")
    failures = harness.Failures("interruption")
    generator = random.Random(settings.seed)
    work = os.path.join(settings.work, "interruption")
    os.makedirs(work, exist_ok=True)
    for name in os.listdir(work):
        os.remove(os.path.join(work, name))
    copy_rows(work, 400)
    program = harness.build(settings, "autoencoder", harness.read(os.path.join(EXAMPLE, "autoencoder.mp"), "r"))
    begin = time.monotonic()
    done = harness.run([program, *FLAGS, "--save", "whole.safetensors"], work)
    seconds = time.monotonic() - begin
    if failures.expect(done.returncode == 0, f"uninterrupted: {done.returncode}: {done.stderr.strip()}"):
        killed = 0
        # What is left of the fifty goes to further runs.
        for _ in range(20):
            for name in ("run.ckpt", "resumed.safetensors"):
                if os.path.exists(os.path.join(work, name)):
                    os.remove(os.path.join(work, name))
            killed += interrupted(program, work, settings.kills - killed, generator, seconds, failures)
            failures.expect(harness.read(os.path.join(work, "resumed.safetensors")) ==
                            harness.read(os.path.join(work, "whole.safetensors")),
                            f"after {killed} kills the parameters are others than without")
            if killed >= settings.kills:
                break
        failures.expect(killed >= settings.kills, f"only {killed} of {settings.kills} kills came before the end")
        full_disk(program, work, failures)
    return failures.finish()


harness.main(test)
