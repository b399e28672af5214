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
    r"|\w+|\|>|->|::|\.\.\.|\.\.|==|!=|<=|>=|&&|\|\||\s+|.",
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


def with_insertions(text, generator):
    parts = []
    for token in TOKEN.findall(text):
        parts.append(token)
        if not token.startswith("//") and generator.random() < 0.15:
            parts.append(generator.choice(INSERTED))
    return "".join(parts)


def check(texts, folder):
    """What is wrong with the first of the texts that is not laid out the same a second time, or nothing. A process a
    text would take most of the test's time: what needs not stand first in a file is checked in one."""
    alone = [text for text in texts if re.search(r"^\s*(import|extern)\b", text, re.M)]
    together = [text for text in texts if text not in alone]

    def failure(text):
        path = os.path.join(folder, "checked.mp")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        result = run(path, "--check-fmt")
        return result.stderr or "exit status %d" % result.returncode if result.returncode else None

    whole = failure("\n".join(together))
    each = alone + together if whole else alone
    return next(filter(None, map(failure, each)), whole)


def main():
    # Each run tries other places; a failure prints its seed, and MPARC_FMT_SEED tries that again.
    seed = int(os.environ.get("MPARC_FMT_SEED") or random.randrange(2**32))
    generator = random.Random(seed)
    correct = []
    for path in files(sys.argv[1]):
        if run(path).returncode == 0:
            with open(path, encoding="utf-8", newline="") as file:
                correct.append(file.read())
    if len(correct) < 10:
        sys.exit("only %d correct files found" % len(correct))
    with tempfile.TemporaryDirectory() as folder:
        wrong = check(correct, folder)
        if wrong:
            sys.exit(wrong)
        wrong = check([with_insertions(text, generator) for text in correct], folder)
        if wrong:
            sys.exit("seed %d:\n%s" % (seed, wrong))


main()
