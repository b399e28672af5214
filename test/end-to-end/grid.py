#!/usr/bin/env python3
"""The grid of layouts: stages × replicas × splits × schedule × microbatches × shared optimiser × recomputation, of the
autoencoder and of a small transformer. For one model, number of replicas, of pieces and of microbatches all of them save the
same bytes, on the calling thread, on workers, on ranks and in process; all of a model, the same losses but for rounding.

  grid.py [--full] [--seed N]

All cells are run in process (mp-run), where each replica has memory of its own. A cover of all pairs of choices, at most 60 cells, is compiled and run, on ranks
both over TCP and over MPI, and with --full all of them. The reference of a cell has one stage on the calling thread, plain gpipe, and keeps all activations.
Two epochs of 45 rows, in batches of 20 and a last one of 5: fewer rows than parts, too.
"""

import collections
import concurrent.futures
import functools
import itertools
import os
import random
import re
import time
import zlib

import harness
import processes

AXES = collections.OrderedDict(
    model=("autoencoder", "transformer"), stages=(1, 2, 4), replicas=(1, 2, 4), pieces=(1, 2),
    schedule=("gpipe", "1f1b", "interleaved", "zero-bubble"), microbatches=(1, 2, 5, 8), shared=(False, True),
    recomputed=(False, True))
Cell = collections.namedtuple("Cell", AXES)
CELLS = [Cell(*values) for values in itertools.product(*AXES.values())]

ENTRIES = """  epochs = 2;
  batch = 20;
  replicas = {replicas};
  microbatches = {microbatches};
  schedule = "{schedule}";
  shard_optimizer = {shared};
"""
WIDTHS = (12, 32, 24, 16, 8, 16, 24, 32, 12)


def devices_of(cell, stage, factor):
    """The annotation of a layer: a stage is one device, or two that share out what has the factor."""
    return f"@device({stage})" if cell.pieces == 1 else f"@device({2 * stage}, {2 * stage + 1}) @split({factor})"


def autoencoder(cell):
    # Column splits, then row splits; 8 wide at the least.
    layers = "".join(f"  {devices_of(cell, i * cell.stages // 8, ('out', 'in')[i % 2])} layer{i} = "
                     f"Linear({WIDTHS[i]}, {WIDTHS[i + 1]});\n" for i in range(8))
    # Parts that cross the borders between stages.
    parts = "".join(f"    {'@recompute ' if cell.recomputed else ''}h{i} = {'x' if i == 0 else f'h{i - 3}'}"
                    + "".join(f" |> layer{j}" + (" |> relu" if j < 7 else "") for j in range(i, min(i + 3, 8))) + ";\n"
                    for i in range(0, 8, 3))
    return (f"model Autoencoder {{\n{layers}  forward(x: f32[batch, 12]) -> f32[batch, 12] {{\n{parts}    return h6;\n  }}\n}}\n"
            "train Autoencoder {\n  data = csv(\"rows.csv\", test: 0.2);\n")


def transformer(cell):
    last = (cell.stages - 1) * cell.pieces
    blocks = "".join(f"  {devices_of(cell, i * cell.stages // 4, 'heads')} block[{i}] = TransformerBlock(16, 2, dropout: 0.1);\n"
                     for i in range(4))
    return f"""model Small {{
  @device(0) words = Embedding(16, 16);
{blocks}  @device({last}) head = Linear(16, 16, weight: words.weight, bias: false);
  forward(x: i32[batch, time]) -> f32[batch, time, 16] {{
    h = words(x);
    for i in 0..4 {{ {"@recompute " if cell.recomputed else ""}h = block[i](h); }}
    return head(h);
  }}
}}
train Small {{
  data = text("words.txt", context: 6, test: 0.2);
  loss = cross_entropy;
  clip_norm = 0.5;
"""


def text_of(cell):
    entries = ENTRIES.format(**cell._replace(shared=str(cell.shared).lower())._asdict())
    return {"autoencoder": autoencoder, "transformer": transformer}[cell.model](cell) + entries + "}\n"


def name_of(cell):
    return "-".join(str(value) for value in cell)


def reference_of(cell):
    return cell._replace(stages=1, schedule="gpipe", shared=False, recomputed=False)


def cover_pairs(seed):
    """Cells in which every two choices of different axes meet; greedily, from random candidates."""
    pairs = {((a, u), (b, v)) for a, b in itertools.combinations(range(len(AXES)), 2)
             for u in list(AXES.values())[a] for v in list(AXES.values())[b]}
    generator, cells = random.Random(seed), []
    while pairs:
        def covered(cell):
            return {pair for pair in pairs if all(cell[axis] == value for axis, value in pair)}
        best = max(generator.sample(CELLS, 50), key=lambda cell: len(covered(cell)))
        pairs -= covered(best)
        cells.append(best)
    return cells


def run_program(settings, cell, program, devices):
    saved = os.path.join(settings.work, name_of(cell) + ".safetensors")
    done = harness.run([program, "--devices", devices, "--threads", "1", "--save", saved], settings.work)
    return (harness.read(saved), done.stdout) if done.returncode == 0 else f"{devices}: {done.stderr.strip()}"


