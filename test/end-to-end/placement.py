#!/usr/bin/env python3
"""Where a layer is placed never changes a result: the saved parameters are the same bytes.

  placement.py [--full] [--seed N]

The article's layers and small programs with branches, shared layers and activations placed apart are compiled for many
placements, trained for some steps with the same seed, and compared with the same program without any placement.
"""

import os
import random

import harness

ARTICLE = [(12, 256), (256, 128), (128, 64), (64, 8), (8, 64), (64, 128), (128, 256), (256, 12)]
TRAIN = """
train {name} {{
  data      = csv("rows12.csv", test: 0.2);
  optimizer = {optimizer};
  epochs    = 2;
  batch     = {batch};
  seed      = 3;
}}
"""


# Every device's gradients count in one norm, which always clips; some parameters do not decay.
CLIPPED = TRAIN.replace("}}\n", """  clip_norm = 0.01;
  lr_schedule = cosine(warmup: 3);
  no_weight_decay = ["*.bias"];
}}
""")


def at(device):
    return "" if device is None else f"@device({device}) "


def article(devices, optimizer="adam(lr: 1e-3)"):
    lines = ["model Autoencoder {"]
    lines += [f"  {at(device)}layer{i} = Linear({a}, {b});" for i, ((a, b), device) in enumerate(zip(ARTICLE, devices))]
    chain = " |> relu |> ".join(f"layer{i}" for i in range(8))
    lines += ["  forward(x: f32[batch, 12]) -> f32[batch, 12] {", f"    return x |> {chain};", "  }", "}"]
    return "\n".join(lines) + TRAIN.format(name="Autoencoder", optimizer=optimizer, batch=24)


# A value that three layers read, their results summed in one chain and in one of another association.
FAN_OUT = """model FanOut {{
  {0}first = Linear(12, 20);
  {1}left = Linear(20, 16);
  {2}middle = Linear(20, 16);
  {3}right = Linear(20, 16, bias: false);
  {4}last = Linear(16, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] {{
    h = first(x) |> tanh;
    {5}joined = left(h) + middle(h) * right(h);
    {6}return last(joined + tanh(middle(h)));
  }}
}}
"""

# One layer, called twice, with another between: its gradient is a sum over both calls.
TWICE = """model Twice {{
  {0}first = Linear(12, 24);
  {1}shared = Linear(24, 24);
  {2}between = Linear(24, 24);
  {3}last = Linear(24, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] {{
    h = first(x) |> relu |> shared |> relu;
    {4}h2 = between(h) |> silu;
    h3 = shared(h2) + h;
    return last(relu(h3));
  }}
}}
"""

# Activations, and arithmetic, placed apart from the layers that feed them.
APART = """model Apart {{
  {0}first = Linear(12, 40);
  {1}second = Linear(40, 40);
  {2}third = Linear(40, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] {{
    a = first(x);
    {3}b = relu(a);
    c = second(b);
    {4}d = gelu(c) * 0.5 + b;
    {5}e = exp(minimum(d, 1.0)) - 1.0;
    return third(e);
  }}
}}
"""

# A weight that three layers share: its gradient is a sum over all of them, wherever they are.
TIED = """layer Embed(rows: int, width: int) {{
  param weight: f32[rows, width] = uniform(-0.4, 0.4);
  forward(x: f32[..., rows]) -> f32[..., width] {{ return matmul(x, weight); }}
}}

model Tied {{
  {0}wte = Embed(12, 20);
  {1}hidden = Sequential([Linear(20, 20), Tanh()]);
  {2}head = Linear(20, 12, bias: false, weight: wte.weight);
  {3}second = Linear(20, 12, weight: head.weight);
  forward(x: f32[batch, 12]) -> f32[batch, 12] {{
    h = x |> wte |> tanh |> hidden;
    {4}g = h * h;
    return head(h) + second(g) * 0.5 + head(g);
  }}
}}
"""


# Statistics of the batch on another device than what they normalize; one layer moves its buffers twice a step.
STATES = """model States {{
  {0}first = Linear(12, 24, bias: false);
  {1}norm = BatchNorm1d(24);
  {2}second = Linear(24, 24, bias: false);
  {3}last = Linear(24, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] {{
    h = x |> first |> norm;
    {4}a, b = split(h, 2);
    c = norm(second(concat([tanh(a), b * 0.5])));
    return last(c + h);
  }}
}}
"""

