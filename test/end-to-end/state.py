#!/usr/bin/env python3
"""Programs with buffers and with several inputs: what they save, load, resume, read and refuse.

  state.py

A model that normalizes batches goes on from a checkpoint to the same bytes, evaluates by its running statistics, and takes
what PyTorch saved; a model of two inputs, one of integers, trains to the same bytes from a CSV as from NumPy files.
"""

import json
import os
import struct

import harness

NORMALIZED = """layer Counted(width: int) {
  buffer steps: i32[] = constant(7);
  buffer seen: bool[width] = zeros();

  forward(x: f32[rows, width]) -> f32[rows, width] {
    update(steps, steps + 1);
    update(seen, seen || max(x, dim: rows) > 0.9);
    return x;
  }
}

model Normalized {
  @device(0) hidden = Linear(12, 24, bias: false);
  @device(1) norm = BatchNorm1d(24);
  @device(2) counted = Counted(24);
  @device(0) output = Linear(24, 12);

  forward(x: f32[batch, 12]) -> f32[batch, 12] {
    return x |> hidden |> norm |> tanh |> counted |> output;
  }
}

train Normalized {
  data      = csv("rows.csv", test: 0.2);
  optimizer = adam(lr: 1e-2, weight_decay: 0.01);
  epochs    = 4;
  batch     = 16;
  seed      = 3;
}
"""

PAIR = """model Pair {
  hidden = Linear(6, 16);
  output = Linear(16, 1);

  forward(a: f32[batch, 2, 2], k: i32[batch, 2]) -> f32[batch, 1] {
    both = concat([reshape(a, [batch, 4]), cast(k, f32)]);
    return both |> hidden |> tanh |> output;
  }
}

train Pair {
  data   = %s;
  epochs = 3;
  batch  = 20;
}
"""


