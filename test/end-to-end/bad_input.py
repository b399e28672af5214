#!/usr/bin/env python3
"""Broken data, broken files of parameters, and wrong use of a compiled program: one line that names what is wrong, exit
status 1 (2 for wrong use), nothing written, nothing hangs.
"""

import json
import os
import struct

import harness

MODEL = """model Small {
  @device(0) first = Linear(3, 8);
  @device(1) last = Linear(8, 2);
  forward(x: f32[batch, 3]) -> f32[batch, 2] { return x |> first |> relu |> last; }
}
train Small {
  data      = csv("good.csv", test: 0.25);
  optimizer = sgd(lr: 0.1);
  epochs    = 2;
  batch     = 4;
}
"""
OTHER = MODEL.replace("8", "9").replace("Small", "Other")
CLASSES = """model Classes {
  last = Linear(3, 4);
  forward(x: f32[batch, 3]) -> f32[batch, 4] { return last(x); }
}
train Classes { data = csv("classes.csv"); loss = cross_entropy; batch = 4; epochs = 1; }
"""
GOOD = "a,b,c,d,e\n" + "".join(f"{i},{i % 3},{-i}.5,1e-1,{i / 8}\n" for i in range(12))

# name of the file → (its content, what the message has to name besides the file)
TABLES = {
    "empty.csv": ("", ""),
    "header_only.csv": ("a,b,c,d,e\n", ""),
    "blank.csv": ("\n\n\n", ""),
    "words.csv": (GOOD + "1,2,three,4,5\n", "three"),
    "ragged_short.csv": (GOOD + "1,2,3,4\n", "14"),
    "ragged_long.csv": (GOOD + "1,2,3,4,5,6\n", "14"),
    "cut.csv": (GOOD + "1,2,3", "14"),
    "hole.csv": (GOOD + "1,,3,4,5\n", "14"),
    "nan.csv": (GOOD + "1,nan,3,4,5\n", "nan"),
    "infinite.csv": (GOOD + "1,inf,3,4,5\n", "inf"),
    "huge.csv": (GOOD + "1,1e400,3,4,5\n", "1e400"),
    "wide.csv": ("1,2,3,4,5,6,7\n" * 5, "7"),
    "narrow.csv": ("1,2\n" * 5, "2"),
    "binary.csv": ("\0\1\2\3\n" * 5, ""),
    "hex.csv": (GOOD + "1,0x10,3,4,5\n", "0x10"),
    "semicolons.csv": ("1;2;3;4;5\n" * 5, ""),
}


