#!/usr/bin/env python3
"""Compiles every block of .mp code in a page of the documentation.

  blocks.py PAGE --mparc mparc

A block of ```mp has to compile without a word. Where lines of it end in `// error: text`, there has to be an error with that
text in each of these lines, and in no other. A block of ```mp NAME or ```cpp NAME is written to that file, for others to name.
Exit status: 0 all is as it says, 1 it is not, one line each.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

ERROR = re.compile(r":(\d+):\d+: error: (.*)")


def blocks(page):
    """(line of the block's first line in the page, file name or none, text)."""
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for match in re.finditer(r"^```(?:mp(?= |\n)|cpp(?= ))(?: (\S+))?\n(.*?)^```$", text, re.S | re.M):
        yield text.count("\n", 0, match.start(2)) + 1, match.group(1), match.group(2)


def check(mparc, folder, text):
    """What is wrong with a block: pairs of a line, counted from 0, and why."""
    source, result = os.path.join(folder, "block.mp"), os.path.join(folder, "block.cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    done = subprocess.run([mparc, source, "-o", result], capture_output=True, text=True, timeout=60)
    expected = {number: match.group(1) for number, line in enumerate(text.splitlines())
                if (match := re.search(r"// error: (.*)$", line))}
    found = {}
    for match in ERROR.finditer(done.stderr):
        found.setdefault(int(match.group(1)) - 1, []).append(match.group(2))
    for number, messages in found.items():
        if number not in expected:
            yield number, f"unexpected error: {messages[0]}"
    for number, message in expected.items():
        if not any(message in line for line in found.get(number, [])):
            yield number, f"expected an error with {message!r}, got {found.get(number, 'none')}"
    if done.returncode != (1 if expected else 0) or (not expected and done.stderr):
        yield 0, f"exit status {done.returncode}: {done.stderr.strip()}"
    if os.path.exists(result) == bool(expected):
        yield 0, "an output file after errors" if expected else "no output file"
    if os.path.exists(result):
        os.remove(result)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page")
    parser.add_argument("--mparc", default="mparc")
    arguments = parser.parse_args()
    count, problems = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for first, name, text in blocks(arguments.page):
            count += 1
            if name:
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
                continue
            for number, problem in check(arguments.mparc, folder, text):
                problems += 1
                print(f"{arguments.page}:{first + number}: {problem}")
    print(f"{count} blocks, {problems} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
