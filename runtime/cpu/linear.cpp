// Matrix products.
#include "mpar/linear.h"

#include "backend.h"

#include "mpar/errors.h"
#include "mpar/reduce.h"
#include "mpar/scalar.h"
#include "multiversion.h"
#include "parallel.h"
#include "product.h"
#include "scratch.h"

#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <string>
#include <vector>

namespace mpar {
namespace {

MPAR_MULTIVERSION void add_bias(int64_t rows, int64_t n, const float *bias, bool rectify,
                                float *y) {
  for (int64_t i = 0; i < rows; ++i, y += n) {
    MPAR_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) {
      const float sum = bias ? y[j] + bias[j] : y[j];
      y[j] = rectify ? relu(sum) : sum;
    }
  }
}

MPAR_MULTIVERSION void apply_gate(int64_t count, const float *gate, float *y) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    y[i] = gate[i] > 0 ? y[i] : 0;
}

/// Floats a thread packs operands into.
float *packing(int64_t count) { return scratch(count, "a matrix product"); }

/// Multiplications below which a second thread costs more than it takes over.
constexpr int64_t smallest_shared = int64_t(1) << 20;

/// Runs our own kernel, the longer side of c cut where there are threads to share it.
void run_kernel(const Device &device, const ProductKernels &kernels, const Product &product) {
  const int64_t m = product.m;
  const int64_t n = product.n;
  if (device.threads() == 1 || m * n * product.k < smallest_shared)
    return kernels.multiply(product, 0, m, 0, n, packing(product_scratch(product, n)));
  if (m >= n)
    parallel_parts(device, m, 8, [&](int64_t begin, int64_t end) {
      kernels.multiply(product, begin, end, 0, n, packing(product_scratch(product, n)));
    });
  else
    parallel_parts(device, n, panel_columns, [&](int64_t begin, int64_t end) {
      kernels.multiply(product, 0, m, begin, end, packing(product_scratch(product, end - begin)));
    });
}

/// oneDNN's product, for processors that we have no kernel for.
void run_library(const Device &device, int64_t m, int64_t n, int64_t k, bool ta, bool tb,
                 const float *a, const float *b, float *c) {
  const ThreadCount count(device.threads());
  if (dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, a, ta ? m : k, b, tb ? k : n, 0, c,
                 n) != dnnl_success)
    fail("a matrix product of " + std::to_string(m) + " × " + std::to_string(k) + " × " +
         std::to_string(n) + " failed");
}

/// What is done to a product before it is stored, see Product.
struct Epilogue {
  const float *bias = nullptr;
  bool rectify = false;
  const float *gate = nullptr;
  bool add = false; // to what c holds; not with the others
};

void add_product(const Device &device, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
                 Transpose transpose_b, const float *a, const float *b, float *c);

/// c[m, n] = epilogue(op(a) · op(b)).
void product(const Device &device, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
             Transpose transpose_b, const float *a, const float *b, float *c,
             const Epilogue &epilogue) {
  const bool ta = transpose_a == Transpose::yes;
  const bool tb = transpose_b == Transpose::yes;
  const ProductKernels &kernels = product_kernels();
  if (kernels.multiply && ((k > 1 && m > 1) || epilogue.add))
    return run_kernel(device, kernels,
                      {m, n, k, a, ta ? 1 : k, ta ? m : 1, b, tb ? 1 : n, tb ? k : 1, c,
                       epilogue.bias, epilogue.rectify, epilogue.gate, epilogue.add});
  if (epilogue.add)
    return add_product(device, m, n, k, transpose_a, transpose_b, a, b, c);
  if (k == 1)
    kernels.outer_product(m, n, a, b, c);
  else if (m == 1 && tb)
    kernels.rows_times_vector(n, k, a, b, c);
  else if (m == 1)
    kernels.vector_times_rows(n, k, a, b, c);
  else
    run_library(device, m, n, k, ta, tb, a, b, c);
  const int64_t rows = std::max<int64_t>(1, 131072 / n);
  if (epilogue.bias || epilogue.rectify)
    parallel_parts(device, m, rows, [&](int64_t begin, int64_t end) {
      add_bias(end - begin, n, epilogue.bias, epilogue.rectify, c + begin * n);
    });
  if (epilogue.gate)
    parallel_parts(device, m, rows, [&](int64_t begin, int64_t end) {
      apply_gate((end - begin) * n, epilogue.gate + begin * n, c + begin * n);
    });
}

/// c += op(a) · op(b), where no kernel adds by itself: the product in memory of its own first.
void add_product(const Device &device, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
                 Transpose transpose_b, const float *a, const float *b, float *c) {
  std::vector<float> apart(m * n);
  product(device, m, n, k, transpose_a, transpose_b, a, b, apart.data(), {});
  for (int64_t i = 0; i < m * n; ++i)
    c[i] += apart[i];
}

} // namespace

bool finish_empty_product(Device &device, int64_t count, int64_t k, int64_t element_bytes, void *c,
                          Store store) {
  if (count > 0 && k > 0)
    return false;
  // Zeros of any type are bytes that are zero.
  if (count > 0 && store == Store::overwrite)
    fill(device, count * element_bytes, false, static_cast<bool *>(c));
  return true;
}

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float *x,
            const float *weight, const float *bias, Activation activation, float *y) {
  if (finish_empty_product(device, rows * out, in, y, Store::overwrite))
    return;
  if (Backend *const backend = device.backend())
    return backend->multiply(device,
                             {Real::f32, Real::f32, 1, rows, out, in, Transpose::no, Transpose::yes,
                              x, weight, y, bias, activation == Activation::relu});
  product(device, rows, out, in, Transpose::no, Transpose::yes, x, weight, y,
          {bias, activation == Activation::relu, nullptr});
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float *a, const float *b, float *c, Store store,
            const float *gate) {
  if (finish_empty_product(device, batch * m * n, k, c, store))
    return;
  if (Backend *const backend = device.backend())
    return backend->multiply(device, {Real::f32, Real::f32, batch, m, n, k, transpose_a,
                                      transpose_b, a, b, c, nullptr, false, store, gate});
  // Threads share out the matrices where these are many and small, else each of them.
  const int64_t grain = std::max<int64_t>(1, smallest_shared / std::max<int64_t>(1, m * n * k));
  parallel_parts(device, batch, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      product(device, m, n, k, transpose_a, transpose_b, a + i * m * k, b + i * k * n,
              c + i * m * n,
              {nullptr, false, gate ? gate + i * m * n : nullptr, store == Store::add});
  });
}

} // namespace mpar
