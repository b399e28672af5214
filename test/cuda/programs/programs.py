#!/usr/bin/env python3
"""Trains whole programs on emulated GPUs: the processor's losses within rounding, and the same bytes wherever devices are.

The emulation carries streams out late and in random order, so that a wait that is missing shows as another result. One
by hand: test/cuda/programs/programs.py --libraries build/test/cuda/libmpar_cuda_emulated.a,...
--full tries every model in all ways, else the chain alone; the others in some.
"""

import json
import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "end-to-end"))
from harness import ROOT, Failures, arguments, run  # noqa: E402

# Losses may differ from the processor's by the rounding of a few steps.
ROUNDING = 5e-6
# The same of one bit of a number that products round.
LOW_PRECISION = {"attends": 1e-3}

MODELS = {
    # The article's: a chain over four devices, Adam.
    "chain": """
model Chain {
  @device(0) a = Linear(12, 64);  @device(1) b = Linear(64, 8);
  @device(2) c = Linear(8, 64);   @device(3) d = Linear(64, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] { return x |> a |> relu |> b |> relu |> c |> relu |> d; }
}
train Chain { data = csv("rows.csv", test: 0.2); loss = mse; epochs = 2; batch = 32; }
""",
    # One device, whose step is a graph that is watched and checked as those of several are.
    "alone": """
model Alone {
  a = Linear(12, 64);  drop = Dropout(0.2);  b = Linear(64, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] { return x |> a |> relu |> drop |> b; }
}
train Alone { data = csv("rows.csv", test: 0.2); loss = mse; clip_norm = 0.1; epochs = 2; batch = 32; }
""",
    # Microbatches, replicas, clipping, and dropout, whose masks change from step to step.
    "pipeline": """
model Pipeline {
  @device(0) a = Linear(12, 32);  @device(0) drop = Dropout(0.3);
  @device(1) b = Linear(32, 16);  @device(1) norm = LayerNorm(16);
  forward(x: f32[batch, 12]) -> f32[batch, 12] { return x |> a |> relu |> drop |> b |> norm |> gelu |> c; }
  @device(0) c = Linear(16, 12);
}
train Pipeline {
  data = csv("rows.csv", test: 0.2); loss = mse; optimizer = adamw(lr: 1e-3); clip_norm = 0.1;
  epochs = 2; batch = 32; microbatches = 4; schedule = "1f1b"; replicas = 2;
}
""",
    # A scaled loss whose first steps are skipped, and a shared optimiser's state.
    "half": """
@precision(f16)
model Half {
  @device(0) a = Linear(12, 32);  @device(1) b = Linear(32, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] { return x |> a |> relu |> b; }
}
train Half {
  data = csv("rows.csv", test: 0.2); loss = mse; optimizer = sgd(lr: 1e-2, momentum: 0.9);
  epochs = 2; batch = 32; replicas = 2; shard_optimizer = true;
}
""",
    # Attention on tensor cores, of heads that lie where a projection left them.
    "attends": """
model Attends {
  @device(0) up = Linear(1, 48);  @device(1) last = Linear(16, 1);
  @precision(bf16) forward(x: f32[batch, 12]) -> f32[batch, 12] {
    q, k, v = reshape(x, [batch, 12, 1]) |> up |> split(3);
    y = attention(reshape(q, [batch, 12, 2, 8]) |> transpose(1, 2), reshape(k, [batch, 12, 2, 8]) |> transpose(1, 2),
                  reshape(v, [batch, 12, 2, 8]) |> transpose(1, 2), causal: true);
    return transpose(y, 1, 2) |> reshape([batch, 12, 16]) |> last |> reshape([batch, 12]);
  }
}
train Attends { data = csv("rows.csv", test: 0.2); loss = mse; epochs = 2; batch = 16; }
""",
    # Windows of a text, of which the last batch has few; accuracy counts targets on the host.
    "text": """
model Text {
  @device(0) table = Embedding(256, 16);  @device(1) out = Linear(16, 256);
  forward(text: i32[batch, 12]) -> f32[batch, 12, 256] { return text |> table |> relu |> out; }
}
train Text { data = text("text.txt", context: 12, test: 0.2); loss = cross_entropy; epochs = 2; batch = 48; replicas = 2; }
""",
    # What combines rows, sets buffers, and reads classes.
    "classes": """
model Classes {
  @device(0) c = Conv2d(1, 2, 3, padding: 1);  @device(0) norm = BatchNorm2d(2);
  @device(1) pool = MaxPool2d(2);              @device(1) l = Linear(6, 3);
  forward(x: f32[batch, 12]) -> f32[batch, 3] {
    h = reshape(x, [batch, 1, 2, 6]) |> c |> norm |> relu |> pool;
    return l(reshape(h, [batch, 6]));
  }
}
train Classes { data = csv("classes.csv", test: 0.2); loss = cross_entropy; optimizer = rmsprop(lr: 1e-3); epochs = 2; batch = 32; }
""",
}
DEVICES = {"chain": 4, "alone": 1, "pipeline": 4, "half": 4, "attends": 2, "text": 4, "classes": 2}
FLAGS = {"half": ["--loss-scale", "1e9"]}