# Convolutions apart from what pools between them: the positions of the maxima travel back.
WINDOWS = """model Windows {{
  {0}first = Conv1d(2, 6, 3, padding: 1);
  {1}second = Conv1d(6, 4, 2, stride: 2, groups: 2);
  {2}last = Linear(12, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] {{
    h = reshape(x, [batch, 2, 6]) |> first |> tanh;
    {3}m = max_pool1d(h, 2, stride: 1, padding: 1);
    {4}a = avg_pool1d(m, 3, stride: 1, padding: 1);
    return flatten(second(m + a), 1) |> last;
  }}
}}
"""


def places(template, devices, optimizer, train=TRAIN):
    # A hundred rows are worked through in two parts.
    name = template.split("model ")[1].split()[0]
    return template.format(*map(at, devices)) + train.format(name=name, optimizer=optimizer, batch=100)


def article_placements(full, generator):
    yield "one", [0] * 8
    yield "each", list(range(8))
    yield "article", [0, 0, 1, 1, 2, 2, 3, 3]
    yield "back_and_forth", [0, 1] * 4
    yield "skipping", [0, 2, 4, 6, 0, 2, 4, 6]
    yield "backwards", [7, 6, 5, 4, 3, 2, 1, 0]
    yield "last_first", [3, 3, 2, 2, 1, 1, 0, 0]
    for i in range(40 if full else 3):
        yield f"random{i}", [generator.randrange(generator.choice([2, 3, 5, 8])) for _ in range(8)]


def cases(full, seed):
    """Groups of programs that have to agree: the first has no placement."""
    generator = random.Random(seed)
    yield [("article_none", article([None] * 8))] + [
        ("article_" + name, article(devices)) for name, devices in article_placements(full, generator)]
    count = 20 if full else 3
    for name, template, optimizer in [("fan_out", FAN_OUT, "adam(lr: 1e-2)"), ("twice", TWICE, "sgd(lr: 0.05, momentum: 0.9)"),
                                      ("windows", WINDOWS, "adam(lr: 1e-2)"), ("states", STATES, "adam(lr: 1e-2)"),
                                      ("apart", APART, "adamw(lr: 1e-2)"), ("tied", TIED, "adam(lr: 1e-2)")]:
        slots = template.count("{0}") + sum(template.count("{%d}" % i) for i in range(1, 9))
        group = [(f"{name}_none", places(template, [None] * slots, optimizer))]
        fixed = {"fan_out": [[0, 0, 1, 0, 1, None, None], [0, 1, 0, 1, 0, 1, None]], "twice": [[0, 1, 0, 1, 1], [1, 0, 1, 0, None]],
                 "windows": [[0, 1, 0, 1, 0], [0, 1, 2, 2, 0]], "states": [[0, 1, 0, 1, 0], [0, 1, 2, 0, 1]],
                 "apart": [[0, 0, 0, 1, 1, 0], [0, 1, 2, 3, 0, 1]],
                 "tied": [[0, 1, 3, 2, None], [3, 0, 1, 1, 2]]}[name]
        fixed += [[generator.randrange(3) for _ in range(slots)] for _ in range(count - 2)]
        group += [(f"{name}_{i}", places(template, devices, optimizer)) for i, devices in enumerate(fixed)]
        yield group
    # The same under a train block whose norm of gradients is over all devices.
    for name, template, optimizer, devices in [
            ("clipped_twice", TWICE, "adamw(lr: 1e-2, weight_decay: 0.2)", [[0, 1, 0, 1, 1], [2, 0, 1, 0, None]]),
            ("clipped_fan_out", FAN_OUT, "rmsprop(lr: 1e-3, weight_decay: 0.2, momentum: 0.5)",
             [[0, 1, 2, 1, 0, None, 1]])]:
        yield [(f"{name}_none", places(template, [None] * len(devices[0]), optimizer, CLIPPED))] + [
            (f"{name}_{i}", places(template, each, optimizer, CLIPPED)) for i, each in enumerate(devices)]


def test():
    settings = harness.arguments(__doc__, full=False, seed=1)
    failures = harness.Failures("placement")
    harness.write_rows(os.path.join(settings.work, "rows12.csv"), 150, 24)
    groups = list(cases(settings.full, settings.seed))
    programs = harness.build_all(settings, [model for group in groups for model in group])
    for group in groups:
        expected = None
        for name, text in group:
            saved = os.path.join(settings.work, name + ".safetensors")
            done = harness.run([programs[name], "--save", saved, "--dump-losses", saved + ".losses"], settings.work)
            if not failures.expect(done.returncode == 0, f"{name} gives {done.returncode}: {done.stderr.strip()}"):
                continue
            result = harness.read(saved), harness.read(saved + ".losses"), done.stdout
            expected = expected or result
            failures.expect(result == expected, f"{name} differs from {group[0][0]} (seed {settings.seed}):\n{text}")
    return failures.finish()


harness.main(test)
