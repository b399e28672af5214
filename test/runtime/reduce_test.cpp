// Reductions, softmax, argmax, copies and fills against plain loops.
#include "kernels.h"

#include "mpar/reduce.h"

#include <limits>

using namespace mpar;
using namespace mpar::test;

namespace {

/// The plain reduction, in double.
std::vector<double> reference(Reduction reduction, const Shape &shape, uint32_t dimensions,
                              const std::vector<float> &x) {
  int64_t kept = 1, reduced = 1;
  for (int i = 0; i < shape.rank; ++i)
    (dimensions >> i & 1 ? reduced : kept) *= shape[i];
  const bool largest = reduction == Reduction::maximum, smallest = reduction == Reduction::minimum;
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> y(kept, largest ? -infinity : smallest ? infinity : 0);
  for (int64_t i = 0; i < shape.count(); ++i) {
    int64_t rest = i, at = 0, step = 1;
    for (int d = shape.rank - 1; d >= 0; --d) {
      if (!(dimensions >> d & 1)) {
        at += rest % shape[d] * step;
        step *= shape[d];
      }
      rest /= shape[d];
    }
    if (largest)
      y[at] = std::max(y[at], double(x[i]));
    else if (smallest)
      y[at] = std::min(y[at], double(x[i]));
    else
      y[at] += reduction == Reduction::mean ? double(x[i]) / double(reduced) : double(x[i]);
  }
  return y;
}

void expect_reduced(int threads, const Shape &shape, uint32_t dimensions) {
  Device device = plain_device(threads);
  const auto x = random_values(shape.count());
  for (Reduction reduction :
       {Reduction::sum, Reduction::mean, Reduction::maximum, Reduction::minimum}) {
    const auto expected = reference(reduction, shape, dimensions, x);
    std::vector<float> y(expected.size() + 1, -7);
    reduce(device, reduction, shape, dimensions, x.data(), y.data());
    // Blocks keep the error of a sum near a rounding of its partial sums, which are as the root of
    // the count.
    const double terms = double(shape.count()) / double(expected.size());
    const double bound = reduction == Reduction::sum    ? 4e-7 * std::sqrt(terms)
                         : reduction == Reduction::mean ? 4e-7 / std::sqrt(terms)
                                                        : 0;
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(y[i], expected[i], bound * 4) << i << ", rank " << shape.rank << ", dimensions "
                                                << dimensions << ", reduction " << int(reduction);
    EXPECT_EQ(y[expected.size()], -7);
  }
}

TEST(Reduce, MatricesByEitherDimensionAndBoth) {
  for (int threads : {1, 2})
    for (int64_t rows : {1, 3, 17, 63, 65, 1000, 4097})
      for (int64_t columns : {1, 3, 17, 63, 65, 128, 257})
        for (uint32_t dimensions : {0u, 1u, 2u, 3u})
          expect_reduced(threads, {rows, columns}, dimensions);
}

TEST(Reduce, AnySetOfDimensions) {
  for (uint32_t dimensions = 0; dimensions < 32; ++dimensions)
    expect_reduced(1, {3, 5, 1, 17, 2}, dimensions);
  for (uint32_t dimensions = 0; dimensions < 256; ++dimensions)
    expect_reduced(1, {2, 3, 2, 3, 2, 3, 2, 3}, dimensions);
  expect_reduced(1, {}, 0);
  expect_reduced(1, {100003}, 1);
}

TEST(Reduce, IntegersExactly) {
  Device device = plain_device();
  const Shape shape = {3, 5, 1, 7, 2};
  std::vector<int32_t> x(shape.count());
  std::vector<float> same(shape.count());
  for (size_t i = 0; i < x.size(); ++i)
    same[i] = static_cast<float>(x[i] = static_cast<int32_t>(i * 7919 % 2001) - 1000);
  for (uint32_t dimensions = 0; dimensions < 32; ++dimensions)
    for (Reduction reduction : {Reduction::sum, Reduction::maximum, Reduction::minimum}) {
      const auto expected = reference(reduction, shape, dimensions, same);
      std::vector<int32_t> y(expected.size() + 1, -7);
      reduce(device, reduction, shape, dimensions, x.data(), y.data());
      for (size_t i = 0; i < expected.size(); ++i)
        ASSERT_EQ(y[i], expected[i]) << i << ", dimensions " << dimensions;
      EXPECT_EQ(y[expected.size()], -7);
    }
  // Beyond what a float holds, part after part, and beyond 32 bits.
  const int32_t large[] = {16777217, 1, 16777216, 2147483647};
  int32_t sum = 0;
  reduce(device, Reduction::sum, {2}, 1, large, &sum);
  EXPECT_EQ(sum, 16777218);
  reduce(device, Reduction::sum, {1}, 1, large + 2, &sum, Store::add);
  EXPECT_EQ(sum, 33554434);
  reduce(device, Reduction::sum, {1}, 1, large + 3, &sum, Store::add);
  EXPECT_EQ(sum, -2113929215);
}

// The documented order, element by element: what vectors of another width must also give.
TEST(Reduce, AddsInTheDocumentedOrder) {
  Device device = plain_device();
  for (int64_t count : {1, 31, 33, 1023, 1024, 1025, 5000}) {
    const auto x = random_values(count);
    double sum = 0;
    for (int64_t begin = 0; begin < count; begin += 1024) {
      float partial[32] = {};
      for (int64_t i = begin; i < std::min(count, begin + 1024); ++i)
        partial[i % 32] += x[i];
      for (int half = 16; half > 0; half /= 2)
        for (int i = 0; i < half; ++i)
          partial[i] += partial[i + half];
      sum += partial[0];
    }
    float y;
    reduce(device, Reduction::sum, {count}, 1, x.data(), &y);
    EXPECT_EQ(y, float(sum)) << count;
  }
  for (int64_t rows : {1, 63, 65, 1000}) {
    const int64_t columns = 131;
    const auto x = random_values(rows * columns);
    std::vector<float> y(columns);
    reduce(device, Reduction::mean, {rows, columns}, 1, x.data(), y.data());
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (int64_t begin = 0; begin < rows; begin += 64) {
        float partial = 0;
        for (int64_t i = begin; i < std::min(rows, begin + 64); ++i)
          partial += x[i * columns + j];
        sum += partial;
      }
      EXPECT_EQ(y[j], float(sum) / float(rows));
    }
  }
}

