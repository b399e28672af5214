#!/usr/bin/env python3
"""Splits: layers spread over groups of devices train as the unsplit program does, but for rounding; the same bytes come
from one thread, from workers, checked ones too, and from processes; each reads the other's parameters and checkpoints,
whose files say nothing of pieces. With replicas, a shared optimiser, and microbatches as well.

  splits.py [--full]

The models of test/interpreter/Inputs/splits, which cut linear layers, attention, tables, convolutions, and what lies
between them, into pieces of unlike sizes too. --full tries all, with more numbers of microbatches and schedules.
"""

import os
import re
import subprocess

import harness
import processes

MODELS = os.path.join(harness.ROOT, "test", "interpreter", "Inputs", "splits")
FEW = ["columns", "rows", "pipeline", "heads", "tied", "channels", "dropout", "batch", "batch-windows", "norms", "three"]
COMPOSED = {"heads": 'replicas = 2;\n  shard_optimizer = true;\n  microbatches = 2;\n  schedule = "1f1b";',
            "pipeline": "replicas = 2;\n  clip_norm = 0.3;"}
# Reads a table in pieces, and what it says of a number that is in none of them.
LOOKUP = """model Split {
  @device(0, 1) @split(num_embeddings) words = Embedding(16, 12);
  last = Linear(36, 1);

  forward(ids: i32[batch, 3]) -> f32[batch, 1] { return reshape(words(ids), [batch, 36]) |> last; }
}

train Split {
  data      = csv("ids.csv");
  loss      = mse;
  optimizer = adam(lr: 1e-2);
  epochs    = 1;
  batch     = 20;
}
"""
OUTSIDE = "words.weight: id 17 is not in a table of 16 rows"
# No sum is regrouped where only columns are cut, and kernels of such sizes add in one order.
EXACT = ["copies"]


def unsplit(text):
    """The program without groups: what they held lives on device 0."""
    text = re.sub(r"@split\([^)]*\) ?", "", text)
    return re.sub(r"@device\((\d+, \d+|\d+\.\.\d+)\) ?", "", text)


def close(losses, others):
    return len(losses) == len(others) > 0 and all(abs(a - b) <= 1e-5 * max(1, abs(b)) for a, b in zip(losses, others))


def devices_of(text):
    numbers = [int(number) for number in re.findall(r"@device\((?:\d+, )?(\d+)\)", text)]
    count = max(numbers + [int(end) - 1 for end in re.findall(r"@device\(\d+\.\.(\d+)\)", text)]) + 1
    return count * int((re.findall(r"replicas = (\d+)", text) or [1])[0])


def test():
    settings = harness.arguments(__doc__, full=False)
    failures = harness.Failures("splits")
    work = settings.work
    cores = sorted(os.sched_getaffinity(0))
    harness.write_rows(os.path.join(work, "rows.csv"), 70, 12)
    harness.write_rows(os.path.join(work, "rows19.csv"), 70, 19)
    with open(os.path.join(work, "words.txt"), "wb") as file:
        file.write(bytes(number * number % 13 for number in range(430)))
    names = sorted(file[:-3] for file in os.listdir(MODELS)) if settings.full else FEW
    sources = {}
    for name in names:
        text = harness.read(os.path.join(MODELS, name + ".mp"), "r")
        sources[name] = text.replace("rows.csv", "rows19.csv") if "batch, 16]" in text and "ids" not in text else text
    for name, entries in COMPOSED.items():
        sources[name + "-replicas"] = re.sub(r"(batch +=)", entries + r"\n  \1",
                                             harness.read(os.path.join(MODELS, name + ".mp"), "r"), count=1)
    texts = list(sources.items()) + [(name + "-unsplit", unsplit(text)) for name, text in sources.items()]
    if settings.full:
        for count, schedule in ((1, "gpipe"), (2, "zero-bubble"), (5, "interleaved"), (30, "gpipe")):
            name = f"pipeline-{count}-{schedule}"
            sources[name] = sources["pipeline"].replace("microbatches = 4", f"microbatches = {count}").replace(
                "1f1b", schedule)
            texts += [(name, sources[name]), (name + "-unsplit", unsplit(sources[name]))]
    programs = harness.build_all(settings, texts)

    for name, text in sources.items():
        split, whole = programs[name], programs[name + "-unsplit"]
        saved, losses = harness.train(settings, split, name)
        expected, others = harness.train(settings, whole, name + "-unsplit")
        failures.expect(close(losses, others), f"{name}: losses {losses}, unsplit {others}")
        if name in EXACT:
            failures.expect(saved == expected, f"{name}: other parameters than unsplit")
        failures.expect(len(saved) == len(expected), f"{name}: the file is {len(saved)} bytes, unsplit {len(expected)}")
        for mapping in ((cores[0],), cores[:2], cores[1::-1]):
            devices = ",".join(f"cpu:{mapping[number % len(mapping)]}" for number in range(devices_of(text)))
            failures.expect(harness.train(settings, split, name, "--devices", devices) == (saved, losses),
                            f"{name}: {devices} gives other bytes than `cpu`")
        # Processes exchange the pieces by messages.
        path = os.path.join(work, name + "-ranks.safetensors")
        for ranks in {2, min(3, devices_of(text))}:
            statuses, outs, errors = processes.run_tcp(split, ranks, ["--save", path], work)
            if failures.expect(not any(statuses), f"{name} on {ranks} ranks: {statuses} {errors}"):
                got = [float(loss) for loss in re.findall(r"_Loss: ([^ \n]+)", outs[0])]
                failures.expect((harness.read(path), got) == (saved, losses), f"{name}: {ranks} ranks give other bytes than one process")
        failures.expect(harness.train(settings, split, name, "--check") == (saved, losses), f"{name}: --check gives other bytes")
        # What one saves the other loads, whole, and saves again as it was.
        for program, file in ((whole, name), (split, name + "-unsplit")):
            again, _ = harness.train(settings, program, "again", "--load", os.path.join(work, file + ".safetensors"), "--epochs", "0")
            failures.expect(again == harness.read(os.path.join(work, file + ".safetensors")),
                            f"{name}: {file}.safetensors changes by being loaded and saved")
        # And goes on from the other's checkpoint, optimiser's state included.
        for first, second, kind in ((whole, split, "split"), (split, whole, "unsplit")):
            checkpoint = os.path.join(work, "run.ckpt")
            harness.train(settings, first, "again", "--epochs", "1", "--checkpoint", checkpoint)
            _, resumed = harness.train(settings, second, "again", "--resume", checkpoint, "--epochs", "2")
            failures.expect(resumed and close(resumed[-1:], others[-1:]),
                            f"{name}: {kind} gives {resumed} from the other's checkpoint, not {others}")
    # A number outside of a table that no device has whole is reported as it is in the data.
    with open(os.path.join(work, "ids.csv"), "w") as file:
        for row in range(40):
            file.write(f"{row % 16},{17 if row == 30 else 3},{row * 5 % 16},0.5\n")
    lookup = harness.build_all(settings, [("lookup", LOOKUP)])["lookup"]
    run = subprocess.run([lookup, "--quiet"], cwd=work, capture_output=True, text=True)
    failures.expect(run.returncode == 1 and OUTSIDE in run.stderr, f"lookup: {run.returncode} {run.stderr!r}, not {OUTSIDE!r}")
    return failures.finish()


harness.main(test)
