"""Checks that every .mp file of the standard library, the examples and the golden programs is laid out as `mparc fmt`
would lay it out."""

import glob
import os
import subprocess
import sys

files = sorted(path for folder in ("stdlib", "examples/*", "test/golden")
               for path in glob.glob(os.path.join(sys.argv[1], folder, "*.mp")))
if len(files) < 50:
    sys.exit(f"expected some 60 files, found {len(files)}")
wrong = []
for path in files:
    done = subprocess.run(["mparc-syntax", path, "--fmt"], stdout=subprocess.PIPE)
    with open(path, "rb") as file:
        if done.returncode != 0 or done.stdout != file.read():
            wrong.append(path)
if wrong:
    sys.exit("not as `mparc fmt` lays it out: " + " ".join(wrong))
