#!/usr/bin/env python3
"""What a compiled program takes before it trains, and whether its arenas are as large as its head says.

The start (time, memory) is printed, with the bounds of the project beside it; only the arenas can fail.
"""

import os
import re
import shutil
import subprocess
import time

import harness

EXAMPLE = os.path.join(harness.ROOT, "examples", "autoencoder")
MAIN = """#include "model.h"
#include <cstdio>
#include <cstdlib>
int main(int argc, char **argv) {{
  mpar::Settings settings;
  if (argc > 1)
    settings.batch = std::atoi(argv[1]);
  {model} model(settings);
  for (int i = 0; i < model.machine().count(); ++i)
    std::printf("%lld\\n", static_cast<long long>(model.machine().device(i).arena_bytes()));
}}
"""


def compile_part(settings, folder, batch, flags):
    """The model without a main, its class in a header, and a main that prints the bytes of its arenas."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model = os.path.join(folder, "autoencoder.mp")
    with open(model, "w") as file:
        file.write(re.sub(r"(\bbatch\s*=) 32;", rf"\1 {batch};", harness.read(os.path.join(EXAMPLE, "autoencoder.mp"), "r")))
    command = [settings.mparc, model, "-o", os.path.join(folder, "model.cpp"), "--header", os.path.join(folder, "model.h"),
               "--no-main", *flags]
    done = harness.run(command, folder)
    if done.returncode != 0:
        raise SystemExit(f"costs: {' '.join(command)} gives {done.returncode}: {done.stderr.strip()}")
    name = re.search(r"class (\w+)", harness.read(os.path.join(folder, "model.h"), "r")).group(1)
    namespace = re.search(r"namespace (\w+) \{[^}]*class ", harness.read(os.path.join(folder, "model.h"), "r"), re.S)
    with open(os.path.join(folder, "main.cpp"), "w") as file:
        file.write(MAIN.format(model=f"{namespace.group(1)}::{name}" if namespace else name))
    library = os.path.join(os.path.dirname(os.path.dirname(settings.mparc)), "runtime", "libmpar.a")
    command = ["g++", "-std=c++17", "-O1", "-march=native", "-ffp-contract=off", "-I", os.path.join(harness.ROOT, "runtime", "include"),
               "main.cpp", "model.cpp", library, "-ldnnl", "-lgomp", "-lpthread", "-o", "arenas"]
    done = harness.run(command, folder, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"costs: {' '.join(command)}: {done.stderr.strip()[:2000]}")
    return os.path.join(folder, "arenas"), harness.read(os.path.join(folder, "model.cpp"), "r")


def check_arenas(settings, failures, batch, *flags):
    """The bytes of the arenas, which are what the head says."""
    program, source = compile_part(settings, os.path.join(settings.work, "costs"), batch, flags)
    stated = [int(number.replace(",", "").replace("'", "").replace(" ", ""))
              for number in re.findall(rf"^// +arena ([\d,' ]+) B at batch {batch:,}:", source, re.M)]
    allocated = [int(line) for line in harness.run([program], settings.work).stdout.split()]
    failures.expect(len(allocated) == 4, f"the article's program has {len(allocated)} devices")
    failures.expect(stated == allocated, f"arenas {flags}: the head states {stated} bytes, the run allocates {allocated}")
    print(f"arenas: {' '.join([f'batch {batch}', *flags])}: {allocated} bytes")
    return allocated


def start(program, work):
    """The least time of an empty run, and the most memory of one."""
    seconds = []
    for _ in range(15):
        begin = time.perf_counter()
        process = subprocess.Popen([program, "--epochs", "0", "--quiet"], cwd=work)
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - begin)
        if status != 0:
            raise SystemExit(f"costs: an empty run gives {status}")
    return min(seconds), usage.ru_maxrss / 1024


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("costs")
    check_arenas(settings, failures, 32)
    whole = check_arenas(settings, failures, 4096)
    for replicas in ([], ["--replicas", "2"]):
        gpipe = check_arenas(settings, failures, 4096, "--microbatches", "8", *replicas)
        early = check_arenas(settings, failures, 4096, "--microbatches", "8", "--schedule", "1f1b", *replicas)
        failures.expect(all(one < all_of_them for one, all_of_them in zip(early, gpipe)),
                        f"1f1b takes {early} bytes, gpipe {gpipe}, which keeps all microbatches")
        failures.expect(all(one <= other for one, other in zip(gpipe, whole)), f"gpipe takes {gpipe} bytes, no microbatches {whole}")
    program = harness.build(settings, "autoencoder", harness.read(os.path.join(EXAMPLE, "autoencoder.mp"), "r"))
    seconds, mebibytes = start(program, EXAMPLE)
    print(f"start: {seconds * 1e3:.1f} ms (bound: 20), {mebibytes:.1f} MiB (bound: 30)")
    return failures.finish()


harness.main(test)
