// Sums, products and extremes of a row whose order of evaluation is fixed, so that a result depends
// on the row alone and not on the width of the processor's vectors.
#pragma once

#include "multiversion.h"

#include <cstdint>
#include <cstring>

namespace mpar {

/// Element i of `count` goes into the partial result number i mod `lanes`, in ascending order, by
/// partial = step(partial, i).
template <int64_t lanes, typename Step>
MPAR_INLINE void fold_into_lanes(int64_t count, const Step &step, float (&partial)[lanes]) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      partial[lane] = step(partial[lane], i + lane);
  for (int64_t lane = 0; i + lane < count; ++lane)
    partial[lane] = step(partial[lane], i + lane);
}

/// The fold of all: the partial results, each from `start`, merged by halves: i and i + lanes / 2,
/// then i and i + lanes / 4, …. `lanes` is a power of two.
template <int64_t lanes, typename Step, typename Merge>
MPAR_INLINE float fold_lanes(int64_t count, float start, const Step &step, const Merge &merge) {
  float partial[lanes];
  for (int64_t lane = 0; lane < lanes; ++lane)
    partial[lane] = start;
  fold_into_lanes<lanes>(count, step, partial);
  for (int64_t half = lanes / 2; half > 0; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane)
      partial[lane] = merge(partial[lane], partial[lane + half]);
  return partial[0];
}

/// The sum of value(i) for i in [0, count), in that order.
template <int64_t lanes, typename Value>
MPAR_INLINE float sum_lanes(int64_t count, const Value &value) {
  static_assert(lanes == 16, "halves are written out");
  float partial[lanes] = {};
  fold_into_lanes<lanes>(count, [&](float sum, int64_t i) { return sum + value(i); }, partial);
  // As vectors, for what compilers make of the loops over halves goes through memory.
  using Eight = float __attribute__((vector_size(32)));
  Eight low, high;
  std::memcpy(&low, partial, sizeof low);
  std::memcpy(&high, partial + 8, sizeof high);
  const Eight eight = low + high;
  const Eight four = eight + __builtin_shufflevector(eight, eight, 4, 5, 6, 7, 4, 5, 6, 7);
  const Eight two = four + __builtin_shufflevector(four, four, 2, 3, 2, 3, 2, 3, 2, 3);
  return two[0] + two[1];
}

} // namespace mpar
