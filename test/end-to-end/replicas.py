#!/usr/bin/env python3
"""Replicas: for one number of them and of microbatches, every schedule, every mapping of devices to workers, and a shared
optimiser save the same bytes; other numbers give the same losses but for rounding, and read one another's checkpoints.

  replicas.py [--full]

The models of workers.py: skip connections, tied weights, dropout, clipping; then one without clipping, so that gradients
stay scattered where the optimiser is shared out. Batches are 50 rows and a short last one of 13 or of 2, so that replicas
are without rows; some parameters are fewer than replicas. --full tries all cells.
"""

import itertools
import os

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
  batch = 50;
  {entries}
}}
"""

# No clipping; a parameter on each device, and one of a single number; the loss a sum.
PLAIN = """layer Scale() {{
  param scale: f32[1] = ones;
  forward(x: f32[..., n]) -> f32[..., n] {{ return x * scale; }}
}}
layer SumOfSquares() {{
  forward(y: f32[batch, 8], target: f32[batch, 8]) -> f32[] {{ return sum((y - target) * (y - target)); }}
}}
model Plain {{
  @device(0) first = Linear(8, 40);
  @device(1) scale = Scale();
  @device(0) last = Linear(40, 8);
  forward(x: f32[batch, 8]) -> f32[batch, 8] {{ return x |> first |> relu |> scale |> last; }}
}}
train Plain {{
  data = csv("rows16.csv", inputs: 8, targets: 8, test: 0.2);
  loss = SumOfSquares;
  optimizer = adagrad(lr: 1e-2);
  epochs = 2;
  batch = 27;
  {entries}
}}
"""

TRANSFORMER = """model Small {{
  @device(0) words = Embedding(16, 16);
  for i in 0..2 {{ @device(i) block[i] = TransformerBlock(16, 2); }}
  @device(1) head = Linear(16, 16, weight: words.weight, bias: false);
  forward(x: i32[batch, time]) -> f32[batch, time, 16] {{
    h = words(x);
    for i in 0..2 {{ h = block[i](h); }}
    return head(h);
  }}
}}
train Small {{
  data = text("words.txt", context: 6, test: 0.1);
  loss = cross_entropy;
  epochs = 2;
  batch = 50;
  {entries}
}}
"""

MODELS = {"chain": (CHAIN, 3), "plain": (PLAIN, 2), "transformer": (TRANSFORMER, 2)}
SCHEDULES = {1: "gpipe", 2: "1f1b", 5: "1f1b"}
FEW = [("chain", 1, 2), ("chain", 2, 1), ("chain", 4, 2), ("plain", 1, 1), ("plain", 2, 5), ("plain", 4, 1),
       ("transformer", 1, 1), ("transformer", 2, 2)]


def mappings(cores, devices, replicas):
    """A worker for all; a worker a replica; devices of each replica on different workers."""
    yield f"cpu:{cores[0]}"
    if len(cores) > 1 and devices * replicas > 1:
        yield ",".join(f"cpu:{cores[number // devices % 2]}" for number in range(devices * replicas))
        yield ",".join(f"cpu:{cores[number % 2]}" for number in range(devices * replicas))


def test_checkpoints(settings, failures, programs):
    """What the replicas' number and the sharing of the optimiser are says no checkpoint."""
    def path(name):
        return os.path.join(settings.work, name + ".ckpt")

    two, shared, one = (programs[name] for name in ("chain-2-1-plain", "chain-2-1-shared", "chain-1-2-plain"))
    whole, _ = harness.train(settings, two, "whole")
    harness.train(settings, two, "half", "--epochs", "1", "--checkpoint", path("two"))
    harness.train(settings, shared, "half", "--epochs", "1", "--checkpoint", path("shared"))
    failures.expect(harness.read(path("two")) == harness.read(path("shared")), "a shared optimiser's checkpoint differs")
    for name, program in (("two", shared), ("shared", two), ("shared", shared)):
        resumed, _ = harness.train(settings, program, "resumed", "--epochs", "2", "--resume", path(name))
        failures.expect(resumed == whole, f"the checkpoint of {name} is not resumed as if nothing had happened")
    _, losses = harness.train(settings, one, "alone")
    _, others = harness.train(settings, one, "resumed", "--epochs", "2", "--resume", path("shared"))
    failures.expect(abs(losses[-1] - others[-1]) <= 1e-4 * losses[-1], f"one replica resumes to {others}, not {losses}")
    harness.train(settings, one, "half", "--epochs", "1", "--checkpoint", path("one"))
    _, others = harness.train(settings, shared, "resumed", "--epochs", "2", "--resume", path("one"))
    failures.expect(abs(losses[-1] - others[-1]) <= 1e-4 * losses[-1], f"two replicas resume to {others}, not {losses}")


