#pragma once
#include "mpar/extern.h"

#include <array>

namespace my {
inline float gate(float a, float b) { return a * b; }
inline std::array<float, 2> gate_grad(float a, float b) { return {b, a}; }
void roll(mpar::Device &device, mpar::View<const float> x, mpar::View<float> y);
void roll_grad(mpar::Device &device, mpar::View<const float> x, mpar::View<const float> g,
               mpar::View<float> dx);
} // namespace my
