// Rows of tables by their numbers, and the cross-entropy of classes, against plain loops.
#include "kernels.h"

#include "mpar/errors.h"
#include "mpar/indexing.h"

#include <functional>
#include <limits>

using namespace mpar;
using namespace mpar::test;

namespace {

std::vector<int32_t> random_ids(int64_t count, int32_t below, uint32_t seed = 3) {
  std::mt19937 generator(seed);
  std::vector<int32_t> ids(count);
  for (int32_t &id : ids)
    id = static_cast<int32_t>(generator() % static_cast<uint32_t>(below));
  return ids;
}

std::string message_of(const std::function<void()> &call) {
  try {
    call();
  } catch (const Error &error) {
    return error.what();
  }
  return "nothing";
}

} // namespace

TEST(Gather, CopiesRows) {
  for (int64_t width : {1, 3, 16, 129}) {
    for (int threads : {1, 4}) {
      Device device = plain_device(threads);
      const auto table = random_values(50 * width);
      const auto ids = random_ids(3000, 50);
      std::vector<float> y(3000 * width + 1, -7);
      gather(device, 50, width, 3000, "table", table.data(), ids.data(), y.data());
      for (int64_t i = 0; i < 3000; ++i)
        for (int64_t j = 0; j < width; ++j)
          ASSERT_EQ(y[i * width + j], table[ids[i] * width + j]);
      EXPECT_EQ(y.back(), -7);
    }
  }
}

TEST(Gather, TakesEveryElementType) {
  Device device = plain_device();
  const int32_t numbers[] = {5, -6, 7};
  const bool flags[] = {true, false, false, true, false, true};
  const int32_t ids[] = {2, 0};
  int32_t taken[2];
  gather(device, 3, 1, 2, "numbers", numbers, ids, taken);
  EXPECT_EQ(taken[0], 7);
  EXPECT_EQ(taken[1], 5);
  bool rows[4];
  gather(device, 3, 2, 2, "flags", flags, ids, rows);
  EXPECT_EQ(std::vector<bool>(rows, rows + 4), (std::vector<bool>{false, true, true, false}));
}

TEST(Gather, RefusesWhatIsNotInTheTable) {
  Device device = plain_device();
  const auto table = random_values(6);
  std::vector<float> y(8, -7);
  for (int32_t wrong : {3, -1, std::numeric_limits<int32_t>::max(), -2147483647 - 1}) {
    const int32_t ids[] = {0, 2, wrong, 1};
    EXPECT_EQ(message_of([&] { gather(device, 3, 2, 4, "wte", table.data(), ids, y.data()); }),
              "wte: id " + std::to_string(wrong) + " is not in a table of 3 rows");
    EXPECT_EQ(y, std::vector<float>(8, -7));
  }
}

TEST(ScatterAdd, SumsInOrderOnAnyNumberOfThreads) {
  for (int64_t width : {1, 5, 64, 200}) {
    const auto ids = random_ids(4000, 30);
    const auto rows = random_values(4000 * width);
    std::vector<float> expected(30 * width, 0);
    for (int64_t i = 0; i < 4000; ++i)
      for (int64_t j = 0; j < width; ++j)
        expected[ids[i] * width + j] += rows[i * width + j];
    for (int threads : {1, 2, 7}) {
      Device device = plain_device(threads);
      std::vector<float> table(30 * width, 9);
      scatter_add(device, 30, width, 4000, "table", ids.data(), rows.data(), table.data());
      EXPECT_TRUE(same_bits(table, expected)) << width << " columns, " << threads << " threads";
      // In parts the sums are the same, to the bit.
      scatter_add(device, 30, width, 1500, "table", ids.data(), rows.data(), table.data());
      scatter_add(device, 30, width, 2500, "table", ids.data() + 1500, rows.data() + 1500 * width,
                  table.data(), Store::add);
      EXPECT_TRUE(same_bits(table, expected)) << width << " columns, in parts";
    }
  }
}

TEST(ScatterAdd, RefusesWhatIsNotInTheTable) {
  Device device = plain_device();
  const auto rows = random_values(4);
  const int32_t ids[] = {0, 5};
  std::vector<float> table(6, 9);
  EXPECT_EQ(
      message_of([&] { scatter_add(device, 3, 2, 2, "wte", ids, rows.data(), table.data()); }),
      "wte: id 5 is not in a table of 3 rows");
  EXPECT_EQ(table, std::vector<float>(6, 9));
}

TEST(CrossEntropy, IsThatOfDoubles) {
  for (int64_t classes : {1, 2, 31, 32, 33, 256, 1000, 1024, 1025, 5000}) {
    const int64_t count = 37;
    auto x = random_values(count * classes);
    for (float &value : x)
      value *= 5;
    const auto target = random_ids(count, static_cast<int32_t>(classes));
    const auto g = random_values(count, 8);
    Device one = plain_device(1), four = plain_device(4);
    std::vector<float> y(count), y4(count), dx(count * classes), dx4(count * classes);
    cross_entropy(one, count, classes, x.data(), target.data(), y.data());
    cross_entropy(four, count, classes, x.data(), target.data(), y4.data());
    EXPECT_TRUE(same_bits(y, y4));
    cross_entropy_gradient(one, count, classes, x.data(), target.data(), g.data(), dx.data());
    cross_entropy_gradient(four, count, classes, x.data(), target.data(), g.data(), dx4.data());
    EXPECT_TRUE(same_bits(dx, dx4));
    auto in_place = x;
    cross_entropy_gradient(one, count, classes, in_place.data(), target.data(), g.data(),
                           in_place.data());
    EXPECT_TRUE(same_bits(dx, in_place));
    for (int64_t i = 0; i < count; ++i) {
      const float *row = x.data() + i * classes;
      double sum = 0;
      for (int64_t c = 0; c < classes; ++c)
        sum += std::exp(double(row[c]));
      ASSERT_NEAR(y[i], std::log(sum) - double(row[target[i]]), 4e-6) << classes;
      for (int64_t c = 0; c < classes; ++c) {
        const double share = std::exp(double(row[c])) / sum - (c == target[i]);
        ASSERT_NEAR(dx[i * classes + c], share * double(g[i]), 1e-6 * std::abs(double(g[i])));
      }
    }
  }
}