# What is taken over rows, in evaluation too.
CENTRED = """@each_part layer Centred(width: int) {
  param gain: f32[width] = ones;
  forward(x: f32[rows, width]) -> f32[rows, width] { return (x - mean(x, dim: rows)) * gain; }
}
model Rows {
  centred = Centred(2);
  forward(x: f32[batch, 2]) -> f32[batch, 2] { return centred(x); }
}
train Rows {
  data = csv("rows2.csv");
  batch = 10;
  replicas = 2;
  microbatches = 2;
}
"""


def test_prediction(settings, failures):
    """Each replica goes by its rows of a batch, and the first by all of one that is no larger than its memory."""
    rows = [(float(number * number % 11), float(number % 7)) for number in range(14)]
    with open(os.path.join(settings.work, "rows2.csv"), "w") as file:
        file.writelines(f"{a},{b}\n" for a, b in rows)
    program = harness.build(settings, "centred", CENTRED)
    done = harness.run([program, "--epochs", "0", "--predict", "rows2.csv", "--output", "centred.csv"], settings.work)
    failures.expect(done.returncode == 0, f"prediction ends with {done.returncode}: {done.stderr}")
    with open(os.path.join(settings.work, "centred.csv")) as file:
        got = [tuple(map(float, line.split(","))) for line in file.read().splitlines()[1:]]
    expected = []
    for part in (rows[0:5], rows[5:10], rows[10:14]):
        means = [sum(row[column] for row in part) / len(part) for column in range(2)]
        expected += [(a - means[0], b - means[1]) for a, b in part]
    failures.expect(len(got) == len(expected) and all(
        abs(a - b) < 1e-5 for one, other in zip(got, expected) for a, b in zip(one, other)),
        f"predictions are {got}, not {expected}")


def test():
    settings = harness.arguments(__doc__, full=False)
    failures = harness.Failures("replicas")
    cores = sorted(os.sched_getaffinity(0))
    harness.write_rows(os.path.join(settings.work, "rows16.csv"), 70, 16)
    with open(os.path.join(settings.work, "words.txt"), "wb") as file:
        file.write(bytes(number * number % 13 for number in range(430)))
    cells = list(itertools.product(MODELS, (1, 2, 4), (1, 2, 5))) if settings.full else FEW
    texts = []
    for (model, count, microbatches), shared in itertools.product(cells, (False, True)):
        for schedule in ("gpipe", "1f1b") if settings.full and microbatches > 1 else (SCHEDULES[microbatches],):
            if count == 1 and shared:
                continue
            name = f"{model}-{count}-{microbatches}-" + ("shared" if shared else "plain")
            name += "" if schedule == SCHEDULES[microbatches] else "-" + schedule
            texts.append((name, MODELS[model][0].format(
                entries=f'replicas = {count}; microbatches = {microbatches}; schedule = "{schedule}"; '
                        f"shard_optimizer = {'true' if shared else 'false'};")))
    programs = harness.build_all(settings, texts)
    references, losses_of = {}, {}
    for name, _ in texts:
        model, count, microbatches = name.split("-")[:3]
        alone, losses = harness.train(settings, programs[name], name, "--devices", "cpu")
        before = references.setdefault((model, count, microbatches), alone)
        failures.expect(alone == before, f"{name} differs from the plain form")
        for loss, other in zip(losses, losses_of.setdefault(model, losses)):
            failures.expect(abs(loss - other) <= 1e-4 * abs(other), f"{name}: {loss}, not {other}")
        for mapping in mappings(cores, MODELS[model][1], int(count)):
            got, printed = harness.train(settings, programs[name], name, "--devices", mapping)
            failures.expect(got == alone and printed == losses, f"{name} differs on {mapping}")
        if not name.endswith("shared"):
            threads = [harness.train(settings, programs[name], name, "--threads", "2")[0] for _ in range(2)]
            failures.expect(threads[0] == threads[1], f"{name} differs from run to run on two threads")
    test_checkpoints(settings, failures, programs)
    test_prediction(settings, failures)

    for flags, words in [(["--devices", "cpu:0,cpu:0"], "2 devices for a program of 6"),
                         (["--devices", "cpu:0", "--threads", "2"], "threads: 2 for devices with workers")]:
        done = harness.run([programs["chain-2-1-plain"], *flags], settings.work)
        failures.expect(done.returncode in (1, 2) and words in done.stderr and done.stderr.count("\n") == 1,
                        f"{flags}: {done.returncode} {done.stderr}")
    return failures.finish()


if __name__ == "__main__":
    harness.main(test)
