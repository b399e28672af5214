#pragma once
#include "mpar/extern.h"

#include <array>
#include <cmath>

inline float swish(float x) { return x / (1 + std::exp(-x)); }
inline float swish_grad(float x) {
  const float s = 1 / (1 + std::exp(-x));
  return s * (1 + x * (1 - s));
}
inline float square(float x) { return x * x; }
inline double precise(double x) { return x; }
inline double precise_grad(float x) { return x; }
template <class T> __host__ __device__ T twice(T x) { return x + x; }
constexpr int table = 3;

namespace my {
inline float gate(float a, const float &b, bool open = true) { return open ? a * b : b; }
inline std::array<float, 2> gate_grad(float a, float b) { return {b, a}; }
inline int32_t half(int32_t x) { return x / 2; }
inline float nine(float a, float b, float c, float d, float e, float f, float g, float h, float i) {
  return a + b + c + d + e + f + g + h + i;
}
inline void scale(mpar::Device &, mpar::View<const float> x, mpar::View<const float> gain,
                  mpar::View<float> y) {
  for (int64_t i = 0; i < x.count(); ++i)
    y.data[i] = x.data[i] * gain.data[i % gain.count()];
}
inline void forgotten(mpar::View<const float> x, mpar::View<float> y) { y.data[0] = x.data[0]; }
} // namespace my
