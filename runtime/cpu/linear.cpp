// Matrix products.
#include "mpar/linear.h"

#include "mpar/errors.h"
#include "mpar/scalar.h"
#include "multiversion.h"
#include "parallel.h"

#include <oneapi/dnnl/dnnl.h>

namespace mpar {
namespace {

constexpr int64_t lanes = 16;

/// y[j] = Σ_p x[p] · b[j, p]: each a sum of 16 partial sums (element p in number p mod 16) that are
/// added by halves.
MPAR_MULTIVERSION void rows_times_vector(int64_t n, int64_t k, const float *x, const float *b,
                                         float *y) {
  for (int64_t j = 0; j < n; ++j, b += k) {
    float partial[lanes] = {};
    int64_t p = 0;
    for (; p + lanes <= k; p += lanes)
      for (int64_t lane = 0; lane < lanes; ++lane)
        partial[lane] += x[p + lane] * b[p + lane];
    for (int64_t lane = 0; p + lane < k; ++lane)
      partial[lane] += x[p + lane] * b[p + lane];
    for (int64_t half = lanes / 2; half > 0; half /= 2)
      for (int64_t lane = 0; lane < half; ++lane)
        partial[lane] += partial[lane + half];
    y[j] = partial[0];
  }
}

/// y[j] = Σ_p x[p] · b[p, j], in ascending order of p.
MPAR_MULTIVERSION void vector_times_rows(int64_t n, int64_t k, const float *x, const float *b,
                                         float *y) {
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

/// c[i, j] = a[i] · b[j].
MPAR_MULTIVERSION void outer_product(int64_t m, int64_t n, const float *a, const float *b,
                                     float *c) {
  for (int64_t i = 0; i < m; ++i, c += n) {
    MPAR_INDEPENDENT
    for (int64_t j = 0; j < n; ++j)
      c[j] = a[i] * b[j];
  }
}

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

/// Sets the number of OpenMP's threads for a call of oneDNN, and sets it back.
class ThreadCount {
public:
  explicit ThreadCount(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  ThreadCount(const ThreadCount &) = delete;
  ThreadCount &operator=(const ThreadCount &) = delete;
  ~ThreadCount() { omp_set_num_threads(before_); }

private:
  int before_;
};

/// One product, c[m, n] = op(a) · op(b).
void product(const Device &device, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
             Transpose transpose_b, const float *a, const float *b, float *c) {
  if (k == 1)
    return outer_product(m, n, a, b, c);
  if (m == 1 && transpose_b == Transpose::yes)
    return rows_times_vector(n, k, a, b, c);
  if (m == 1)
    return vector_times_rows(n, k, a, b, c);
  const ThreadCount count(device.threads());
  const bool ta = transpose_a == Transpose::yes;
  const bool tb = transpose_b == Transpose::yes;
  if (dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, a, ta ? m : k, b, tb ? k : n, 0, c,
                 n) != dnnl_success)
    fail("a matrix product of " + std::to_string(m) + " × " + std::to_string(k) + " × " +
         std::to_string(n) + " failed");
}

} // namespace

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float *x,
            const float *weight, const float *bias, Activation activation, float *y) {
  product(device, rows, out, in, Transpose::no, Transpose::yes, x, weight, y);
  const bool rectify = activation == Activation::relu;
  if (!bias && !rectify)
    return;
  parallel_parts(device, rows, std::max<int64_t>(1, 16384 / out), [&](int64_t begin, int64_t end) {
    add_bias(end - begin, out, bias, rectify, y + begin * out);
  });
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float *a, const float *b, float *c) {
  for (int64_t i = 0; i < batch; ++i)
    product(device, m, n, k, transpose_a, transpose_b, a + i * m * k, b + i * k * n, c + i * m * n);
}

} // namespace mpar
