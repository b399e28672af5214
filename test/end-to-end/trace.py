#!/usr/bin/env python3
"""What a run writes with --trace and what the report predicts are one thing: the same operations on the same devices for the
same microbatches, each device in the same order; bubble, idle time and bytes in both. Where devices share a worker nothing
moves; a program of one device has its functions one after the other. So it is of several stages a device, on ranks.

  trace.py
"""

import json
import os
import re

import harness
from processes import run_tcp

ARTICLE = os.path.join(harness.ROOT, "examples", "autoencoder", "autoencoder.mp")
ONE = """model One {
  only = Linear(3, 2);
  forward(x: f32[batch, 3]) -> f32[batch, 2] { return only(x); }
}
train One { data = csv("rows5.csv"); epochs = 1; batch = 8;}
"""

# 36 and 4 floats of parameters, each padded to 16, and the loss.
REPLICAS = """model Both {{
  only = Linear(9, 4);
  forward(x: f32[batch, 9]) -> f32[batch, 4] {{ return only(x); }}
}}
train Both {{ data = csv("rows13.csv"); epochs = 1; batch = 8; replicas = 2;{more} }}
"""
REDUCED = 4 * (48 + 16 + 1)


def read(path):
    with open(path) as file:
        return json.load(file)


def operations(trace, step=None):
    """Of each device what it carries out, in order."""
    rows = {}
    for event in trace["traceEvents"]:
        arguments = event["args"]
        if event["ph"] == "X" and arguments.get("step", step) == step:
            rows.setdefault(event["tid"], []).append((event["ts"], event["name"], arguments.get("microbatch"),
                                                      arguments.get("place"), arguments.get("bytes")))
    return {device: [row[1:] for row in sorted(all_of_it, key=lambda row: row[0])] for device, all_of_it in rows.items()}


def train(settings, failures, program, devices, *flags):
    path = os.path.join(settings.work, "trace.json")
    done = harness.run([program, "--epochs", "1", "--trace", path, "--devices", devices, *flags], settings.work)
    failures.expect(done.returncode == 0, f"{devices} {flags}: {done.stderr}")
    return read(path), done.stdout