TEST(Reduce, AddsPartAfterPart) {
  Device device = plain_device();
  for (uint32_t dimensions : {0u, 1u, 2u, 3u})
    for (Reduction reduction : {Reduction::sum, Reduction::mean}) {
      const Shape shape{65, 130};
      const auto x = random_values(2 * shape.count());
      std::vector<float> first(shape.count()), second(shape.count()), both(shape.count());
      const float *parts[] = {x.data(), x.data() + shape.count()};
      reduce(device, reduction, shape, dimensions, parts[0], first.data());
      reduce(device, reduction, shape, dimensions, parts[1], second.data());
      reduce(device, reduction, shape, dimensions, parts[0], both.data());
      reduce(device, reduction, shape, dimensions, parts[1], both.data(), Store::add);
      const int64_t count = (dimensions & 1 ? 1 : 65) * (dimensions & 2 ? 1 : 130);
      for (int64_t i = 0; i < count; ++i)
        ASSERT_EQ(both[i], first[i] + second[i]) << i << ", dimensions " << dimensions;
    }
}

template <typename T> void expect_sums_of_rows(int threads) {
  Device device = plain_device(threads);
  for (const auto &[rows, columns] :
       {std::array<int64_t, 2>{1, 1}, {130, 7}, {64, 128}, {700, 300}, {0, 5}})
    for (const Store store : {Store::overwrite, Store::add}) {
      const auto values = random_values(rows * columns);
      const std::vector<T> x(values.begin(), values.end());
      const std::vector<float> wide(x.begin(), x.end());
      auto y = random_values(columns), expected = y;
      sum_rows(device, rows, columns, x.data(), y.data(), store);
      reduce(device, Reduction::sum, {rows, columns}, 1, wide.data(), expected.data(), store);
      EXPECT_EQ(y, expected) << rows << " × " << columns;
    }
}

