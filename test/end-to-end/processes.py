#!/usr/bin/env python3
"""Processes change no bit: whatever ranks share out the devices of a program, over MPI and over TCP, it prints and saves what
one process does.

  processes.py [--full]

A chain that the batch visits twice, with weights tied over devices, dropout and clipping, alone and as replicas, whose
optimiser may be shared out; and a small transformer that predicts and generates. --full tries all ranks on all.
"""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time

import harness
from replicas import CHAIN, TRANSFORMER

ENTRIES = {
    "chain-1": (CHAIN, 'microbatches = 1;'),
    "chain-1f1b": (CHAIN, 'microbatches = 5; schedule = "1f1b";'),
    "chain-zero-bubble": (CHAIN, 'microbatches = 4; schedule = "zero-bubble";'),
    "chain-replicas": (CHAIN, 'replicas = 2; microbatches = 2; schedule = "1f1b";'),
    "chain-shared": (CHAIN, 'replicas = 4; shard_optimizer = true;'),
    "transformer": (TRANSFORMER, 'microbatches = 2; schedule = "gpipe";'),
}
# Ranks, and what --devices says; the first of each program also over MPI.
MAPS = {
    "chain-1": [(2, "auto"), (3, "rank:2,rank:0,rank:1")],
    "chain-1f1b": [(3, "auto"), (2, "rank:1,rank:0,rank:1"), (2, "rank:0/cpu:A,rank:1/cpu:A,rank:0/cpu:B")],
    "chain-zero-bubble": [(2, "auto")],
    "chain-replicas": [(2, "auto"), (4, "auto"), (2, "rank:0,rank:1,rank:0,rank:1,rank:0,rank:1"),
                       (2, "rank:0/cpu:A,rank:0/cpu:B,rank:1/cpu:A,rank:0/cpu:A,rank:1/cpu:A,rank:1/cpu:B")],
    "chain-shared": [(3, "auto"), (4, "auto")],
    "transformer": [(2, "auto")],
}
MPIRUN = shutil.which("mpirun")
MPI_ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", MPAR_MPI_SYNCHRONOUS="1")


def free_port():
    """And the one after it, where rank 0 listens if torchrun's agent has the port itself."""
    while True:
        with socket.socket() as listener, socket.socket() as next_one:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            try:
                next_one.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                pass


