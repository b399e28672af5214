// Rounding of what attention multiplies. Included by attention.cpp alone.
#pragma once

#include "mpar/attention.h"
#include "mpar/low_precision.h"

#include "multiversion.h"

#include <cstdint>

namespace mpar {
namespace {

/// x rounded to T, the same bits as by way of a T; float leaves it as it is. The lanes of a vector
/// stay as wide as they are, which takes half as long for bfloat16, and a tenth for float16.
template <typename T> MPAR_INLINE float rounded(float x) { return x; }

template <> MPAR_INLINE float rounded<bfloat16>(float x) {
  const uint32_t whole = detail::bits_of(x);
  const uint32_t nearest = whole + 0x7fffu + ((whole >> 16) & 1u);
  return detail::float_of((x != x ? whole | 0x400000u : nearest) & 0xffff0000u);
}

template <> MPAR_INLINE float rounded<float16>(float x) {
  const uint32_t whole = detail::bits_of(x);
  const uint32_t sign = whole & 0x80000000u, magnitude = whole & 0x7fffffffu;
  // Below 2⁻¹⁴ the step is 2⁻²⁴, that of 0.5.
  const uint32_t small = detail::bits_of(detail::float_of(magnitude) + 0.5f - 0.5f);
  const uint32_t normal = (magnitude + 0xfffu + ((magnitude >> 13) & 1u)) & ~0x1fffu;
  // Masked, as a choice would have the sum computed where it is chosen alone, lane by lane.
  const uint32_t is_small = 0u - uint32_t(magnitude < (113u << 23));
  uint32_t result = (small & is_small) | (normal & ~is_small);
  result = magnitude >= 0x477ff000u ? 0x7f800000u : result; // from 65520 on
  result = magnitude > 0x7f800000u ? 0x7fc00000u : result;
  return detail::float_of(sign | result);
}

template <typename T>
MPAR_INLINE void round_rows(int64_t rows, int64_t columns, const float *from, int64_t step,
                            float *to) {
  for (int64_t i = 0; i < rows; ++i, from += step, to += columns) {
    MPAR_INDEPENDENT
    for (int64_t j = 0; j < columns; ++j)
      to[j] = rounded<T>(from[j]);
  }
}

/// `to`, contiguous, are the rows rounded.
MPAR_MULTIVERSION void round_rows(Rounding rounding, int64_t rows, int64_t columns,
                                  const float *from, int64_t step, float *to) {
  if (rounding == Rounding::bf16)
    round_rows<bfloat16>(rows, columns, from, step, to);
  else if (rounding == Rounding::f16)
    round_rows<float16>(rows, columns, from, step, to);
}

} // namespace
} // namespace mpar
