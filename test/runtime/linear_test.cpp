// Matrix products against sums in double, at sizes that fill no vector and no block.
#include "kernels.h"

#include "mpar/linear.h"
#include "mpar/scalar.h"

#include <string>

using namespace mpar;
using namespace mpar::test;

namespace {

/// Every test runs over every set of kernels that the processor has, and over oneDNN.
class Products : public testing::TestWithParam<const ProductKernels *> {
  void SetUp() override { use_product_kernels(*GetParam()); }
  void TearDown() override { use_product_kernels(before_); }

  const ProductKernels &before_ = product_kernels();
};

class Matmul : public Products {};
class Linear : public Products {};
INSTANTIATE_TEST_SUITE_P(On, Matmul, testing::ValuesIn(product_kernel_sets()), name_of_kernels);
INSTANTIATE_TEST_SUITE_P(On, Linear, testing::ValuesIn(product_kernel_sets()), name_of_kernels);

struct Sizes {
  int64_t m, n, k;
};

const Sizes linear_sizes[] = {
    {1, 1, 1},     {1, 3, 17},    {1, 256, 12},   {1, 12, 256},    {1, 63, 65},    {1, 65, 1000},
    {2, 3, 1},     {3, 1, 3},     {3, 17, 63},    {17, 63, 3},     {63, 65, 17},   {65, 63, 1000},
    {32, 256, 12}, {32, 12, 256}, {33, 128, 256}, {256, 64, 128},  {1000, 8, 64},  {64, 8, 1000},
    {1000, 1, 65}, {1, 1000, 65}, {128, 256, 65}, {63, 100, 513},  {7, 1000, 300}, {300, 300, 300},
    {2, 2, 5000},  {5000, 2, 2},  {2, 5000, 2},   {129, 257, 1025}};

/// op(a) · op(b) in double, and the sum of the terms' magnitudes, which bounds what rounding may
/// do.
void expect_product(const Sizes &s, bool ta, bool tb, const std::vector<float> &a,
                    const std::vector<float> &b, const float *c) {
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      double magnitude = 0;
      for (int64_t p = 0; p < s.k; ++p) {
        const double term =
            double(a[ta ? p * s.m + i : i * s.k + p]) * double(b[tb ? j * s.k + p : p * s.n + j]);
        sum += term;
        magnitude += std::abs(term);
      }
      // Half a unit for each of the additions, which grow like the root of their number.
      const double bound = magnitude * 6e-8 * (2 + std::sqrt(double(s.k)));
      ASSERT_NEAR(c[i * s.n + j], sum, bound) << s.m << " x " << s.n << " x " << s.k << " at " << i
                                              << ", " << j << ", transposed " << ta << tb;
    }
}

TEST_P(Matmul, AgreesWithSumsInDouble) {
  Device device = plain_device();
  for (const Sizes &s : linear_sizes)
    for (bool ta : {false, true})
      for (bool tb : {false, true}) {
        const auto a = random_values(s.m * s.k, 1);
        const auto b = random_values(s.k * s.n, 2);
        std::vector<float> c(s.m * s.n, NAN);
        matmul(device, 1, s.m, s.n, s.k, ta ? Transpose::yes : Transpose::no,
               tb ? Transpose::yes : Transpose::no, a.data(), b.data(), c.data());
        expect_product(s, ta, tb, a, b, c.data());
      }
}

TEST_P(Matmul, BatchIsOneProductAfterAnother) {
  Device device = plain_device();
  const int64_t m = 17, n = 5, k = 33;
  const auto a = random_values(3 * m * k, 1);
  const auto b = random_values(3 * k * n, 2);
  std::vector<float> c(3 * m * n);
  matmul(device, 3, m, n, k, Transpose::no, Transpose::yes, a.data(), b.data(), c.data());
  for (int i = 0; i < 3; ++i) {
    std::vector<float> one(m * n);
    matmul(device, 1, m, n, k, Transpose::no, Transpose::yes, a.data() + i * m * k,
           b.data() + i * k * n, one.data());
    EXPECT_EQ(0, std::memcmp(one.data(), c.data() + i * m * n, one.size() * sizeof(float)));
  }
}

