// Layer and RMS normalization, each way one pass over memory.
#pragma once

#include "mpar/device.h"

#include <cstdint>

namespace mpar {

/// y = (x - mean) · scale · weight + bias for each of `rows` rows of `size` elements, with scale =
/// 1 / √(variance + eps) and the variance of all elements. `weight` and `bias`, of `size`, may be
/// null; `mean` and `scale` get a value a row. A row's results depend on nothing but the row.
void layer_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                const float *weight, const float *bias, float *y, float *mean, float *scale);

/// The gradients of x, weight and bias from `gradient`, that of y, and what `layer_norm` gave.
/// `dweight` and `dbias` are sums over the rows, in blocks of 64, the blocks' sums in double; with
/// `Store::add` they are added to what is there.
void layer_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                         const float *x, const float *mean, const float *scale, const float *weight,
                         float *dx, float *dweight, float *dbias, Store store = Store::overwrite);

/// y = x · scale · weight with scale = 1 / √(mean of x² + eps): otherwise as `layer_norm`.
void rms_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
              const float *weight, float *y, float *scale);

/// The gradients of x and weight.
void rms_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                       const float *x, const float *scale, const float *weight, float *dx,
                       float *dweight, Store store = Store::overwrite);

} // namespace mpar
