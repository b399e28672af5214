// Numbers of two bytes: every bf16 and f16 there is, rounding, and products against sums in double.
#include "mpar/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace mpar;

namespace {

template <typename T> T from_bits(uint16_t bits) {
  T number;
  number.bits = bits;
  return number;
}

/// Of all finite numbers of T the two around a float; rounding must give the nearer, or the even
/// one.
template <typename T> void check_rounding(float x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const T rounded(x);
  const double value = x;
  const double got = static_cast<float>(rounded);
  for (int step : {-1, 1}) {
    const int bits = (rounded.bits & 0x7fff) + step;
    if (bits < 0)
      continue;
    const double other = static_cast<float>(from_bits<T>(static_cast<uint16_t>(sign | bits)));
    if (!std::isfinite(other) || !std::isfinite(got))
      continue;
    EXPECT_LE(std::abs(got - value), std::abs(other - value)) << x;
    if (std::abs(got - value) == std::abs(other - value)) {
      EXPECT_EQ(rounded.bits & 1, 0) << x;
    }
  }
}

} // namespace

template <typename T> class LowPrecision : public ::testing::Test {};
using LowPrecisions = ::testing::Types<bfloat16, float16>;
TYPED_TEST_SUITE(LowPrecision, LowPrecisions);

TYPED_TEST(LowPrecision, EveryNumberSurvivesTheWayThroughFloat) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto number = from_bits<TypeParam>(static_cast<uint16_t>(bits));
    const float wide = static_cast<float>(number);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(TypeParam(wide)))) << bits;
    } else {
      EXPECT_EQ(TypeParam(wide).bits, number.bits) << bits;
    }
  }
}

TYPED_TEST(LowPrecision, RoundsToTheNearestOrTheEven) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> exponent(-30, 20);
  for (int i = 0; i < 20000; ++i)
    check_rounding<TypeParam>(std::ldexp(std::uniform_real_distribution<float>(-1, 1)(generator),
                                         static_cast<int>(exponent(generator))));
  // Ties.
  for (int i = 1; i < 2000; ++i)
    check_rounding<TypeParam>(static_cast<float>(i) + 0.5f);
}