def write_tensors(path, tensors):
    """Safetensors from {name: (dtype, shape, bytes)}."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read_tensors(path):
    data = harness.read(path)
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    return {name: (entry["dtype"], entry["shape"], data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"}


def write_npy(path, dtype, shape, code, values):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}{code}", *values))


def check_buffers(settings, failures, program):
    def path(name):
        return os.path.join(settings.work, name)

    def run(*flags):
        return harness.run([program, *flags], settings.work)

    def fails(text, *flags):
        done = run(*flags)
        failures.expect(done.returncode == 1 and text in done.stderr and done.stderr.count("\n") == 1,
                        f"{' '.join(flags)}: expected {text!r}, got {done.returncode}: {done.stderr!r}")

    whole = run("--save", "whole.safetensors")
    failures.expect(whole.returncode == 0, f"training gives {whole.stderr}")
    for every in ([], ["--every", "7"]):
        run("--epochs", "2", "--checkpoint", "half.ckpt", *every)
        resumed = run("--resume", "half.ckpt", "--epochs", "4", "--save", "resumed.safetensors")
        failures.expect(resumed.returncode == 0, f"--resume gives {resumed.stderr}")
        failures.expect(harness.read(path("whole.safetensors")) == harness.read(path("resumed.safetensors")),
                        f"a run resumed after 2 epochs {every} ends elsewhere")

    saved = read_tensors(path("whole.safetensors"))
    steps = struct.unpack("<i", saved["norm.num_batches_tracked"][2])[0]
    failures.expect(steps == 4 * 8, f"{steps} batches tracked, not 32: evaluation must not count")
    failures.expect(saved["counted.steps"] == ("I32", [], struct.pack("<i", 7 + 32)), f"steps: {saved['counted.steps']}")
    failures.expect(saved["counted.seen"][0] == "BOOL" and set(saved["counted.seen"][2]) <= {0, 1}, "seen is no truth value")
    failures.expect(saved["norm.running_var"][2] != struct.pack("<24f", *[1.0] * 24), "the running variance stays 1")

    # Evaluation goes by what was saved, row by row, and changes nothing.
    run("--load", "whole.safetensors", "--predict", "rows.csv", "--output", "all.csv")
    harness.write_rows(path("few.csv"), 3, 24, seed=5)
    run("--load", "whole.safetensors", "--predict", "few.csv", "--output", "few_out.csv", "--save", "again.safetensors")
    failures.expect(harness.read(path("few_out.csv")).splitlines()[:4] == harness.read(path("all.csv")).splitlines()[:4],
                    "a row's prediction depends on the rows beside it")
    failures.expect(harness.read(path("whole.safetensors")) == harness.read(path("again.safetensors")),
                    "predicting changes a buffer")

    # What PyTorch saves: counts of 64 bits.
    count = struct.unpack("<i", saved["norm.num_batches_tracked"][2])[0]
    write_tensors(path("torch.safetensors"), {**saved, "norm.num_batches_tracked": ("I64", [], struct.pack("<q", count))})
    run("--load", "torch.safetensors", "--epochs", "0", "--save", "loaded.safetensors")
    failures.expect(harness.read(path("loaded.safetensors")) == harness.read(path("whole.safetensors")),
                    "an I64 count is not loaded as it is")
    write_tensors(path("bad.safetensors"), {**saved, "norm.num_batches_tracked": ("I64", [], struct.pack("<q", 1 << 40))})
    fails("norm.num_batches_tracked has 1099511627776, which does not fit into 32 bits", "--load", "bad.safetensors", "--epochs", "1")
    write_tensors(path("bad.safetensors"), {name: tensor for name, tensor in saved.items() if name != "norm.running_mean"})
    fails("norm.running_mean is missing", "--load", "bad.safetensors", "--epochs", "1")
    write_tensors(path("bad.safetensors"), {**saved, "norm.running_mean": ("F32", [12], bytes(48))})
    fails("norm.running_mean is [12], expected [24]", "--load", "bad.safetensors", "--epochs", "1")
    write_tensors(path("bad.safetensors"), {**saved, "counted.steps": ("F32", [], bytes(4))})
    fails("counted.steps is of type F32, expected I32", "--load", "bad.safetensors", "--epochs", "1")

    # 128 rows to train on: in batches of 127 the last has one row, of which there is no variance.
    fails("the last batch of an epoch would have 1 row; Normalized trains on at least 2", "--batch", "127")


def check_inputs(settings, failures, programs):
    def path(name):
        return os.path.join(settings.work, name)

    generator = harness.random.Random(4)
    rows = [([generator.uniform(-1, 1) for _ in range(4)], [generator.randrange(-3, 4) for _ in range(2)], [generator.uniform(-1, 1)])
            for _ in range(70)]
    rows = [tuple([struct.unpack("<f", struct.pack("<f", value))[0] if isinstance(value, float) else value for value in part] for part in row)
            for row in rows]

    def write_csv(name, rows, columns):
        with open(path(name), "w") as file:
            for row in rows:
                file.write(",".join(repr(value) for part in row[:columns] for value in part) + "\n")

    def write_arrays(count, suffix=""):
        write_npy(path(f"a{suffix}.npy"), "<f4", (count, 2, 2), "f", [v for row in rows[:count] for v in row[0]])
        write_npy(path(f"k{suffix}.npy"), "<i8", (count, 2), "q", [v for row in rows[:count] for v in row[1]])
        write_npy(path(f"t{suffix}.npy"), "<f4", (count, 1), "f", [v for row in rows[:count] for v in row[2]])

    def run(name, *flags):
        return harness.run([programs[name], *flags], settings.work)

    def fails(text, name, *flags):
        done = run(name, *flags)
        failures.expect(done.returncode == 1 and text in done.stderr and done.stderr.count("\n") == 1,
                        f"{name} {' '.join(flags)}: expected {text!r}, got {done.returncode}: {done.stderr!r}")

    write_csv("pair.csv", rows, 3)
    write_csv("inputs.csv", rows, 2)
    write_arrays(70)
    write_arrays(60, "_few")
    done = run("pair_csv", "--save", "csv.safetensors", "--predict", "inputs.csv", "--output", "csv_out.csv")
    failures.expect(done.returncode == 0, f"a CSV of two inputs gives {done.stderr}")
    other = run("pair_npy", "--save", "npy.safetensors", "--predict", "a.npy,k.npy", "--output", "npy_out.csv")
    failures.expect(other.returncode == 0 and other.stdout == done.stdout, f"NumPy files give {other.stderr}{other.stdout}")
    for one, two in (("csv.safetensors", "npy.safetensors"), ("csv_out.csv", "npy_out.csv")):
        failures.expect(harness.read(path(one)) == harness.read(path(two)), f"{one} and {two} differ")
    again = run("pair_csv", "--data", "a.npy,k.npy", "--targets", "t.npy", "--save", "again.safetensors")
    failures.expect(again.returncode == 0 and harness.read(path("again.safetensors")) == harness.read(path("csv.safetensors")),
                    f"--data of two arrays gives {again.stderr}")

    fails("a.npy: a NumPy file holds one input; Pair takes 2, got 1 file", "pair_csv", "--data", "a.npy", "--targets", "t.npy")
    fails("k_few.npy has 60 rows, a.npy 70", "pair_csv", "--data", "a.npy,k_few.npy", "--targets", "t.npy")
    fails("t_few.npy has 60 rows, a.npy 70", "pair_csv", "--data", "a.npy,k.npy", "--targets", "t_few.npy")
    fails("inputs.csv has 6 columns; Pair takes 6 inputs and 1 target", "pair_csv", "--data", "inputs.csv")
    broken = [row if index != 2 else (row[0], [row[1][0], 0.5], row[2]) for index, row in enumerate(rows)]
    write_csv("broken.csv", broken, 3)
    fails('broken.csv:3: column 6: "0.5" is not an integer', "pair_csv", "--data", "broken.csv")
    write_npy(path("half.npy"), "<f4", (70, 2), "f", [v if index != 5 else 0.5 for index, v in enumerate(v for row in rows for v in row[1])])
    fails("half.npy: row 2: column 1: 0.5 is not an integer", "pair_csv", "--data", "a.npy,half.npy", "--targets", "t.npy")


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("state")
    harness.write_rows(os.path.join(settings.work, "rows.csv"), 160, 24, seed=5)
    programs = harness.build_all(settings, [("normalized", NORMALIZED), ("pair_csv", PAIR % 'csv("pair.csv")'),
                                            ("pair_npy", PAIR % 'npy(["a.npy", "k.npy"], "t.npy")')])
    check_buffers(settings, failures, programs["normalized"])
    check_inputs(settings, failures, programs)
    return failures.finish()


harness.main(test)
