#!/usr/bin/env python3
"""Processes with a GPU each, emulated, that speak by the emulation's NCCL: the same bytes as one process on one GPU.

Messages wait for their other side, come late, and are checked: see test/cuda/include/nccl.h. One by hand:
test/cuda/programs/ranks.py --libraries build/test/cuda/libmpar_cuda_emulated.a,...
"""

import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import programs  # noqa: E402
from programs import FLAGS, build, content, train, write_rows  # noqa: E402
from processes import MPI_ENVIRONMENT, MPIRUN, Ranks  # noqa: E402
from harness import ROOT, Failures, arguments, run  # noqa: E402

MODELS = {
    "chain": programs.MODELS["chain"],
    "pipeline": programs.MODELS["pipeline"],
    "half": programs.MODELS["half"],
    "classes": programs.MODELS["classes"],
    # Three replicas, so that sums have an order, of two devices; sums over the batch beside gradients.
    "three": """
model Three {
  @device(0) a = Linear(12, 32);  @device(0) norm = BatchNorm1d(32);  @device(1) b = Linear(32, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] { return x |> a |> norm |> relu |> b; }
}
train Three { data = csv("rows.csv", test: 0.2); loss = mse; epochs = 2; batch = 32; replicas = 3; microbatches = 2; schedule = "1f1b"; }
""",
    # Columns of one product on two devices, and rows of the next.
    "split": """
model Split {
  @device(0, 1) @split(hidden) mlp = Mlp(12, hidden: 64);
  forward(x: f32[batch, 12]) -> f32[batch, 12] { return mlp(x); }
}
layer Mlp(size: int, hidden: int) {
  up = Linear(size, hidden);  down = Linear(hidden, size);
  forward(x: f32[batch, size]) -> f32[batch, size] { return x |> up |> relu |> down; }
}
train Split { data = csv("rows.csv", test: 0.2); loss = mse; epochs = 2; batch = 32; }
""",
}
# Ranks, and what --devices says; of each the GPU of its number.
MAPS = {
    "chain": [(2, "cuda"), (4, "cuda:0,cuda:1,cuda:2,cuda:3"), (2, "rank:1/cuda:1,rank:0/cuda:0,rank:0/cuda:0,rank:1/cuda:1")],
    "pipeline": [(2, "cuda"), (4, "cuda"), (2, "rank:0/cuda:2,rank:1/cuda:0,rank:0/cuda:2,rank:1/cuda:0")],
    "half": [(2, "auto"), (4, "cuda")],
    "classes": [(2, "cuda")],
    "three": [(3, "cuda"), (2, "cuda")],
    "split": [(2, "cuda")],
}


class GpuRanks(Ranks):
    """A program as so many processes, each with a part of the machine's emulated GPUs."""

    def __init__(self, program, ranks, flags, cwd, seed=1, gpus=4, own=None, **variables):
        def of(rank, count, port):
            return {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(port), "MPAR_EMULATED_GPUS": str(gpus), "MPAR_EMULATION_SEED": str(seed + 10 * rank),
                    **variables, **(own(rank) if own else {})}
        super().__init__(program, ranks, flags, cwd, variables=of)


def compare(failures, settings, name, program):
    """Whatever ranks there are save what one process does on one GPU."""
    work = settings.work
    keep = ["--quiet", "--dump-losses", "losses", "--save", "end", *FLAGS.get(name, [])]
    done = train(program, work, ["--devices", "cuda:0", *keep])
    if not failures.expect(done.returncode == 0, f"{name} alone: {done.stderr.strip()}"):
        return
    alone = content(work, "losses"), content(work, "end")
    for number, (ranks, devices) in enumerate(MAPS[name]):
        for more, seed in ([], number), (["--no-graph"], number + 100), (["--no-resident-data"], number + 200), *(
                (([], seed) for seed in range(2, 12)) if settings.full else ()):
            os.remove(os.path.join(work, "end"))
            statuses, outs, errors = GpuRanks(program, ranks, ["--devices", devices, *more, *keep], work, seed).wait()
            what = f"{name} on {ranks} ranks, {devices} {' '.join(more)}, seed {seed}"
            if failures.expect(not any(statuses) and not any(outs + errors), f"{what}: {statuses} {outs} {errors}"):
                failures.expect((content(work, "losses"), content(work, "end")) == alone, f"{what}: other bytes than one process")


