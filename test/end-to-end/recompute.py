#!/usr/bin/env python3
"""Recomputing activations changes no result, and takes less memory: the saved parameters are the same bytes.

  recompute.py

Blocks with dropout on two devices, with `@recompute` in every place that it may stand, compared with the same program
without it. And reports of a chain of blocks over several devices: under every schedule each device keeps the inputs of its
blocks, and the activations of one of them.
"""

import os
import re

import harness

MODEL = """layer Block(width: int) {{
  up = Linear(width, 4 * width);
  down = Linear(4 * width, width);
  norm = LayerNorm(width);
  drop = Dropout(0.1);
  {forward}forward(x: f32[..., width]) -> f32[..., width] {{
    return x + (x |> norm |> up |> gelu |> down |> drop);
  }}
}}

model Recomputed {{
  {first}first = Linear(12, 32);
  {layers}for i in 0..4 {{ @device(i / 2) block[i] = Block(32); }}
  last = Linear(32, 12);

  forward(x: f32[batch, 12]) -> f32[batch, 12] {{
    h = first(x);
    {loop}for i in 0..4 {{ h = block[i](h); }}
    {group}@device(1) {{ a = tanh(h); b = sigmoid(h); c = a * b * exp(a); }}
    {statement}d = block[0](c) * c;
    return last(d);
  }}
}}

train Recomputed {{
  data = csv("rows12.csv", test: 0.2);
  optimizer = adam(lr: 1e-2);
  epochs = 2;
  batch = 100;
  seed = 3;
}}
"""
PLACES = ["first", "layers", "loop", "group", "statement", "forward"]

CHAIN = """layer Block(width: int) {{
  up = Linear(width, 4 * width);
  down = Linear(4 * width, width);
  forward(x: f32[..., width]) -> f32[..., width] {{ return x + (x |> up |> gelu |> down); }}
}}

model Chain {{
  for i in 0..8 {{ @device({place}) {mark}block[i] = Block(64); }}

  forward(x: f32[batch, 64]) -> f32[batch, 64] {{
    h = x;
    for i in 0..8 {{ h = block[i](h); }}
    return h;
  }}
}}

train Chain {{
  data = csv("rows64.csv");
  batch = 64;
  microbatches = {microbatches};
  schedule = "{schedule}";
}}
"""
BLOCK_BYTES = 2 * 4 * 64 * 4  # a row: what `up` gives, and its gelu


def model(places):
    return MODEL.format(**{place: "@recompute " if place in places else "" for place in PLACES})


def bytes_a_row(settings, name):
    """Activations of all devices, and what the report says is saved of them."""
    done = harness.run([settings.mparc, "report", name + ".mp"], settings.work)
    number = lambda pattern: sum(int(count.replace(",", "")) for count in re.findall(pattern, done.stdout))
    return number(r"activations .* \+ ([\d,]+) B a row"), number(r"recomputed +([\d,]+) B a row less")


def report_chain(settings, **choices):
    """By device: bytes a row, of the arena, what the report says is saved of both, and the bytes a row that microbatches
    share; None for what it does not say."""
    name = os.path.join(settings.work, "chain.mp")
    with open(name, "w") as file:
        file.write(CHAIN.format(**choices))
    done = harness.run([settings.mparc, "report", name], settings.work)
    if done.returncode != 0:
        raise SystemExit(f"{choices}: {done.stderr.strip()}")
    devices = []
    for text in re.split(r"\ndevice \d+\n", done.stdout.split("\ntransfers")[0])[1:]:
        numbers = [re.search(pattern, text) for pattern in (
            r"activations .* \+ ([\d,]+) B a row", r"arena +([\d,]+) B at batch", r"recomputed +([\d,]+) B a row less",
            r"arena ([\d,]+) B smaller", r"but for ([\d,]+) B\s+that they share")]
        devices.append([number and int(number[1].replace(",", "")) for number in numbers])
    return devices


def check_chain(settings, failures, devices, place, microbatches, schedule):
    """Each device gives up the activations of all its blocks but one, and the report says so."""
    choices = dict(place=place.format(devices=devices), microbatches=microbatches, schedule=schedule)
    kept = report_chain(settings, mark="", **choices)
    recomputed = report_chain(settings, mark="@recompute ", **choices)
    what = f"{devices} devices, {choices['place']}, {microbatches} microbatches, {schedule}"
    failures.expect(len(kept) == len(recomputed) == devices, f"{what}: {len(kept)} and {len(recomputed)} devices")
    for device, (before, after) in enumerate(zip(kept, recomputed)):
        expected = (8 // devices - 1) * BLOCK_BYTES
        own = [row - (shared or 0) for row, _, _, _, shared in (before, after)]
        failures.expect(own[0] - own[1] >= expected,
                        f"{what}: device {device} keeps {own[1]} B a row of {own[0]}, which is not {expected} less")
        failures.expect(before[:2] == [after[0] + after[2], after[1] + after[3]],
                        f"{what}: the report says of device {device} {after}, without recomputation {before}")


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("recompute")
    for devices in (1, 2, 4):
        for place in ("i * {devices} / 8", "i % {devices}"):
            check_chain(settings, failures, devices, place, 1, "gpipe")
            for schedule in ("gpipe", "1f1b", "interleaved", "zero-bubble"):
                check_chain(settings, failures, devices, place, 8, schedule)
    harness.write_rows(os.path.join(settings.work, "rows12.csv"), 150, 24)
    # What is expected to take less: a layer of one operation, or a part within another, saves nothing more.
    cases = [("none", [], None), ("layers", ["layers"], "none"), ("loop", ["loop"], "none"), ("forward", ["forward"], "none"),
             ("group", ["group"], None), ("statement", ["statement"], None), ("first", ["first"], None), ("all", PLACES, "none")]
    programs = harness.build_all(settings, [(name, model(places)) for name, places, _ in cases])
    expected = None
    for name, _, larger in cases:
        saved = os.path.join(settings.work, name + ".safetensors")
        done = harness.run([programs[name], "--save", saved, "--dump-losses", saved + ".losses"], settings.work)
        if not failures.expect(done.returncode == 0, f"{name} gives {done.returncode}: {done.stderr.strip()}"):
            continue
        result = harness.read(saved), harness.read(saved + ".losses"), done.stdout
        expected = expected or result
        failures.expect(result == expected, f"{name} differs from keeping all")
        if larger:
            (rows, saved), (more, _) = bytes_a_row(settings, name), bytes_a_row(settings, larger)
            failures.expect(rows < more, f"{name} takes {rows} B a row, {larger} {more}")
            failures.expect(saved == more - rows, f"the report says that {name} saves {saved} B a row of {more - rows}")
    return failures.finish()


harness.main(test)
