#!/usr/bin/env python3
"""Random programs, compiled: as placed, with everything on device 0, and without `@recompute`, they train to the same bytes.

  random_programs.py [--random build/bin/mp-random] [--seed N] [--count N]

Each is built two or three times by `mparc build`, run for two steps, of a full batch and of a short one, and its saved parameters,
losses and output are compared. In process mp-random checks many more; here the emitted code and the runtime's kernels
are in it. The full number is --count 200.
"""

import concurrent.futures
import os

import harness


def compile_and_run(settings, folder, name):
    """What the program gives: its parameters, losses and text; or what went wrong."""
    built = harness.run([settings.mparc, "build", name + ".mp", "-o", name], folder, timeout=600)
    if built.returncode != 0:
        return f"mparc build gives {built.returncode}: {built.stderr.strip()}"
    done = harness.run(["./" + name, "--save", name + ".safetensors", "--dump-losses", name + ".losses"], folder)
    os.remove(os.path.join(folder, name))
    if done.returncode != 0:
        return f"{name} gives {done.returncode}: {done.stderr.strip()}"
    return tuple(harness.read(os.path.join(folder, name + suffix)) for suffix in (".safetensors", ".losses")) + (done.stdout,)


def test():
    settings = harness.arguments(__doc__, random=os.path.join(harness.ROOT, "build", "bin", "mp-random"), seed=0, count=5)
    failures = harness.Failures("random programs")
    seeds = range(settings.seed, settings.seed + settings.count)
    harness.run([settings.random, "--seed", str(settings.seed), "--count", str(settings.count), "--write", settings.work],
                settings.work, check=True)

    def forms(seed):
        folder = os.path.join(settings.work, str(seed))
        names = [name for name in ("placed", "one", "kept") if os.path.exists(os.path.join(folder, name + ".mp"))]
        return {name: compile_and_run(settings, folder, name) for name in names}

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for seed, results in zip(seeds, pool.map(forms, seeds)):
            for name, result in results.items():
                failures.expect(not isinstance(result, str), f"program {seed}: {result}")
                failures.expect(result == results["placed"],
                                f"program {seed}: placed.mp and {name}.mp in {settings.work}/{seed} differ")
    print(f"random programs: seeds {seeds[0]} to {seeds[-1]}")
    return failures.finish()


harness.main(test)
