// Sums, products and extremes of a row whose order of evaluation is fixed, so that a result depends
// on the row alone and not on the width of the processor's vectors.
#pragma once

#include "multiversion.h"

#include <cstdint>

namespace mpar {

/// Element i of `count` goes into the partial result number i mod `lanes`, in ascending order, by
/// partial = step(partial, i), each from `start`; these are then merged by halves: i and i + lanes
/// / 2, then i and i + lanes / 4, …. `lanes` is a power of two.
template <int64_t lanes, typename Step, typename Merge>
MPAR_INLINE float fold_lanes(int64_t count, float start, const Step &step, const Merge &merge) {
  float partial[lanes];
  for (int64_t lane = 0; lane < lanes; ++lane)
    partial[lane] = start;
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      partial[lane] = step(partial[lane], i + lane);
  for (int64_t lane = 0; i + lane < count; ++lane)
    partial[lane] = step(partial[lane], i + lane);
  for (int64_t half = lanes / 2; half > 0; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane)
      partial[lane] = merge(partial[lane], partial[lane + half]);
  return partial[0];
}

/// The sum of value(i) for i in [0, count), in that order.
template <int64_t lanes, typename Value>
MPAR_INLINE float sum_lanes(int64_t count, const Value &value) {
  return fold_lanes<lanes>(
      count, 0.0f, [&](float partial, int64_t i) { return partial + value(i); },
      [](float a, float b) { return a + b; });
}

} // namespace mpar
