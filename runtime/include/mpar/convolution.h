// Convolutions over one to three dimensions, and their gradients.
#pragma once

#include "mpar/device.h"
#include "mpar/shape.h"

#include <cstdint>

namespace mpar {

/// Of contiguous tensors x [rows, in, extents…], weight [out, in / groups, kernel…] and y [rows,
/// out, positions…]. x is padded with zeros on both sides; the kernel, its elements `dilation`
/// apart, moves by `stride`; `groups` divides `in` and `out`, and output channels of group i see
/// the input channels of group i. All sizes are at least 1, but for the padding.
struct Convolution {
  int64_t in, out, groups;
  Shape extents, kernel, stride, padding, dilation;

  /// How often the kernel fits: (extent + 2 padding - dilation (kernel - 1) - 1) / stride + 1.
  Shape positions() const;
};

/// y: the sums of products of the kernel with what lies under it. A row of y depends on that of x
/// and the weight alone: not on what else is in the batch, nor on the number of threads.
void conv(Device &device, int64_t rows, const Convolution &convolution, const float *x,
          const float *weight, float *y);

/// dx, the gradient of x, from `gradient`, that of y; a row depends on that of `gradient` and the
/// weight alone.
void conv_input_gradient(Device &device, int64_t rows, const Convolution &convolution,
                         const float *gradient, const float *weight, float *dx);

/// dweight, the gradient of the weight: the sum over the rows, in ascending order, of what each
/// gives, or a few where they are small; with several threads, over the rows of each, then over
/// these. With `Store::add` it is added to what is there.
void conv_weight_gradient(Device &device, int64_t rows, const Convolution &convolution,
                          const float *gradient, const float *x, float *dweight,
                          Store store = Store::overwrite);

} // namespace mpar