def check_messages(failures, settings, program):
    """A step's messages are recorded with it, and all ranks have the same ones, in one order between any two."""
    log = os.path.join(settings.work, "nccl.log")
    for more, kinds in ([], {"issued", "captured"}), (["--no-graph"], {"issued"}):
        for rank in range(2):
            if os.path.exists(f"{log}.{rank}"):
                os.remove(f"{log}.{rank}")
        statuses, _, errors = GpuRanks(program, 2, ["--devices", "cuda", "--quiet", *more], settings.work,
                                       MPAR_EMULATED_NCCL_LOG=log).wait()
        failures.expect(not any(statuses), f"messages: {statuses} {errors}")
        first, second = (content(settings.work, f"nccl.log.{rank}").decode().splitlines() for rank in range(2))
        mirrored = [line.replace("sends", "?").replace("receives", "sends").replace("?", "receives")
                    .replace("to rank 1", "from rank 0").replace("from rank 1", "to rank 0") for line in first]
        failures.expect(first and mirrored == second, f"messages {more}: the ranks have {first[:4]} and {second[:4]}")
        failures.expect({line.split(";")[0] for line in first} == kinds, f"messages {more}: {first[:4]}")


def check_mpi(failures, settings, program):
    """Under mpirun, which says of each rank what number it has on its machine."""
    if not MPIRUN:
        return
    done = train(program, settings.work, ["--devices", "cuda:0", "--quiet", "--save", "alone"])
    environment = dict(MPI_ENVIRONMENT, MPAR_EMULATED_GPUS="2")
    done = run([MPIRUN, "--oversubscribe", "-n", "2", program, "--quiet", "--save", "ranks"], settings.work, env=environment)
    failures.expect(done.returncode == 0 and content(settings.work, "alone") == content(settings.work, "ranks"),
                    f"mpirun: {done.returncode} {done.stderr}")
    log = [line for line in done.stderr.splitlines() if "note" in line]
    failures.expect(not log, f"mpirun takes the processors: {log}")


def check_files(failures, settings, program):
    """A checkpoint of two ranks goes on in one process, predictions are the same, and a trace has all turns."""
    work = settings.work
    for flags in (["--devices", "cuda:0", "--epochs", "2", "--save", "whole", "--predict", "rows.csv", "--output", "here.csv"],):
        train(program, work, ["--quiet", *flags])
    statuses, _, errors = GpuRanks(program, 2, ["--devices", "cuda", "--epochs", "1", "--checkpoint", "half.ckpt", "--quiet"], work).wait()
    failures.expect(not any(statuses), f"--checkpoint: {statuses} {errors}")
    done = train(program, work, ["--devices", "cuda:1", "--epochs", "2", "--resume", "half.ckpt", "--quiet", "--save", "resumed"])
    failures.expect(done.returncode == 0 and content(work, "whole") == content(work, "resumed"), f"--resume: {done.stderr}")
    statuses, _, errors = GpuRanks(program, 2, ["--devices", "cuda", "--load", "whole", "--predict", "rows.csv", "--output", "there.csv"],
                                   work).wait()
    failures.expect(not any(statuses) and content(work, "here.csv") == content(work, "there.csv"), f"--predict: {statuses} {errors}")
    statuses, _, errors = GpuRanks(program, 2, ["--devices", "cuda", "--epochs", "1", "--trace", "trace.json", "--quiet"], work).wait()
    failures.expect(not any(statuses) and b"transfer_2_to_1" in content(work, "trace.json"), f"--trace: {statuses} {errors}")


def check_refusals(failures, settings, program):
    """One line on one rank, and no rank that goes on."""
    def expect(text, flags, ranks=2, status=None, **variables):
        statuses, _, errors = GpuRanks(program, ranks, ["--quiet", "--timeout", "20", *flags], settings.work, **variables).wait()
        lines = "".join(errors)
        failures.expect(all(statuses) and (status is None or max(statuses) == status) and text in lines and lines.count("\n") == 1,
                        f"{flags} {variables}: expected \"{text}\", got {statuses}: {lines}")

    expect("ranks 0 and 1 have the same GPU, 0000:00:00.0 of ", ["--devices", "cuda:0"])
    expect("ranks 0 and 1 have the same GPU", ["--devices", "cuda"], gpus=1)
    expect("rank 0 has cuda:0 and cuda:1; of several ranks each has one GPU", ["--devices", "cuda:0,cuda:1,cuda:2,cuda:2"], status=2)
    expect("of several ranks either all devices are GPUs or none is", ["--devices", "cuda:0,cuda:0,cpu,cpu"], status=2)
    expect("`rank:1/cuda:4`: there are 4 GPUs", ["--devices", "rank:0/cuda:0,rank:1/cuda:4,rank:1/cuda:4,rank:0/cuda:0"], status=2)
    expect("this machine has none", ["--devices", "cuda"], gpus=0, status=2)
    expect("--check: ", ["--devices", "cuda", "--check"])
    for call in ("ncclMemAlloc", "ncclGetUniqueId", "ncclCommInitRankConfig", "ncclCommRegister"):
        expect(f"{call} failed (nccl_communicator.cu:", ["--devices", "cuda"], own=lambda rank, call=call: {"MPAR_EMULATED_FAILURE": f"{call}:1:3"} if rank == 0 else {})
    for number in (1, 2):  # issued, and captured
        expect("ncclSend failed (nccl_communicator.cu:", ["--devices", "cuda"],
               own=lambda rank, number=number: {"MPAR_EMULATED_FAILURE": f"ncclSend:{number}:4"} if rank == 1 else {})
    # A rank without a GPU, or two on one: processors, and a line that says so.
    for gpus, words in ((0, "rank 0 has no GPU that CUDA can use"), (1, "ranks 0 and 1 have the same GPU")):
        statuses, _, errors = GpuRanks(program, 2, ["--epochs", "1", "--quiet"], settings.work, gpus=gpus).wait()
        failures.expect(not any(statuses) and words in errors[0] and errors[0].startswith("note: ") and errors[0].count("\n") == 1 and not errors[1],
                        f"auto with {gpus} GPUs: {statuses} {errors}")


