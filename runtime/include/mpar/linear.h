// Matrix products. Which kernel computes one, and so how it rounds, follows from its sizes alone.
#pragma once

#include "mpar/device.h"
#include "mpar/low_precision.h"

#include <cstdint>

namespace mpar {

enum class Activation { none, relu };

/// y = activation(x · weightᵀ + bias): x [rows, in], weight [out, in], bias [out] or null, y [rows,
/// out], all contiguous. Bit for bit the same as the product, the addition and the activation
/// apart.
void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float *x,
            const float *weight, const float *bias, Activation activation, float *y);

/// Whether an operand of a product is read transposed.
enum class Transpose { no, yes };

/// c[i] = op(a[i]) · op(b[i]) for `batch` matrices: op(a) is [m, k], op(b) [k, n], c [m, n],
/// row-major, contiguous; operands that are transposed are stored [k, m] and [n, k]. With `batch` 1
/// the plain product. With `Store::add` the product, in blocks of 256 terms of its sums, is added
/// to c. `gate`, of c's shape, or null: c is zero where it is not above zero, bit for bit as if
/// chosen afterwards; the gradient of ReLU from its result, without a pass of its own. Not with
/// `Store::add`.
void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float *a, const float *b, float *c,
            Store store = Store::overwrite, const float *gate = nullptr);

/// The same with operands of less precision: exact products, summed in float.
/// By oneDNN in bfloat16 where the processor computes with it (AMX, AVX-512), else with operands
/// converted to float.
void linear(Device &device, int64_t rows, int64_t in, int64_t out, const bfloat16 *x,
            const bfloat16 *weight, const float *bias, Activation activation, float *y);
void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float16 *x,
            const float16 *weight, const float *bias, Activation activation, float *y);
void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const bfloat16 *a, const bfloat16 *b, float *c,
            Store store = Store::overwrite);
void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float16 *a, const float16 *b, float *c,
            Store store = Store::overwrite);

/// The same with results of that precision too: rounded once, after bias and activation.
void linear(Device &device, int64_t rows, int64_t in, int64_t out, const bfloat16 *x,
            const bfloat16 *weight, const bfloat16 *bias, Activation activation, bfloat16 *y);
void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float16 *x,
            const float16 *weight, const float16 *bias, Activation activation, float16 *y);
void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const bfloat16 *a, const bfloat16 *b, bfloat16 *c);
void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float16 *a, const float16 *b, float16 *c);

} // namespace mpar
