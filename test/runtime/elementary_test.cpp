// The elementary functions against the C library's in double, in units in the last place; and the
// same bits from a loop of vectors as from one value after another.
#include "mpar/elementary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace mpar;

namespace {

const float infinity = std::numeric_limits<float>::infinity();

/// The distance of a float from `exact`, in units of the last place of the float next to that.
double units_off(float value, double exact) {
  int exponent;
  std::frexp(std::abs(static_cast<float>(exact)), &exponent);
  return std::abs(value - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

/// The floats of [from, to], `step` apart in the order of their bits, zero left out.
template <typename Visit> void for_floats(float from, float to, const Visit &visit) {
  constexpr uint32_t step = 5077;
  for (const float sign : {-1.0f, 1.0f})
    for (uint32_t bits = 1; bits < 0x7f800000u; bits += step) {
      float value;
      std::memcpy(&value, &bits, sizeof value);
      if (sign * value >= from && sign * value <= to)
        visit(sign * value);
    }
}

template <typename Function, typename Exact>
void expect_within(double units, float from, float to, Function function, Exact exact) {
  double worst = 0;
  float at = 0;
  for_floats(from, to, [&](float x) {
    const double off = units_off(function(x), exact(static_cast<double>(x)));
    if (!(off <= worst)) {
      worst = off;
      at = x;
    }
  });
  EXPECT_LE(worst, units) << "at " << at;
}

double probability(double x) { return std::erfc(-x * std::sqrt(0.5)) / 2; }

TEST(Elementary, IsWithinUnitsInTheLastPlace) {
  expect_within(
      1.1, -104, 88.722f, [](float x) { return exp(x); }, [](double x) { return std::exp(x); });
  expect_within(
      1.1, -87.3f, 88, [](float x) { return exponential(x); },
      [](double x) { return std::exp(x); });
  expect_within(
      1.5, -100, 100, [](float x) { return tanh(x); }, [](double x) { return std::tanh(x); });
  const auto normal = [](float x) { return normal_distribution(x).probability; };
  expect_within(2.5, 0, 100, normal, probability);
  expect_within(3.5, -0.5, 0, normal, probability);
  for (float x = -13; x < 0; x += 0.0037f)
    EXPECT_LE(units_off(normal(x), probability(x)), 4 * (1 + x * x)) << "at " << x;
  expect_within(
      1.1 + 2 * 88, -13, 13, [](float x) { return normal_distribution(x).bell; },
      [](double x) { return std::exp(-x * x / 2); });
}

TEST(Elementary, EndsAreExact) {
  EXPECT_EQ(exp(infinity), infinity);
  EXPECT_EQ(exp(88.8f), infinity);
  EXPECT_EQ(exp(-infinity), 0);
  EXPECT_EQ(exp(0.0f), 1);
  EXPECT_GT(exp(-87.0f), 0); // the smallest power that is no denormal, which a thread may flush
  EXPECT_EQ(exponential(0.0f), 1);
  EXPECT_EQ(exponential(-infinity), 0);
  EXPECT_EQ(tanh(infinity), 1);
  EXPECT_EQ(tanh(-infinity), -1);
  EXPECT_TRUE(tanh(-0.0f) == 0 && std::signbit(tanh(-0.0f)));
  EXPECT_EQ(normal_distribution(0.0f).probability, 0.5f);
  EXPECT_EQ(normal_distribution(infinity).probability, 1);
  EXPECT_EQ(normal_distribution(-infinity).probability, 0);
  EXPECT_EQ(normal_distribution(-20.0f).probability, 0);
}

TEST(Elementary, LetsNaNThrough) {
  EXPECT_TRUE(std::isnan(exp(NAN)) && std::isnan(exponential(NAN)) && std::isnan(tanh(NAN)));
  EXPECT_TRUE(std::isnan(normal_distribution(NAN).probability));
}

template <typename Function> __attribute__((noinline)) float one(Function function, float x) {
  return function(x);
}

template <typename Function> void expect_same_bits(Function function) {
  std::vector<float> x, in_vectors;
  for_floats(-120, 120, [&](float value) { x.push_back(value); });
  in_vectors.resize(x.size());
  const float *from = x.data();
  float *to = in_vectors.data();
  const size_t count = x.size();
  for (size_t i = 0; i < count; ++i)
    to[i] = function(from[i]);
  size_t different = 0;
  for (size_t i = 0; i < count; ++i) {
    const float alone = one(function, x[i]);
    different += std::memcmp(&alone, &in_vectors[i], sizeof alone) != 0;
  }
  EXPECT_EQ(different, 0u);
}

TEST(Elementary, IsTheSameInVectors) {
  expect_same_bits([](float x) { return exp(x); });
  expect_same_bits([](float x) { return tanh(x); });
  expect_same_bits([](float x) { return normal_distribution(x).probability; });
}

} // namespace
