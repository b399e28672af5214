// Products by cuBLASLt against the processor's.
#include "gpu.h"
#include "kernels.h"

#include <array>
#include <limits>

namespace mpar {
namespace {

using test::expect_near;
using test::gpu;
using test::OnGpu;
using test::random_values;

template <typename T> std::vector<T> rounded(const std::vector<float> &values) {
  std::vector<T> narrow;
  for (const float value : values)
    narrow.push_back(T(value));
  return narrow;
}

template <typename T> class Products : public testing::Test {};
using Types = testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(Products, Types, );

TYPED_TEST(Products, OfLayersAgreeWithTheProcessors) {
  using T = TypeParam;
  Device cpu = test::cpu();
  for (const auto &[rows, in, out] : {std::array<int64_t, 3>{1, 1, 1},
                                      {3, 5, 7},
                                      {33, 12, 65},
                                      {64, 256, 8},
                                      {1, 40, 9},
                                      {7, 1, 3}})
    for (const bool biased : {false, true})
      for (const Activation activation : {Activation::none, Activation::relu}) {
        const std::vector<T> x = rounded<T>(random_values(rows * in, 1)),
                             weight = rounded<T>(random_values(out * in, 2));
        const std::vector<float> bias = random_values(out, 3);
        const OnGpu<T> x_on(x), weight_on(weight);
        const OnGpu<float> bias_on(bias), y(rows * out);
        linear(gpu(), rows, in, out, x_on, weight_on, biased ? bias_on.data() : nullptr, activation,
               y);
        std::vector<float> expected(rows * out);
        linear(cpu, rows, in, out, x.data(), weight.data(), biased ? bias.data() : nullptr,
               activation, expected.data());
        expect_near(y.read(), expected, 1e-5f);
      }
}

TYPED_TEST(Products, OfMatricesAgreeWithTheProcessors) {
  using T = TypeParam;
  Device cpu = test::cpu();
  for (const auto &[batch, m, n, k] : {std::array<int64_t, 4>{1, 3, 5, 7},
                                       {3, 17, 9, 4},
                                       {2, 1, 70, 5},
                                       {1, 8, 128, 33},
                                       {4, 5, 1, 1}})
    for (const Transpose ta : {Transpose::no, Transpose::yes})
      for (const Transpose tb : {Transpose::no, Transpose::yes})
        for (const Store store : {Store::overwrite, Store::add}) {
          const std::vector<T> a = rounded<T>(random_values(batch * m * k, 4)),
                               b = rounded<T>(random_values(batch * k * n, 5));
          std::vector<float> expected = random_values(batch * m * n, 6);
          const OnGpu<T> a_on(a), b_on(b);
          const OnGpu<float> c(expected);
          if constexpr (std::is_same_v<T, float>) {
            matmul(gpu(), batch, m, n, k, ta, tb, a_on, b_on, c, store, nullptr);
            matmul(cpu, batch, m, n, k, ta, tb, a.data(), b.data(), expected.data(), store);
          } else {
            matmul(gpu(), batch, m, n, k, ta, tb, a_on, b_on, c, store);
            matmul(cpu, batch, m, n, k, ta, tb, a.data(), b.data(), expected.data(), store);
          }
          expect_near(c.read(), expected, 1e-5f);
        }
}

template <typename T> class RoundedProducts : public testing::Test {};
using NarrowTypes = testing::Types<bfloat16, float16>;
TYPED_TEST_SUITE(RoundedProducts, NarrowTypes, );

// Sums in another order may round to the next number.
template <typename T> void expect_rounded(const OnGpu<T> &y, const std::vector<T> &expected) {
  const std::vector<T> found = y.read();
  const std::vector<float> wide(found.begin(), found.end()),
      wanted(expected.begin(), expected.end());
  expect_near(wide, wanted, std::is_same_v<T, bfloat16> ? 0x1p-7f : 0x1p-10f);
}

TYPED_TEST(RoundedProducts, OfLayersAgreeWithTheProcessors) {
  using T = TypeParam;
  Device cpu = test::cpu();
  for (const auto &[rows, in, out] : {std::array<int64_t, 3>{1, 1, 1}, {33, 12, 65}, {64, 256, 8}})
    for (const bool biased : {false, true})
      for (const Activation activation : {Activation::none, Activation::relu}) {
        const std::vector<T> x = rounded<T>(random_values(rows * in, 1)),
                             weight = rounded<T>(random_values(out * in, 2)),
                             bias = rounded<T>(random_values(out, 3));
        const OnGpu<T> x_on(x), weight_on(weight), bias_on(bias), y(rows * out);
        std::vector<T> expected(rows * out);
        linear(gpu(), rows, in, out, x_on, weight_on, biased ? bias_on.data() : nullptr, activation,
               y);
        linear(cpu, rows, in, out, x.data(), weight.data(), biased ? bias.data() : nullptr,
               activation, expected.data());
        expect_rounded(y, expected);
      }
}

TYPED_TEST(RoundedProducts, OfMatricesAgreeWithTheProcessors) {
  using T = TypeParam;
  Device cpu = test::cpu();
  for (const auto &[batch, m, n, k] :
       {std::array<int64_t, 4>{1, 3, 5, 7}, {3, 17, 9, 4}, {1, 8, 128, 33}, {2, 4, 3, 0}})
    for (const Transpose ta : {Transpose::no, Transpose::yes})
      for (const Transpose tb : {Transpose::no, Transpose::yes}) {
        const std::vector<T> a = rounded<T>(random_values(batch * m * k, 4)),
                             b = rounded<T>(random_values(batch * k * n, 5));
        const OnGpu<T> a_on(a), b_on(b), c(rounded<T>(random_values(batch * m * n, 6)));
        std::vector<T> expected(batch * m * n);
        matmul(gpu(), batch, m, n, k, ta, tb, a_on, b_on, c);
        matmul(cpu, batch, m, n, k, ta, tb, a.data(), b.data(), expected.data());
        expect_rounded(c, expected);
      }
}

// A loss that is no number is said; it must not become one on the way.
TYPED_TEST(Products, KeepWhatIsNoNumberThroughARelu) {
  using T = TypeParam;
  std::vector<float> x = random_values(16 * 8, 1);
  x[8 * 3 + 2] = std::numeric_limits<float>::quiet_NaN();
  const OnGpu<T> x_on(rounded<T>(x)), weight(rounded<T>(random_values(8 * 8, 2)));
  const OnGpu<float> bias(random_values(8, 3)), y(16 * 8);
  linear(gpu(), 16, 8, 8, x_on, weight, bias, Activation::relu, y);
  const std::vector<float> got = y.read();
  for (int i = 0; i < 16 * 8; ++i)
    EXPECT_EQ(std::isnan(got[i]), i / 8 == 3) << i;
}

TEST(Product, IsZeroWhereItsGateIsClosed) {
  Device cpu = test::cpu();
  const std::vector<float> a = random_values(35, 1), b = random_values(63, 2),
                           gate = random_values(45, 3);
  const OnGpu<float> a_on(a), b_on(b), gate_on(gate), c(45);
  matmul(gpu(), 1, 5, 9, 7, Transpose::no, Transpose::no, a_on, b_on, c, Store::overwrite, gate_on);
  std::vector<float> expected(45);
  matmul(cpu, 1, 5, 9, 7, Transpose::no, Transpose::no, a.data(), b.data(), expected.data(),
         Store::overwrite, gate.data());
  expect_near(c.read(), expected, 1e-5f);
}

TEST(Product, RoundsOperandsToTf32WhereItMay) {
  Device cpu = test::cpu();
  const int64_t n = 64; // tensor cores take whole tiles
  const std::vector<float> a = random_values(n * n, 1), b = random_values(n * n, 2);
  const OnGpu<float> a_on(a), b_on(b), c(n * n);
  std::vector<float> expected(n * n);
  matmul(cpu, 1, n, n, n, Transpose::no, Transpose::no, a.data(), b.data(), expected.data());
  Backend &backend = test::Gpu::get().backend;
  backend.use_tf32(true);
  matmul(gpu(), 1, n, n, n, Transpose::no, Transpose::no, a_on, b_on, c);
  backend.use_tf32(false);
  const std::vector<float> rounded = c.read();
  expect_near(rounded, expected, 2e-2f);
  float worst = 0;
  for (size_t i = 0; i < rounded.size(); ++i)
    worst = std::max(worst, std::abs(rounded[i] - expected[i]));
  EXPECT_GT(worst, 2e-4f);
  matmul(gpu(), 1, n, n, n, Transpose::no, Transpose::no, a_on, b_on, c);
  expect_near(c.read(), expected, 1e-5f);
}

TEST(Product, OfOperandsThatAreNotAlignedIsRight) {
  Device cpu = test::cpu();
  const std::vector<float> a = random_values(36, 1), b = random_values(28, 2);
  const OnGpu<float> a_on(a), b_on(b), c(21);
  matmul(gpu(), 1, 5, 4, 7, Transpose::no, Transpose::no, a_on + 1, b_on, c + 1, Store::overwrite,
         nullptr);
  std::vector<float> expected(20);
  matmul(cpu, 1, 5, 4, 7, Transpose::no, Transpose::no, a.data() + 1, b.data(), expected.data());
  std::vector<float> got = c.read();
  got.erase(got.begin());
  expect_near(got, expected, 1e-5f);
}

#ifdef MPAR_CUDA_EMULATION
// The emulated library wants a workspace for this one.
TEST(Product, SaysWhatTheLibraryCannot) {
  const OnGpu<float> a(std::vector<float>(64 * 64)), c(64 * 64);
  cuda::Queue &queue = test::Gpu::get().queue;
  const size_t bytes = queue.workspace_bytes;
  queue.workspace_bytes = 16; // less than the library wants for this one
  std::string message;
  try {
    matmul(gpu(), 1, 64, 64, 64, Transpose::no, Transpose::yes, a, a, c, Store::overwrite, nullptr);
  } catch (const std::exception &error) {
    message = error.what();
  }
  queue.workspace_bytes = bytes;
  EXPECT_EQ(message, "a matrix product of 64 × 64 × 64: cuBLASLt has no kernel for it");
}
#endif

} // namespace
} // namespace mpar
