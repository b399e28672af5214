// The scalar functions of the language and their derivatives, one definition for every backend.
// Each is a template on its type: float in programs, double where gradients are checked by finite
// differences.
#pragma once

#include "mpar/elementary.h"

#include <cmath>
#include <cstdint>
#include <type_traits>

namespace mpar {

using std::abs;
using std::cos;
using std::log;
using std::sin;
using std::sqrt;

namespace detail {
// A parameter of type T that takes no part in deducing T: `clamp(x, 0, 1)` is a clamp in the type
// of x.
template <typename T> struct Same {
  using Type = T;
};
template <typename T> using same = typename Same<T>::Type;

template <typename T> constexpr T sqrt_half = T(0.70710678118654752440);        // 1 / √2
template <typename T> constexpr T sqrt_two_over_pi = T(0.79788456080286535588); // √(2 / π)
template <typename T> constexpr T gelu_cubic = T(0.044715);
} // namespace detail

// Comparisons are written so that a NaN goes through, as in torch, and so that compilers see the
// vector minimum and maximum in them.

/// max(x, 0); NaN for NaN.
template <typename T> MPAR_HOST_DEVICE inline T relu(T x) { return x < T(0) ? T(0) : x; }

/// x where x is positive, else x · slope.
template <typename T> MPAR_HOST_DEVICE inline T leaky_relu(T x, detail::same<T> slope) {
  return x > T(0) ? x : x * slope;
}

/// The smaller of two; NaN where either is.
template <typename T> MPAR_HOST_DEVICE inline T minimum(T a, detail::same<T> b) {
  return a != a ? a : (a < b ? a : b);
}

/// The larger of two; NaN where either is.
template <typename T> MPAR_HOST_DEVICE inline T maximum(T a, detail::same<T> b) {
  return a != a ? a : (a > b ? a : b);
}

/// min(max(x, lo), hi); NaN for a NaN x.
template <typename T> MPAR_HOST_DEVICE inline T clamp(T x, detail::same<T> lo, detail::same<T> hi) {
  const T above = x < lo ? lo : x;
  return above > hi ? hi : above;
}

/// −1, 0 or 1; NaN for NaN.
template <typename T> MPAR_HOST_DEVICE inline T sign(T x) {
  return x > T(0) ? T(1) : (x < T(0) ? T(-1) : x);
}

/// a − b · ⌊a / b⌋: zero or of the sign of b, as torch.remainder.
template <typename T> MPAR_HOST_DEVICE inline T remainder(T a, detail::same<T> b) {
  const T rest = std::fmod(a, b);
  return rest != T(0) && (rest < T(0)) != (b < T(0)) ? rest + b : rest;
}

/// The same of integers; 0 where b is, rather than a trap.
MPAR_HOST_DEVICE inline int32_t remainder(int32_t a, int32_t b) {
  if (b == 0 || b == -1)
    return 0;
  const int32_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/// 1 / √x.
template <typename T> MPAR_HOST_DEVICE inline T rsqrt(T x) { return T(1) / std::sqrt(x); }

/// xᵖ in the type of x. The powers that torch computes by other means round as they do there.
template <typename T, typename P> MPAR_HOST_DEVICE inline T pow(T x, P p) {
  if (p == P(2))
    return x * x;
  if (p == P(3))
    return x * x * x;
  if (p == P(0.5))
    return std::sqrt(x);
  if (p == P(-0.5))
    return T(1) / std::sqrt(x);
  if (p == P(-1))
    return T(1) / x;
  if (p == P(-2))
    return T(1) / (x * x);
  return std::pow(x, static_cast<T>(p));
}

/// 1 / (1 + e⁻ˣ).
template <typename T> MPAR_HOST_DEVICE inline T sigmoid(T x) { return T(1) / (T(1) + exp(-x)); }

/// x · sigmoid(x).
template <typename T> MPAR_HOST_DEVICE inline T silu(T x) { return x / (T(1) + exp(-x)); }

template <typename T> MPAR_HOST_DEVICE inline T silu_derivative(T x) {
  const T s = sigmoid(x);
  return s * (T(1) + x * (T(1) - s));
}

/// x · Φ(x), Φ the normal distribution function (Hendrycks and Gimpel, arXiv:1606.08415).
template <typename T> MPAR_HOST_DEVICE inline T gelu(T x) {
  if constexpr (std::is_same_v<T, float>)
    return x * normal_distribution(x).probability;
  else
    return x * T(0.5) * (T(1) + std::erf(x * detail::sqrt_half<T>));
}

/// Φ(x) + x · φ(x).
template <typename T> MPAR_HOST_DEVICE inline T gelu_derivative(T x) {
  const T at_zero = T(0.5) * detail::sqrt_two_over_pi<T>; // φ(0)
  if constexpr (std::is_same_v<T, float>) {
    const NormalDistribution normal = normal_distribution(x);
    return normal.probability + x * (normal.bell * at_zero);
  } else {
    const T distribution = T(0.5) * (T(1) + std::erf(x * detail::sqrt_half<T>));
    return distribution + x * (std::exp(x * x * T(-0.5)) * at_zero);
  }
}

/// The same paper's approximation of gelu by tanh.
template <typename T> MPAR_HOST_DEVICE inline T gelu_tanh(T x) {
  const T inner = detail::sqrt_two_over_pi<T> * (x + detail::gelu_cubic<T> * (x * x * x));
  return T(0.5) * x * (T(1) + tanh(inner));
}

template <typename T> MPAR_HOST_DEVICE inline T gelu_tanh_derivative(T x) {
  const T inner = detail::sqrt_two_over_pi<T> * (x + detail::gelu_cubic<T> * (x * x * x));
  const T inner_derivative =
      detail::sqrt_two_over_pi<T> * (T(1) + T(3) * detail::gelu_cubic<T> * (x * x));
  const T t = tanh(inner);
  return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * inner_derivative;
}

/// −(t · log p + (1 − t) · log(1 − p)) of a probability p and a target t, each logarithm at least
/// −100.
template <typename T> MPAR_HOST_DEVICE inline T binary_cross_entropy(T p, detail::same<T> t) {
  return (t - T(1)) * maximum(std::log1p(-p), T(-100)) - t * maximum(std::log(p), T(-100));
}

/// Its derivative in p.
template <typename T>
MPAR_HOST_DEVICE inline T binary_cross_entropy_derivative(T p, detail::same<T> t) {
  return (p - t) / maximum((T(1) - p) * p, T(1e-12));
}

namespace detail {
/// The finaliser of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014, with the constants of its variant 13 by Stafford.
MPAR_HOST_DEVICE inline uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
constexpr uint64_t golden_ratio = 0x9e3779b97f4a7c15ULL;
} // namespace detail

/// What an element is multiplied by under dropout with probability p: 0 or 1 / (1 − p).
///
/// The draw is output number `index` of a SplitMix64 generator whose seed is a hash of (seed, step,
/// key): a function of its arguments alone, so that neither the order nor the place of a
/// computation changes it. `key` names the call (layer path and call number), `index` the element
/// in the whole batch.
template <typename T>
MPAR_HOST_DEVICE inline T dropout_scale(uint64_t seed, uint64_t step, uint64_t key, int64_t index,
                                        T p) {
  using detail::mix;
  const uint64_t of_step = mix(mix(seed + detail::golden_ratio) ^ step);
  const uint64_t stream = mix((of_step + detail::golden_ratio) ^ key);
  const uint64_t bits = mix(stream + (static_cast<uint64_t>(index) + 1) * detail::golden_ratio);
  const T uniform = static_cast<T>(static_cast<int32_t>(bits >> 40)) * T(1.0 / 16777216);
  return uniform < p ? T(0) : T(1) / (T(1) - p);
}

} // namespace mpar
