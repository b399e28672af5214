// Matrix products by kernels of our own, for processors with fused multiply-add on vectors.
#pragma once

#include <cstdint>

namespace mpar {

class Device;
enum class Store;

/// Products of no rows, or sums over none, which are 0: what a device of a group has of fewer rows
/// than there are devices. Does what there is to do, and says that it has.
bool finish_empty_product(Device &device, int64_t count, int64_t k, int64_t element_bytes, void *c,
                          Store store);
template <typename T>
bool finish_empty_product(Device &device, int64_t count, int64_t k, T *c, Store store) {
  return finish_empty_product(device, count, k, sizeof(T), c, store);
}

/// c[m, n] = epilogue(a · b): a's element (i, p) lies at i · a_row + p · a_depth, b's (p, j) at p ·
/// b_depth + j · b_column, c's (i, j) at i · c_row + j.
///
/// An element is the sum, in ascending order, of what blocks of `product_depth` terms add up to; a
/// block's sum is a chain of fused multiply-adds from zero, in ascending order. So it depends on
/// the operands and nothing else: not on m and n, the tile it falls into, the vectors' width,
/// addresses, or the number of threads.
struct Product {
  int64_t m, n, k;
  const float *a;
  int64_t a_row, a_depth;
  const float *b;
  int64_t b_depth, b_column;
  float *c;
  const float *bias = nullptr; // n values added to each row, or null
  bool rectify = false;        // then max(·, 0)
  const float *gate = nullptr; // then zero where this, of c's shape, is not above zero
  bool add = false;            // the blocks' sums are added to what c holds
  int64_t c_row = n;           // of the gate, too
};

constexpr int64_t product_depth = 256;

/// Columns that are packed side by side, zeros past the last; parts of a product begin at a
/// multiple of it.
constexpr int64_t panel_columns = 32;

/// Packed columns of b that a pass over a's rows works on: 512 KiB of a second cache.
constexpr int64_t block_columns = 512;

/// Floats that a kernel needs for such a part: one block of b.
inline int64_t product_scratch(const Product &product, int64_t columns) {
  const int64_t depth = product.k < product_depth ? product.k : product_depth;
  const int64_t width = (columns + panel_columns - 1) / panel_columns * panel_columns;
  return depth * (width < block_columns ? width : block_columns);
}

/// Products written for one set of instructions. Those of a single row are bound by memory; their
/// products are rounded before they are added, so that all sets, and plain code, give the same
/// bits.
struct ProductKernels {
  /// Computes rows [row_begin, row_end) and columns [column_begin, column_end), the latter
  /// beginning at a multiple of `panel_columns`. `scratch`: product_scratch(…) floats, aligned to
  /// 64 bytes. Null without fused multiply-add.
  void (*multiply)(const Product &, int64_t row_begin, int64_t row_end, int64_t column_begin,
                   int64_t column_end, float *scratch);
  /// y[j] = Σ_p x[p] · b[j, p] for n rows of k: each a sum of 16 partial sums (element p in number
  /// p mod 16, in ascending order) that are added by halves: i and i + 8, then i and i + 4, …
  void (*rows_times_vector)(int64_t n, int64_t k, const float *x, const float *b, float *y);
  /// y[j] = Σ_p x[p] · b[p, j] for k rows of n, in ascending order of p.
  void (*vector_times_rows)(int64_t n, int64_t k, const float *x, const float *b, float *y);
  /// c[i, j] = a[i] · b[j].
  void (*outer_product)(int64_t m, int64_t n, const float *a, const float *b, float *c);
};

namespace avx512 {
extern const ProductKernels *const kernels; // null where not compiled for
} // namespace avx512
namespace avx2 {
extern const ProductKernels *const kernels; // null where not compiled for
} // namespace avx2
namespace portable {
extern const ProductKernels kernels;
} // namespace portable

/// Whether this processor has what the kernels of the name are compiled for.
bool has_avx512();
bool has_avx2();

/// What products use: the best of them for the processor this runs on, unless told otherwise.
const ProductKernels &product_kernels();

/// Uses others from now on, which the processor must be able to run. For tests; not thread-safe.
void use_product_kernels(const ProductKernels &kernels);

} // namespace mpar
