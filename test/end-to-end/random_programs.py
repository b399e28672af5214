#!/usr/bin/env python3
"""Random programs, compiled: as placed, with everything on device 0, and without `@recompute`, they train to the same bytes,
on the calling thread, on workers and on several processes; and so do, of every fifth, two replicas, with the optimiser shared out and without.

  random_programs.py [--random build/bin/mp-random] [--seed N] [--count N]

Each is built up to five times by `mparc build`, run for two steps, of a full batch and of a short one, and its saved parameters,
losses and output are compared. In process mp-random checks many more; here the emitted code and the runtime's kernels
are in it. The full number is --count 200.
"""

import concurrent.futures
import os
import re

import harness
import processes

NO_PARTS = "a batch is cut into `"


def spread(name, folder):
    """Devices of a program with workers, in turn on the cores there are. How many there are, the program says itself."""
    refusal = harness.run(["./" + name, "--devices", ",".join(["cpu:0"] * 99)], folder).stderr
    cores = sorted(os.sched_getaffinity(0))[:2]
    count = int(re.search(r"for a program of (\d+)", refusal).group(1))
    return ",".join(f"cpu:{cores[device % len(cores)]}" for device in range(count))


def run_on(devices, name, folder):
    """What a program gives on these devices, or, where that is a number, on so many processes; or what went wrong."""
    flags = ["--save", name + ".safetensors", "--dump-losses", name + ".losses"]
    if isinstance(devices, int):
        statuses, outs, errors = processes.run_tcp("./" + name, devices, flags, folder)
    else:
        done = harness.run(["./" + name, *flags, "--devices", devices], folder)
        statuses, outs, errors = [done.returncode], [done.stdout], [done.stderr]
    if any(statuses):
        return f"{name} on {devices} gives {statuses}: {' '.join(errors).strip()}"
    return tuple(harness.read(os.path.join(folder, name + suffix)) for suffix in (".safetensors", ".losses")) + (outs[0],)


def compile_and_run(settings, folder, name):
    """What the program gives: its parameters, losses and text; or what went wrong."""
    build = [settings.mparc, "build", name + ".mp", "-o", name]
    built = harness.run(build, folder, timeout=600)
    if NO_PARTS in built.stderr:
        built = harness.run(build + ["--microbatches", "1"], folder, timeout=600)
    if built.returncode != 0:
        return f"mparc build gives {built.returncode}: {built.stderr.strip()}"
    results, workers = [], spread(name, folder)
    ranks = [min(3, workers.count(",") + 1)] if "," in workers else []
    for devices in ("cpu", workers, *ranks):
        results.append(run_on(devices, name, folder))
        if isinstance(results[-1], str):
            return results[-1]
        if results[-1] != results[0]:
            return f"{name} differs on {devices}"
    os.remove(os.path.join(folder, name))
    return results[0]


def run_replicas(settings, folder):
    """What two replicas of placed.mp give, by form; nothing where rows depend on one another."""
    results = {}
    for name, flags in (("replicas", ["--bucket-bytes", "64"]), ("shared", ["--shard-optimizer"])):
        built = harness.run([settings.mparc, "build", "placed.mp", "-o", name, "--replicas", "2", *flags], folder, timeout=600)
        if built.returncode != 0:
            return {} if NO_PARTS in built.stderr else {name: f"mparc build gives {built.returncode}: {built.stderr.strip()}"}
        for form, mapping in (("alone", "cpu"), ("workers", spread(name, folder)), ("ranks", 2)):
            results[f"{name} {form}"] = run_on(mapping, name, folder)
        os.remove(os.path.join(folder, name))
    return results


def test():
    settings = harness.arguments(__doc__, random=os.path.join(harness.ROOT, "build", "bin", "mp-random"), seed=0, count=5)
    failures = harness.Failures("random programs")
    seeds = range(settings.seed, settings.seed + settings.count)
    harness.run([settings.random, "--seed", str(settings.seed), "--count", str(settings.count), "--write", settings.work],
                settings.work, check=True)

    def forms(seed):
        folder = os.path.join(settings.work, str(seed))
        names = [name for name in ("placed", "one", "kept") if os.path.exists(os.path.join(folder, name + ".mp"))]
        replicas = run_replicas(settings, folder) if seed % 5 == 0 else {}
        return {name: compile_and_run(settings, folder, name) for name in names}, replicas

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for seed, (results, replicas) in zip(seeds, pool.map(forms, seeds)):
            for form, result in replicas.items():
                failures.expect(not isinstance(result, str), f"program {seed}: {result}")
                failures.expect(result == next(iter(replicas.values())), f"program {seed}: two replicas differ, {form}")
            for name, result in results.items():
                failures.expect(not isinstance(result, str), f"program {seed}: {result}")
                failures.expect(result == results["placed"],
                                f"program {seed}: placed.mp and {name}.mp in {settings.work}/{seed} differ")
    print(f"random programs: seeds {seeds[0]} to {seeds[-1]}")
    return failures.finish()


harness.main(test)
