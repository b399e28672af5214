// Rows of tables by their numbers, and cross-entropy, on a GPU against the processor's.
#include "gpu.h"
#include "kernels.h"

#include "mpar/low_precision.h"

namespace mpar {
namespace {

using test::expect_near;
using test::gpu;
using test::OnGpu;
using test::random_integers;
using test::random_values;

template <typename T> class Gathers : public testing::Test {};
using Types = testing::Types<float, int32_t, bool, bfloat16, float16>;
TYPED_TEST_SUITE(Gathers, Types, );

TYPED_TEST(Gathers, TakeTheRowsThatIdsName) {
  using T = TypeParam;
  Device cpu = test::cpu();
  for (const int64_t width : {1, 3, 8, 32}) {
    const std::vector<int32_t> ids = random_integers(50, 11);
    std::vector<typename OnGpu<T>::Stored> table(11 * width), expected(50 * width);
    for (size_t i = 0; i < table.size(); ++i) {
      const auto bits = static_cast<uint32_t>(std::is_same_v<T, bool> ? i % 2 : i * 77);
      std::memcpy(&table[i], &bits, sizeof(T));
    }
    const OnGpu<T> table_on(table), y(50 * width);
    const OnGpu<int32_t> ids_on(ids);
    gather<T>(gpu(), 11, width, 50, "table", table_on, ids_on, y);
    gather(cpu, 11, width, 50, "table", reinterpret_cast<const T *>(table.data()), ids.data(),
           reinterpret_cast<T *>(expected.data()));
    EXPECT_TRUE(test::same_bits(y.read(), expected));
  }
}

TEST(ScatterAdd, IsBitForBitTheProcessors) {
  Device cpu = test::cpu();
  for (const int64_t width : {1, 30, 700})
    for (const Store store : {Store::overwrite, Store::add}) {
      const std::vector<int32_t> ids = random_integers(400, 23);
      const std::vector<float> rows = random_values(400 * width);
      std::vector<float> expected = random_values(25 * width, 2);
      const OnGpu<int32_t> ids_on(ids);
      const OnGpu<float> rows_on(rows), table(expected);
      scatter_add(gpu(), 25, width, 400, "table", ids_on, rows_on, table, store);
      scatter_add(cpu, 25, width, 400, "table", ids.data(), rows.data(), expected.data(), store);
      EXPECT_TRUE(test::same_bits(table.read(), expected));
    }
}

std::string finding() {
  try {
    cuda::refuse(test::Gpu::get().queue);
  } catch (const std::exception &error) {
    return error.what();
  }
  return "";
}

TEST(Ids, ThatAreNotInTheTableAreFound) {
  const OnGpu<int32_t> ids(std::vector<int32_t>{1, -3, 2});
  const OnGpu<float> table(random_values(12)), y(std::vector<float>(12, 5));
  gather<float>(gpu(), 3, 4, 3, "embedding.weight", table, ids, y);
  EXPECT_EQ(finding(), "embedding.weight: id -3 is not in a table of 3 rows");
  EXPECT_EQ(finding(), "");
  scatter_add(gpu(), 2, 4, 3, "embedding.weight", ids + 2, y, table, Store::overwrite);
  EXPECT_EQ(finding().substr(0, 20), "embedding.weight: id");
  const std::vector<float> rows = y.read();
  EXPECT_EQ(std::vector<float>(rows.begin() + 4, rows.begin() + 8), std::vector<float>(4));
}

TEST(CrossEntropy, AgreesWithTheProcessors) {
  Device cpu = test::cpu();
  for (const int64_t classes : {1, 10, 33, 1500}) {
    const int64_t count = 7;
    std::vector<float> x = random_values(count * classes);
    for (float &value : x)
      value *= 10;
    const std::vector<float> g = random_values(count, 2);
    const std::vector<int32_t> target = random_integers(count, static_cast<int32_t>(classes));
    std::vector<float> losses(count), gradient(count * classes);
    const OnGpu<float> x_on(x), g_on(g), y(count), dx(count * classes);
    const OnGpu<int32_t> target_on(target);
    cross_entropy(gpu(), count, classes, x_on, target_on, y);
    cross_entropy(cpu, count, classes, x.data(), target.data(), losses.data());
    expect_near(y.read(), losses, 2e-6f);
    cross_entropy_gradient(gpu(), count, classes, x_on, target_on, g_on, dx);
    cross_entropy_gradient(cpu, count, classes, x.data(), target.data(), g.data(), gradient.data());
    expect_near(dx.read(), gradient, 2e-6f);
    cross_entropy_gradient(gpu(), count, classes, x_on, target_on, g_on, x_on); // in place
    EXPECT_TRUE(test::same_bits(x_on.read(), dx.read()));
    EXPECT_EQ(finding(), "");
  }
}

template <typename T> void expect_rounded_classes(float rounding) {
  Device cpu = test::cpu();
  for (const auto &[count, classes] : {std::array<int64_t, 2>{1, 1}, {3, 10}, {5, 1500}}) {
    const std::vector<float> values = random_values(count * classes), g = random_values(count, 2);
    const std::vector<T> x(values.begin(), values.end());
    const std::vector<int32_t> target = random_integers(count, static_cast<int32_t>(classes));
    std::vector<float> losses(count);
    std::vector<T> gradient(count * classes);
    const OnGpu<T> x_on(x);
    const OnGpu<float> g_on(g), y(count);
    const OnGpu<int32_t> target_on(target);
    cross_entropy(gpu(), count, classes, x_on, target_on, y);
    cross_entropy(cpu, count, classes, x.data(), target.data(), losses.data());
    expect_near(y.read(), losses, 2e-6f);
    cross_entropy_gradient(gpu(), count, classes, x_on, target_on, g_on, x_on); // in place
    cross_entropy_gradient(cpu, count, classes, x.data(), target.data(), g.data(), gradient.data());
    const std::vector<T> found = x_on.read();
    expect_near({found.begin(), found.end()}, {gradient.begin(), gradient.end()}, rounding);
    EXPECT_EQ(finding(), "");
  }
}

TEST(CrossEntropy, OfTwoByteNumbersAgreesWithTheProcessors) {
  expect_rounded_classes<bfloat16>(0x1p-7f);
  expect_rounded_classes<float16>(0x1p-10f);
}

TEST(CrossEntropy, FindsTargetsThatAreNoClass) {
  const OnGpu<float> x(random_values(20)), y(2), g(std::vector<float>{1, 1});
  const OnGpu<int32_t> target(std::vector<int32_t>{9, 10});
  cross_entropy(gpu(), 2, 10, x, target, y);
  EXPECT_EQ(finding(), "cross_entropy: the target 10 is no class; expected 0 to 9");
  cross_entropy_gradient(gpu(), 2, 10, x, target, g, x);
  EXPECT_EQ(finding(), "cross_entropy: the target 10 is no class; expected 0 to 9");
}

} // namespace
} // namespace mpar
