// Element-wise loops: contiguous, broadcast, permuted, by index, in place, on threads.
#include "kernels.h"

#include "mpar/map.h"
#include "mpar/scalar.h"

using namespace mpar;
using namespace mpar::test;

namespace {

const int64_t counts[] = {1, 3, 17, 63, 65, 1000, 70001, 200003};

/// The strides of a contiguous tensor.
Strides contiguous(const Shape &shape) {
  Strides strides = shape;
  int64_t step = 1;
  for (int i = shape.rank - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/// Σ position · stride of element number `element` of `shape`.
int64_t offset(const Shape &shape, const Strides &strides, int64_t element) {
  int64_t sum = 0;
  for (int i = shape.rank - 1; i >= 0; --i) {
    sum += element % shape[i] * strides[i];
    element /= shape[i];
  }
  return sum;
}

TEST(Map, AppliesToContiguousOperands) {
  for (int threads : {1, 2}) {
    Device device = plain_device(threads);
    for (int64_t count : counts) {
      const auto a = random_values(count, 1);
      const auto b = random_values(count, 2);
      const auto c = random_values(count, 3);
      std::vector<float> y(count + 1, -7);
      map(
          device, count, [](float p, float q, float r) { return p * q - relu(r); }, y.data(),
          a.data(), b.data(), c.data());
      for (int64_t i = 0; i < count; ++i)
        ASSERT_EQ(y[i], a[i] * b[i] - relu(c[i])) << i << " of " << count;
      EXPECT_EQ(y[count], -7);
    }
  }
}

TEST(Map, WritesOverAnOperand) {
  Device device = plain_device();
  for (int64_t count : counts) {
    const auto a = random_values(count, 1);
    const auto b = random_values(count, 2);
    std::vector<float> y = a;
    map(device, count, [](float p, float q) { return p + 2 * q; }, y.data(), y.data(), b.data());
    for (int64_t i = 0; i < count; ++i)
      ASSERT_EQ(y[i], a[i] + 2 * b[i]);
  }
}

TEST(Map, MixesElementTypes) {
  Device device = plain_device();
  for (int64_t count : counts) {
    const auto a = random_values(count, 1);
    std::vector<int32_t> n(count);
    std::vector<char> storage(count);
    bool *positive = reinterpret_cast<bool *>(storage.data());
    map(device, count, [](float p) { return p > 0; }, positive, a.data());
    map(
        device, count, [](bool q, float p) { return q ? int32_t(p * 100) : -1; }, n.data(),
        positive, a.data());
    for (int64_t i = 0; i < count; ++i) {
      ASSERT_EQ(positive[i], a[i] > 0);
      ASSERT_EQ(n[i], a[i] > 0 ? int32_t(a[i] * 100) : -1);
    }
  }
}

TEST(Map, WithoutOperandsFills) {
  Device device = plain_device();
  std::vector<float> y(65);
  map(device, Shape{5, 13}, [] { return 2.5f; }, y.data());
  EXPECT_EQ(y, std::vector<float>(65, 2.5f));
}

/// One loop over four operands: as the result, broadcast or permuted as `strides` says, and both
/// kinds of index.
void expect_strided(int threads, const Shape &shape, const Strides &strides, int64_t elements) {
  Device device = plain_device(threads);
  const int64_t count = shape.count();
  const auto a = random_values(count, 1);
  const auto b = random_values(elements, 2);
  std::vector<float> y(count + 1, -7);
  const auto function = [](float p, float q, int32_t i, int64_t j) {
    return p + q * 3 + float(i) - 0.5f * float(j);
  };
  const Strides order = contiguous(shape);
  map(device, shape, function, y.data(), strided(a.data(), order), strided(b.data(), strides),
      Index{strides}, Index64{order});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = offset(shape, strides, i);
    ASSERT_EQ(y[i], function(a[i], b[at], int32_t(at), i))
        << i << " of " << count << ", rank " << shape.rank;
  }
  EXPECT_EQ(y[count], -7);
}

TEST(StridedMap, BroadcastsAndPermutes) {
  for (int threads : {1, 2}) {
    expect_strided(threads, {}, {}, 1);
    expect_strided(threads, {1}, {0}, 1);
    expect_strided(threads, {17}, {1}, 17);
    expect_strided(threads, {65}, {0}, 1);
    for (int64_t rows : {1, 3, 63, 300})
      for (int64_t columns : {1, 3, 17, 63, 65, 1000}) {
        expect_strided(threads, {rows, columns}, {columns, 1}, rows * columns);
        expect_strided(threads, {rows, columns}, {0, 1}, columns);
        expect_strided(threads, {rows, columns}, {1, 0}, rows);
        expect_strided(threads, {rows, columns}, {0, 0}, 1);
        expect_strided(threads, {rows, columns}, {1, rows}, rows * columns);
      }
    expect_strided(threads, {3, 5, 17}, {0, 17, 1}, 85);
    expect_strided(threads, {3, 5, 17}, {5, 1, 0}, 15);
    expect_strided(threads, {3, 5, 65}, {1, 195, 3}, 975);
    expect_strided(threads, {2, 1, 3, 1, 5, 2, 7, 3}, {0, 0, 14, 0, 0, 7, 1, 0}, 42);
    expect_strided(threads, {9, 4, 3, 130}, {390, 0, 130, 1}, 9 * 390);
  }
}

TEST(StridedMap, WritesOverTheOperandReadInItsOrder) {
  Device device = plain_device();
  for (const Shape &shape : {Shape{33, 3}, Shape{5, 700}}) {
    const auto a = random_values(shape.count(), 1);
    const auto b = random_values(shape[0], 2);
    std::vector<float> y = a;
    map(
        device, shape, [](float p, float q) { return p / q; }, y.data(),
        strided<float>(y.data(), contiguous(shape)), strided(b.data(), {1, 0}));
    for (int64_t i = 0; i < shape.count(); ++i)
      ASSERT_EQ(y[i], a[i] / b[i / shape[1]]);
  }
}

} // namespace
