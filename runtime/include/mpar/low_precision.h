// Numbers of two bytes. They store; everything is computed in float.
#pragma once

#include "mpar/scalar.h"

#include <cstdint>
#include <cstring>

namespace mpar {

namespace detail {
MPAR_HOST_DEVICE inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
MPAR_HOST_DEVICE inline float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
} // namespace detail

struct float16;

/// A float without its lower 16 bits: 8 bits of exponent, 7 of mantissa.
struct bfloat16 {
  uint16_t bits;

  bfloat16() = default;
  /// Rounds to nearest, ties to even; a NaN stays one.
  MPAR_HOST_DEVICE explicit bfloat16(float x) {
    const uint32_t whole = detail::bits_of(x);
    const uint32_t rounded = (whole + 0x7fffu + ((whole >> 16) & 1u)) >> 16;
    bits = static_cast<uint16_t>(x != x ? (whole >> 16) | 0x40u : rounded);
  }
  MPAR_HOST_DEVICE explicit bfloat16(float16 x);
  MPAR_HOST_DEVICE explicit operator float() const {
    return detail::float_of(static_cast<uint32_t>(bits) << 16);
  }
};

/// IEEE 754's binary16: 5 bits of exponent, 10 of mantissa.
struct float16 {
  uint16_t bits;

  float16() = default;
  /// Rounds to nearest, ties to even; what is too large becomes infinite, a NaN stays one.
  MPAR_HOST_DEVICE explicit float16(float x);
  MPAR_HOST_DEVICE explicit float16(bfloat16 x) : float16(static_cast<float>(x)) {}
  MPAR_HOST_DEVICE explicit operator float() const;
};

MPAR_HOST_DEVICE inline float16::float16(float x) {
  const uint32_t whole = detail::bits_of(x);
  const uint32_t sign = (whole >> 16) & 0x8000u;
  const uint32_t magnitude = whole & 0x7fffffffu;
  // Below 2⁻¹⁴ the step is 2⁻²⁴: adding 0.5, whose own step that is, rounds the way the mode says.
  const uint32_t small =
      detail::bits_of(detail::float_of(magnitude) + 0.5f) - detail::bits_of(0.5f);
  // The exponent's offset goes from 127 to 15, the mantissa from 23 bits to 10.
  const uint32_t normal =
      (magnitude - ((127u - 15u) << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  uint32_t result = magnitude < (113u << 23) ? small : normal;
  result = magnitude >= 0x477ff000u ? 0x7c00u : result; // from 65520 on
  result = magnitude > 0x7f800000u ? 0x7e00u : result;
  bits = static_cast<uint16_t>(sign | result);
}

MPAR_HOST_DEVICE inline float16::operator float() const {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  // A number below 2⁻¹⁴ is so many steps of 2⁻²⁴.
  const uint32_t small =
      detail::bits_of(static_cast<float>(static_cast<int32_t>(magnitude)) * (1.0f / 16777216.0f));
  const uint32_t normal = (magnitude << 13) + ((127u - 15u) << 23);
  const uint32_t special = (magnitude << 13) | 0x7f800000u;
  const uint32_t result = magnitude < 0x400u ? small : magnitude < 0x7c00u ? normal : special;
  return detail::float_of(sign | result);
}

MPAR_HOST_DEVICE inline bfloat16::bfloat16(float16 x) : bfloat16(static_cast<float>(x)) {}

} // namespace mpar
