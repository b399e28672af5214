// The exponential function and what is made of it, for floats: a few additions, multiplications and
// at most one division, which compilers turn into vectors of any width. The same bits in each, as
// every operation is rounded by itself, and the same on any processor.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef __CUDACC__
#define MPAR_HOST_DEVICE __host__ __device__
#else
#define MPAR_HOST_DEVICE
#endif

// Inlined whatever the caller is compiled for, so that its loop can become one of vectors.
#define MPAR_ALWAYS_INLINE MPAR_HOST_DEVICE inline __attribute__((always_inline))

namespace mpar {
namespace detail {

/// x = n · log 2 + r with |r| ≤ log(2) / 2, and eʳ.
struct SplitExponential {
  float of_rest; // eʳ
  int32_t n;
};

/// For |x| up to 104. log 2 is taken in two parts, of which the first times n is exact (Cody and
/// Waite, "Software Manual for the Elementary Functions", 1980); eʳ = 1 + r + r² · q(r), q the
/// polynomial of least relative error.
MPAR_ALWAYS_INLINE SplitExponential split_exponential(float x) {
  const float shift = 12582912.0f; // 1.5 · 2²³: adding it rounds to an integer, in the low bits
  const float shifted = x * 1.44269504088896341f + shift;
  const float n = shifted - shift;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float q = 0.00139012829f;
  q = q * r + 0.00836316212f;
  q = q * r + 0.0416668538f;
  q = q * r + 0.166665772f;
  q = q * r + 0.499999996f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  return {1.0f + (r + r * r * q), static_cast<int32_t>(bits - 0x4b400000u)}; // less those of shift
}

/// 2ⁿ for n in [−126, 127].
MPAR_ALWAYS_INLINE float power_of_two(int32_t n) {
  const uint32_t bits = (static_cast<uint32_t>(n) + 127u) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return power;
}

} // namespace detail

/// eˣ for x up to 88, within 1 unit in the last place; 0 below −87.3, where the result would be
/// denormal; NaN for NaN.
MPAR_ALWAYS_INLINE float exponential(float x) {
  const detail::SplitExponential split = detail::split_exponential(x);
  return x < -87.3f ? 0.0f : split.of_rest * detail::power_of_two(split.n);
}

/// eˣ, within 1 unit in the last place.
MPAR_ALWAYS_INLINE float exp(float x) {
  const float above = x < -104.0f ? -104.0f : x; // e⁻¹⁰⁴ rounds to 0, e⁸⁹ to infinity
  const detail::SplitExponential split = detail::split_exponential(above > 89.0f ? 89.0f : above);
  // In two factors, for 2ⁿ alone may be out of range where the result is not.
  const int32_t half = split.n >> 1;
  return split.of_rest * detail::power_of_two(half) * detail::power_of_two(split.n - half);
}
/// A template, so that emitted code, which uses this namespace, can still call the C library's:
/// what nvcc adds to it does.
template <typename T, std::enable_if_t<std::is_same_v<T, double>, int> = 0> T exp(T x) {
  return std::exp(x);
}

/// tanh x, within 2 units in the last place: x + x³ · p(x²) near zero, 1 − 2 / (e²ˣ + 1) further
/// out.
MPAR_ALWAYS_INLINE float tanh(float x) {
  const float magnitude = std::abs(x);
  const float square = x * x;
  float p = -0.00609003102f;
  p = p * square + 0.0209926018f;
  p = p * square + -0.0538499498f;
  p = p * square + 0.133327635f;
  p = p * square + -0.333333289f;
  const float near = magnitude + magnitude * square * p;
  const float bounded = magnitude > 10.0f ? 10.0f : magnitude; // tanh 10 rounds to 1
  const float far = 1.0f - 2.0f / (exponential(bounded + bounded) + 1.0f);
  return std::copysign(magnitude < 0.625f ? near : far, x);
}
template <typename T, std::enable_if_t<std::is_same_v<T, double>, int> = 0> T tanh(T x) {
  return std::tanh(x);
}

/// Φ(x), the normal distribution function, and e^(−x²/2), to which its density is proportional.
struct NormalDistribution {
  float probability;
  float bell;
};

/// Φ(x) within 3 units in the last place above −1/2; below, where it is e^(−x²/2) · p(|x|) /
/// q(|x|), within 4 and as many times x² of them, for x² is rounded. p / q is the quotient of least
/// relative error, 5e-9; all of its coefficients are positive, so that no rounding is enlarged.
MPAR_ALWAYS_INLINE NormalDistribution normal_distribution(float x) {
  const float bell = exponential(x * x * -0.5f);
  const float magnitude = std::abs(x);
  const float a = magnitude > 14.0f ? 14.0f : magnitude; // where the exponential is zero
  float p = 0.00402862255f;
  p = p * a + 0.0400413295f;
  p = p * a + 0.181476969f;
  p = p * a + 0.435917266f;
  p = p * a + 0.5f;
  float q = 0.0100981182f;
  q = q * a + 0.100376024f;
  q = q * a + 0.46482955f;
  q = q * a + 1.19519312f;
  q = q * a + 1.66971946f;
  q = q * a + 1.0f;
  const float tail = bell * (p / q);
  return {x < 0.0f ? tail : 1.0f - tail, bell};
}

} // namespace mpar