class Ranks:
    """A program as so many processes, started as torchrun or srun do: over TCP."""

    def __init__(self, program, ranks, flags, cwd, variables=None, each=None, begin=None):
        self.processes, port = [], free_port()
        for rank in range(ranks):
            own = dict(os.environ, RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
            if variables:
                own = dict(os.environ, **variables(rank, ranks, port))
            command = [program if isinstance(program, str) else program[rank], *flags, *(each(rank) if each else [])]
            self.processes.append(subprocess.Popen(command, cwd=cwd, env=own, text=True, stdin=subprocess.DEVNULL,
                                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                                   preexec_fn=(lambda rank=rank: begin(rank)) if begin else None))

    def wait(self, timeout=60):
        """Exit statuses, what they printed, and on standard error, by rank."""
        try:
            texts = [process.communicate(timeout=timeout) for process in self.processes]
        except subprocess.TimeoutExpired:
            for process in self.processes:
                process.kill()
            raise
        return [process.returncode for process in self.processes], [out for out, _ in texts], [err for _, err in texts]


def run_tcp(program, ranks, flags, cwd):
    return Ranks(program, ranks, flags, cwd).wait()


def run_mpi(program, ranks, flags, cwd):
    """All ranks' lines together, mpirun's own left out. No message is kept under way: sends wait for their receives."""
    done = harness.run([MPIRUN, "--oversubscribe", "-n", str(ranks), program, *flags], cwd, env=MPI_ENVIRONMENT)
    # mpirun gives rank 0 a terminal, for which it draws its progress.
    printed = "".join(line.split("\x1b[K")[-1] + "\n" for line in done.stdout.replace("\r", "\n").split("\n") if "Epoch :" in line)
    return [done.returncode], [printed], ["".join(line + "\n" for line in done.stderr.split("\n") if "error: rank" in line)]


def check_same(settings, failures, name, program, reference):
    cores = sorted(os.sched_getaffinity(0))
    bytes_alone, printed = reference
    for number, (ranks, mapping) in enumerate(MAPS[name]):
        devices = mapping.replace("A", str(cores[0])).replace("B", str(cores[-1]))
        for over, run in (("TCP", run_tcp), ("MPI", run_mpi)):
            if over == "MPI" and (not MPIRUN or (number > 0 and not settings.full)):
                continue
            saved = os.path.join(settings.work, f"{name}-ranks.safetensors")
            if os.path.exists(saved):
                os.remove(saved)
            statuses, outs, errors = run(program, ranks, ["--devices", devices, "--save", saved], settings.work)
            where = f"{name} on {ranks} ranks, {devices}, over {over}"
            if failures.expect(not any(statuses), f"{where}: {statuses} {errors}"):
                failures.expect(harness.read(saved) == bytes_alone, f"{where} saves other bytes")
                failures.expect(outs[0] == printed, f"{where} prints {outs[0]}")
                failures.expect(not any(outs[1:]), f"{where}: rank 1 prints, too")


def test_files(settings, failures, programs):
    """A checkpoint of 2 ranks is gone on from by 1, then by 3: as if nothing had happened."""
    for name in ("chain-1", "chain-shared"):
        program = programs[name]
        paths = [os.path.join(settings.work, f"{name}-{part}") for part in ("a.ckpt", "b.ckpt", "ranks", "alone", "half.ckpt")]
        run_tcp(program, 2, ["--epochs", "1", "--checkpoint", paths[0]], settings.work)
        half = harness.run([program, "--epochs", "1", "--checkpoint", paths[4]], settings.work)
        failures.expect(half.returncode == 0 and harness.read(paths[0]) == harness.read(paths[4]),
                        f"{name}: the checkpoint of 2 ranks is another than that of one process")
        harness.run([program, "--epochs", "2", "--resume", paths[0], "--checkpoint", paths[1], "--quiet"], settings.work)
        statuses, _, errors = run_tcp(program, 3, ["--epochs", "3", "--resume", paths[1], "--save", paths[2]], settings.work)
        failures.expect(statuses == [0, 0, 0], f"{name}: {errors}")
        harness.run([program, "--epochs", "3", "--save", paths[3]], settings.work)
        failures.expect(harness.read(paths[2]) == harness.read(paths[3]), f"{name}: 2, 1, then 3 ranks train something else")


def test_prediction(settings, failures, programs):
    """--load, --predict, --generate and --dump-gradients by ranks give what one process gives."""
    for name, flags in (("chain-1", ["--epochs", "1", "--predict", "rows16.csv", "--output", "out", "--dump-gradients", "g"]),
                        ("transformer", ["--epochs", "1", "--generate", "ab", "--tokens", "9", "--seed", "3"])):
        alone = harness.run([programs[name], *flags], settings.work)
        files = [harness.read(os.path.join(settings.work, path)) for path in ("out", "g") if path in flags]
        statuses, outs, errors = run_tcp(programs[name], 2, flags, settings.work)
        failures.expect(statuses == [0, 0] and outs[0] == alone.stdout, f"{name}: {statuses} {outs[0]} {errors}")
        failures.expect(files == [harness.read(os.path.join(settings.work, path)) for path in ("out", "g") if path in flags],
                        f"{name} predicts something else on two ranks")


def test_reading(settings, failures, programs):
    """A rank reads the data that its devices need, and no other: one without any does not find it missing."""
    alone, empty = harness.run([programs["chain-1"]], settings.work).stdout, os.path.join(settings.work, "empty")
    os.makedirs(empty, exist_ok=True)
    for rank_without in (2, 0):
        statuses, outs, errors = Ranks(programs["chain-1"], 3, [], settings.work,
                                       begin=lambda rank: os.chdir(empty) if rank == rank_without else None).wait()
        if rank_without == 2:
            failures.expect(statuses == [0, 0, 0] and outs[0] == alone, f"a rank without rows: {statuses} {errors}")
        else:
            failures.expect(all(statuses) and "rank 0: cannot read rows16.csv" in "".join(errors), f"no data: {statuses} {errors}")


def test_trace(settings, failures, programs):
    """The trace of two ranks has the turns of all devices, as that of workers has them."""
    def turns(name):
        with open(os.path.join(settings.work, name)) as file:
            trace = json.load(file)
        events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
        # By one clock, steps follow one another; a rank may begin the next one while another still updates its parameters.
        spans = [(min(times)[0], max(end for _, end in times)) for times in
                 ([(event["ts"], event["ts"] + event["dur"]) for event in events if event["args"]["step"] == step] for step in (1, 2))]
        failures.expect(spans[0][0] < spans[1][0] and spans[0][1] < spans[1][1], f"{name}: steps from and to {spans}")
        return sorted((event["tid"], event["args"]["step"], event["name"], event["args"].get("microbatch", 0)) for event in events), \
            trace["otherData"]["moved_bytes_a_step"]
    core = sorted(os.sched_getaffinity(0))[0]
    harness.run([programs["chain-1f1b"], "--trace", "alone.json", "--devices", f"cpu:{core}"], settings.work)
    statuses, outs, errors = run_tcp(programs["chain-1f1b"], 2, ["--trace", "ranks.json"], settings.work)
    failures.expect(statuses == [0, 0] and "Trace : step" in outs[0], f"trace: {statuses} {errors}")
    (alone, none), (ranks, moved) = turns("alone.json"), turns("ranks.json")
    failures.expect(alone == ranks and none == 0 and moved > 0, f"trace: {len(alone)} turns, {len(ranks)} on ranks, {moved} bytes")


WIDE = """model Wide {
  @device(0) { first = Linear(16, 300); norm = LayerNorm(300); }
  @device(1) { second = Linear(300, 300); last = Linear(300, 16); }
  forward(x: f32[batch, 16]) -> f32[batch, 16] { return x |> first |> norm |> gelu |> second |> relu |> last; }
}
train Wide {
  data = csv("rows32.csv", inputs: 16, targets: 16, test: 0.2);
  optimizer = adam(lr: 1e-3);
  epochs = 2;
  batch = 512;
  microbatches = 2;
}
"""


def test_threads(settings, failures):
    """Threads of ranks share the work of single kernels, which changes no bit of what one thread a rank gives: that is, of
    what one process gives on one thread."""
    harness.write_rows(os.path.join(settings.work, "rows32.csv"), 1300, 32)
    program = harness.build(settings, "wide", WIDE)
    bytes_alone, losses = harness.train(settings, program, "wide", "--threads", "1")
    failures.expect(len(losses) == 4, f"wide prints {losses}")
    for ranks, threads, run in ((2, 2, run_tcp), (2, 3, run_tcp), *([(2, 2, run_mpi)] if MPIRUN else [])):
        saved = os.path.join(settings.work, "wide-ranks.safetensors")
        if os.path.exists(saved):
            os.remove(saved)
        statuses, _, errors = run(program, ranks, ["--threads", str(threads), "--save", saved], settings.work)
        if failures.expect(not any(statuses), f"wide, {threads} threads: {statuses} {errors}"):
            failures.expect(harness.read(saved) == bytes_alone, f"wide, {threads} threads a rank: other bytes")
    counted = []
    for threads in (1, 3):
        ranks = Ranks(program, 2, ["--threads", str(threads), "--epochs", "100000", "--quiet"], settings.work)
        time.sleep(2)
        with open(f"/proc/{ranks.processes[0].pid}/status") as file:
            counted.append(int(next(line for line in file if line.startswith("Threads:")).split()[1]))
        for process in ranks.processes:
            process.kill()
        ranks.wait()
    failures.expect(counted[1] == counted[0] + 2, f"wide: {counted} threads")


def test_refusals(settings, failures, programs):
    """One line, on one rank; all end with another status than 0."""
    program = programs["chain-1"]
    full = "/dev/full"
    cases = [(2, ["--devices", "rank:0"], "rank 1 has no device"),
             (2, ["--devices", "rank:0,rank:1,rank:2"], "`rank:2`: there are 2 ranks"),
             (2, ["--devices", "rank:0,rank:1"], "2 devices for a program of 3"),
             (2, ["--devices", "rank:0,cpu,cpu"], "either all devices have a rank or none"),
             (4, [], "4 ranks for a program of 3 devices"),
             (2, ["--epochs", "x"], "--epochs: expected a whole number"),
             (2, ["--data", "none.csv"], "cannot read none.csv"),
             (2, ["--load", "rows16.csv"], "not a safetensors file"),
             (2, ["--lr", "1e30"], "the loss is"),
             (2, ["--threads", "2", "--devices", "rank:0/cpu:%d,rank:0/cpu:%d,rank:1" % (2 * (min(os.sched_getaffinity(0)),))],
              "threads: 2 for devices with workers"),
             (2, ["--save", full], "cannot write " + full + ": No space left")]
    for ranks, flags, words in cases:
        for run in (run_tcp, run_mpi) if MPIRUN and words in ("rank 1 has no device", "cannot read none.csv") else (run_tcp,):
            statuses, _, errors = run(program, ranks, flags, settings.work)
            text = "".join(errors)
            failures.expect(all(statuses) and words in text and text.count("\n") == 1, f"{flags}: {statuses} {text}")
    # What one rank has alone.
    for each, words in ((lambda rank: ["--epochs", str(rank + 1)], "rank 1 was started with `--epochs 2`, rank 0 with"),
                        (lambda rank: ["--oops"] * rank, "--oops")):
        statuses, _, errors = Ranks(program, 2, [], settings.work, each=each).wait()
        failures.expect(all(statuses) and words in "".join(errors) and "".join(errors).count("\n") == 1,
                        f"{statuses} {errors}")
    statuses, _, errors = Ranks([program, programs["chain-1f1b"]], 2, [], settings.work).wait()
    failures.expect(all(statuses) and errors == ["error: rank 0: rank 1 is another program than rank 0; all must be the same file\n", ""],
                    f"two programs: {statuses} {errors}")
    done = harness.run([program, "--devices", "rank:1"], settings.work)
    failures.expect(done.returncode == 2 and "there is 1 rank" in done.stderr, f"one process as rank 1: {done.stderr}")


def test_ends(settings, failures, programs):
    """A rank that is killed, or does not come, or does not go on ends all within the timeout, with one line each."""
    flags = ["--epochs", "100000", "--timeout", "2", "--quiet"]
    for name, number, status in (("killed", signal.SIGKILL, -9), ("stopped", signal.SIGSTOP, None)):
        run = Ranks(programs["chain-1"], 3, flags, settings.work)
        time.sleep(1)
        begin = time.monotonic()
        run.processes[1].send_signal(number)
        others = [run.processes[rank].communicate(timeout=20)[1] for rank in (0, 2)]
        seconds = time.monotonic() - begin
        if status is None:
            run.processes[1].kill()
        run.processes[1].communicate()
        failures.expect(run.processes[0].returncode == 1 and run.processes[2].returncode == 1 and seconds < 8,
                        f"{name}: {run.processes[0].returncode}, {run.processes[2].returncode} after {seconds:.1f} s")
        lines = "".join(others).split("\n")[:-1]
        words = "rank 1 has ended" if status else "for rank 1"
        failures.expect(len(lines) == 2 and words in "".join(lines), f"{name}: {others}")
    lone = Ranks(programs["chain-1"], 1, ["--timeout", "1"], settings.work,
                 lambda rank, _, port: {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    statuses, _, errors = lone.wait()
    failures.expect(statuses == [1] and errors == ["error: rank 1 of 2 has not come\n"], f"alone: {statuses} {errors}")


def test_ends_under_mpirun(settings, failures, programs):
    """mpirun ends all ranks when one has ended. Who ends by itself has said why before that; of whom mpirun ends it may lose a line,
    when it has not read it before it ends itself."""
    if not MPIRUN:
        return
    flags = "--epochs 100000 --quiet --timeout 2"
    for name, number, speakers, others in (("killed", signal.SIGKILL, set(), set("02")), ("stopped", signal.SIGSTOP, set("02"), set("1"))):
        run = subprocess.Popen([MPIRUN, "--oversubscribe", "-n", "3", "sh", "-c",
                                f"echo pid $OMPI_COMM_WORLD_RANK $$ >&2; exec {programs['chain-1']} {flags}"],
                               cwd=settings.work, env=MPI_ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        ranks = {}
        while len(ranks) < 3 and (line := run.stderr.readline()):  # beside what mpirun has to say of the machine
            if line.startswith("pid "):
                ranks[line.split()[1]] = int(line.split()[2])
        time.sleep(1)
        begin = time.monotonic()
        os.kill(ranks["1"], number)
        _, text = run.communicate(timeout=30)
        seconds = time.monotonic() - begin
        lines = {line.split("error: rank ")[1][0]: line for line in text.split("\n") if "error: rank" in line}
        failures.expect(run.returncode != 0 and lines and speakers <= set(lines) <= speakers | others and text.count("error: rank") == len(lines)
                        and seconds < 8, f"{name} under mpirun: {run.returncode} after {seconds:.1f} s, {text}")
        failures.expect(name == "killed" or any("has waited 2 s for rank" in line for line in lines.values())
                        and not any("launcher" in lines[rank] for rank in speakers & set(lines)), f"{name} under mpirun: {text}")


def test_full_disk(settings, failures, programs):
    """What one rank cannot write, none has written: the old file stays, and one line says why."""
    saved = os.path.join(settings.work, "full.safetensors")
    with open(saved, "w") as file:
        file.write("old")

    def limit(rank):
        if rank == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    for flag in ("--save", "--checkpoint"):
        statuses, _, errors = Ranks(programs["chain-1"], 3, [flag, saved], settings.work, begin=limit).wait()
        text = "".join(errors)
        failures.expect(all(statuses) and text.startswith("error: rank 1: cannot write") and text.count("\n") == 1
                        and harness.read(saved) == b"old" and not os.path.exists(saved + ".part"), f"a full disk: {statuses} {text}")


def test_launchers(settings, failures, programs):
    """Slurm's variables, and torchrun's where its agent has the port."""
    slurm = lambda rank, ranks, port: {"SLURM_PROCID": str(rank), "SLURM_NTASKS": str(ranks), "SLURM_STEP_ID": "0",
                                       "SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost"}
    agent = lambda rank, ranks, port: {"RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1",
                                       "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    alone = harness.run([programs["chain-1"]], settings.work).stdout
    for name, variables in (("Slurm", slurm), ("torchrun", agent)):
        statuses, outs, errors = Ranks(programs["chain-1"], 2, [], settings.work, variables).wait()
        failures.expect(statuses == [0, 0] and outs[0] == alone, f"{name}: {statuses} {errors}")
    # A batch script of Slurm's is no rank.
    batch = dict(os.environ, SLURM_PROCID="0", SLURM_NTASKS="4", SLURM_JOB_ID="7")
    done = harness.run([programs["chain-1"]], settings.work, env=batch)
    failures.expect(done.returncode == 0 and done.stdout == alone, f"a batch script: {done.stderr}")


def test():
    settings = harness.arguments(__doc__, full=False)
    failures = harness.Failures("processes")
    harness.write_rows(os.path.join(settings.work, "rows16.csv"), 70, 16)
    with open(os.path.join(settings.work, "words.txt"), "wb") as file:
        file.write(bytes(97 + number * number % 13 for number in range(430)))
    texts = [(name, model.format(entries=entries).replace("(16, 16)", "(128, 16)").replace("(16, 16, weight", "(16, 128, weight")
              .replace("time, 16]", "time, 128]") if name == "transformer" else model.format(entries=entries))
             for name, (model, entries) in ENTRIES.items()]
    programs = harness.build_all(settings, texts)
    for name, program in programs.items():
        saved = os.path.join(settings.work, name + ".safetensors")
        alone = harness.run([program, "--save", saved], settings.work)
        if alone.returncode != 0:
            raise SystemExit(f"{name}: {alone.stderr.strip()}")
        check_same(settings, failures, name, program, (harness.read(saved), alone.stdout))
    test_files(settings, failures, programs)
    test_prediction(settings, failures, programs)
    test_reading(settings, failures, programs)
    test_trace(settings, failures, programs)
    test_threads(settings, failures)
    test_refusals(settings, failures, programs)
    test_ends(settings, failures, programs)
    test_ends_under_mpirun(settings, failures, programs)
    test_full_disk(settings, failures, programs)
    test_launchers(settings, failures, programs)
    return failures.finish()


if __name__ == "__main__":
    harness.main(test)
