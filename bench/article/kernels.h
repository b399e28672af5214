// The products of a linear layer y = relu(x * transpose(w) + bias) and of its gradients, for the
// yardstick.
//
// x is [rows, in], w [out, in], y [rows, out], all in row-major order without gaps; gradients are
// called dx, dw, dy. There are two implementations: kernels_avx512.cpp by hand, and
// kernels_onednn.cpp for processors without AVX-512. Nothing here allocates; all of it may be
// called from several threads at once.
#pragma once

#include <cstddef>

namespace yardstick {

/// Elements that pack() writes for w[out, in].
std::size_t packed_size(int out, int in);

/// Lays w[out, in] out as forward() reads it; once a step, not needed for steps of one row.
void pack(const float *w, int out, int in, float *packed);

/// y = x * transpose(w) + bias, then max(y, 0) where `relu`. Reads `packed`, for a single row `w`.
void forward(const float *x, const float *w, const float *packed, const float *bias, int rows,
             int in, int out, bool relu, float *y);

/// dx = dy * w, zero where `gate` (of dx's shape) is not above zero: the gradient also of the ReLU
/// that made it.
void input_gradient(const float *dy, const float *w, const float *gate, int rows, int in, int out,
                    float *dx);

/// dw = transpose(dy) * x and dbias = the sums of dy's columns, or added to them where `add`.
void weight_gradient(const float *dy, const float *x, int rows, int in, int out, bool add,
                     float *dw, float *dbias);

} // namespace yardstick
