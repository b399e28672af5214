// Scalar functions against torch's numbers (make_golden.py), their derivatives against finite
// differences in double.
#include "mpar/scalar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace mpar;

namespace {

#include "scalar_golden.inc"

constexpr int count = sizeof(x_values) / sizeof(x_values[0]);
constexpr int probability_count = sizeof(probabilities) / sizeof(probabilities[0]);
const float infinity = std::numeric_limits<float>::infinity();

/// torch's vector forms differ from the C library's scalar ones in the last places.
template <typename Function> void expect_torch(Function function, const float *expected) {
  for (int i = 0; i < count; ++i) {
    const float value = function(x_values[i]);
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(value)) << "at " << x_values[i];
    else
      EXPECT_NEAR(value, expected[i], 3e-7 * std::max(1.0f, std::abs(expected[i])))
          << "at " << x_values[i];
  }
}

TEST(Scalar, AgreesWithTorch) {
  expect_torch([](float x) { return relu(x); }, expected_relu);
  expect_torch([](float x) { return leaky_relu(x, 0.01f); }, expected_leaky_relu);
  expect_torch([](float x) { return gelu(x); }, expected_gelu);
  expect_torch([](float x) { return gelu_derivative(x); }, expected_gelu_derivative);
  expect_torch([](float x) { return gelu_tanh(x); }, expected_gelu_tanh);
  expect_torch([](float x) { return gelu_tanh_derivative(x); }, expected_gelu_tanh_derivative);
  expect_torch([](float x) { return silu(x); }, expected_silu);
  expect_torch([](float x) { return silu_derivative(x); }, expected_silu_derivative);
  expect_torch([](float x) { return sigmoid(x); }, expected_sigmoid);
  expect_torch([](float x) { return clamp(x, -0.5, 2); }, expected_clamp);
  expect_torch([](float x) { return rsqrt(x); }, expected_rsqrt);
  expect_torch([](float x) { return pow(x, 2); }, expected_pow_2);
  expect_torch([](float x) { return pow(x, 3); }, expected_pow_3);
  expect_torch([](float x) { return pow(x, 0.5); }, expected_pow_half);
  expect_torch([](float x) { return pow(x, -0.5); }, expected_pow_minus_half);
  expect_torch([](float x) { return pow(x, -1); }, expected_pow_minus_1);
  expect_torch([](float x) { return pow(x, -2); }, expected_pow_minus_2);
  expect_torch([](float x) { return pow(x, 1.7); }, expected_pow_1_7);
}

TEST(BinaryCrossEntropy, AgreesWithTorch) {
  for (int i = 0; i < probability_count; ++i) {
    const float p = probabilities[i];
    const float t = targets[i];
    EXPECT_NEAR(binary_cross_entropy(p, t), expected_binary_cross_entropy[i],
                3e-7f * std::max(1.0f, expected_binary_cross_entropy[i]))
        << p << ", " << t;
    const float derivative = expected_binary_cross_entropy_derivative[i];
    EXPECT_NEAR(binary_cross_entropy_derivative(p, t), derivative,
                3e-7f * std::max(1.0f, std::abs(derivative)))
        << p << ", " << t;
  }
}

/// The central difference in double, whose error is of the order of step².
template <typename Function, typename Derivative>
void expect_derivative(Function function, Derivative derivative, double from, double to) {
  const double step = 1e-5;
  for (int i = 0; i <= 200; ++i) {
    const double x = from + (to - from) * i / 200;
    const double difference = (function(x + step) - function(x - step)) / (2 * step);
    EXPECT_NEAR(derivative(x), difference, 1e-8 * std::max(1.0, std::abs(difference)))
        << "at " << x;
  }
}

TEST(Derivatives, AgreeWithFiniteDifferences) {
  expect_derivative([](double x) { return gelu(x); }, [](double x) { return gelu_derivative(x); },
                    -6, 6);
  expect_derivative([](double x) { return gelu_tanh(x); },
                    [](double x) { return gelu_tanh_derivative(x); }, -6, 6);
  expect_derivative([](double x) { return silu(x); }, [](double x) { return silu_derivative(x); },
                    -20, 20);
  for (double t : {0.0, 0.3, 1.0})
    expect_derivative([t](double p) { return binary_cross_entropy(p, t); },
                      [t](double p) { return binary_cross_entropy_derivative(p, t); }, 0.1, 0.9);
}

