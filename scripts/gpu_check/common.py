"""Where things are, commands that end in time, and the table of results."""

import json
import os
import signal
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build-gpu")
PACK = os.path.join(ROOT, "build-pack")
GOLDEN = os.path.join(ROOT, "test", "golden")
ARTICLE = os.path.join(ROOT, "examples", "autoencoder")
BENCH = os.path.join(ROOT, "bench", "cuda")
BAD = ("FAILED", "NOT DONE")  # whether a time holds decides nothing


def read(path):
    with open(path, errors="replace") as file:
        return file.read()


def last_line(text):
    """The last line that says something, or that none does."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "nothing printed"


def wait(process, log, timeout, echo):
    """Waits so many seconds; whether it has ended. `echo`: what it prints is printed meanwhile."""
    until, shown = time.monotonic() + timeout, 0
    while True:
        try:
            process.wait(min(1, max(0, until - time.monotonic())) if echo else timeout)
            ended = True
        except subprocess.TimeoutExpired:
            ended = False
        if echo:
            text = read(log)
            print(text[shown:], end="", flush=True)
            shown = len(text)
        if ended or time.monotonic() >= until:
            return ended


def run(command, log, timeout, env=None, cwd=None, echo=False):
    """Runs a command, its output kept in the file `log`; (exit status, output). Ends it, and whatever it has started, after
    `timeout` seconds: status 124, and the output so far."""
    status, more = 124, f"\nended after {timeout:.0f} s\n"
    with open(log, "w") as file:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=env,
                                       cwd=cwd, start_new_session=True)
        except OSError as error:
            file.write(f"{error}\n")
            status, more = 127, ""
        else:
            if wait(process, log, timeout, echo):
                status, more = process.returncode, ""
            else:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if more:
        with open(log, "a") as file:
            file.write(more)
    return status, read(log)


class Results:
    """Rows of (part, name, status, seconds, words), kept in a file from call to call: a row takes the place of the one of
    the same part and name."""

    def __init__(self, path):
        self.path, self.rows, self.lock = path, [], threading.Lock()
        self.add_file(path)

    def add_file(self, path):
        if os.path.exists(path):
            with open(path) as file:
                for row in json.load(file):
                    self.put(row)

    def forget(self, part, name):
        self.rows = [row for row in self.rows if (row["part"], row["name"]) != (part, name)]

    def put(self, row):
        same = [i for i, each in enumerate(self.rows) if (each["part"], each["name"]) == (row["part"], row["name"])]
        if same:
            self.rows[same[0]] = row
        else:
            self.rows.append(row)

    def add(self, part, name, status, seconds, words):
        with self.lock:
            self.put({"part": part, "name": name, "status": status, "seconds": round(seconds), "words": words})
            with open(self.path + ".new", "w") as file:
                json.dump(self.rows, file, indent=1)
            os.replace(self.path + ".new", self.path)
            print(f"{name}: {status}: {words} ({seconds:.0f} s)", flush=True)

    def table(self, parts=None):
        """The rows of these parts, or all, as text; whether no check of them has failed."""
        rows = [row for row in self.rows if parts is None or row["part"] in parts]
        cells = [(row["part"], row["name"], row["status"], f"{row['seconds']} s") for row in rows]
        widths = [max(len(cell[column]) for cell in cells) for column in range(4)] if cells else []
        lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), row["words"]])
                 for line, row in zip(cells, rows)]
        return "\n".join(lines), not any(row["status"] in BAD for row in rows)


class Budget:
    """What is left of the time that a part may take."""

    def __init__(self, seconds):
        self.until = time.monotonic() + seconds

    def left(self):
        return max(0, self.until - time.monotonic())