// Many small matrices: each is the product it is alone, whichever thread computes it.
TEST_P(Matmul, BatchesAreProductsEach) {
  const int64_t batch = 300;
  for (const Sizes &s : {Sizes{17, 19, 13}, Sizes{1, 16, 33}, Sizes{64, 16, 64}, Sizes{5, 1, 1}})
    for (bool ta : {false, true})
      for (bool tb : {false, true}) {
        const auto a = random_values(batch * s.m * s.k, 1);
        const auto b = random_values(batch * s.k * s.n, 2);
        std::vector<float> alone(batch * s.m * s.n), c(alone.size(), NAN), two(alone.size(), NAN);
        const auto multiply = [&](int threads, int64_t first, int64_t count, float *to) {
          Device device = plain_device(threads);
          matmul(device, count, s.m, s.n, s.k, ta ? Transpose::yes : Transpose::no,
                 tb ? Transpose::yes : Transpose::no, a.data() + first * s.m * s.k,
                 b.data() + first * s.k * s.n, to + first * s.m * s.n);
        };
        for (int64_t i = 0; i < batch; ++i)
          multiply(1, i, 1, alone.data());
        multiply(1, 0, batch, c.data());
        multiply(2, 0, batch, two.data());
        EXPECT_TRUE(same_bits(c, alone)) << s.m << " x " << s.n << " x " << s.k;
        EXPECT_TRUE(same_bits(two, alone)) << s.m << " x " << s.n << " x " << s.k;
      }
}

// The gradient of ReLU, fused: the same bits as a choice afterwards; what the gate is not above
// zero for, NaN too, is zero.
TEST_P(Matmul, GateIsBitForBitAChoiceAfterwards) {
  Device device = plain_device();
  for (const Sizes &s : linear_sizes) {
    const auto a = random_values(2 * s.m * s.k, 1);
    const auto b = random_values(2 * s.k * s.n, 2);
    auto gate = random_values(2 * s.m * s.n, 3);
    for (size_t i = 0; i < gate.size(); i += 5)
      gate[i] = i % 2 ? 0 : NAN;
    std::vector<float> expected(2 * s.m * s.n), c(2 * s.m * s.n, NAN);
    matmul(device, 2, s.m, s.n, s.k, Transpose::no, Transpose::no, a.data(), b.data(),
           expected.data());
    for (size_t i = 0; i < gate.size(); ++i)
      expected[i] = gate[i] > 0 ? expected[i] : 0;
    matmul(device, 2, s.m, s.n, s.k, Transpose::no, Transpose::no, a.data(), b.data(), c.data(),
           Store::overwrite, gate.data());
    EXPECT_TRUE(same_bits(c, expected)) << s.m << " x " << s.n << " x " << s.k;
  }
}

// A gradient over the parts of a batch: the same bits as the parts' products, added one after
// another.
TEST_P(Matmul, AddsPartAfterPart) {
  Device device = plain_device();
  for (const Sizes &s : linear_sizes) {
    const int64_t rows = std::min<int64_t>(s.k, 256); // of a part; a block of the kernel's sums
    const auto g = random_values(3 * rows * s.m, 1);
    const auto x = random_values(3 * rows * s.n, 2);
    std::vector<float> expected(s.m * s.n), sum(s.m * s.n, NAN), part(s.m * s.n);
    for (int i = 0; i < 3; ++i) {
      const auto multiply = [&](float *c, Store store) {
        matmul(device, 1, s.m, s.n, rows, Transpose::yes, Transpose::no, g.data() + i * rows * s.m,
               x.data() + i * rows * s.n, c, store);
      };
      multiply(part.data(), Store::overwrite);
      multiply(sum.data(), i == 0 ? Store::overwrite : Store::add);
      for (int64_t j = 0; j < s.m * s.n; ++j)
        expected[j] = i == 0 ? part[j] : expected[j] + part[j];
    }
    // A single row's own kernel rounds each product; added to, it is the kernel of many.
    if (s.m > 1) {
      EXPECT_TRUE(same_bits(sum, expected)) << s.m << " x " << s.n << " x " << rows;
    }
    for (int64_t j = 0; j < s.m * s.n; ++j)
      ASSERT_NEAR(sum[j], expected[j], 1e-4);
  }
}