def safetensors(header, data=b"", size=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def broken_parameters(good):
    """Files of parameters that are none: name → bytes. `good` is one that is."""
    (size,) = struct.unpack_from("<Q", good)
    header, data = json.loads(good[8 : 8 + size]), good[8 + size :]
    tensor = "first.weight"

    def changed(**entries):
        return safetensors({**header, tensor: {**header[tensor], **entries}}, data)

    begin, end = header[tensor]["data_offsets"]
    yield "nothing", b""
    yield "seven_bytes", good[:7]
    yield "cut_header", good[: 8 + size // 2]
    yield "cut_data", good[:-4]
    yield "more_data", good + b"\0\0\0\0"
    yield "header_past_end", safetensors(header, data, 1 << 40)
    yield "header_negative", safetensors(header, data, (1 << 64) - 1)
    yield "no_json", safetensors(b"{this is no JSON" + b" " * 40, data)
    yield "array", safetensors([1, 2, 3], data)
    yield "deep", safetensors(b"[" * 100000, data)
    yield "no_tensors", safetensors({})
    yield "offset_past_end", changed(data_offsets=[begin, end + (1 << 30)])
    yield "offsets_swapped", changed(data_offsets=[end, begin])
    yield "offsets_negative", changed(data_offsets=[-8, end])
    yield "shape_lies", changed(shape=[8, 4])
    yield "shape_huge", changed(shape=[1 << 40, 1 << 40])
    yield "shape_negative", changed(shape=[-8, -3])
    yield "other_type", changed(dtype="F64")
    yield "unknown_type", changed(dtype="Q7")
    yield "missing", safetensors({name: entry for name, entry in header.items() if name != tensor}, data)
    yield "renamed", safetensors({name.replace("first", "third"): entry for name, entry in header.items()}, data)
    yield "text", b"a,b,c\n1,2,3\n" * 20


class Runs:
    def __init__(self, work, failures):
        self.work, self.failures = work, failures

    def refused(self, program, flags, status, *needed):
        """The program has to end with this status and one line that has every needed text, and to leave no file."""
        name = " ".join([os.path.basename(program), *flags])
        before = {file: os.stat(os.path.join(self.work, file)).st_mtime_ns for file in os.listdir(self.work)}
        done = harness.run([program, *flags], self.work, timeout=30)
        expect = self.failures.expect
        expect(done.returncode == status, f"{name}: exit status {done.returncode}, expected {status}")
        expect(done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, f"{name}: says {done.stderr!r}")
        for text in needed:
            expect(text in done.stderr, f"{name}: {done.stderr.strip()!r} does not name {text!r}")
        after = {file: os.stat(os.path.join(self.work, file)).st_mtime_ns for file in os.listdir(self.work)}
        expect(before == after, f"{name}: leaves other files than it found")
        return done


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("bad_input")
    work = os.path.join(settings.work, "bad_input")
    os.makedirs(work, exist_ok=True)
    programs = harness.build_all(settings, [("small", MODEL), ("other", OTHER), ("classes", CLASSES)])
    small, other, classes = programs["small"], programs["other"], programs["classes"]
    runs = Runs(work, failures)

    def write(name, content):
        with open(os.path.join(work, name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("latin-1"))

    write("good.csv", GOOD)
    write("classes.csv", "".join(f"{i},{i % 5},1,{i % 4}\n" for i in range(9)))
    for program, files in [(small, ["small.save", "small.ckpt"]), (other, ["other.save", "other.ckpt"]),
                           (classes, ["classes.save", "classes.ckpt"])]:
        done = harness.run([program, "--save", files[0], "--checkpoint", files[1]], work)
        failures.expect(done.returncode == 0, f"{program} on good data gives {done.returncode}: {done.stderr.strip()}")

    # Data.
    for name, (content, needed) in TABLES.items():
        write(name, content)
        runs.refused(small, ["--data", name, "--save", "saved"], 1, name, needed)
    for content, needed in [("1,2,3,4\n", "4"), ("1,2,3,-1\n", "-1"), ("1,2,3,0.5\n", "0.5")]:
        write("labels.csv", "1,2,3,0\n" + content)
        runs.refused(classes, ["--data", "labels.csv"], 1, "labels.csv:2", needed)
    for name in ["none.csv", "none/none.csv", ".", "/"]:
        runs.refused(small, ["--data", name], 1, name)
        runs.refused(small, ["--test-data", name], 1, name)

    # Parameters and checkpoints.
    for name, content in broken_parameters(harness.read(os.path.join(work, "small.save"))):
        write("broken", content)
        runs.refused(small, ["--load", "broken", "--save", "saved"], 1, "broken")
        runs.refused(small, ["--resume", "broken", "--save", "saved"], 1, "broken")
    whole = harness.read(os.path.join(work, "small.ckpt"))
    for size in [0, 1, 8, 9, 100, len(whole) // 2, len(whole) - 1]:
        write("broken", whole[:size])
        runs.refused(small, ["--resume", "broken"], 1, "broken")
    runs.refused(small, ["--load", "other.save"], 1, "other.save", "first.weight")
    runs.refused(small, ["--resume", "other.ckpt"], 1, "other.ckpt")
    runs.refused(small, ["--load", "classes.save"], 1, "classes.save")
    runs.refused(small, ["--load", "small.ckpt"], 1, "small.ckpt")
    runs.refused(small, ["--resume", "small.save"], 1, "small.save")
    for flag in ["--load", "--resume"]:
        for name in ["none", ".", "good.csv"]:
            runs.refused(small, [flag, name], 1, name)

    # Where results cannot go.
    for flag in ["--save", "--checkpoint", "--history", "--plot", "--dump-losses", "--dump-gradients"]:
        runs.refused(small, [flag, "none/file"], 1, "none/file")
        runs.refused(small, [flag, "."], 1)
    runs.refused(small, ["--load", "small.save", "--predict", "good.csv", "--output", "none/file"], 1, "none/file")
    runs.refused(small, ["--load", "small.save", "--predict", "ragged_short.csv", "--output", "out"], 1, "ragged_short.csv")

    # A loss that is no number is said at the step.
    done = runs.refused(small, ["--lr", "1e30", "--save", "saved"], 1, "epoch 1, step ")
    failures.expect("nan" in done.stderr or "inf" in done.stderr, f"the loss is not said: {done.stderr.strip()}")

    # Wrong use.
    for flags in [["--nope"], ["--epochs"], ["--epochs", "-1"], ["--epochs", "1.5"], ["--batch", "0"], ["--batch", "x"],
                  ["--lr", "nan"], ["--lr", "-1"], ["--shuffle", "maybe"], ["--seed", "-1"], ["--threads", "0"],
                  ["--every", "3"], ["--betas", "0.9,0.99"], ["--predict", "good.csv"], ["--output", "x"],
                  ["--load", "a", "--resume", "b"], ["good.csv"], ["--targets", "good.csv"]]:
        runs.refused(small, flags, 2)
    runs.refused(small, ["--devices", "tpu"], 2, "tpu")
    return failures.finish()


harness.main(test)
