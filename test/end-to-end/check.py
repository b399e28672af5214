#!/usr/bin/env python3
"""--check finds every wait that is missing: of the article's program, under each schedule, of two replicas, with several stages a
device and of layers that groups of devices share out, any one wait is taken out of the emitted tables, and the run says which two
operations nothing orders. What is whole trains to the same bytes with --check as without. Ranks find the same, each in the memory
of its own devices.

  check.py
"""

import os
import re
import subprocess

import harness
from processes import MPIRUN, run_mpi, run_tcp

ARTICLE = os.path.join(harness.ROOT, "examples", "autoencoder", "autoencoder.mp")
LAYOUTS = {"gpipe": [], "1f1b": ["--schedule", "1f1b"], "replicas": ["--replicas", "2", "--schedule", "zero-bubble", "--bucket-bytes", "20000"],
           "shared": ["--replicas", "2", "--shard-optimizer"], "interleaved": ["--schedule", "interleaved"], "split": ["--schedule", "1f1b"]}
# Where layer number i, from 0, stands; else as in the article.
PLACES = {"interleaved": lambda i: f"@device({i % 4})",
          "split": lambda i: f"@device({i // 4 * 2}, {i // 4 * 2 + 1}) @split({('out', 'in')[i % 2]})"}
TWO = r"[a-z]+_.*\(\w+\.mp:\d+\).* [a-z]+_.*\(\w+\.mp:\d+\).*, and nothing orders one after the other"

# Takes out each wait of the emitted description in turn, and prints what the checker says; the whole one first.
EACH = """
#include "%s.h"

#include "mpar/check.h"
#include "mpar/errors.h"

#include <cstdio>
#include <memory>

static void check(const mpar::ModelDescription &model, const mpar::Schedule &schedule) {
  std::vector<std::unique_ptr<mpar::Machine>> replicas;
  std::vector<mpar::Machine *> machines;
  for (int replica = 0; replica < model.replicas; ++replica) {
    replicas.push_back(std::make_unique<mpar::Machine>("cpu", 1, model.devices, 2, model.training.batch, true));
    replicas.back()->make_slots(schedule, model.training.batch);
    machines.push_back(replicas.back().get());
  }
  try {
    mpar::TurnChecker checker(machines, schedule);
    std::puts("nothing");
  } catch (const mpar::Error &error) {
    std::puts(error.what());
  }
}

int main() {
  const mpar::ModelDescription model = Autoencoder::describe();
  check(model, model.schedule);
  for (size_t turn = 0; turn < model.schedule.turns.size(); ++turn)
    for (size_t wait = 0; wait < model.schedule.turns[turn].waits.size(); ++wait) {
      mpar::Schedule schedule = model.schedule;
      auto &waits = schedule.turns[turn].waits;
      waits.erase(waits.begin() + static_cast<std::ptrdiff_t>(wait));
      check(model, schedule);
    }
  for (size_t wait = 0; wait < model.schedule.peer_waits.size(); ++wait) {
    mpar::Schedule schedule = model.schedule;
    schedule.peer_waits.erase(schedule.peer_waits.begin() + static_cast<std::ptrdiff_t>(wait));
    check(model, schedule);
  }
}
"""


def compile_cpp(settings, sources, program):
    """As mparc build does, but in a hurry."""
    library = os.path.join(os.path.dirname(os.path.dirname(settings.mparc)), "runtime", "libmpar.a")
    include = os.path.join(harness.ROOT, "runtime", "include")
    subprocess.run(["c++", "-std=c++17", "-O1", "-march=native", "-ffp-contract=off", "-I", include, *sources, library, "-ldnnl",
                    "-fopenmp", "-pthread", "-o", program], cwd=settings.work, check=True)


