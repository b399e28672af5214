"""Checks `--check-fmt` on every correct .mp file of the repository, as it is and with comments and
line breaks thrown in at random places between its tokens."""

import os
import random
import re
import subprocess
import sys
import tempfile

TOKEN = re.compile(
    r'//[^\n]*\n|/\*.*?\*/|"(?:\\.|[^"\\])*"|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?'
    r"|\w+|\|>|->|\.\.\.|\.\.|==|!=|<=|>=|&&|\|\||\s+|.",
    re.S,
)
INSERTED = [" // trailing\n", "\n// own line\n", " /* within */ ", "\n/* two\n   lines */\n", "\n\n\n", "\r\n",
            "\n/* before */ ", " /* after */\n"]


def files(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "build")))
        for name in sorted(names):
            if name.endswith(".mp"):
                yield os.path.join(folder, name)


def run(path, *flags):
    return subprocess.run(["mparc-syntax", path, *flags], capture_output=True, text=True)


def main():
    # Each run tries other places; a failure prints its seed, and MPARC_FMT_SEED tries that again.
    seed = int(os.environ.get("MPARC_FMT_SEED") or random.randrange(2**32))
    generator = random.Random(seed)
    correct = [path for path in files(sys.argv[1]) if run(path).returncode == 0]
    if len(correct) < 10:
        sys.exit("only %d correct files found" % len(correct))
    with tempfile.TemporaryDirectory() as folder:
        changed = os.path.join(folder, "changed.mp")
        for path in correct:
            text = open(path, encoding="utf-8").read()
            parts = []
            for token in TOKEN.findall(text):
                parts.append(token)
                if not token.startswith("//") and generator.random() < 0.15:
                    parts.append(generator.choice(INSERTED))
            with open(changed, "w", encoding="utf-8", newline="") as file:
                file.write("".join(parts))
            for target in (path, changed):
                result = run(target, "--check-fmt")
                if result.returncode != 0:
                    sys.exit("%s, seed %d:\n%s" % (path, seed, result.stderr))


main()
