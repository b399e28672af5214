#!/usr/bin/env python3
"""Lists names of the runtime that a user's name could hide in emitted code; fails if there are any.

Usage: unreserved.py SOURCE_ROOT. All classes, since emitted code says `using namespace mpar`; and those functions over a device
or rows that the printer knows of.
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
reserved = set(re.findall(r'"(\w+)"', (root / "compiler/emit/Identifiers.cpp").read_text()))
printer = " ".join(path.read_text() for path in (root / "compiler/emit").glob("Print*.cpp"))
printed = set(re.findall(r"\w+", " ".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', printer))))

wanted = set()
for header in (root / "runtime/include/mpar").glob("*.h"):
    text = re.sub(r"//.*", "", header.read_text())
    wanted |= set(re.findall(r"^(?:template <[^>]*>\s*)?(?:class|struct|enum class) (\w+)", text, re.M))
    wanted |= set(re.findall(r"^using (\w+) =", text, re.M))
    wanted |= {name for name in re.findall(r"\b([a-z]\w*)\((?:Device|BatchPart|Part) &", text) if name in printed}
unreserved = sorted(wanted - reserved)
print("\n".join(unreserved) or "every name is reserved")
sys.exit(bool(unreserved) or len(wanted) < 100)