def write_rows(folder):
    draw = random.Random(1)
    with open(os.path.join(folder, "rows.csv"), "w") as rows, open(os.path.join(folder, "classes.csv"), "w") as classes:
        for _ in range(120):
            values = [draw.uniform(-1, 1) for _ in range(12)]
            line = ",".join(f"{value:.6f}" for value in values)
            rows.write(line + "\n")
            classes.write(f"{line},{sum(value > 0 for value in values[:2])}\n")
    with open(os.path.join(folder, "text.txt"), "w") as text:
        text.write("".join(draw.choice("a quick brown fox jumps over the lazy dog ") for _ in range(250 * 12)))


def build(settings, name, more=()):
    """The program that mparc emits, compiled over the emulation, with `more` linked first."""
    source, program = (os.path.join(settings.work, name + end) for end in (".mp", ""))
    with open(source, "w") as file:
        file.write(MODELS[name])
    done = run([settings.mparc, source, "-o", program + ".cu"], settings.work)
    if done.returncode != 0:
        raise SystemExit(f"{name}: mparc gives {done.returncode}: {done.stderr.strip()}")
    libraries = settings.libraries.split(",")
    command = ["c++", "-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror",
               f"-I{ROOT}/test/cuda/include", f"-I{ROOT}/runtime/include", "-include", "cuda_runtime.h", "-x", "c++",
               program + ".cu", "-x", "none", *more, *libraries, *libraries, "-ldnnl", "-fopenmp", "-pthread", "-ldl",
               "-o", program]
    done = run(command, settings.work, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{name}: {' '.join(command)} fails: {done.stderr.strip()}")
    return program


def train(program, folder, flags, gpus=3, seed=1, **variables):
    environment = dict(os.environ, MPAR_EMULATED_GPUS=str(gpus), MPAR_EMULATION_SEED=str(seed), **variables)
    return run([program, *flags], folder, timeout=300, env=environment)


def losses_of(folder):
    with open(os.path.join(folder, "losses")) as file:
        return [float(line) for line in file]


def content(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def some(settings, name, ways, count):
    """All ways of the chain's, or the last ones of another model's."""
    return ways if settings.full or name == "chain" else ways[-count:]


def compare_placements(failures, settings, name, program):
    """All mappings to GPUs give the same bytes, and the processor's losses within rounding."""
    work, count = settings.work, DEVICES[name]
    keep = ["--quiet", "--dump-losses", "losses", "--save", "end", *FLAGS.get(name, [])]
    done = train(program, work, ["--devices", "cpu", *keep])
    if not failures.expect(done.returncode == 0, f"{name} on the processor: {done.stderr.strip()}"):
        return
    expected = losses_of(work)
    first = None
    spread = ",".join(f"cuda:{index % 3}" for index in range(count))
    ways = [(spread, 4, []), (spread, 5, ["--no-graph"]), ("cuda:0", 2, ["--no-graph"]), ("auto", 10, ["--no-resident-data"]),
            ("auto", 3, []), (spread, 6, []), ("cuda:0", 1, [])]
    for devices, seed, more in some(settings, name, ways, 3):
        what = f"{name} --devices {devices} {' '.join(more)} seed {seed}"
        done = train(program, work, ["--devices", devices, *more, *keep], seed=seed)
        if not failures.expect(done.returncode == 0 and not done.stderr, f"{what}: {done.stderr.strip()}"):
            continue
        losses, saved = losses_of(work), content(work, "end")
        first = first or (losses, saved)
        failures.expect((losses, saved) == first, f"{what}: other bytes than on one GPU")
        worst = max((abs(a - b) / abs(a) for a, b in zip(expected, losses)), default=1)
        failures.expect(len(losses) == len(expected) and worst < LOW_PRECISION.get(name, ROUNDING),
                        f"{what}: losses differ from the processor's by {worst:.2g}")
    # GPUs that cannot read each other's memory.
    done = train(program, work, ["--devices", spread, *keep], seed=11, MPAR_EMULATED_PEERS="0")
    failures.expect(done.returncode == 0 and (losses_of(work), content(work, "end")) == first,
                    f"{name} --devices {spread}, no peers: other bytes; {done.stderr.strip()}")
    # Held to what orders the streams.
    mixed = ",".join("cpu" if index == 1 else f"cuda:{index % 2}" for index in range(count))
    for devices, seed in some(settings, name, [("cuda:0", 7), ("auto", 8), (spread, 9)], 1):
        done = train(program, work, ["--devices", devices, "--check", *keep], seed=seed)
        if failures.expect(done.returncode == 0 and not done.stderr, f"{name} --devices {devices} --check: {done.stderr.strip()}"):
            failures.expect((losses_of(work), content(work, "end")) == first,
                            f"{name} --devices {devices} --check: other bytes than without")
    done = train(program, work, ["--devices", mixed, "--check", *keep])
    failures.expect(done.returncode == 0, f"{name} --devices {mixed} --check: {done.stderr.strip()}")
    # Beside a processor.
    done = train(program, work, ["--devices", mixed, *keep])
    if failures.expect(done.returncode == 0, f"{name} --devices {mixed}: {done.stderr.strip()}"):
        worst = max(abs(a - b) / abs(a) for a, b in zip(expected, losses_of(work)))
        failures.expect(worst < LOW_PRECISION.get(name, ROUNDING), f"{name} --devices {mixed}: losses differ by {worst:.2g}")


def check_resident(failures, settings, name, program):
    """Rows that GPUs keep are those that they would be sent: in any order, in short batches, and where some do not fit."""
    work = settings.work
    spread = ",".join(f"cuda:{index % 2}" for index in range(DEVICES[name]))
    few = [["--shuffle", "false", "--batch", "21", "--epochs", "1"], ["--batch", "23", "--epochs", "1", "--no-graph"]]
    for more in [["--batch", "44"], *(few if name == "chain" else [])]:
        first = None
        ways = [("cuda:0", ["--no-resident-data"], None), ("cuda:0", [], None), (spread, [], 200 << 20), (spread, [], None),
                (spread, [], 512 << 20), (spread, ["--no-resident-data"], None)]
        for devices, flags, memory in some(settings, name, ways, 3):
            what = f"{name} {' '.join(more + flags)} --devices {devices}, memory {memory}"
            variables = {"MPAR_EMULATED_GPU_BYTES": str(memory)} if memory else {}
            done = train(program, work, ["--devices", devices, *more, *flags, "--dump-losses", "losses", "--save", "end",
                                         *FLAGS.get(name, [])], **variables)
            # What is left to libraries is more than these have.
            notes = re.fullmatch(r"(note: `\w+` takes \d+ bytes, cuda:\d has \d+ free; each batch is sent there\n)+", done.stderr)
            if failures.expect(done.returncode == 0 and bool(notes) == bool(memory), f"{what}: {done.stderr.strip()}"):
                first = first or (losses_of(work), content(work, "end"), done.stdout)
                failures.expect((losses_of(work), content(work, "end"), done.stdout) == first, f"{what}: other bytes")


def resume_elsewhere(failures, settings, name, program):
    """A run goes on from its checkpoint on other devices, and what was saved predicts the same there."""
    work = settings.work
    spread = ",".join(f"cuda:{index % 2}" for index in range(DEVICES[name]))
    more = FLAGS.get(name, [])
    steps = [["--devices", "cuda:0", "--quiet", "--epochs", "2", "--save", "whole", *more],
             ["--devices", "cuda:0", "--quiet", "--epochs", "1", "--checkpoint", "half.ckpt", *more],
             ["--devices", spread, "--quiet", "--epochs", "2", "--resume", "half.ckpt", "--save", "resumed"],
             ["--devices", spread, "--load", "whole", "--predict", "rows.csv", "--output", "there.csv"],
             ["--devices", "cuda:0", "--load", "whole", "--predict", "rows.csv", "--output", "here.csv"]]
    for flags in steps:
        done = train(program, work, flags)
        if not failures.expect(done.returncode == 0, f"{name} {' '.join(flags)}: {done.stderr.strip()}"):
            return
    failures.expect(content(work, "whole") == content(work, "resumed"), f"{name}: a resumed run has other parameters")
    failures.expect(content(work, "here.csv") == content(work, "there.csv"), f"{name}: predictions differ")


def check_refusals(failures, settings, program):
    """What is not there, or does not suffice, is one line and exit status 1."""
    def expect(text, flags, status=1, **variables):
        done = train(program, settings.work, ["--quiet", *flags], **variables)
        failures.expect(done.returncode == status and text in done.stderr and done.stderr.count("\n") == 1,
                        f"{flags} {variables}: expected {status} and \"{text}\", got {done.returncode}: {done.stderr}")

    expect("note: no GPU: ", [], status=0, gpus=0)
    expect("`cuda:0`: this machine has none", ["--devices", "cuda:0"], status=2, gpus=0)
    expect("`cuda:3`: there are 3 GPUs, numbered from 0", ["--devices", "cuda:3"], status=2)
    expect("beside GPUs a device of a processor is the calling thread's, `cpu`",
           ["--devices", "cuda:0,cuda:0,cpu:0,cpu:0"], status=2)
    expect("cudaMalloc failed", ["--devices", "cuda:0"], MPAR_EMULATED_FAILURE="cudaMalloc:2:2")
    expect("cuda:0 has compute capability 7.5; this program needs 8.0 or newer", ["--devices", "cuda:0"], MPAR_EMULATED_CAPABILITY="75")
    expect("(cudaErrorDevicesUnavailable); another process has the GPU for itself: see nvidia-smi", ["--devices", "cuda:0"],
           MPAR_EMULATED_FAILURE="cudaSetDevice:1:46")
    expect("note: no GPU: the CUDA driver is older than this program", [], status=0, MPAR_EMULATED_FAILURE="cudaGetDeviceCount:0:35")
    expect("are left on cuda:0", ["--devices", "cuda:0"], MPAR_EMULATED_GPU_BYTES=str((64 << 20) + (1 << 17)))


def check_watchdog(failures, settings, name, program):
    """A GPU that hangs is given up on, and the line says where its step stands, replayed or not."""
    for flags in [[], ["--no-graph"]]:
        done = train(program, settings.work, ["--devices", "cuda", "--epochs", "100", "--quiet", "--timeout", "0.5", *flags],
                     MPAR_EMULATED_HANG="300")
        failures.expect(done.returncode == 1 and re.search(
            rf"^error: the step has waited 0.5 s for its GPUs; cuda:\d has not finished \w+_\d.* \({name}.mp:\d\)$",
            done.stderr.strip()), f"a hang {flags}: {done.stderr.strip()}")


def check_trace(failures, settings, program):
    """The turns on GPUs are recorded, each by the GPU's name."""
    done = train(program, settings.work, ["--devices", "cuda", "--quiet", "--epochs", "1", "--trace", "trace.json"])
    failures.expect(done.returncode == 0, f"--trace: {done.stderr.strip()}")
    with open(os.path.join(settings.work, "trace.json")) as file:
        events = json.load(file)["traceEvents"]
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    failures.expect("device 3 (cuda:2)" in names, f"--trace: devices are called {names}")
    functions = {event["name"] for event in events if event["ph"] == "X"}
    failures.expect({"forward_on_0", "transfer_0_to_1", "update_on_3"} <= functions, f"--trace: has {functions}")


def check_tf32(failures, settings, program):
    """Products round their operands where they may, and only there."""
    losses = []
    for flags in ([], ["--tf32"]):
        done = train(program, settings.work, ["--devices", "cuda", "--quiet", "--dump-losses", "losses", *flags])
        failures.expect(done.returncode == 0, f"{flags}: {done.stderr.strip()}")
        losses.append(losses_of(settings.work))
    worst = max(abs(a - b) / abs(a) for a, b in zip(*losses))
    failures.expect(1e-6 < worst < 1e-2, f"--tf32: losses differ by {worst:.2g}")


def check_times(failures, settings, program):
    """A benchmark says on GPUs, whose events time it, what part of a step is the host's, and what memory is taken."""
    for devices, words in (("cuda", r"median step: ([\d.]+) us; host: [\d.]+ us; memory: (\d+) bytes\n"), ("cpu", r"median step: [\d.]+ us\n")):
        done = train(program, settings.work, ["--devices", devices, "--benchmark-steps", "3"])
        found = re.fullmatch(words, done.stdout)
        failures.expect(done.returncode == 0 and found, f"--benchmark-steps: {done.stdout} {done.stderr}")
        # Every GPU has 64 MiB to work in, beside the model.
        failures.expect(not found or devices == "cpu" or (float(found[1]) > 0 and 64 << 20 < int(found[2]) < 1 << 30), f"--benchmark-steps: {done.stdout}")
    done = train(program, settings.work, ["--devices", "cuda", "--benchmark-steps", "3"], MPAR_EMULATED_FAILURE="cudaEventElapsedTime:1:400")
    failures.expect(done.returncode == 1 and "cudaEventElapsedTime failed (backend.cu:" in done.stderr, f"--benchmark-steps: {done.stdout} {done.stderr}")


def main():
    settings = arguments(__doc__, libraries="", full=False)
    failures = Failures("programs on GPUs")
    write_rows(settings.work)
    for name in MODELS:
        program = build(settings, name)
        compare_placements(failures, settings, name, program)
        if name in ("chain", "pipeline", "text"):
            check_resident(failures, settings, name, program)
        if name not in ("classes", "text"):  # which read other columns to predict
            resume_elsewhere(failures, settings, name, program)
        if name == "chain":
            check_refusals(failures, settings, program)
            check_trace(failures, settings, program)
            check_tf32(failures, settings, program)
        if name in ("chain", "alone"):
            check_watchdog(failures, settings, name, program)
            check_times(failures, settings, program)
    return failures.finish()


if __name__ == "__main__":
    sys.exit(main())
