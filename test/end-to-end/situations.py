#!/usr/bin/env python3
"""Situations that end in a hang or a race elsewhere, as whole programs: on workers and on ranks, over TCP and over MPI without
any message under way, each trains to the bytes that the calling thread gives, whatever the schedule.

  situations.py [--full]

The models are those of test/situations, which mp-run carries out in process. --full tries all schedules.
"""

import os
import re

import harness
import processes

ALL = ("gpipe", "1f1b", "interleaved", "zero-bubble")
# By situation: devices of all replicas, columns of the rows, schedules without --full, ranks.
SITUATIONS = {
    "fewer-microbatches-than-stages": (4, 3, ("1f1b", "zero-bubble"), (2, 4)),
    "skip-connections-over-stages": (4, 4, ("gpipe", "interleaved"), (3, 4)),
    "sends-and-receives-in-another-order": (2, 4, ("1f1b",), (2,)),
    "collectives-racing-with-transfers": (4, 4, ("zero-bubble",), (2, 4)),
}
FOLDER = os.path.join(harness.ROOT, "test", "situations")


def check(settings, failures, name, program, devices, reference):
    """All ways to run a program; what they save, which is `reference` where there is one."""
    cores = sorted(os.sched_getaffinity(0))
    workers = ",".join(f"cpu:{cores[device % 2 % len(cores)]}" for device in range(devices))
    # The last batch is of one row.
    flags = ["--data", f"rows{SITUATIONS[name][1]}.csv", "--epochs", "2", "--timeout", "20"]
    alone = harness.train(settings, program, "alone", *flags, "--devices", "cpu")[0]
    failures.expect(reference in (None, alone), f"{program} differs from another schedule")
    failures.expect(harness.train(settings, program, "workers", *flags, "--devices", workers)[0] == alone, f"{program} differs on {workers}")
    saved = os.path.join(settings.work, "ranks.safetensors")
    for number, ranks in enumerate(SITUATIONS[name][3]):
        # Over MPI, the most ranks.
        for run in (processes.run_tcp, *([processes.run_mpi] if processes.MPIRUN and number == len(SITUATIONS[name][3]) - 1 else [])):
            if os.path.exists(saved):
                os.remove(saved)
            statuses, _, errors = run(program, ranks, [*flags, "--save", saved], settings.work)
            where = f"{program} on {ranks} ranks, {run.__name__}"
            if failures.expect(not any(statuses), f"{where}: {statuses} {errors}"):
                failures.expect(harness.read(saved) == alone, f"{where} saves other bytes")
    return alone


def test():
    settings = harness.arguments(__doc__, full=False)
    failures = harness.Failures("situations")
    for columns in (3, 4):
        harness.write_rows(os.path.join(settings.work, f"rows{columns}.csv"), 65, columns)
    texts = []
    for name, (_, _, schedules, _) in SITUATIONS.items():
        text = harness.read(os.path.join(FOLDER, name + ".mp"), "r")
        texts += [(f"{name}-{schedule}", re.sub(r'(schedule +=) "[^"]*"', rf'\1 "{schedule}"', text)) for schedule in (ALL if settings.full else schedules)]
    programs = harness.build_all(settings, texts)
    for name, (devices, _, _, _) in SITUATIONS.items():
        reference = None
        for each in (each for each, _ in texts if each.startswith(name)):
            reference = check(settings, failures, name, programs[each], devices, reference)
    return failures.finish()


harness.main(test)
