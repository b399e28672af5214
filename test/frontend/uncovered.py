#!/usr/bin/env python3
"""Lists texts of the checker's diagnostics that no test expects; fails if there are any.

Usage: uncovered.py SOURCE_ROOT. A text is a string literal of two words or more in the semantic half of
compiler/frontend; it is covered when it stands in a test below test/frontend.
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
# The parser's messages have tests of their own; these are the checker's files.
checker = [path for path in (root / "compiler/frontend").glob("*.cpp") if "session" in path.read_text()]
tests = "".join(path.read_text() for path in (root / "test/frontend").rglob("*") if path.suffix in (".mp", ".test"))

uncovered = []
for path in sorted(checker):
    # Neither comments, nor the parameters of functions, nor what cannot happen are messages.
    code = re.sub(r"//[^\n]*|add\(table,[^;]*|llvm_unreachable\(.*", "", path.read_text())
    # Adjacent literals are one.
    code = re.sub(r'(?<!\\)"\s*\n?\s*"', "", code)
    for match in re.finditer(r'"((?:[^"\\\n]|\\.)*)"', code):
        text = match.group(1).replace('\\"', '"')
        if len(text.split()) < 2 or text.startswith("frontend/"):
            continue
        if text.strip(" `\"'") not in tests:
            uncovered.append(f"{path.name}: {text}")
print("\n".join(uncovered) or "every text is covered")
sys.exit(bool(uncovered))
