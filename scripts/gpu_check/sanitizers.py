"""compute-sanitizer's four tools over the tests of kernels and over emitted programs, side by side."""

import concurrent.futures
import os
import re
import time

from gpu_check.common import last_line, run

TOOLS = ["memcheck", "racecheck", "initcheck", "synccheck"]
SHARDS = 4  # of the tests of kernels
# Programs, of a few steps each: several logical devices on one GPU, replayed as a graph and not.
PROGRAMS = [("sanitized_chain", []), ("sanitized_chain", ["--no-graph"]), ("sanitized_alone", []), ("sanitized_pipeline", []),
            ("sanitized_attends", [])]


def verdict(status, text):
    """Whether all is well, and the line that says it."""
    found = re.findall(r"^=+ ((?:ERROR|RACECHECK) SUMMARY:.*)$", text, re.M)
    done = len(re.findall(r"^\[       OK \]", text, re.M))
    tests = f"{done} tests passed; " if done else ""
    if status == 0 and found:
        return True, tests + found[-1]
    unusable = re.search(r"^=+ (Error: .*|.*not supported.*)$", text, re.M)
    return False, tests + (unusable.group(1) if unusable else found[-1] if found and status != 124 else last_line(text))


def sanitize(builds, logs, budget, add, tools):
    """Adds a row a tool for the kernels and one for the programs: add(name, status, seconds, words)."""
    programs = builds.need("sanitized_.*", budget)
    tests = builds.tests(budget)
    begin = time.monotonic()
    work = []
    for tool in tools:
        for name, flags in PROGRAMS:
            command = [programs[name], "--devices", "cuda:0", "--epochs", "1", "--quiet", "--timeout", "600", *flags]
            work.append((tool, "programs", " ".join([name, *flags]), command, {}))
        for shard in range(SHARDS):
            work.append((tool, "kernels", f"shard {shard}", [tests],
                         {"GTEST_TOTAL_SHARDS": str(SHARDS), "GTEST_SHARD_INDEX": str(shard)}))

    def carry_out(tool, kind, name, command, variables):
        log = os.path.join(logs, f"{tool}-{re.sub(r'[^a-z0-9]+', '-', name)}.log")
        status, text = run(["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *command], log, max(1, budget.left()),
                           dict(builds.environment, **variables), builds.sources)
        return (tool, kind), name, *verdict(status, text)

    waiting, wrong, tests_passed = {}, {}, {}
    for tool, kind, *_ in work:
        waiting[tool, kind] = waiting.get((tool, kind), 0) + 1
    counts = dict(waiting)
    with concurrent.futures.ThreadPoolExecutor(max(4, builds.jobs * 3 // 4)) as pool:
        for future in concurrent.futures.as_completed([pool.submit(carry_out, *each) for each in work]):
            row, name, well, words = future.result()
            waiting[row] -= 1
            passed = re.match(r"(\d+) tests passed", words)
            tests_passed[row] = tests_passed.get(row, 0) + (int(passed.group(1)) if passed else 0)
            if not well:
                wrong.setdefault(row, []).append(f"{name}: {words}")
            if waiting[row] == 0:
                said = f"{counts[row]} runs" + (f", {tests_passed[row]} tests passed" if tests_passed[row] else "")
                add(" ".join(row), "FAILED" if row in wrong else "ok", time.monotonic() - begin,
                    said + "".join(f"; {each}" for each in wrong.get(row, []))[:600])