def run_ranks(settings, cell, program, ranks, run):
    saved = os.path.join(settings.work, name_of(cell) + ".ranks")
    if os.path.exists(saved):
        os.remove(saved)
    statuses, outs, errors = run(program, ranks, ["--save", saved], settings.work)
    return (harness.read(saved), outs[0]) if not any(statuses) else f"{statuses} {errors}"


def check_losses(failures, results):
    """What layouts that add up in another order print differs by rounding alone: losses, accuracies and perplexities."""
    numbers = {cell: [float(number) for number in re.findall(r"(?<=[ :])\d+\.\d+", got[1])]
               for cell, got in results.items() if not isinstance(got, str)}
    of_model = {}
    for cell, found in numbers.items():
        expected = of_model.setdefault(cell.model, found)
        near = len(found) == len(expected) and all(abs(a - b) <= 1e-4 * abs(b) + 2e-6 for a, b in zip(found, expected))
        failures.expect(found and near, f"{name_of(cell)} gives {found}, another layout {expected}")


def check_compiled(settings, failures, cells, cover):
    seconds = collections.Counter()
    references = {reference_of(cell) for cell in cells}
    every = sorted(references | set(cells))
    programs = harness.build_all(settings, [(name_of(cell), text_of(cell)) for cell in every])
    expected = {cell: run_program(settings, cell, programs[name_of(cell)], "cpu") for cell in sorted(references)}
    check_losses(failures, expected)
    cores = sorted(os.sched_getaffinity(0))
    for cell in cells:
        count = cell.stages * cell.replicas * cell.pieces
        spread = ",".join(f"cpu:{cores[device % len(cores)]}" for device in range(count))
        for devices in ("cpu", spread):
            got = run_program(settings, cell, programs[name_of(cell)], devices)
            failures.expect(not isinstance(got, str), f"{name_of(cell)}: {got}")
            failures.expect(got == expected[reference_of(cell)], f"{name_of(cell)} on {devices} differs from its reference")
        if count > 1:
            ranks = min(count, 2 + sum(map(ord, name_of(cell))) % 3)
            # All of the cover over both; of what else --full runs, about a quarter over MPI and the rest over TCP.
            drawn = zlib.crc32(name_of(cell).encode()) % 4 == 0
            for over, run, others in (("TCP", processes.run_tcp, not drawn or not processes.MPIRUN), ("MPI", processes.run_mpi, drawn)):
                if (over == "MPI" and not processes.MPIRUN) or not (others or cell in cover):
                    continue
                begin = time.monotonic()
                got = run_ranks(settings, cell, programs[name_of(cell)], ranks, run)
                seconds[over] += time.monotonic() - begin
                failures.expect(got == expected[reference_of(cell)],
                                f"{name_of(cell)} on {ranks} ranks over {over} differs from its reference: {got}")
    print("grid: " + ", ".join(f"{spent:.0f} s over {over}" for over, spent in seconds.items()))


def check_in_process(settings, failures, cells):
    """One step of each cell, turn by turn in the memory that was planned for it, has the bits of its reference's."""
    mp_run = os.path.join(os.path.dirname(settings.mparc), "mp-run")

    @functools.lru_cache(maxsize=None)
    def results(cell, rows, order):
        source = os.path.join(settings.work, name_of(cell) + ".mp")
        if not os.path.exists(source):
            with open(source, "w") as file:
                file.write(text_of(cell))
        done = harness.run([mp_run, source, "--phase", "calls", "--order", order, "--rows", str(rows), "--largest-batch", "20",
                            "--poison-dead", "--classes", "16"], settings.work)
        return done.stdout if done.returncode == 0 else f"error {done.stderr.strip()}"

    def agrees(cell, rows):
        got, expected = results(cell, rows, "turns"), results(reference_of(cell), rows, "microbatches")
        return cell, rows, got, got == expected and not got.startswith("error")

    # Replicas have rows and memory each, which takes longer: every other cell of them has 5 rows, for some of them none.
    runs = [(cell, rows) for number, cell in enumerate(cells) for rows in (20, 5)
            if cell.replicas == 1 or rows == (20, 5)[(number + number // 4 + number // 16) % 2]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for cell, rows, got, right in pool.map(lambda run: agrees(*run), runs):
            failures.expect(right, f"{name_of(cell)}, {rows} rows in process: {got}")


def test():
    settings = harness.arguments(__doc__, full=False, seed=0)
    failures = harness.Failures("grid")
    harness.write_rows(os.path.join(settings.work, "rows.csv"), 56, 12)
    with open(os.path.join(settings.work, "words.txt"), "wb") as file:
        file.write(bytes(number * number % 13 for number in range(340)))
    cover = cover_pairs(settings.seed)
    print(f"grid: {len(cover)} of {len(CELLS)} cells cover all pairs")
    failures.expect(len(cover) <= 60, f"{len(cover)} cells are compiled")
    check_compiled(settings, failures, CELLS if settings.full else cover, set(cover))
    check_in_process(settings, failures, CELLS)
    return failures.finish()


harness.main(test)
