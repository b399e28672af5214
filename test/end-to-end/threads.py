#!/usr/bin/env python3
"""On any number of threads a program trains as on one, up to the rounding of sums over the batch, and twice the same bytes.

  threads.py

Four programs: one with everything that stands between the parts of a batch and the update (weights tied over devices,
clipping, dropout, weight decay of some parameters only), one whose rows depend on one another, so that its batch cannot
be shared out, one whose loss is a class's, of a table looked up by thread, and one of so much work that few rows are worth
a thread, whose batch has microbatches: threads then have the memory of one between them, in evaluation too.
"""

import os
import re

import harness

TIED = """model Tied {
  @device(0) table = Linear(16, 96);
  @device(1) hidden = Linear(96, 96);
  drop = Dropout(0.25);
  @device(1) last = Linear(96, 16);
  forward(x: f32[batch, 16]) -> f32[batch, 16] {
    h = x |> table |> gelu |> hidden |> drop;
    return last(h) + matmul(h, table.weight);
  }
}
train Tied {
  data = csv("rows32.csv", inputs: 16, targets: 16, test: 0.2);
  optimizer = adamw(lr: 1e-2, weight_decay: 0.1);
  no_weight_decay = ["*.bias"];
  clip_norm = 0.05;
  epochs = 3;
  batch = 150;
}
"""

MIXED = """model Mixed {
  first = Linear(16, 24);
  norm = BatchNorm1d(24);
  last = Linear(24, 16);
  forward(x: f32[batch, 16]) -> f32[batch, 16] { return x |> first |> norm |> relu |> last; }
}
train Mixed {
  data = csv("rows32.csv", inputs: 16, targets: 16, test: 0.2);
  optimizer = sgd(lr: 1e-2, momentum: 0.9);
  epochs = 3;
  batch = 150;
}
"""

CLASSES = """model Classes {
  @device(0) words = Embedding(16, 160);
  @device(1) last = Linear(160, 16);
  forward(x: i32[batch, 5]) -> f32[batch, 5, 16] { return x |> words |> tanh |> last; }
}
train Classes {
  data = text("words.txt", context: 5, test: 0.2);
  loss = cross_entropy;
  optimizer = adam(lr: 1e-3);
  epochs = 3;
  batch = 150;
}
"""

WIDE = """model Wide {
  @device(0) first = Linear(16, 512);
  @device(0) second = Linear(512, 256);
  @device(1) last = Linear(256, 16);
  forward(x: f32[batch, 16]) -> f32[batch, 16] { return x |> first |> tanh |> second |> gelu |> last; }
}
train Wide {
  data = csv("rows32.csv", inputs: 16, targets: 16, test: 0.2);
  optimizer = adam(lr: 1e-3);
  epochs = 3;
  batch = 150;
  microbatches = 4;
  schedule = "1f1b";
}
"""

PROGRAMS = {"tied": TIED, "mixed": MIXED, "classes": CLASSES, "wide": WIDE}


def train(settings, name, program, threads, number):
    """The losses of a run of a program, and the bytes of the parameters it saved."""
    saved = f"{name}-{threads}-{number}.safetensors"
    done = harness.run([program, "--threads", str(threads), "--save", saved], settings.work)
    if done.returncode != 0:
        raise SystemExit(f"{name} on {threads} threads: {done.stderr.strip()}")
    losses = [float(text) for text in re.findall(r"_Loss: ([^ \n]+)", done.stdout)]
    return losses, harness.read(os.path.join(settings.work, saved))


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("threads")
    harness.write_rows(os.path.join(settings.work, "rows32.csv"), 700, 32)
    with open(os.path.join(settings.work, "words.txt"), "wb") as file:
        file.write(bytes(number * number % 13 for number in range(4000)))
    programs = harness.build_all(settings, list(PROGRAMS.items()))
    for name, program in programs.items():
        reference, bytes_of_one = train(settings, name, program, 1, 0)
        failures.expect(len(reference) == 6, f"{name} prints {len(reference)} losses")
        regrouped = False
        for threads in (2, 3, 7):
            losses, saved = train(settings, name, program, threads, 0)
            for epoch, (loss, one) in enumerate(zip(losses, reference)):
                failures.expect(abs(loss - one) <= 2e-5 * abs(one),
                                f"{name} on {threads} threads: loss {epoch} is {loss}, not {one}")
            again, saved_again = train(settings, name, program, threads, 1)
            # Work worth fewer threads is shared out otherwise: not all numbers regroup sums.
            regrouped |= saved != bytes_of_one
            failures.expect(losses == again and saved == saved_again, f"{name} differs between two runs on {threads} threads")
        failures.expect(regrouped or name == "mixed", f"{name}: threads sum as one does, as if they had not shared out the rows")
        failures.expect(train(settings, name, program, 1, 1)[1] == bytes_of_one, f"{name} differs between two runs")
    return failures.finish()


harness.main(test)