TEST(Reduce, RowsOfTwoByteNumbersAsTheirWideOnes) {
  for (const int threads : {1, 2}) {
    expect_sums_of_rows<bfloat16>(threads);
    expect_sums_of_rows<float16>(threads);
  }
}

TEST(Reduce, LetsNaNThrough) {
  Device device = plain_device();
  for (Reduction reduction :
       {Reduction::sum, Reduction::mean, Reduction::maximum, Reduction::minimum})
    for (uint32_t dimensions : {1u, 2u}) {
      for (int64_t position : {0, 5, 99}) {
        auto x = random_values(100);
        x[position] = NAN;
        std::vector<float> y(10);
        reduce(device, reduction, {10, 10}, dimensions, x.data(), y.data());
        for (int64_t i = 0; i < 10; ++i)
          EXPECT_EQ(std::isnan(y[i]), i == (dimensions == 1 ? position % 10 : position / 10));
      }
    }
}

using Along = void (*)(Device &, int64_t, int64_t, int64_t, const float *, float *);

void expect_softmax(int threads, Along function, bool logarithm) {
  Device device = plain_device(threads);
  for (int64_t outer : {1, 3, 63})
    for (int64_t extent : {1, 3, 10, 65, 1000})
      for (int64_t inner : {1, 17}) {
        auto x = random_values(outer * extent * inner);
        for (float &value : x)
          value = value * 30 + 100; // e¹⁰⁰ overflows
        std::vector<float> y(x.size()), in_place = x;
        function(device, outer, extent, inner, x.data(), y.data());
        function(device, outer, extent, inner, in_place.data(), in_place.data());
        EXPECT_TRUE(same_bits(y, in_place));
        for (int64_t line = 0; line < outer * inner; ++line) {
          const int64_t first = line / inner * extent * inner + line % inner;
          float largest = -INFINITY;
          double sum = 0;
          for (int64_t i = 0; i < extent; ++i)
            largest = std::max(largest, x[first + i * inner]);
          for (int64_t i = 0; i < extent; ++i)
            sum += std::exp(x[first + i * inner] - largest);
          for (int64_t i = 0; i < extent; ++i) {
            const double z = x[first + i * inner] - largest;
            if (logarithm)
              ASSERT_NEAR(y[first + i * inner], z - std::log(sum), 3e-7 * (1 + std::abs(z)));
            else
              ASSERT_NEAR(y[first + i * inner], std::exp(z) / sum,
                          4e-7 * std::exp(z) / sum + 1e-37);
          }
        }
      }
}

TEST(Softmax, AgreesWithDouble) {
  expect_softmax(1, softmax, false);
  expect_softmax(2, softmax, false);
}

TEST(LogSoftmax, AgreesWithDouble) {
  expect_softmax(1, log_softmax, true);
  expect_softmax(2, log_softmax, true);
}

TEST(Softmax, LetsNaNThrough) {
  Device device = plain_device();
  const float x[] = {1, NAN, 2, 3, 4, 5};
  float y[6];
  softmax(device, 2, 3, 1, x, y);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(std::isnan(y[i]), i < 3);
}

TEST(Argmax, OfIntegersThatFloatsDoNotTellApart) {
  Device device = plain_device();
  const int32_t x[] = {16777216, 16777217, 16777217, -5};
  int32_t y = -1;
  argmax(device, 1, 4, 1, x, &y);
  EXPECT_EQ(y, 1);
}

