// e to the x as a few additions and multiplications, which compilers turn into vectors of any
// width: the same bits in each.
#pragma once

#include "multiversion.h"

#include <cstdint>
#include <cstring>

namespace mpar {

/// eˣ for x up to 88, within 2 units in the last place; 0 below −87.3, where the result would be
/// denormal; NaN for NaN.
///
/// x = n · log 2 + r with |r| ≤ log(2) / 2: eˣ = 2ⁿ · eʳ. eʳ by its Taylor series, whose next term
/// is below 6e-9 there; log 2 in two parts, of which the first times n is exact (Cody and Waite,
/// "Software Manual for the Elementary Functions", 1980).
MPAR_INLINE float exponential(float x) {
  const float shift = 12582912.0f; // 1.5 · 2²³: adding it rounds to an integer, in the low bits
  const float shifted = x * 1.44269504088896341f + shift;
  const float n = shifted - shift;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float series = 1.0f / 5040;
  series = series * r + 1.0f / 720;
  series = series * r + 1.0f / 120;
  series = series * r + 1.0f / 24;
  series = series * r + 1.0f / 6;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  // The exponent's field: what lies above the shift's own bits falls out on the left.
  bits = static_cast<int32_t>((static_cast<uint32_t>(bits) + 127u) << 23);
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return x < -87.3f ? 0.0f : series * power;
}

} // namespace mpar
