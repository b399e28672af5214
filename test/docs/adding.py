#!/usr/bin/env python3
"""Checks the lists of docs/adding-an-op.md: each numbered line's file exists and contains what its last bracket says."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINE = re.compile(r"^\d+\. `([^`]+)`.*\(`([^`]+)`\)$")


def main():
    problems, count = [], 0
    with open(os.path.join(ROOT, "docs", "adding-an-op.md"), encoding="utf-8") as page:
        for number, line in enumerate(page, 1):
            if not re.match(r"^\d+\. ", line):
                continue
            count += 1
            match = LINE.match(line.strip())
            if not match:
                problems.append(f"{number}: expected a file first and a text of it last")
                continue
            path, text = match.groups()
            try:
                with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                    if text not in file.read():
                        problems.append(f"{number}: {path} does not contain {text!r}")
            except OSError:
                problems.append(f"{number}: there is no {path}")
    for problem in problems:
        print(f"docs/adding-an-op.md:{problem}")
    return 1 if problems or not count else 0


sys.exit(main())
