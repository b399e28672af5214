"""What the tests of whole programs share: compiling models, running programs, saying what failed."""

import argparse
import concurrent.futures
import hashlib
import os
import random
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def arguments(description, **flags):
    """--mparc FILE --work FOLDER and the flags named (default values); the folder is made. Without --full programs are
    compiled with less optimisation; those of test/golden have all of it."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--mparc", default=os.path.join(ROOT, "build", "bin", "mparc"))
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "end-to-end"))
    for name, value in flags.items():
        kind = {"action": "store_true"} if value is False else {"type": type(value), "default": value}
        parser.add_argument(f"--{name}", **kind)
    parsed = parser.parse_args()
    if not getattr(parsed, "full", False):
        # No bit hangs on it, and most of the time of these tests would go into it.
        os.environ.setdefault("CXXFLAGS", "-O1")
    parsed.work, parsed.mparc = os.path.abspath(parsed.work), os.path.abspath(parsed.mparc)
    # The runtime's headers, which the build has parsed already.
    headers = os.path.join(os.path.dirname(os.path.dirname(parsed.mparc)), "test", "program-headers")
    if os.path.isdir(headers):
        os.environ["CXX"] = f"{os.environ.get('CXX', 'c++')} -I{headers}"
    os.makedirs(parsed.work, exist_ok=True)
    return parsed


class Failures:
    """Counts what was checked; `finish` gives the exit status."""

    def __init__(self, name):
        self.name, self.checked, self.failed, self.begin = name, 0, 0, time.monotonic()

    def expect(self, condition, message):
        self.checked += 1
        if not condition:
            self.failed += 1
            print(f"{self.name}: {message}", flush=True)
        return condition

    def finish(self):
        seconds = time.monotonic() - self.begin
        print(f"{self.name}: {self.checked - self.failed} of {self.checked} checks hold, {seconds:.0f} s")
        return 1 if self.failed or not self.checked else 0


def run(command, cwd, timeout=120, **options):
    return subprocess.run(command, cwd=cwd, timeout=timeout, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def build(settings, name, text):
    """Compiles a model to a program in the work folder and returns its path; ends the test where that fails. What was
    built before from the same text by the same compiler is kept."""
    source, program = os.path.join(settings.work, name + ".mp"), os.path.join(settings.work, name)
    stamp = hashlib.sha256((text + str(os.stat(settings.mparc).st_mtime_ns)).encode()).hexdigest()
    if os.path.exists(program) and os.path.exists(source + ".stamp") and open(source + ".stamp").read() == stamp:
        return program
    with open(source, "w") as file:
        file.write(text)
    done = run([settings.mparc, "build", source, "-o", program], settings.work, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{name}: mparc build gives {done.returncode}: {done.stderr.strip()}")
    with open(source + ".stamp", "w") as file:
        file.write(stamp)
    return program


def build_all(settings, models):
    """`build` for each (name, text), several at once; the programs by name."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        built = pool.map(lambda model: build(settings, *model), models)
        return dict(zip((name for name, _ in models), built))


def train(settings, program, name, *flags):
    """Trains, and saves under the name; the bytes of that and the losses printed. Ends the test where that fails."""
    saved = os.path.join(settings.work, name + ".safetensors")
    done = run([program, "--save", saved, *flags], settings.work)
    if done.returncode != 0:
        raise SystemExit(f"{name} {' '.join(flags)}: {done.stderr.strip()}")
    return read(saved), [float(text) for text in re.findall(r"_Loss: ([^ \n]+)", done.stdout)]


def write_rows(path, rows, columns, seed=0):
    """A CSV of small numbers, the same each time."""
    generator = random.Random(seed)
    with open(path, "w") as file:
        for _ in range(rows):
            file.write(",".join(f"{generator.uniform(-1, 1):.6f}" for _ in range(columns)) + "\n")


def read(path, mode="rb"):
    with open(path, mode) as file:
        return file.read()


def main(test):
    try:
        sys.exit(test())
    except subprocess.TimeoutExpired as late:
        sys.exit(f"hangs: {' '.join(late.cmd)}")