def check_ends(failures, settings, program):
    """A rank that is killed, or does not go on, or whose GPU hangs, ends all within the timeout, each with a line; whether
    or not NCCL notices."""
    for name, number, variables in (("killed", signal.SIGKILL, {}), ("killed unnoticed", signal.SIGKILL, {"MPAR_EMULATED_NCCL_DEAF": "1"}),
                                    ("stopped", signal.SIGSTOP, {})):
        for more in ([], ["--no-graph"]):
            ranks = GpuRanks(program, 4, ["--devices", "cuda", "--epochs", "100000", "--timeout", "3", "--quiet", *more], settings.work, **variables)
            time.sleep(3)
            begin = time.monotonic()
            ranks.processes[1].send_signal(number)
            others = [ranks.processes[rank].communicate(timeout=40)[1] for rank in (0, 2, 3)]
            seconds = time.monotonic() - begin
            ranks.processes[1].kill()
            ranks.processes[1].communicate()
            statuses = [ranks.processes[rank].returncode for rank in (0, 2, 3)]
            words = r"rank 1 has ended; this rank was waiting for " if number == signal.SIGKILL else r"has waited 3 s for |gave up"
            failures.expect(statuses == [1, 1, 1] and seconds < 12 and all(text.count("\n") == 1 for text in others)
                            and re.search(words, "".join(others)), f"{name} {more}: {statuses} after {seconds:.1f} s: {others}")
    for more in ([], ["--no-graph"]):
        begin = time.monotonic()
        ranks = GpuRanks(program, 2, ["--devices", "cuda", "--epochs", "100", "--quiet", "--timeout", "2", *more], settings.work,
                         own=lambda rank: {"MPAR_EMULATED_HANG": "400"} if rank == 1 else {})
        statuses, _, errors = ranks.wait()
        failures.expect(statuses == [1, 1] and all(text.count("\n") == 1 for text in errors) and time.monotonic() - begin < 20
                        and re.search(r"cuda:\d has not finished \w+_\d", "".join(errors)), f"a hang {more}: {statuses} {errors}")


def check_without_nccl(failures, settings):
    """What is compiled where CMake finds no NCCL says so."""
    source = os.path.join(ROOT, "runtime", "cuda", "nccl_communicator.cu")
    without = os.path.join(settings.work, "without_nccl.o")
    done = run(["c++", "-std=c++17", f"-I{ROOT}/test/cuda/include", f"-I{ROOT}/runtime/include", f"-I{ROOT}/runtime", "-include",
                "cuda_runtime.h", "-x", "c++", "-c", source, "-o", without], settings.work)
    failures.expect(done.returncode == 0, f"without NCCL: {done.stderr}")
    program = build(settings, "chain", [without])
    # That the machine has too few GPUs holds whatever is built, so it is what is said.
    statuses, _, errors = GpuRanks(program, 2, ["--devices", "cuda:0", "--quiet"], settings.work).wait()
    failures.expect(statuses == [1, 1] and "".join(errors).count("\n") == 1 and "ranks 0 and 1 have the same GPU" in errors[0],
                    f"without NCCL on one GPU: {statuses} {errors}")
    statuses, _, errors = GpuRanks(program, 2, ["--devices", "cuda", "--quiet"], settings.work).wait()
    failures.expect(statuses == [1, 1] and "".join(errors).count("\n") == 1
                    and "this program was built without NCCL, which ranks on GPUs need" in errors[0], f"without NCCL: {statuses} {errors}")


def main():
    settings = arguments(__doc__, libraries="", full=False, only="")
    failures = Failures("ranks on GPUs")
    write_rows(settings.work)
    for name in MODELS:
        if settings.only and name not in settings.only.split(","):
            continue
        programs.MODELS[name] = MODELS[name]
        program = build(settings, name)
        compare(failures, settings, name, program)
        if name == "chain":
            check_messages(failures, settings, program)
            check_mpi(failures, settings, program)
            check_files(failures, settings, program)
            check_refusals(failures, settings, program)
            check_ends(failures, settings, program)
            check_without_nccl(failures, settings)
    return failures.finish()


if __name__ == "__main__":
    sys.exit(main())