TEST(Argmax, FindsTheFirstLargest) {
  Device device = plain_device();
  const float x[] = {1,       5,         5,  2,  /**/ NAN, 7, NAN, 1,
                     /**/ -3, -INFINITY, -3, -4, /**/ 1,   2, 3,   NAN};
  int32_t y[4];
  argmax(device, 4, 4, 1, x, y);
  EXPECT_EQ(std::vector<int32_t>(y, y + 4), (std::vector<int32_t>{1, 0, 0, 3}));
  argmax(device, 1, 4, 4, x, y);
  EXPECT_EQ(std::vector<int32_t>(y, y + 4), (std::vector<int32_t>{1, 1, 1, 3}));
  for (int64_t extent : {1, 17, 1000}) {
    const auto values = random_values(5 * extent * 3);
    int32_t positions[15];
    argmax(device, 5, extent, 3, values.data(), positions);
    for (int64_t line = 0; line < 15; ++line) {
      int64_t best = 0;
      const float *first = values.data() + line / 3 * extent * 3 + line % 3;
      for (int64_t i = 1; i < extent; ++i)
        if (first[i * 3] > first[best * 3])
          best = i;
      EXPECT_EQ(positions[line], best);
    }
  }
}

/// Every element lands where its strides say, and nothing else is written.
template <typename T>
void expect_copied(const Shape &shape, const Strides &from, const Strides &to, int64_t x_size,
                   int64_t y_size) {
  Device device = plain_device();
  std::vector<T> x(x_size), y(y_size, T(0)), expected(y_size, T(0));
  for (int64_t i = 0; i < x_size; ++i)
    x[i] = T(i * 7 + 1);
  for (int64_t i = 0; i < shape.count(); ++i) {
    int64_t rest = i, source = 0, target = 0;
    for (int d = shape.rank - 1; d >= 0; --d) {
      source += rest % shape[d] * from[d];
      target += rest % shape[d] * to[d];
      rest /= shape[d];
    }
    expected[target] = x[source];
  }
  copy(device, shape, x.data(), from, y.data(), to);
  EXPECT_EQ(y, expected);
}

TEST(Copy, BetweenAnyStrides) {
  expect_copied<float>({}, {}, {}, 1, 1);
  expect_copied<float>({17}, {1}, {1}, 17, 17);
  expect_copied<float>({17}, {3}, {2}, 51, 34);
  expect_copied<float>({63, 65}, {65, 1}, {65, 1}, 63 * 65, 63 * 65);
  expect_copied<float>({63, 65}, {65, 1}, {1, 63}, 63 * 65, 63 * 65); // transposition
  expect_copied<float>({63, 65}, {1, 63}, {65, 1}, 63 * 65, 63 * 65); // and back
  expect_copied<float>({5, 3}, {10, 1}, {3, 1}, 50, 15);              // a slice
  expect_copied<float>({5, 3}, {3, 1}, {10, 1}, 15, 50);              // part of a concatenation
  expect_copied<float>({5, 9}, {0, 1}, {9, 1}, 9, 45);                // a broadcast
  expect_copied<float>({2, 7, 33, 17}, {3927, 17, 119, 1}, {3927, 561, 17, 1}, 7854, 7854);
  expect_copied<float>({4, 7, 33, 17}, {1, 4, 28, 924}, {3927, 561, 17, 1}, 15708, 15708);
  expect_copied<int32_t>({19, 1, 40}, {40, 0, 1}, {1, 0, 19}, 760, 760);
}

TEST(Copy, OfTruthValues) {
  Device device = plain_device();
  bool x[12], y[12];
  for (int i = 0; i < 12; ++i)
    x[i] = i % 5 == 0;
  copy(device, {3, 4}, x, {4, 1}, y, {1, 3});
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j)
      EXPECT_EQ(y[j * 3 + i], x[i * 4 + j]);
}

TEST(Fill, SetsAllAndNoMore) {
  Device device = plain_device();
  for (int64_t count : {1, 17, 1000}) {
    std::vector<float> y(count + 1, 1);
    fill(device, count, 2.0f, y.data());
    EXPECT_EQ(std::vector<float>(count, 2), std::vector<float>(y.begin(), y.end() - 1));
    EXPECT_EQ(y[count], 1);
  }
  int32_t n[2] = {1, 1};
  fill(device, 1, 5, n);
  EXPECT_EQ(n[0] * 10 + n[1], 51);
  bool b[2] = {false, false};
  fill(device, 1, true, b);
  EXPECT_TRUE(b[0] && !b[1]);
}

} // namespace