def check_ranks(settings, failures, name, bytes_alone):
    """The same two programs as several processes: who has the memory finds what nothing orders there."""
    saved = os.path.join(settings.work, name + "-ranks.safetensors")
    for ranks, over, run in ((2, "TCP", run_tcp), (4, "TCP", run_tcp), *([(2, "MPI", run_mpi)] if MPIRUN else [])):
        where = f"{name} on {ranks} ranks over {over}"
        for kind in ("whole", "broken"):
            if os.path.exists(saved):
                os.remove(saved)
            statuses, _, errors = run(os.path.join(settings.work, f"{name}_{kind}"), ranks, ["--epochs", "2", "--save", saved, "--check"],
                                      settings.work)
            if kind == "whole":
                failures.expect(not any(statuses) and harness.read(saved) == bytes_alone, f"{where}: {statuses} {errors}")
            else:
                failures.expect(all(statuses) and re.fullmatch(r"error: rank \d: " + TWO + "\n", "".join(errors))
                                and not os.path.exists(saved), f"{where}, without a wait: {statuses} {errors}")


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("check")
    harness.write_rows(os.path.join(settings.work, "sunspots.csv"), 80, 12)
    with open(ARTICLE) as file:
        article = file.read()
    for layout, chosen in LAYOUTS.items():
        name = "article_" + layout
        text = article
        if layout in PLACES:
            text = re.sub(r"@device\(\d\) layer(\d)", lambda found: f"{PLACES[layout](int(found[1]) - 1)} layer{found[1]}", article)
            failures.expect(text.count(PLACES[layout](0)) > 1, f"{layout}: {text}")
        with open(os.path.join(settings.work, name + ".mp"), "w") as file:
            file.write(text)
        flags = ["--microbatches", "4", *chosen]

        def emit(*more):
            subprocess.run([settings.mparc, name + ".mp", *flags, *more], cwd=settings.work, check=True)

        emit("-o", name + ".cpp", "--header", name + ".h", "--no-main")
        with open(os.path.join(settings.work, name + "_each.cpp"), "w") as file:
            file.write(EACH % name)
        compile_cpp(settings, [name + ".cpp", name + "_each.cpp"], name + "_each")
        done = harness.run([os.path.join(settings.work, name + "_each")], settings.work)
        lines = done.stdout.splitlines()
        with open(os.path.join(settings.work, name + ".cpp")) as file:
            emitted = file.read()
        table = re.search(r"TurnEntry turns\[\] = \{(.*?)\};", emitted, re.S).group(1)
        waits = re.findall(r"\{\d+, \d+, \d+, \d+\}", table)
        peers = re.search(r"peer_waits = \{(.*?)\};", emitted, re.S)
        peer_waits = re.findall(r"\{\d+, \d+, \d+\}", peers.group(1)) if peers else []
        failures.expect(bool(peer_waits) == ("--replicas" in flags), f"{layout}: waits for other replicas: {peer_waits}")
        failures.expect(lines[:1] == ["nothing"] and len(lines) == len(waits) + len(peer_waits) + 1 > 20,
                        f"{layout}: {len(waits)} waits, {len(lines)} lines: {lines[:1]}")
        # Devices of a group that exchange what each then overwrites wait for one another's reading of it, as they do read it in
        # place where they share memory. Apart, each has a copy, and nothing is amiss without such a wait.
        found = [number for number, line in enumerate(lines[1:]) if re.search(TWO, line)]
        for number, line in enumerate(lines[1:]):
            failures.expect(number in found or (layout == "split" and line == "nothing"),
                            f"{layout}, without wait {number}, {(waits + peer_waits)[number]}: {line}")
        failures.expect(2 * len(found) > len(lines), f"{layout}: {len(found)} of {len(lines) - 1} waits are missed")

        # By hand, in the text of the program itself.
        emit("-o", name + "_whole.cpp")
        with open(os.path.join(settings.work, name + "_whole.cpp")) as file:
            whole = file.read()
        wait = waits[min((number for number in found if number < len(waits)), key=lambda number: abs(number - len(waits) // 2))]
        stage, microbatch = re.findall(r"\d+", wait)[:2]
        with open(os.path.join(settings.work, name + "_broken.cpp"), "w") as file:
            file.write(whole.replace(wait, "{" + stage + ", " + microbatch + "}", 1))
        runs = {}
        for kind in ("whole", "broken"):
            compile_cpp(settings, [f"{name}_{kind}.cpp"], f"{name}_{kind}")
        for kind, more in (("whole", []), ("whole", ["--check"]), ("broken", ["--check"])):
            saved = os.path.join(settings.work, name + ".safetensors")
            if os.path.exists(saved):
                os.remove(saved)
            done = harness.run([os.path.join(settings.work, f"{name}_{kind}"), "--epochs", "2", "--save", saved, *more],
                               settings.work)
            runs[kind, bool(more)] = done, harness.read(saved) if os.path.exists(saved) else None
        failures.expect(runs["whole", False][0].returncode == 0 and runs["whole", True][0].returncode == 0,
                        f"{layout}: {runs['whole', True][0].stderr}")
        failures.expect(runs["whole", False][1] == runs["whole", True][1] is not None, f"{layout}: other bytes with --check")
        broken, left = runs["broken", True]
        failures.expect(broken.returncode == 1 and re.fullmatch("error: " + TWO + "\n", broken.stderr) and left is None,
                        f"{layout}, without {wait}: {broken.returncode} {broken.stderr}")
        check_ranks(settings, failures, name, runs["whole", False][1])
    return failures.finish()


harness.main(test)