TEST(Scalar, LetsNaNThrough) {
  const float nan = NAN;
  EXPECT_TRUE(std::isnan(relu(nan)));
  EXPECT_TRUE(std::isnan(leaky_relu(nan, 0.1f)));
  EXPECT_TRUE(std::isnan(minimum(nan, 1.0f)) && std::isnan(minimum(1.0f, nan)));
  EXPECT_TRUE(std::isnan(maximum(nan, 1.0f)) && std::isnan(maximum(1.0f, nan)));
  EXPECT_TRUE(std::isnan(clamp(nan, 0.0f, 1.0f)));
  EXPECT_TRUE(std::isnan(gelu(nan)) && std::isnan(silu(nan)) && std::isnan(sigmoid(nan)));
  EXPECT_TRUE(std::isnan(binary_cross_entropy(nan, 0.5f)));
  EXPECT_TRUE(std::isnan(binary_cross_entropy_derivative(nan, 0.5f)));
}

TEST(Scalar, EndsAreTorchs) {
  EXPECT_EQ(sigmoid(-200.0f), 0);
  EXPECT_EQ(sigmoid(200.0f), 1);
  EXPECT_EQ(silu(infinity), infinity);
  EXPECT_EQ(minimum(2.0f, 3.0f), 2);
  EXPECT_EQ(maximum(2.0f, 3.0f), 3);
  EXPECT_EQ(clamp(5.0f, 3.0f, 1.0f), 1); // lo above hi: hi
  EXPECT_EQ(clamp(-infinity, -1.0f, 1.0f), -1);
}

// The generator against its published outputs: SplitMix64 with seed 1234567.
TEST(Dropout, GeneratorIsSplitMix64) {
  const uint64_t expected[] = {6457827717110365317ULL, 3203168211198807973ULL,
                               9817491932198370423ULL, 4593380528125082431ULL,
                               16408922859458223821ULL};
  for (uint64_t i = 0; i < 5; ++i)
    EXPECT_EQ(detail::mix(1234567 + (i + 1) * detail::golden_ratio), expected[i]);
}

TEST(Dropout, KeepsTheShareItShould) {
  const int draws = 1000000;
  for (float p : {0.0f, 0.1f, 0.5f, 0.9f, 1.0f}) {
    int kept = 0;
    for (int i = 0; i < draws; ++i) {
      const float scale = dropout_scale(1, 2, 3, i, p);
      ASSERT_TRUE(scale == 0 || scale == 1 / (1 - p));
      kept += scale != 0;
    }
    // Five standard deviations of the binomial distribution.
    EXPECT_NEAR(kept, draws * (1 - p), 5 * std::sqrt(draws * p * (1 - p)) + 1e-9);
  }
}

TEST(Dropout, EveryPartOfTheKeyMatters) {
  const auto draws = [](uint64_t seed, uint64_t step, uint64_t key, int64_t first) {
    std::vector<bool> kept;
    for (int64_t i = 0; i < 4096; ++i)
      kept.push_back(dropout_scale(seed, step, key, first + i, 0.5) != 0);
    return kept;
  };
  const std::vector<bool> base = draws(7, 1, 42, 0);
  EXPECT_EQ(base, draws(7, 1, 42, 0));
  for (const std::vector<bool> &other :
       {draws(8, 1, 42, 0), draws(7, 2, 42, 0), draws(7, 1, 43, 0), draws(7, 1, 42, 4096),
        draws(1, 7, 42, 0), draws(7, 42, 1, 0)}) {
    int same = 0;
    for (int i = 0; i < 4096; ++i)
      same += base[i] == other[i];
    EXPECT_NEAR(same, 2048, 5 * 32); // independent draws agree half the time
  }
}

} // namespace
