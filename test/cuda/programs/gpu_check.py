#!/usr/bin/env python3
"""scripts/gpu-check as far as it goes without a GPU: what it packs, what it refuses, and how it keeps results.

One by hand: test/cuda/programs/gpu_check.py
"""

import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "end-to-end"))
from harness import ROOT, Failures, arguments, run  # noqa: E402

SCRIPT = os.path.join(ROOT, "scripts", "gpu-check")


def check(failures, work, flags, status, words, lines=1, **variables):
    done = run([sys.executable, SCRIPT, *flags], work, env=dict(os.environ, **variables))
    text = done.stdout + done.stderr
    failures.expect(done.returncode == status and words in text and text.count("\n") == lines,
                    f"{' '.join(flags)}: expected {status} and \"{words}\", got {done.returncode}: {text}")
    return text


def write_tool(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


def check_pack(failures, settings, folder):
    shutil.rmtree(folder, ignore_errors=True)
    check(failures, settings.work, ["--pack", folder, "--mparc", settings.mparc], 0, " programs")
    programs = set(os.listdir(os.path.join(folder, "programs")))
    wanted = {"golden_" + name[:-3] + ".cu" for name in os.listdir(os.path.join(ROOT, "test", "golden")) if name.endswith(".mp")}
    wanted |= {"bench_" + name[:-3] + ".cu" for name in os.listdir(os.path.join(ROOT, "bench", "cuda")) if name.endswith(".mp")}
    wanted |= {"bench_article.cu", "example_gpt.cu", "large.cu", "article_4_zero_bubble.cu", "article_1_alone.cu",
               "sanitized_attends.cu", "rows.csv"}
    failures.expect(wanted <= programs, f"the pack has no {sorted(wanted - programs)}")
    for path in ("include/oneapi/dnnl/dnnl.hpp", "include/gtest/gtest.h", "lib/libdnnl.so", "lib/libgtest.a"):
        failures.expect(os.path.exists(os.path.join(folder, "prefix", path)), f"the pack has no {path}")
    check(failures, settings.work, ["--pack", folder, "--mparc", settings.mparc], 1, "gpu-check: " + folder + " exists")


def check_machines(failures, work, pack):
    """One line each: no driver, a driver that finds no GPU, a GPU without a compiler, a folder that is no pack, no such part."""
    tools = os.path.join(work, "tools")
    os.makedirs(tools, exist_ok=True)
    for name in os.listdir(tools):
        os.remove(os.path.join(tools, name))
    only = {"PATH": tools}
    check(failures, work, [pack], 1, "gpu-check: this machine has no GPU that can be used: ", **only)
    write_tool(tools, "nvidia-smi", "echo 'No devices were found'; exit 6\n")
    check(failures, work, [pack], 1, "gpu-check: this machine has no GPU that can be used: No devices were found", **only)
    write_tool(tools, "nvidia-smi", "echo 'GPU of a test, 9.0, 1.0, 1024 MiB'\n")
    check(failures, work, [pack], 1, "gpu-check: there is no nvcc", **only)
    write_tool(tools, "nvcc", "echo release 13.0\n")
    check(failures, work, [work], 1, work + " is no pack", **only)
    check(failures, work, [pack, "--part", "none"], 2, "no part begins so; there are numeric, ", **only)


def check_table(failures, work):
    """Of two files the later one's row counts; a time that is not what is wanted fails nothing."""
    def row(name, status):
        return {"part": "numeric", "name": name, "status": status, "seconds": 1, "words": "words of " + name}

    paths = [os.path.join(work, name) for name in ("first.json", "second.json")]
    for path, rows in zip(paths, ([row("kernels", "FAILED"), row("nccl", "ok")], [row("kernels", "ok"), row("start", "DOES NOT HOLD")])):
        with open(path, "w") as file:
            json.dump(rows, file)
    text = check(failures, work, ["--table", *paths], 0, "numeric  kernels  ok             1 s  words of kernels", lines=3)
    failures.expect("numeric  start    DOES NOT HOLD  1 s  words of start" in text, f"--table: {text}")
    check(failures, work, ["--table", *reversed(paths)], 1, "numeric  kernels  FAILED", lines=3)
    check(failures, work, ["--table", os.path.join(work, "none.json")], 1, "no such file")


def main():
    settings = arguments(__doc__)
    failures = Failures("gpu-check")
    pack = os.path.join(settings.work, "pack")
    check_pack(failures, settings, pack)
    check_machines(failures, settings.work, pack)
    check_table(failures, settings.work)
    shutil.rmtree(pack)
    return failures.finish()


if __name__ == "__main__":
    sys.exit(main())
