#!/usr/bin/env python3
"""C++ functions of the user's own train as the functions of the language do that compute the same.

  extern.py

Element-wise functions of one operand and of several, a template, one with qualifiers of CUDA, and a function of whole
tensors, against `silu`, `sigmoid`, `minimum` and products: losses within 1e-6, parameters within 1e-5 of their size. Where a
function runs changes no bit.
"""

import array
import json
import math
import os
import struct

import harness

HEADER = """#pragma once
#include "mpar/extern.h"

#include <array>
#include <cmath>

template <class T> __host__ __device__ inline T swish(T x) { return x / (T(1) + std::exp(-x)); }
inline float swish_grad(float x) {
  const float s = 1 / (1 + std::exp(-x));
  return s * (1 + x * (1 - s));
}

namespace my {

inline float gate(float a, float b) { return a / (1 + std::exp(-b)); }
inline std::array<float, 2> gate_grad(float a, float b) {
  const float s = 1 / (1 + std::exp(-b));
  return {s, a * s * (1 - s)};
}

inline float limit(float x, const float &most, bool strict = false) {
  return x < most || (!strict && x == most) ? x : most;
}
inline std::array<float, 2> limit_grad(float x, float most) {
  return x < most ? std::array<float, 2>{1, 0} : std::array<float, 2>{0, 1};
}

/// y[..., i] = x[..., i] · gain[i].
inline void scale(mpar::Device &, mpar::View<const float> x, mpar::View<const float> gain, mpar::View<float> y) {
  const int64_t n = gain.extent(0);
  for (int64_t i = 0; i < x.count(); ++i)
    y.data[i] = x.data[i] * gain.data[i % n];
}
inline void scale_grad(mpar::Device &, const mpar::View<const float> &x, mpar::View<const float> gain,
                       mpar::View<const float> g, mpar::View<float> dx, mpar::View<float> dgain) {
  const int64_t n = gain.extent(0);
  if (dx.data)
    for (int64_t i = 0; i < x.count(); ++i)
      dx.data[i] = g.data[i] * gain.data[i % n];
  if (!dgain.data)
    return;
  for (int64_t i = 0; i < n; ++i)
    dgain.data[i] = 0;
  for (int64_t i = 0; i < x.count(); ++i)
    dgain.data[i % n] += g.data[i] * x.data[i];
}

} // namespace my
"""

EXTERNS = """extern "kernels/my_ops.h" op swish(x: f32[...]) -> f32[...] grad swish_grad;
extern "kernels/my_ops.h" op my::gate(a: f32[...], b: f32[...]) -> f32[...] grad my::gate_grad;
extern "kernels/my_ops.h" op my::limit(x: f32[...], most: f32[]) -> f32[...] grad my::limit_grad;
extern "kernels/my_ops.h" op my::scale(x: f32[..., n], gain: f32[n]) -> f32[..., n] grad my::scale_grad;
"""

MODEL = """{externs}
model Own {{
  @device({a}) first = Linear(12, 16);
  @device({b}) left = Linear(16, 16);
  @device({a}) right = Linear(16, 16);
  param gain: f32[16] = normal(1.0, 0.1);
  last = Linear(16, 12);

  forward(x: f32[batch, 12]) -> f32[batch, 12] {{
    h = first(x) |> {swish};
    u = {gate};
    @device({b}) s = {scale};
    return last({limit});
  }}
}}

train Own {{
  data = csv("rows12.csv", test: 0.2);
  optimizer = sgd(lr: 0.1);
  epochs = 2;
  batch = 100;
  seed = 3;
}}
"""
LANGUAGE = {"externs": "", "swish": "silu", "gate": "left(h) * sigmoid(right(h))", "scale": "u * gain",
            "limit": "minimum(s, 0.25)"}
OWN = {"externs": EXTERNS, "swish": "swish", "gate": "gate(left(h), right(h))", "scale": "scale(u, gain)",
       "limit": "limit(s, 0.25)"}


def tensors(path):
    """The f32 tensors of a safetensors file, by name."""
    data = harness.read(path)
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    return {name: array.array("f", data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"}


def distance(a, b):
    """The norm of the difference over that of b."""
    return math.dist(a, b) / max(math.hypot(*b), 1e-30)


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("extern")
    harness.write_rows(os.path.join(settings.work, "rows12.csv"), 250, 24)
    os.makedirs(os.path.join(settings.work, "kernels"), exist_ok=True)
    with open(os.path.join(settings.work, "kernels", "my_ops.h"), "w") as file:
        file.write(HEADER)
    models = [("language", MODEL.format(a=0, b=0, **LANGUAGE)), ("own", MODEL.format(a=0, b=0, **OWN)),
              ("placed", MODEL.format(a=1, b=2, **OWN))]
    programs = harness.build_all(settings, models)
    results = {}
    for name, _ in models:
        path = os.path.join(settings.work, name + ".safetensors")
        gradients, losses = path + ".gradients", path + ".losses"
        done = harness.run([programs[name], "--save", path, "--dump-losses", losses, "--dump-gradients", gradients],
                           settings.work)
        if not failures.expect(done.returncode == 0, f"{name} gives {done.returncode}: {done.stderr.strip()}"):
            return failures.finish()
        results[name] = path, gradients, [float(line) for line in harness.read(losses, "r").split()]
    for got, expected in zip(results["own"][2], results["language"][2]):
        failures.expect(abs(got - expected) <= 1e-6 * expected, f"a loss is {got}, not {expected}")
    for number, what in enumerate(["parameter", "gradient"]):
        own, language = tensors(results["own"][number]), tensors(results["language"][number])
        failures.expect(sorted(own) == sorted(language), f"each {what}: {sorted(own)}, not {sorted(language)}")
        for name, values in language.items():
            off = distance(own[name], values)
            failures.expect(off <= 1e-5, f"the {what} {name} is off by {off:.2g}")
            failures.expect(any(values), f"the {what} {name} is zero, which tests nothing")
        failures.expect(harness.read(results["own"][number]) == harness.read(results["placed"][number]),
                        f"where the functions run changes a {what}")
    return failures.finish()


harness.main(test)