template <typename T> void expect_rounded_classes(int threads) {
  Device device = plain_device(threads);
  for (const auto &[count, classes] : {std::array<int64_t, 2>{1, 1}, {3, 10}, {5, 1500}, {0, 4}}) {
    const auto values = random_values(count * classes), g = random_values(count, 8);
    std::vector<T> x(values.begin(), values.end());
    const std::vector<float> wide(x.begin(), x.end());
    std::vector<int32_t> target(count);
    for (int64_t i = 0; i < count; ++i)
      target[i] = static_cast<int32_t>(i * 7 % classes);
    std::vector<float> y(count), expected(count), dx(count * classes);
    cross_entropy(device, count, classes, x.data(), target.data(), y.data());
    cross_entropy(device, count, classes, wide.data(), target.data(), expected.data());
    EXPECT_TRUE(same_bits(y, expected));
    cross_entropy_gradient(device, count, classes, wide.data(), target.data(), g.data(), dx.data());
    cross_entropy_gradient(device, count, classes, x.data(), target.data(), g.data(), x.data());
    for (size_t i = 0; i < dx.size(); ++i)
      ASSERT_EQ(x[i].bits, T(dx[i]).bits) << i;
  }
}

TEST(CrossEntropy, OfTwoByteNumbersIsThatOfTheirWideOnesRounded) {
  for (const int threads : {1, 4}) {
    expect_rounded_classes<bfloat16>(threads);
    expect_rounded_classes<float16>(threads);
  }
}

TEST(CrossEntropy, KeepsItsDigitsWhereScoresAreLarge) {
  Device device = plain_device();
  const float x[] = {10000, 10001};
  const int32_t target[] = {0};
  float y;
  cross_entropy(device, 1, 2, x, target, &y);
  EXPECT_FLOAT_EQ(y, 1.3132616f);
}

TEST(CrossEntropy, TakesInfinityAsTorchDoes) {
  Device device = plain_device();
  const float g[] = {1, 1, 1};
  const float x[] = {-INFINITY, 0, 0, -INFINITY, 0, 0, NAN, 0, 0};
  const int32_t target[] = {1, 0, 1};
  float y[3], dx[9];
  cross_entropy(device, 3, 3, x, target, y);
  EXPECT_FLOAT_EQ(y[0], 0.6931472f);
  EXPECT_EQ(y[1], INFINITY);
  EXPECT_TRUE(std::isnan(y[2]));
  cross_entropy_gradient(device, 3, 3, x, target, g, dx);
  EXPECT_EQ(dx[0], 0);
  EXPECT_EQ(dx[1], -0.5f);
  EXPECT_EQ(dx[3], -1);
  EXPECT_TRUE(std::isnan(dx[7]));
}

TEST(CrossEntropy, RefusesWhatIsNoClass) {
  Device device = plain_device();
  const float x[] = {0, 0, 0, 0}, g[] = {1, 1};
  float y[2], dx[4];
  for (int32_t wrong : {2, -1}) {
    const int32_t target[] = {1, wrong};
    const std::string message =
        "cross_entropy: the target " + std::to_string(wrong) + " is no class; expected 0 to 1";
    EXPECT_EQ(message_of([&] { cross_entropy(device, 2, 2, x, target, y); }), message);
    EXPECT_EQ(message_of([&] { cross_entropy_gradient(device, 2, 2, x, target, g, dx); }), message);
  }
}

TEST(CheckIndex, CopiesWhatCounts) {
  Device device = plain_device();
  const int32_t ids[] = {0, 9, 4};
  int32_t y[4] = {-1, -1, -1, -1};
  check_ids(device, 10, 3, "table", ids, y);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(y[i], ids[i]);
  EXPECT_EQ(y[3], -1);
  check_targets(device, 10, 2, ids + 1, y);
  EXPECT_EQ(y[0], 9);
  EXPECT_EQ(y[1], 4);
}

TEST(CheckIndex, NamesWhatDoesNot) {
  Device device = plain_device();
  const int32_t ids[] = {0, 10, -4};
  int32_t y[3] = {-1, -1, -1};
  EXPECT_EQ(message_of([&] { check_ids(device, 10, 3, "words.weight", ids, y); }),
            "words.weight: id 10 is not in a table of 10 rows");
  EXPECT_EQ(message_of([&] { check_targets(device, 10, 2, ids + 1, y); }),
            "cross_entropy: the target 10 is no class; expected 0 to 9");
  EXPECT_EQ(message_of([&] { check_targets(device, 11, 2, ids + 1, y); }),
            "cross_entropy: the target -4 is no class; expected 0 to 10");
  EXPECT_EQ(y[0], -1);
}
