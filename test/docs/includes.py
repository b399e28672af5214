#!/usr/bin/env python3
"""Checks that the parts of the compiler include only whom compiler/README.md lets them."""

import os
import re
import sys

COMPILER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "compiler")
MAY_INCLUDE = {
    "clang": set(),
    "dialect": set(),
    "planner": {"dialect"},
    "passes": {"dialect", "planner"},
    "interpreter": {"dialect"},
    "frontend": {"dialect"},
    "emit": {"dialect", "planner"},
    "driver": {"clang", "dialect", "emit", "frontend", "interpreter", "passes", "planner"},
    "random": {"dialect", "driver", "frontend", "interpreter"},
}
# What of the runtime a part may know.
RUNTIME = {"interpreter": {"mpar/scalar.h", "mpar/low_precision.h"}}


def main():
    problems = []
    parts = {name for name in os.listdir(COMPILER) if os.path.isdir(os.path.join(COMPILER, name))}
    for part in sorted(parts - set(MAY_INCLUDE)):
        problems.append(f"compiler/{part} is not in the drawing of compiler/README.md")
    for part in sorted(parts & set(MAY_INCLUDE)):
        for name in sorted(os.listdir(os.path.join(COMPILER, part))):
            if not name.endswith((".cpp", ".h")):
                continue
            with open(os.path.join(COMPILER, part, name), encoding="utf-8") as file:
                lines = file.readlines()
            for number, line in enumerate(lines, 1):
                match = re.match(r'#include ["<]((\w+)/[^">]+)[">]', line)
                if not match:
                    continue
                path, folder = match.groups()
                if folder in parts and folder != part and folder not in MAY_INCLUDE[part]:
                    problems.append(f"compiler/{part}/{name}:{number}: {part} may not include {folder}")
                if folder == "mpar" and path not in RUNTIME.get(part, set()):
                    problems.append(f"compiler/{part}/{name}:{number}: {part} may not include {path}")
    print("\n".join(problems))
    return 1 if problems else 0


sys.exit(main())