def check_interleaved(settings, failures, text):
    """Each device visited twice, on four ranks: operations, their order and their bytes are those of the report; on two, bytes
    move only between them."""
    text = re.sub(r"@device\(\d\) layer(\d)", lambda found: f"@device({(int(found[1]) - 1) % 4}) layer{found[1]}", text)
    program = harness.build(settings, "interleaved", text.replace('"1f1b"', '"interleaved"'))
    predicted = os.path.join(settings.work, "predicted-interleaved.json")
    report = harness.run([settings.mparc, "report", "interleaved.mp", "--trace", predicted], settings.work)
    failures.expect(report.returncode == 0, report.stderr)
    expected, total = operations(read(predicted)), read(predicted)["otherData"]["moved_bytes_a_step"]
    names = [row[0] for row in expected[1]]
    failures.expect({"forward_on_1", "forward_on_1_part_2"} <= set(names), f"interleaved: {names}")
    path = os.path.join(settings.work, "ranks.json")
    for ranks in 4, 2:
        statuses, outs, errors = run_tcp(program, ranks, ["--epochs", "1", "--trace", path], settings.work)
        if not failures.expect(not any(statuses), f"interleaved on {ranks} ranks: {statuses} {errors}"):
            continue
        found, moved = operations(read(path), 1), read(path)["otherData"]["moved_bytes_a_step"]
        # Two ranks have devices 0 and 1, 2 and 3.
        stays = {"transfer_0_to_1", "transfer_1_to_0", "transfer_2_to_3", "transfer_3_to_2"} if ranks == 2 else set()
        for device, rows in expected.items():
            as_run = [(*row[:3], 0 if re.sub(r"_part_\d+$", "", row[0]) in stays else row[3]) for row in rows]
            failures.expect(found.get(device) == as_run, f"interleaved on {ranks} ranks, device {device}: {found.get(device)}, not {as_run}")
        sums = sum(row[3] or 0 for rows in found.values() for row in rows)
        failures.expect(moved == sums > 0 and (moved == total) == (ranks == 4), f"interleaved on {ranks} ranks: {moved} of {total} B")


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("trace")
    cores = sorted(os.sched_getaffinity(0))
    first, last = cores[0], cores[min(1, len(cores) - 1)]
    with open(ARTICLE) as file:
        text = file.read()
    pipeline = 'microbatches = 4;\n  schedule = "1f1b";\n}'
    text = re.sub(r"\}\s*$", pipeline + "\n", text)
    program = harness.build(settings, "article", text)
    harness.write_rows(os.path.join(settings.work, "sunspots.csv"), 80, 12)
    harness.write_rows(os.path.join(settings.work, "rows5.csv"), 24, 5)
    harness.write_rows(os.path.join(settings.work, "rows13.csv"), 24, 13)

    predicted, drawing = os.path.join(settings.work, "predicted.json"), os.path.join(settings.work, "predicted.svg")
    report = harness.run([settings.mparc, "report", "article.mp", "--trace", predicted, "--svg", drawing], settings.work)
    failures.expect(report.returncode == 0, report.stderr)
    prediction = read(predicted)

    # Two workers: what moves between them is less than between four, all else is the same.
    trace, out = train(settings, failures, program, f"cpu:{first},cpu:{first},cpu:{last},cpu:{last}")
    expected, found = operations(prediction), operations(trace, 1)
    failures.expect(sorted(expected) == [0, 1, 2, 3], f"devices {sorted(expected)}")
    bytes_of = {"transfer_1_to_2": 8 * 32, "transfer_2_to_1": 8 * 32} if first != last else {}
    for device, rows in expected.items():
        as_run = [(*row[:3], None if row[3] is None else bytes_of.get(row[0], 0)) for row in rows]
        failures.expect(found.get(device) == as_run, f"device {device}: {found.get(device)}, not {as_run}")
    names = {row[0] for rows in expected.values() for row in rows}
    failures.expect({"forward_on_0", "transfer_0_to_1", "backward_on_3", "update_on_2"} <= names, f"{names}")
    places = {row[0]: row[2] for rows in expected.values() for row in rows}
    failures.expect(places["forward_on_1"] == "article.mp:5" and places["transfer_0_to_1"] == "article.mp:5", f"{places}")
    steps = {event["args"]["step"] for event in trace["traceEvents"] if event["ph"] == "X"}
    failures.expect(steps == {1, 2}, f"steps {steps}")

    for name, data in ("the run", trace["otherData"]), ("the report", prediction["otherData"]):
        failures.expect(0 <= data["bubble"] < 1 and len(data["idle"]) == 4 and data["step_us"] > 0, f"{name}: {data}")
        failures.expect(all(0 <= idle < 1 for idle in data["idle"]), f"{name}: {data}")
    failures.expect(prediction["otherData"]["moved_bytes_a_step"] == 32 * 2 * (512 + 32 + 512), "bytes predicted")
    moved = trace["otherData"]["moved_bytes_a_step"]
    failures.expect(moved == (32 * 2 * 32 if first != last else 0), f"{moved} bytes moved")
    failures.expect(re.search(r"^Trace : step [\d.]+ us, bubble [\d.]+ %, idle( [\d.]+ %){4}, moved \d+ B$", out, re.M), out)
    failures.expect(f"bubble {100 * prediction['otherData']['bubble']:.1f} %" in report.stdout, report.stdout)

    # Each device's events follow one another.
    for device in range(4):
        events = sorted((event["ts"], event["dur"]) for event in trace["traceEvents"]
                        if event["ph"] == "X" and event["tid"] == device)
        overlaps = [one for one, other in zip(events, events[1:]) if one[0] + one[1] > other[0] + 1e-3]
        failures.expect(not overlaps, f"device {device}: {overlaps}")

    # The calling thread alone is one worker.
    trace, out = train(settings, failures, program, "cpu")
    failures.expect(operations(trace, 1).keys() == expected.keys() and trace["otherData"]["moved_bytes_a_step"] == 0, out)
    # Threads that share out rows have steps.
    trace, _ = train(settings, failures, program, "cpu", "--threads", "2")
    failures.expect(operations(trace, 1) == {0: [("train_step", None, None, None)]}, f"{operations(trace, 1)}")
    alone = harness.build(settings, "one", ONE)
    harness.run([settings.mparc, "report", "one.mp", "--trace", predicted], settings.work)
    for devices in "auto", f"cpu:{last}":
        trace, out = train(settings, failures, alone, devices)
        failures.expect(operations(trace, 1) == operations(read(predicted)), f"{operations(trace, 1)} on {devices}")
        failures.expect("moved 0 B" in out, out)
    check_interleaved(settings, failures, text)
    # Replicas: each fetches half of what they add up, and half of the sums; a row each, in the report as in the run.
    for name, more in ("replicas", ""), ("shared", " shard_optimizer = true;"):
        program = harness.build(settings, name, REPLICAS.format(more=more))
        report = harness.run([settings.mparc, "report", name + ".mp", "--trace", predicted], settings.work)
        trace, out = train(settings, failures, program, f"cpu:{first},cpu:{last}")
        prediction = read(predicted)
        failures.expect(prediction["otherData"]["moved_bytes_a_step"] == 2 * REDUCED, f"{name}: {report.stdout}")
        failures.expect(trace["otherData"]["moved_bytes_a_step"] == (2 * REDUCED if first != last else 0), f"{name}: {out}")
        failures.expect(len(prediction["otherData"]["idle"]) == 2 and len(operations(prediction)) == 2, f"{name}: {report.stdout}")
        failures.expect(first == last or operations(trace, 1) == operations(prediction),
                        f"{name}: {operations(trace, 1)}, not {operations(prediction)}")
    return failures.finish()


harness.main(test)
