#!/usr/bin/env python3
"""Workers change no bit: for one number of microbatches every schedule and every mapping of devices to workers saves the
same bytes as the calling thread alone, gives the same losses of training and evaluation, and predicts the same.

  workers.py [--full]

A chain with a skip connection over two devices that the batch visits twice, with weights tied over devices, dropout and
clipping; one that goes there and back again; and a small transformer. Programs are made for large batches, at which microbatches share what is brief; they get
50 rows and a short last batch of 13, cut into 1, 2, 5 and 60 microbatches: more than there are rows too. --full tries all cells, else every fifth and all schedules of one.
"""

import itertools
import os
import re

import harness

CHAIN = """model Chain {{
  @device(0) first = Linear(8, 40);
  @device(1) second = Linear(40, 40);
  drop = Dropout(0.2);
  @device(2) third = Linear(40, 40);
  @device(0) fourth = Linear(40, 40);
  @device(1) last = Linear(40, 8);
  forward(x: f32[batch, 8]) -> f32[batch, 8] {{
    h = x |> first |> relu;
    g = h |> second |> gelu |> drop |> third |> relu;
    @device(2) k = matmul(g, second.weight) + h;
    return k |> fourth |> relu |> last;
  }}
}}
train Chain {{
  data = csv("rows16.csv", inputs: 8, targets: 8, test: 0.1);
  optimizer = adamw(lr: 1e-2, weight_decay: 0.1);
  clip_norm = 0.5;
  epochs = 2;
  batch = 5000;
  {pipeline}
}}
"""

# There and back again: the first device has the first stage and the last, so that "zero-bubble" is ZB-V.
VEE = """model Vee {{
  for i in 0..3 {{ @device(i) there[i] = Linear(8, 8); }}
  for i in 0..3 {{ @device(2 - i) back[i] = Linear(8, 8); }}
  forward(x: f32[batch, 8]) -> f32[batch, 8] {{
    h = x;
    for i in 0..3 {{ h = tanh(there[i](h)); }}
    for i in 0..3 {{ h = tanh(back[i](h)); }}
    return h;
  }}
}}
train Vee {{
  data = csv("rows16.csv", inputs: 8, targets: 8, test: 0.1);
  epochs = 2;
  batch = 5000;
  {pipeline}
}}
"""

TRANSFORMER = """model Small {{
  @device(0) words = Embedding(16, 16);
  for i in 0..3 {{ @device(i) block[i] = TransformerBlock(16, 2); }}
  @device(2) head = Linear(16, 16, weight: words.weight, bias: false);
  forward(x: i32[batch, time]) -> f32[batch, time, 16] {{
    h = words(x);
    for i in 0..3 {{ h = block[i](h); }}
    return head(h);
  }}
}}
train Small {{
  data = text("words.txt", context: 6, test: 0.1);
  loss = cross_entropy;
  epochs = 2;
  batch = 5000;
  {pipeline}
}}
"""

def run(settings, program, name, devices):
    """What a program saves, the losses it prints, and, of rows of numbers, what it predicts."""
    predicts = not name.startswith("transformer")
    output = os.path.join(settings.work, name + ".csv")
    trained = harness.train(settings, program, name, "--batch", "50", "--devices", devices, *(["--predict", "rows8.csv", "--output", output] if predicts else []))
    return trained + (harness.read(output) if predicts else b"",)


MODELS = {"chain": CHAIN, "transformer": TRANSFORMER, "vee": VEE}
MAPPINGS = ["cpu:0", "cpu:0,cpu:0,cpu:1", "cpu:1,cpu:0,cpu:1", "cpu:0,cpu:1,cpu:1"]


def test():
    settings = harness.arguments(__doc__, full=False)
    failures = harness.Failures("workers")
    cores = sorted(os.sched_getaffinity(0))
    harness.write_rows(os.path.join(settings.work, "rows16.csv"), 70, 16)
    harness.write_rows(os.path.join(settings.work, "rows8.csv"), 111, 8)
    with open(os.path.join(settings.work, "words.txt"), "wb") as file:
        file.write(bytes(number * number % 13 for number in range(430)))
    cells = list(itertools.product(MODELS, (1, 2, 5, 60), ("gpipe", "1f1b", "interleaved", "zero-bubble")))
    if not settings.full:
        cells = [cell for number, cell in enumerate(cells) if number % 5 == 0 and cell[0] != "vee" or cell[:2] == ("chain", 5)]
        cells += [("vee", 5, "gpipe"), ("vee", 5, "zero-bubble")]
    texts = [(f"{model}-{count}-{schedule}", MODELS[model].format(
        pipeline=f'microbatches = {count}; schedule = "{schedule}";')) for model, count, schedule in cells]
    programs = harness.build_all(settings, texts)
    references = {}
    for model, count, schedule in cells:
        name = f"{model}-{count}-{schedule}"
        alone = run(settings, programs[name], name, "cpu")
        failures.expect(references.setdefault((model, count), alone) == alone, f"{name} differs from another schedule")
        for mapping in MAPPINGS if len(cores) > 1 else MAPPINGS[:1]:
            devices = re.sub(r"\d", lambda digit: str(cores[int(digit.group())]), mapping)
            failures.expect(run(settings, programs[name], name, devices) == alone, f"{name} differs on {devices}")
    # All on one device it is the same, too, for the same number of microbatches.
    texts = [(f"{model}-{count}-alone", re.sub(r"@device\(\w\)", "@device(0)", MODELS[model]).format(
        pipeline=f"microbatches = {count};")) for model, count in references if settings.full or model == "chain"]
    for name, program in harness.build_all(settings, texts).items():
        model, count, _ = name.split("-")
        for devices in ("cpu", f"cpu:{cores[0]}"):
            failures.expect(run(settings, program, name, devices) == references[model, int(count)], f"{name} differs on {devices}")

    for (model, count), (_, losses, _) in references.items():
        for loss, other in zip(losses, next(each for (of, _), (_, each, _) in references.items() if of == model)):
            failures.expect(abs(loss - other) <= 1e-4 * abs(other), f"{model}: {count} microbatches give {loss}, not {other}")

    program = programs["chain-1-gpipe"]
    for flags, words in [(["--devices", "cpu:99999"], "`cpu:99999`: this process may not run on a core"),
                         (["--devices", "cpu:x"], "`cpu:x`: expected a core's number"),
                         (["--devices", "cpu,cpu:0,cpu:0"], "either all devices are `cpu` or all have workers"),
                         (["--devices", "cpu:0,cpu:0"], "2 devices for a program of 3"),
                         (["--devices", "cpu:0", "--threads", "2"], "threads: 2 for devices with workers")]:
        done = harness.run([program, *flags], settings.work)
        failures.expect(done.returncode in (1, 2) and words in done.stderr and done.stderr.count("\n") == 1,
                        f"{flags}: {done.returncode} {done.stderr}")
    return failures.finish()


harness.main(test)
