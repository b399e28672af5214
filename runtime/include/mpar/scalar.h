// The scalar functions of the language and their derivatives, one definition for every backend. Each is a template
// on its type: float in programs, double where gradients are checked by finite differences.
#pragma once

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define MPAR_HOST_DEVICE __host__ __device__
#else
#define MPAR_HOST_DEVICE
#endif

namespace mpar {

// To be filled (names fixed): relu, leaky_relu(x, slope), gelu, gelu_tanh, silu, sigmoid, rsqrt, minimum, maximum, clamp(x, lo, hi),
// binary_cross_entropy(p, t), and derivatives d/dx: gelu_derivative, gelu_tanh_derivative, silu_derivative,
// binary_cross_entropy_derivative; `dropout_scale(seed, step, key, index, p)`: 0 or 1 / (1 - p), from a counter-based generator.
// exp, log, sqrt, sin, cos, tanh, pow, abs are std::'s, brought in by `using`.

} // namespace mpar
