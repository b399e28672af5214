// The kernels written for one set of instructions against each other and plain code: the same bits.
#include "kernels.h"

#include "product.h"

using namespace mpar;
using namespace mpar::test;

namespace {

/// The sets this processor can run that multiply matrices.
std::vector<const ProductKernels *> sets() {
  std::vector<const ProductKernels *> sets = product_kernel_sets();
  sets.pop_back();
  return sets;
}

const int64_t sizes[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 129, 300};

std::vector<float> multiply(const ProductKernels &kernels, Product product, int64_t row,
                            int64_t column) {
  std::vector<float> c(product.m * product.n, NAN);
  product.c = c.data();
  // std::vector's own alignment is 16 bytes.
  std::vector<float> scratch(product_scratch(product, product.n) + 16);
  float *aligned = scratch.data();
  while (reinterpret_cast<uintptr_t>(aligned) % 64)
    ++aligned;
  // In four parts, as threads would.
  for (const auto &rows : {std::pair(int64_t(0), row), std::pair(row, product.m)})
    for (const auto &columns : {std::pair(int64_t(0), column), std::pair(column, product.n)})
      kernels.multiply(product, rows.first, rows.second, columns.first, columns.second, aligned);
  return c;
}

TEST(ProductKernels, MultiplyToTheSameBitsHoweverPartedAndOnAnyVectors) {
  if (sets().empty())
    GTEST_SKIP() << "this processor has no fused multiply-add";
  for (int64_t m : {1, 2, 13, 65})
    for (int64_t n : {1, 17, 33, 100, 600})
      for (int64_t k : {1, 5, 300, 513})
        for (bool ta : {false, true})
          for (bool tb : {false, true}) {
            const auto a = random_values(m * k, 1);
            const auto b = random_values(k * n, 2);
            const auto bias = random_values(n, 3);
            const auto gate = random_values(m * n, 4);
            const Product product{m,           n,        k,          a.data(),   ta ? 1 : k,
                                  ta ? m : 1,  b.data(), tb ? 1 : n, tb ? k : 1, nullptr,
                                  bias.data(), true,     gate.data()};
            // A chain of fused multiply-adds a block of 256, the blocks in ascending order.
            std::vector<float> expected(m * n);
            for (int64_t i = 0; i < m; ++i)
              for (int64_t j = 0; j < n; ++j) {
                float sum = 0;
                for (int64_t begin = 0; begin < k; begin += 256) {
                  float block = 0;
                  for (int64_t p = begin; p < std::min(k, begin + 256); ++p)
                    block = std::fma(a[ta ? p * m + i : i * k + p], b[tb ? j * k + p : p * n + j],
                                     block);
                  sum = begin == 0 ? block : sum + block;
                }
                const float y = std::max(sum + bias[j], 0.0f);
                expected[i * n + j] = gate[i * n + j] > 0 ? y : 0;
              }
            for (const ProductKernels *kernels : sets())
              ASSERT_TRUE(same_bits(multiply(*kernels, product, m / 2, n / 64 * 32), expected))
                  << m << " x " << n << " x " << k << ", transposed " << ta << tb;
          }
}

TEST(ProductKernels, OfOneRowGiveTheBitsOfPlainCode) {
  if (sets().empty())
    GTEST_SKIP() << "this processor has no fused multiply-add";
  for (int64_t n : sizes)
    for (int64_t k : sizes) {
      const auto x = random_values(k, 1);
      const auto b = random_values(k * n, 2);
      const auto u = random_values(n, 3);
      const auto &plain = portable::kernels;
      std::vector<float> rows(n), columns(n), outer(n * k);
      plain.rows_times_vector(n, k, x.data(), b.data(), rows.data());
      plain.vector_times_rows(n, k, x.data(), b.data(), columns.data());
      plain.outer_product(n, k, u.data(), x.data(), outer.data());
      for (const ProductKernels *kernels : sets()) {
        std::vector<float> y(n), z(n), w(n * k);
        kernels->rows_times_vector(n, k, x.data(), b.data(), y.data());
        kernels->vector_times_rows(n, k, x.data(), b.data(), z.data());
        kernels->outer_product(n, k, u.data(), x.data(), w.data());
        EXPECT_TRUE(same_bits(y, rows)) << n << " x " << k;
        EXPECT_TRUE(same_bits(z, columns)) << n << " x " << k;
        EXPECT_TRUE(same_bits(w, outer)) << n << " x " << k;
      }
    }
}

// As `ProductKernels` says it, element by element.
TEST(ProductKernels, AddInTheDocumentedOrder) {
  for (int64_t k : sizes) {
    const auto x = random_values(k, 1);
    const auto b = random_values(k, 2);
    float partial[16] = {};
    for (int64_t p = 0; p < k; ++p)
      partial[p % 16] += x[p] * b[p];
    for (int half = 8; half > 0; half /= 2)
      for (int i = 0; i < half; ++i)
        partial[i] += partial[i + half];
    float y;
    product_kernels().rows_times_vector(1, k, x.data(), b.data(), &y);
    EXPECT_EQ(y, partial[0]) << k;
  }
}

} // namespace
