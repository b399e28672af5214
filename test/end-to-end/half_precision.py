#!/usr/bin/env python3
"""Products in f16: a scaled loss, steps that are skipped, and runs that go on from a checkpoint.

  half_precision.py

A model over two devices whose first gradients are too large for f16 at the first scale skips steps, gives the same bytes
on one device, with workers, and when it is resumed from any step; small gradients are lost without a scale and kept with one; what no
scale mends ends the run.
"""

import json
import os
import struct

import harness

MODEL = """layer loss(factor: float = {factor}) {{
  forward(output: f32[...], target: f32[...]) -> f32[] {{
    return sum((output - target) * (output - target) * factor);
  }}
}}

@precision(f16) model Half {{
  @device(0) up = Linear(12, 24);
  @device({device}) down = Linear(24, 24);
  @device({device}) @precision(f32) last = Linear(24, 12);

  forward(x: f32[batch, 12]) -> f32[batch, 12] {{
    h = x |> up |> tanh |> down;
    return last({middle});
  }}
}}

train Half {{
  data      = csv("rows12.csv", test: 0.2);
  loss      = loss;
  optimizer = {optimizer};
  epochs    = 3;
  batch     = 16;
  seed      = 3;
  {pipeline}
}}
"""


def model(factor="4.0", device=1, middle="tanh(h)", optimizer="adam(lr: 1e-2)", pipeline=""):
    return MODEL.format(factor=factor, device=device, middle=middle, optimizer=optimizer, pipeline=pipeline)


def metadata(path):
    data = harness.read(path)
    (size,) = struct.unpack_from("<Q", data)
    return json.loads(data[8:8 + size])["__metadata__"]


def gradients(path):
    """The values of every gradient of a file, by name."""
    data = harness.read(path)
    (size,) = struct.unpack_from("<Q", data)
    values = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            values[name] = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
    return values


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("half precision")
    harness.write_rows(os.path.join(settings.work, "rows12.csv"), 100, 24)  # 5 batches an epoch
    programs = harness.build_all(settings, [
        ("two", model()), ("one", model(device=0)), ("small", model(factor="1e-9", optimizer="sgd(lr: 1e6)")),
        ("cut", model(pipeline='microbatches = 3; schedule = "1f1b";')), ("endless", model(middle="sqrt(h * 0.0)"))])
    path = lambda name: os.path.join(settings.work, name)

    def run(name, *flags, expected=0):
        done = harness.run([programs[name], *flags], settings.work)
        failures.expect(done.returncode == expected, f"{name} {' '.join(flags)} gives {done.returncode}: {done.stderr.strip()}")
        return done

    # Steps are skipped, at the same places whatever the placement, and said.
    whole = run("two", "--save", "two.safetensors", "--history", "two.csv", "--checkpoint", "two.ckpt")
    one = run("one", "--save", "one.safetensors", "--history", "one.csv")
    for file in ("safetensors", "csv"):
        failures.expect(harness.read(path("two." + file)) == harness.read(path("one." + file)), f"placement changes the {file}")
    failures.expect(whole.stdout == one.stdout, "placement changes what is printed")
    rows = [line.split(",") for line in harness.read(path("two.csv"), "r").split()]
    failures.expect(rows[0][-1] == "skipped_steps", f"the history has the columns {rows[0]}")
    skipped = [int(row[-1]) for row in rows[1:]]
    failures.expect(skipped[0] >= 2 and len(skipped) == 3, f"{skipped} steps are skipped")
    for line, count in zip(whole.stdout.splitlines(), skipped):
        expected = f" | skipped_Steps: {count}" if count else ""
        failures.expect(line.endswith(expected) and ("skipped" in line) == bool(count), f"{count} steps are skipped: {line}")
    said = metadata(path("two.ckpt"))
    failures.expect(float(said["mparc.loss_scale"]) == 65536 / 2 ** sum(skipped), f"the scale is {said['mparc.loss_scale']}")
    failures.expect(said["mparc.skipped_steps"] == str(sum(skipped)) and said["mparc.step"] == "15", f"the checkpoint says {said}")

    # The first step, which is skipped, leaves everything as it is.
    run("two", "--epochs", "0", "--save", "zero.safetensors")
    harness.write_rows(path("first.csv"), 16, 24)
    done = run("two", "--data", "first.csv", "--test-data", "rows12.csv", "--epochs", "1", "--save", "first.safetensors")
    failures.expect("skipped_Steps: 1" in done.stdout, f"the first step is not skipped: {done.stdout}")
    failures.expect(harness.read(path("zero.safetensors")) == harness.read(path("first.safetensors")),
                    "a skipped step changes a parameter")

    # Resumed between any two steps, skipped ones among them, it is the same run.
    for every in range(1, 8):
        run("two", "--epochs", "2", "--checkpoint", "part.ckpt", "--every", str(every))
        resumed = run("two", "--resume", "part.ckpt", "--epochs", "3", "--save", "resumed.safetensors", "--history", "resumed.csv")
        same = all(harness.read(path("resumed." + file)) == harness.read(path("two." + file)) for file in ("safetensors", "csv"))
        failures.expect(same, f"resumed after steps in {every}s it ends elsewhere: {resumed.stdout}")

    # Workers skip the same steps, of a batch as a whole and in microbatches.
    cores = sorted(os.sched_getaffinity(0))
    run("cut", "--save", "cut.safetensors", "--history", "cut.csv")
    for name in ("two", "cut"):
        run(name, "--devices", f"cpu:{cores[0]},cpu:{cores[-1]}", "--save", "workers.safetensors", "--history", "workers.csv")
        same = all(harness.read(path("workers." + file)) == harness.read(path(f"{name}." + file)) for file in ("safetensors", "csv"))
        failures.expect(same, f"with workers {name} ends elsewhere")

    # Gradients of some 1e-9: f16 takes them for zero.
    run("small", "--dump-gradients", "scaled.safetensors", "--epochs", "1")
    run("small", "--dump-gradients", "plain.safetensors", "--epochs", "1", "--loss-scale", "1")
    scaled, plain = gradients(path("scaled.safetensors")), gradients(path("plain.safetensors"))
    failures.expect(any(plain["last.weight"]) and not any(plain["up.weight"]), "without a scale, up.weight has a gradient")
    failures.expect(all(scaled["up.weight"]), "with a scale, up.weight has a gradient of zero")
    close = all(abs(a - b) <= 2e-6 * max(map(abs, scaled["last.weight"])) for a, b in zip(scaled["last.weight"], plain["last.weight"]))
    failures.expect(close, "the scale is not taken back")

    # The slope of the root at zero is infinite at every scale.
    done = run("two", "--loss-scale", "0.5", expected=2)
    failures.expect("--loss-scale" in done.stderr, f"a scale of 0.5 gives {done.stderr}")
    done = run("endless", "--epochs", "9", "--save", "endless.safetensors", expected=1)
    expected = "error: epoch 4, step 2: the gradient of up.weight is nan or infinite, whatever the loss is scaled by\n"
    failures.expect(done.stderr == expected, f"endless gives {done.stderr!r}")
    failures.expect(not os.path.exists(path("endless.safetensors")), "endless saves its parameters")
    return failures.finish()


harness.main(test)
