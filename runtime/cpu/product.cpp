// Products in plain code, and which kernels the processor can run.
#include "product.h"

#include "fold_lanes.h"

namespace mpar {
namespace portable {
namespace {

constexpr int64_t lanes = 16;

void rows_times_vector(int64_t n, int64_t k, const float *x, const float *b, float *y) {
  for (int64_t j = 0; j < n; ++j, b += k)
    y[j] = sum_lanes<lanes>(k, [&](int64_t p) { return x[p] * b[p]; });
}

void vector_times_rows(int64_t n, int64_t k, const float *x, const float *b, float *y) {
  for (int64_t j = 0; j < n; ++j)
    y[j] = 0;
  int64_t p = 0;
  for (; p + 4 <= k; p += 4, b += 4 * n) {
    const float x0 = x[p], x1 = x[p + 1], x2 = x[p + 2], x3 = x[p + 3];
    MPAR_INDEPENDENT
    for (int64_t j = 0; j < n; ++j)
      y[j] = (((y[j] + x0 * b[j]) + x1 * b[n + j]) + x2 * b[2 * n + j]) + x3 * b[3 * n + j];
  }
  for (; p < k; ++p, b += n) {
    MPAR_INDEPENDENT
    for (int64_t j = 0; j < n; ++j)
      y[j] += x[p] * b[j];
  }
}

void outer_product(int64_t m, int64_t n, const float *a, const float *b, float *c) {
  for (int64_t i = 0; i < m; ++i, c += n) {
    MPAR_INDEPENDENT
    for (int64_t j = 0; j < n; ++j)
      c[j] = a[i] * b[j];
  }
}

} // namespace

const ProductKernels kernels{nullptr, rows_times_vector, vector_times_rows, outer_product};

} // namespace portable

#if defined(__x86_64__)
bool has_avx512() { return __builtin_cpu_supports("avx512f") && has_avx2(); }
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
bool has_avx512() { return false; }
bool has_avx2() { return false; }
#endif

namespace {

const ProductKernels *&chosen() {
  static const ProductKernels *kernels = avx512::kernels && has_avx512() ? avx512::kernels
                                         : avx2::kernels && has_avx2()   ? avx2::kernels
                                                                         : &portable::kernels;
  return kernels;
}

} // namespace

const ProductKernels &product_kernels() { return *chosen(); }

void use_product_kernels(const ProductKernels &kernels) { chosen() = &kernels; }

} // namespace mpar
