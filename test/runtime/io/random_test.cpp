// The generator against PyTorch: the numbers, and how many of them each call uses up.
#include "mpar/initialize.h"
#include "mpar/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

namespace {

#include "golden_random.inc"

using mpar::Generator;
using mpar::Initializer;

template <typename T>
uint64_t checksum(const T *values, int64_t count, uint64_t sum = 0xcbf29ce484222325u) {
  std::vector<unsigned char> bytes(count * sizeof(T));
  std::memcpy(bytes.data(), values, bytes.size());
  for (unsigned char byte : bytes)
    sum = (sum ^ byte) * 0x100000001b3u;
  return sum;
}

TEST(Generator, DrawsWhatTorchRandDrawsForAnySeed) {
  for (size_t i = 0; i < std::size(seeds); ++i) {
    Generator generator(seeds[i]);
    std::vector<float> values(2000);
    generator.uniform(values.data(), 2000, 0, 1);
    EXPECT_EQ(0, std::memcmp(values.data(), rand_first + 4 * i, 16)) << "seed " << seeds[i];
    EXPECT_EQ(rand_checksum[i], checksum(values.data(), 2000)) << "seed " << seeds[i];
  }
}

TEST(Generator, DrawsTorchRandomInt64) {
  for (size_t i = 0; i < std::size(seeds); ++i) {
    Generator generator(seeds[i]);
    for (int k = 0; k < 3; ++k)
      EXPECT_EQ(int64_draws[3 * i + k], generator.random_int64());
  }
}

TEST(Generator, UniformRoundsAsTorchDoes) {
  for (size_t i = 0; i < std::size(uniform_checksum); ++i) {
    Generator generator(5);
    std::vector<float> values(777);
    generator.uniform(values.data(), 777, uniform_bounds[2 * i], uniform_bounds[2 * i + 1]);
    EXPECT_EQ(uniform_checksum[i], checksum(values.data(), 777)) << i;
  }
}

TEST(Generator, NormalIsTorchsTo1e6AndUsesUpAsMuch) {
  Generator generator(11);
  const float *expected = normal_values;
  for (size_t i = 0; i < std::size(normal_counts); ++i) {
    std::vector<float> values(normal_counts[i]);
    generator.normal(values.data(), normal_counts[i], 0.5, 2.0);
    for (float value : values)
      EXPECT_NEAR(*expected++, value, 1e-6 * std::fmax(1, std::fabs(value)))
          << "of " << values.size();
    EXPECT_EQ(normal_after[i], generator.random_int64()) << "after " << values.size();
  }
}

TEST(Generator, PermutationIsTorchRandperm) {
  for (size_t i = 0; i < std::size(permutation_sizes); ++i) {
    std::vector<int64_t> order = Generator(3).permutation(permutation_sizes[i]);
    EXPECT_EQ(permutation_checksum[i], checksum(order.data(), order.size()))
        << permutation_sizes[i];
  }
  EXPECT_TRUE(Generator(3).permutation(0).empty());
}

TEST(Generator, GoesOnFromItsState) {
  Generator generator(9);
  float values[3];
  generator.normal(values, 3, 0, 1); // leaves a sample kept
  Generator other(123);
  other.set_state(generator.state());
  for (int i = 0; i < 700; ++i) {
    float a, b;
    generator.normal(&a, 1, 0, 1);
    other.normal(&b, 1, 0, 1);
    ASSERT_EQ(a, b);
  }
}

TEST(Initialize, GivesLayersTorchsWeightsInOrder) {
  Generator generator(7);
  size_t at = 0;
  auto expect = [&](Initializer initializer, int64_t count) {
    std::vector<float> values(count);
    mpar::initialize(initializer, generator, values.data(), count);
    EXPECT_EQ(linear_checksum[at++], checksum(values.data(), count)) << "tensor " << at;
  };
  using Kind = Initializer::Kind;
  auto bias = [](double fan) {
    return Initializer{Kind::uniform, -1 / std::sqrt(fan), 1 / std::sqrt(fan)};
  };
  expect({Kind::kaiming_uniform, 12}, 20 * 12);
  expect(bias(12), 20);
  expect({Kind::kaiming_uniform, 20}, 3 * 20);
  expect({Kind::kaiming_uniform, 3}, 5 * 3);
  expect(bias(3), 5);
  expect({Kind::xavier_uniform, 4, 9}, 9 * 4);
  EXPECT_EQ(at, std::size(linear_checksum));
}

TEST(Initialize, ConstantsDrawNothing) {
  Generator generator(1);
  float values[3];
  using Kind = Initializer::Kind;
  mpar::initialize({Kind::zeros}, generator, values, 3);
  EXPECT_EQ(0, values[2]);
  mpar::initialize({Kind::ones}, generator, values, 3);
  EXPECT_EQ(1, values[2]);
  mpar::initialize({Kind::constant, 2.5}, generator, values, 3);
  EXPECT_EQ(2.5, values[2]);
  EXPECT_EQ(Generator(1).random(), generator.random());
}

} // namespace