// What the compiler fuses must not change a bit.
TEST_P(Linear, IsBitForBitProductThenSumThenMaximum) {
  Device device = plain_device();
  for (const Sizes &s : linear_sizes) {
    const auto x = random_values(s.m * s.k, 1);
    const auto weight = random_values(s.k * s.n, 2);
    const auto bias = random_values(s.n, 3);
    std::vector<float> product(s.m * s.n);
    matmul(device, 1, s.m, s.n, s.k, Transpose::no, Transpose::yes, x.data(), weight.data(),
           product.data());
    for (bool has_bias : {false, true})
      for (Activation activation : {Activation::none, Activation::relu}) {
        std::vector<float> expected = product;
        for (int64_t i = 0; i < s.m * s.n; ++i) {
          if (has_bias)
            expected[i] += bias[i % s.n];
          if (activation == Activation::relu)
            expected[i] = relu(expected[i]);
        }
        std::vector<float> y(s.m * s.n, NAN);
        linear(device, s.m, s.k, s.n, x.data(), weight.data(), has_bias ? bias.data() : nullptr,
               activation, y.data());
        EXPECT_TRUE(same_bits(y, expected)) << s.m << " x " << s.n << " x " << s.k;
      }
  }
}

// Where a tensor lies must not change a bit: the plan of the memory differs from placement to
// placement.
TEST_P(Linear, DoesNotDependOnAddresses) {
  Device device = plain_device();
  for (const Sizes &s : linear_sizes) {
    std::vector<float> expected;
    for (int offset : {0, 1, 5, 16}) {
      const auto x_values = random_values(s.m * s.k, 1);
      const auto weight_values = random_values(s.k * s.n, 2);
      const auto bias_values = random_values(s.n, 3);
      std::vector<float> x(s.m * s.k + offset), weight(s.k * s.n + 2 * offset), y(s.m * s.n + 48);
      std::copy(x_values.begin(), x_values.end(), x.begin() + offset);
      std::copy(weight_values.begin(), weight_values.end(), weight.begin() + 2 * offset);
      linear(device, s.m, s.k, s.n, x.data() + offset, weight.data() + 2 * offset,
             bias_values.data(), Activation::relu, y.data() + 3 * offset);
      std::vector<float> result(y.begin() + 3 * offset, y.begin() + 3 * offset + s.m * s.n);
      if (expected.empty())
        expected = result;
      EXPECT_TRUE(same_bits(result, expected))
          << s.m << " x " << s.n << " x " << s.k << " at offset " << offset;
    }
  }
}

TEST_P(Linear, GivesTheSameBitsEveryTimeWithTwoThreads) {
#ifdef __SANITIZE_THREAD__
  // oneDNN's threads are OpenMP's, whose waiting ThreadSanitizer cannot see: races where there are
  // none.
  if (GetParam() == &portable::kernels)
    GTEST_SKIP();
#endif
  Device device = plain_device(2);
  for (const Sizes &s : linear_sizes) {
    const auto x = random_values(s.m * s.k, 1);
    const auto weight = random_values(s.k * s.n, 2);
    std::vector<float> first(s.m * s.n), again(s.m * s.n);
    linear(device, s.m, s.k, s.n, x.data(), weight.data(), nullptr, Activation::relu, first.data());
    for (int run = 0; run < 5; ++run) {
      linear(device, s.m, s.k, s.n, x.data(), weight.data(), nullptr, Activation::relu,
             again.data());
      ASSERT_TRUE(same_bits(first, again)) << s.m << " x " << s.n << " x " << s.k;
    }
  }
}

TEST_P(Linear, LetsNaNThroughTheActivation) {
  Device device = plain_device();
  for (int64_t rows : {1, 2, 40}) {
    std::vector<float> x(rows * 3, 1), weight(2 * 3, 1), y(rows * 2);
    x[rows * 3 - 1] = NAN;
    linear(device, rows, 3, 2, x.data(), weight.data(), nullptr, Activation::relu, y.data());
    EXPECT_TRUE(std::isnan(y[rows * 2 - 1]));
    for (int64_t i = 0; i < (rows - 1) * 2; ++i)
      EXPECT_EQ(y[i], 3);
  }
}

} // namespace