TEST(Float16, KnownValues) {
  EXPECT_EQ(static_cast<float>(from_bits<float16>(0x3c00)), 1.0f);
  EXPECT_EQ(static_cast<float>(from_bits<float16>(0x0001)), std::ldexp(1.0f, -24));
  EXPECT_EQ(static_cast<float>(from_bits<float16>(0x7bff)), 65504.0f);
  EXPECT_EQ(float16(bfloat16(3.14159f)).bits, float16(3.140625f).bits);
  EXPECT_EQ(bfloat16(float16(3.14159f)).bits, bfloat16(3.140625f).bits);
  EXPECT_EQ(float16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(float16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(float16(-1e30f).bits, 0xfc00);
  EXPECT_EQ(float16(1e-30f).bits, 0);
}

TEST(Bfloat16, KnownValues) {
  EXPECT_EQ(bfloat16(1.0f).bits, 0x3f80);
  EXPECT_EQ(bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_EQ(bfloat16(-std::numeric_limits<float>::infinity()).bits, 0xff80);
}

namespace {

template <typename T> std::vector<T> random_numbers(int64_t count, int seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<T> numbers(count);
  for (T &number : numbers)
    number = T(uniform(generator));
  return numbers;
}

} // namespace

TYPED_TEST(LowPrecision, ProductsAreSummedInFloat) {
  Device device(0, 0, {0, 0, 0, 0}, 0, 1);
  for (auto [batch, m, n, k] :
       {std::array<int64_t, 4>{1, 1, 1, 1}, {1, 7, 5, 3}, {1, 64, 48, 96}, {3, 5, 17, 33}})
    for (bool ta : {false, true})
      for (bool tb : {false, true})
        for (Store store : {Store::overwrite, Store::add}) {
          const auto a = random_numbers<TypeParam>(batch * m * k, 1),
                     b = random_numbers<TypeParam>(batch * k * n, 2);
          std::vector<float> c(batch * m * n, 0.5f);
          matmul(device, batch, m, n, k, ta ? Transpose::yes : Transpose::no,
                 tb ? Transpose::yes : Transpose::no, a.data(), b.data(), c.data(), store);
          for (int64_t each = 0; each < batch; ++each)
            for (int64_t i = 0; i < m; ++i)
              for (int64_t j = 0; j < n; ++j) {
                double sum = store == Store::add ? 0.5 : 0.0;
                for (int64_t p = 0; p < k; ++p)
                  sum +=
                      double(static_cast<float>(a[each * m * k + (ta ? p * m + i : i * k + p)])) *
                      static_cast<float>(b[each * k * n + (tb ? j * k + p : p * n + j)]);
                ASSERT_NEAR(c[(each * m + i) * n + j], sum, 1e-5 * std::sqrt(double(k)))
                    << m << " " << n << " " << k;
              }
        }
}

/// Half a unit of the last place, relative to the number.
template <typename T> constexpr double rounding_of() {
  return std::is_same_v<T, bfloat16> ? 0x1p-8 : 0x1p-11;
}

TYPED_TEST(LowPrecision, ResultsAreRoundedOnce) {
  Device device(0, 0, {0, 0, 0, 0}, 0, 1);
  for (auto [batch, m, n, k] :
       {std::array<int64_t, 4>{1, 1, 1, 1}, {1, 7, 5, 3}, {1, 64, 48, 96}, {3, 5, 17, 33}})
    for (Transpose ta : {Transpose::no, Transpose::yes})
      for (Transpose tb : {Transpose::no, Transpose::yes}) {
        const auto a = random_numbers<TypeParam>(batch * m * k, 1),
                   b = random_numbers<TypeParam>(batch * k * n, 2);
        std::vector<float> wide(batch * m * n);
        std::vector<TypeParam> c(batch * m * n, TypeParam(0.5f));
        matmul(device, batch, m, n, k, ta, tb, a.data(), b.data(), wide.data());
        matmul(device, batch, m, n, k, ta, tb, a.data(), b.data(), c.data());
        for (size_t i = 0; i < c.size(); ++i)
          ASSERT_NEAR(static_cast<float>(c[i]), wide[i],
                      rounding_of<TypeParam>() * std::abs(wide[i]) + 1e-6)
              << m << " " << n << " " << k;
      }
}

TYPED_TEST(LowPrecision, LayersWithRoundedResultsAddABiasThatIsRounded) {
  Device device(0, 0, {0, 0, 0, 0}, 0, 1);
  const int64_t rows = 9, in = 31, out = 21;
  const auto x = random_numbers<TypeParam>(rows * in, 3),
             weight = random_numbers<TypeParam>(out * in, 4);
  const auto bias = random_numbers<TypeParam>(out, 5);
  const std::vector<float> wide_bias(bias.begin(), bias.end());
  for (const bool biased : {false, true})
    for (Activation activation : {Activation::none, Activation::relu}) {
      std::vector<float> wide(rows * out);
      std::vector<TypeParam> y(rows * out, TypeParam(NAN));
      linear(device, rows, in, out, x.data(), weight.data(), biased ? wide_bias.data() : nullptr,
             activation, wide.data());
      linear(device, rows, in, out, x.data(), weight.data(), biased ? bias.data() : nullptr,
             activation, y.data());
      for (size_t i = 0; i < y.size(); ++i)
        ASSERT_NEAR(static_cast<float>(y[i]), wide[i],
                    rounding_of<TypeParam>() * std::abs(wide[i]) + 1e-6);
    }
}

TYPED_TEST(LowPrecision, LinearAddsTheBiasAndRectifies) {
  Device device(0, 0, {0, 0, 0, 0}, 0, 1);
  const int64_t rows = 9, in = 31, out = 21;
  const auto x = random_numbers<TypeParam>(rows * in, 3),
             weight = random_numbers<TypeParam>(out * in, 4);
  const auto bias = random_numbers<float>(out, 5);
  for (const float *with : {bias.data(), static_cast<const float *>(nullptr)})
    for (Activation activation : {Activation::none, Activation::relu}) {
      std::vector<float> y(rows * out, NAN);
      linear(device, rows, in, out, x.data(), weight.data(), with, activation, y.data());
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < out; ++j) {
          double sum = with ? with[j] : 0.0;
          for (int64_t p = 0; p < in; ++p)
            sum +=
                double(static_cast<float>(x[i * in + p])) * static_cast<float>(weight[j * in + p]);
          if (activation == Activation::relu)
            sum = std::max(sum, 0.0);
          ASSERT_NEAR(y[i * out + j], sum, 1e-5);
        }
    }
}
