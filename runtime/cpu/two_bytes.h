// Numbers of two bytes to floats, exactly, and back, each rounded once.
#pragma once

#include "mpar/low_precision.h"

#include <cstdint>

namespace mpar {

void widen(int64_t count, const bfloat16 *from, float *to);
void widen(int64_t count, const float16 *from, float *to);
void narrow(int64_t count, const float *from, bfloat16 *to);
void narrow(int64_t count, const float *from, float16 *to);

} // namespace mpar
