// Maxima and means under a moving window, and their gradients.
#pragma once

#include "mpar/device.h"
#include "mpar/shape.h"

#include <cstdint>

namespace mpar {

/// Of contiguous tensors x [planes, extents…] and y [planes, positions…], over one to three
/// dimensions: the window moves by `stride` over x and `padding` on both sides of it, at most half
/// of the window, so that each window meets x. `ceil`: where it does not fit a whole number of
/// times, it also stands where only a part of it does, if it begins within x or the padding before.
struct Pooling {
  Shape extents, kernel, stride, padding;
  bool ceil = false;

  /// How often the window fits: (extent + 2 padding - kernel) / stride + 1, rounded up with `ceil`.
  Shape positions() const;
};

/// y: the largest element of x under each window, the first of equal ones, a NaN above all; and its
/// number within its plane of x.
void max_pool(Device &device, int64_t planes, const Pooling &pooling, const float *x, float *y,
              int32_t *positions);

/// dx [planes, size] from `gradient`, that of y [planes, windows], and the positions that
/// `max_pool` gave: the sum, in the order of the windows, over those in which the element was the
/// largest.
void max_pool_gradient(Device &device, int64_t planes, int64_t windows, int64_t size,
                       const float *gradient, const int32_t *positions, float *dx);

/// Whether a mean's divisor counts the part of a window that lies in the padding.
enum class CountPadding { no, yes };

/// y: the mean of the elements of x under each window.
void avg_pool(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
              const float *x, float *y);

/// dx from `gradient`, that of y.
void avg_pool_gradient(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
                       const float *gradient, float *dx);

} // namespace mpar
