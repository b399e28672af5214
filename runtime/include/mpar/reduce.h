// Reductions, softmax and argmax. The order of every sum is fixed by the sizes alone: blocks of
// fixed length along the reduced elements, so that neither placement nor the width of the
// processor's vectors changes a bit.
#pragma once

#include "mpar/device.h"
#include "mpar/low_precision.h"
#include "mpar/shape.h"

#include <cstdint>

namespace mpar {

enum class Reduction { sum, mean, maximum, minimum };

/// Reduces x, contiguous with extents `shape`, over the dimensions whose bit is set in `dimensions`
/// (bit 0: dimension 0); y is contiguous over the remaining ones. The mean divides the sum by the
/// number of elements summed. With `Store::add` the result, of sum or mean, is added to y.
void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
            const float *x, float *y, Store store = Store::overwrite);
/// The same of integers, exact; a sum beyond 32 bits wraps. Not the mean.
void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
            const int32_t *x, int32_t *y, Store store = Store::overwrite);
/// y[j] = Σ x[i, j] over i, for x [rows, columns] contiguous: what `reduce` gives of the same
/// numbers in f32, bit for bit. `Store::add` adds it to y. T: bfloat16 or float16.
template <typename T>
void sum_rows(Device &device, int64_t rows, int64_t columns, const T *x, float *y,
              Store store = Store::overwrite);

/// y = softmax(x) and log(softmax(x)) along the middle of [outer, extent, inner], contiguous. `y`
/// may be `x`.
void softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
             float *y);
void log_softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
                 float *y);

/// The position of the first largest element along the middle of [outer, extent, inner]; a NaN
/// counts as largest. T: float or int32_t.
template <typename T>
void argmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const T *x, int32_t *y);

/// Copies a tensor of extents `shape` between any two strides (in elements): slices, permutations,
/// the parts of a concatenation. T: float, int32_t or bool.
template <typename T>
void copy(Device &device, const Shape &shape, const T *x, const Strides &x_strides, T *y,
          const Strides &y_strides);

/// Sets `count` elements.
template <typename T> void fill(Device &device, int64_t count, T value, T *y);

} // namespace mpar
