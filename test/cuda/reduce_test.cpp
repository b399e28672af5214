// Reductions, softmax and argmax on a GPU against the processor's.
#include "gpu.h"
#include "kernels.h"

namespace mpar {
namespace {

using test::expect_near;
using test::gpu;
using test::OnGpu;
using test::random_integers;
using test::random_values;

struct Case {
  Shape shape;
  uint32_t dimensions;
};
const Case cases[] = {{{5}, 1},          {{1}, 1},           {{7, 33}, 2},      {{7, 33}, 1},
                      {{3, 40, 37}, 2},  {{4, 3, 5, 6}, 10}, {{4, 3, 5, 6}, 5}, {{4, 3, 5}, 7},
                      {{2, 1500}, 2},    {{1100, 5}, 1},     {{3, 2}, 0},       {{2, 70000}, 2},
                      {{5, 1, 3, 1}, 10}};

int64_t results_of(const Case &one) {
  int64_t count = 1;
  for (int dimension = 0; dimension < one.shape.rank; ++dimension)
    count *= (one.dimensions >> dimension & 1) != 0 ? 1 : one.shape[dimension];
  return count;
}

TEST(Reductions, OfFloatsAgreeWithTheProcessors) {
  Device cpu = test::cpu();
  for (const Case &one : cases)
    for (const Reduction reduction :
         {Reduction::sum, Reduction::mean, Reduction::maximum, Reduction::minimum}) {
      const bool sums = reduction == Reduction::sum || reduction == Reduction::mean;
      for (const Store store : {Store::overwrite, Store::add}) {
        if (store == Store::add && !sums)
          continue;
        const std::vector<float> x = random_values(one.shape.count());
        std::vector<float> expected = random_values(results_of(one), 2);
        const OnGpu<float> x_on(x), y(expected);
        reduce(gpu(), reduction, one.shape, one.dimensions, x_on, y, store);
        reduce(cpu, reduction, one.shape, one.dimensions, x.data(), expected.data(), store);
        expect_near(y.read(), expected, sums ? 1e-5f : 0);
      }
    }
}

TEST(Reductions, OfIntegersAreThoseOfTheProcessors) {
  Device cpu = test::cpu();
  for (const Case &one : cases)
    for (const Reduction reduction : {Reduction::sum, Reduction::maximum, Reduction::minimum}) {
      std::vector<int32_t> x = random_integers(one.shape.count(), 1 << 30);
      for (size_t i = 0; i < x.size(); i += 2)
        x[i] = -x[i];
      std::vector<int32_t> expected(results_of(one), 3);
      const OnGpu<int32_t> x_on(x), y(expected);
      const Store store = reduction == Reduction::sum ? Store::add : Store::overwrite;
      reduce(gpu(), reduction, one.shape, one.dimensions, x_on, y, store);
      reduce(cpu, reduction, one.shape, one.dimensions, x.data(), expected.data(), store);
      EXPECT_EQ(y.read(), expected);
    }
}

template <typename T> void expect_sums_of_rows() {
  Device cpu = test::cpu();
  for (const auto &[rows, columns] :
       {std::array<int64_t, 2>{1, 1}, {130, 7}, {64, 200}, {3000, 33}, {0, 5}})
    for (const Store store : {Store::overwrite, Store::add}) {
      const std::vector<float> values = random_values(rows * columns);
      const std::vector<T> x(values.begin(), values.end());
      std::vector<float> expected = random_values(columns, 2);
      const OnGpu<T> x_on(x);
      const OnGpu<float> y(expected);
      sum_rows(gpu(), rows, columns, x_on.data(), y.data(), store);
      sum_rows(cpu, rows, columns, x.data(), expected.data(), store);
      expect_near(y.read(), expected, 1e-5f);
    }
}

TEST(Reductions, OfRowsOfTwoByteNumbersAgreeWithTheProcessors) {
  expect_sums_of_rows<bfloat16>();
  expect_sums_of_rows<float16>();
}

TEST(Reductions, LetANaNThrough) {
  Device cpu = test::cpu();
  std::vector<float> x = random_values(300), expected(3);
  x[120] = NAN;
  x[220] = INFINITY;
  const OnGpu<float> x_on(x), y(3);
  for (const Reduction reduction : {Reduction::sum, Reduction::maximum, Reduction::minimum}) {
    reduce(gpu(), reduction, {3, 100}, 2, x_on, y, Store::overwrite);
    reduce(cpu, reduction, {3, 100}, 2, x.data(), expected.data());
    expect_near(y.read(), expected, 1e-5f);
  }
}

TEST(Reductions, AreTheSameBitsEachTime) {
  const OnGpu<float> x(random_values(140000)), y(2);
  reduce(gpu(), Reduction::sum, {2, 70000}, 2, x, y, Store::overwrite);
  const std::vector<float> first = y.read();
  reduce(gpu(), Reduction::sum, {2, 70000}, 2, x, y, Store::overwrite);
  EXPECT_TRUE(test::same_bits(y.read(), first));
}

const int64_t lines[][3] = {{3, 5, 1}, {1, 1, 1}, {2, 1300, 1}, {2, 7, 45}, {5, 33, 2}, {4, 64, 1}};

std::vector<float> hard_values(int64_t count, int64_t extent) {
  std::vector<float> x = random_values(count);
  for (float &value : x)
    value *= 30;
  if (extent > 4) {
    x[0] = x[1] = -INFINITY; // masked
    x[2] = 400;
  }
  return x;
}

TEST(Softmax, AgreesWithTheProcessors) {
  Device cpu = test::cpu();
  for (const auto &[outer, extent, inner] : lines) {
    const std::vector<float> x = hard_values(outer * extent * inner, inner == 1 ? extent : 0);
    std::vector<float> expected(x.size());
    const OnGpu<float> in_place(x), logarithms(x);
    softmax(gpu(), outer, extent, inner, in_place, in_place);
    softmax(cpu, outer, extent, inner, x.data(), expected.data());
    expect_near(in_place.read(), expected, 1e-6f);
    log_softmax(gpu(), outer, extent, inner, logarithms, logarithms);
    log_softmax(cpu, outer, extent, inner, x.data(), expected.data());
    expect_near(logarithms.read(), expected, 1e-6f);
  }
}

TEST(Softmax, OfWhatIsNotFiniteIsThatOfTheProcessors) {
  Device cpu = test::cpu();
  const std::vector<float> x = {1, NAN, 2, -INFINITY, -INFINITY, -INFINITY, INFINITY, 1, 2};
  std::vector<float> expected(9);
  const OnGpu<float> x_on(x), y(9);
  softmax(gpu(), 3, 3, 1, x_on, y);
  softmax(cpu, 3, 3, 1, x.data(), expected.data());
  expect_near(y.read(), expected, 1e-6f);
}

TEST(Argmax, IsThatOfTheProcessors) {
  Device cpu = test::cpu();
  for (const auto &[outer, extent, inner] : lines) {
    std::vector<float> x = random_values(outer * extent * inner);
    for (float &value : x)
      value = std::round(value); // many are equal
    if (extent > 3)
      x[3 * inner] = -0.0f;
    if (extent == 33)
      x[100] = x[140] = NAN;
    std::vector<int32_t> expected(outer * inner);
    const OnGpu<float> x_on(x);
    const OnGpu<int32_t> y(outer * inner);
    argmax<float>(gpu(), outer, extent, inner, x_on, y);
    argmax(cpu, outer, extent, inner, x.data(), expected.data());
    EXPECT_EQ(y.read(), expected);

    std::vector<int32_t> integers = random_integers(outer * extent * inner, 9);
    for (int32_t &value : integers)
      value -= 4;
    const OnGpu<int32_t> integers_on(integers);
    argmax<int32_t>(gpu(), outer, extent, inner, integers_on, y);
    argmax(cpu, outer, extent, inner, integers.data(), expected.data());
    EXPECT_EQ(y.read(), expected);
  }
}

} // namespace
} // namespace mpar
