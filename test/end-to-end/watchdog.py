#!/usr/bin/env python3
"""A worker that stalls ends the run: a C++ function of the user's sleeps in its third call on device 1, and within --timeout the
program says who waits for what, and where device 1 stands, with status 1. What was written before stays whole, nothing else is
written. With time enough it trains as ever.

  watchdog.py
"""

import os
import re

import harness
import processes

HEADER = """#pragma once
#include <atomic>
#include <chrono>
#include <thread>

/// Ten rows of four values are a microbatch; the third one sleeps.
inline float drowsy(float x) {
  static std::atomic<int> calls{0};
  if (++calls == 2 * 10 * 4 + 1)
    std::this_thread::sleep_for(std::chrono::seconds(4));
  return x;
}
inline float drowsy_grad(float) { return 1; }
"""

MODEL = """extern "drowsy.h" op drowsy(x: f32[...]) -> f32[...] grad drowsy_grad;
model Stalls {
  @device(0) first = Linear(3, 4);
  @device(1) second = Linear(4, 2);
  forward(x: f32[batch, 3]) -> f32[batch, 2] {
    h = first(x);
    @device(1) g = drowsy(h);
    return second(g);
  }
}
train Stalls {
  data = csv("rows5.csv");
  epochs = 1;
  batch = 20;
  microbatches = 2;
}
"""


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("watchdog")
    cores = sorted(os.sched_getaffinity(0))
    devices = f"cpu:{cores[0]},cpu:{cores[min(1, len(cores) - 1)]}"
    harness.write_rows(os.path.join(settings.work, "rows5.csv"), 60, 5)
    with open(os.path.join(settings.work, "drowsy.h"), "w") as file:
        file.write(HEADER)
    program = harness.build(settings, "stalls", MODEL)
    saved, checkpoint = (os.path.join(settings.work, name) for name in ("saved.safetensors", "run.ckpt"))
    for path in (saved, checkpoint):
        if os.path.exists(path):
            os.remove(path)
    flags = ["--devices", devices, "--save", saved, "--checkpoint", checkpoint, "--every", "1"]
    if len(cores) > 1:
        done = harness.run([program, *flags, "--timeout", "0.5"], settings.work)
        failures.expect(done.returncode == 1, f"status {done.returncode}")
        failures.expect(re.fullmatch(r"error: device 0 has waited 0\.5 s with \w+ of microbatch \d \(stalls\.mp:\d+\) for turn \d+ "
                                     r"of device 1, \w+ of microbatch \d \(stalls\.mp:\d+\); the worker of device 1 is at "
                                     r"forward_on_1 of microbatch 0 \(stalls\.mp:\d+\), which waits for nothing\n", done.stderr),
                        done.stderr)
        failures.expect(not os.path.exists(saved), "parameters were saved")
        left = [name for name in os.listdir(settings.work) if name.endswith(".part")]
        failures.expect(not left, f"parts of files are left: {left}")
        # The checkpoint of the step before is whole.
        resumed = harness.run([program, "--resume", checkpoint, "--devices", devices], settings.work)
        failures.expect(resumed.returncode == 0, resumed.stderr)
    # The same of two ranks: the one that waits says what for, the other one what it has come to when it is back.
    statuses, _, errors = processes.run_tcp(program, 2, ["--save", saved, "--timeout", "0.5"], settings.work)
    failures.expect(all(statuses) and not os.path.exists(saved), f"two ranks: {statuses}")
    failures.expect(re.fullmatch(r"error: rank 0: has waited 0\.5 s for rank 1, at \w+ of microbatch \d \(\w+\.mp:\d+\), device \d\n",
                                 errors[0]), f"two ranks: {errors}")
    done = harness.run([program, *flags, "--timeout", "60"], settings.work)
    failures.expect(done.returncode == 0 and os.path.exists(saved), done.stderr)
    for wrong in ("0", "-1", "soon"):
        done = harness.run([program, "--timeout", wrong], settings.work)
        failures.expect(done.returncode == 2 and "--timeout" in done.stderr, f"{wrong}: {done.stderr}")
    return failures.finish()


harness.main(test)
