"""How long steps take, held to what they are to take."""

import json
import os
import re
import sys
import time

from gpu_check.common import ARTICLE, BENCH, last_line

HOST_US, START_S = 20, 2


def start(checks, add):
    """What a small step asks of the host, and how long a program takes to its first step."""
    program = checks.builds.need("article_1_gpipe", checks.budget)["article_1_gpipe"]
    begin = time.monotonic()
    said, host = [], None
    for name, flags in (("graph", []), ("no graph", ["--no-graph"]), ("rows sent", ["--no-resident-data"])):
        status, text = checks.command("host-" + name.replace(" ", "-"), [program, "--benchmark-steps", "2000", *flags])
        found = re.search(r"median step: ([\d.]+) us; host: ([\d.]+) us", text)
        if status != 0 or not found:
            add("host time", "FAILED", time.monotonic() - begin, last_line(text))
            return
        host = host or float(found.group(2))
        said.append(f"{name}: {found.group(2)} of {found.group(1)} us")
    add("host time", "holds" if host < HOST_US else "DOES NOT HOLD", time.monotonic() - begin,
        "; ".join(said) + f"; wanted with the graph: under {HOST_US} us")
    took = []
    for _ in range(3):
        begin = time.monotonic()
        status, text = checks.command("start", [program, "--benchmark-steps", "1"])
        took.append(time.monotonic() - begin)
        if status != 0:
            add("start", "FAILED", took[-1], last_line(text))
            return
    add("start", "holds" if sorted(took)[1] < START_S else "DOES NOT HOLD", sum(took),
        f"started, four steps and ended in {sorted(took)[1]:.2f} s (first {took[0]:.2f} s); wanted to the first step: under {START_S} s")


def beside_pytorch(checks, add, cases, programs):
    """bench/cuda/run of these cases: a row for each of the times and one for each thing that is to hold."""
    checks.builds.need(programs, checks.budget)
    begin, path = time.monotonic(), os.path.join(checks.logs, "speed.json")
    if os.path.exists(path):
        os.remove(path)
    status, text = checks.command("speed-" + cases[0], [
        sys.executable, f"{BENCH}/run", "--programs", checks.builds.programs, "--architecture", checks.builds.architecture,
        "--seconds", f"{max(60, checks.budget.left() - 30):.0f}", "--json", path, "--cases", *cases], timeout=3600, echo=True)
    if not os.path.exists(path):
        add(cases[0], "FAILED", time.monotonic() - begin, last_line(text))
        return
    with open(path) as file:
        for case in json.load(file):
            add(case["name"], "FAILED" if case["times"]["emitted"] is None else "ok", time.monotonic() - begin, case["words"])
            for criterion in case["criteria"]:
                add(f"{case['name']}: {criterion['name']}", "holds" if criterion["holds"] else "DOES NOT HOLD", 0,
                    f"{criterion['is']}; wanted: {criterion['wanted']}")
    if status != 0:
        add(cases[0] + ": bench/cuda/run", "FAILED", time.monotonic() - begin, last_line(text))


def attention(checks):
    """The time of attention on tensor cores at GPT-2's sizes, beside PyTorch's."""
    ours, text = checks.command("attention", [checks.builds.tests(checks.budget), "--gtest_also_run_disabled_tests",
                                              "--gtest_filter=AttentionOnAGpu.DISABLED_TakesSoLong"])
    theirs, other = checks.command("attention-pytorch", [sys.executable, f"{BENCH}/attention.py"])
    lines = [line.strip() for line in (text + other).splitlines() if " ms" in line and not line.startswith("[")]
    return ours == 0 and theirs == 0 and len(lines) == 4, "; ".join(lines)[:600] or last_line(text + other)
