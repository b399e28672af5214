// Copies and fills on a GPU.
#include "gpu.h"
#include "kernels.h"

#include "mpar/low_precision.h"

namespace mpar {
namespace {

using test::gpu;
using test::OnGpu;

template <typename T> std::vector<typename OnGpu<T>::Stored> numbered(int64_t count) {
  std::vector<typename OnGpu<T>::Stored> values(count);
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = static_cast<uint32_t>(std::is_same_v<T, bool> ? i % 2 : i * 2654435761u);
    std::memcpy(&values[i], &bits, sizeof(T));
  }
  return values;
}

template <typename T>
void expect_copied(const Shape &shape, const Strides &from, const Strides &to, int64_t size) {
  const auto x = numbered<T>(size), before = numbered<T>(size + 7);
  const OnGpu<T> on_gpu(x), y(before);
  copy<T>(gpu(), shape, on_gpu, from, y, to);
  auto expected = before;
  Device cpu = test::cpu();
  copy(cpu, shape, reinterpret_cast<const T *>(x.data()), from,
       reinterpret_cast<T *>(expected.data()), to);
  EXPECT_TRUE(test::same_bits(y.read(), expected));
}

template <typename T> class Copies : public testing::Test {};
using Types = testing::Types<float, int32_t, bool, bfloat16, float16>;
TYPED_TEST_SUITE(Copies, Types, );

TYPED_TEST(Copies, GoBetweenAnyStrides) {
  using T = TypeParam;
  expect_copied<T>({5, 7}, {7, 1}, {7, 1}, 35);          // as it lies
  expect_copied<T>({5, 7}, {1, 5}, {7, 1}, 35);          // transposed, small
  expect_copied<T>({67, 45}, {1, 67}, {45, 1}, 67 * 45); // transposed, in squares
  expect_copied<T>({3, 33, 4, 9}, {33 * 36, 9, 33 * 9, 1}, {33 * 36, 36, 9, 1}, 3 * 33 * 36);
  expect_copied<T>({3, 9, 4, 33}, {33 * 36, 1, 9, 36}, {33 * 36, 33 * 4, 33, 1}, 3 * 33 * 36);
  expect_copied<T>({6, 5}, {10, 1}, {5, 1}, 60); // a slice
  expect_copied<T>({}, {}, {}, 1);
  expect_copied<T>({4, 0, 3}, {3, 3, 1}, {3, 3, 1}, 12);
}

TEST(Fill, SetsEachElementAndNoOther) {
  const OnGpu<float> y(std::vector<float>(1500, 2));
  fill(gpu(), 1499, 3.5f, y.data());
  std::vector<float> expected(1500, 3.5f);
  expected.back() = 2;
  EXPECT_EQ(y.read(), expected);
}

} // namespace
} // namespace mpar
