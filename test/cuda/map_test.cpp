// Element-wise loops over functors on a GPU, against the processor's.
#include "gpu.h"

#include "mpar/low_precision.h"
#include "mpar/map.h"
#include "mpar/scalar.h"

namespace mpar {
namespace {

using test::Gpu;
using test::gpu;
using test::OnGpu;
using test::random_values;

struct ScaleAndAdd {
  float factor;
  MPAR_HOST_DEVICE float operator()(float x, float y) const { return factor * x + y; }
};
struct Gelu {
  MPAR_HOST_DEVICE float operator()(float x) const { return gelu(x); }
};
struct One {
  MPAR_HOST_DEVICE int32_t operator()() const { return 1; }
};
template <typename To> struct Convert {
  template <typename From> MPAR_HOST_DEVICE To operator()(From x) const {
    return static_cast<To>(x);
  }
};
struct Choose {
  MPAR_HOST_DEVICE float operator()(bool which, float x, float y) const { return which ? x : y; }
};
struct AddIndices {
  MPAR_HOST_DEVICE float operator()(float x, int32_t i, int64_t j) const {
    return x + static_cast<float>(i) * 1000 + static_cast<float>(j);
  }
};
struct Drop {
  uint64_t step;
  MPAR_HOST_DEVICE float operator()(float x, int64_t index) const {
    return x * dropout_scale(7, step, 11, index, 0.3f);
  }
};

const int64_t counts[] = {1, 3, 4, 31, 1027};

TEST(MapOnAGpu, WorksOnContiguousOperandsOfAnyLengthAndAlignment) {
  Device cpu = test::cpu();
  for (const int64_t count : counts)
    for (const int64_t skipped : {0, 1}) {
      const std::vector<float> a = random_values(count + 1, 1), b = random_values(count + 1, 2);
      std::vector<float> expected(count + 1, 3);
      const OnGpu<float> a_on(a), b_on(b), y(expected);
      map(gpu(), count, ScaleAndAdd{1.7f}, y + skipped, a_on + skipped, b_on.data());
      map(cpu, count, ScaleAndAdd{1.7f}, expected.data() + skipped, a.data() + skipped, b.data());
      EXPECT_TRUE(test::same_bits(y.read(), expected)) << count << " from " << skipped;
      map(gpu(), count, Gelu(), a_on.data(), a_on.data()); // in place
      expected = a;
      map(cpu, count, Gelu(), expected.data(), expected.data());
      test::expect_near(a_on.read(), expected, 1e-6f);
    }
}

TEST(MapOnAGpu, NeedsNoOperands) {
  const OnGpu<int32_t> y(std::vector<int32_t>(7, 5));
  map(gpu(), 6, One(), y.data());
  EXPECT_EQ(y.read(), (std::vector<int32_t>{1, 1, 1, 1, 1, 1, 5}));
}

template <typename T> class MapsOfType : public testing::Test {};
using Types = testing::Types<int32_t, bfloat16, float16>;
TYPED_TEST_SUITE(MapsOfType, Types, );

TYPED_TEST(MapsOfType, Convert) {
  using T = TypeParam;
  Device cpu = test::cpu();
  for (const int64_t count : counts) {
    std::vector<float> x = random_values(count);
    for (float &value : x)
      value *= 100;
    std::vector<T> narrow(count);
    std::vector<float> wide(count);
    const OnGpu<float> x_on(x), wide_on(count);
    const OnGpu<T> narrow_on(count);
    map(gpu(), count, Convert<T>(), narrow_on.data(), x_on.data());
    map(cpu, count, Convert<T>(), narrow.data(), x.data());
    EXPECT_TRUE(test::same_bits(narrow_on.read(), narrow));
    map(gpu(), count, Convert<float>(), wide_on.data(), narrow_on.data());
    map(cpu, count, Convert<float>(), wide.data(), narrow.data());
    EXPECT_TRUE(test::same_bits(wide_on.read(), wide));
  }
}

TEST(MapOnAGpu, ReadsOperandsByTheirStrides) {
  Device cpu = test::cpu();
  const Shape shape = {5, 7, 3};
  const std::vector<float> a = random_values(105, 1), b = random_values(105, 2);
  std::vector<unsigned char> which(7);
  for (size_t i = 0; i < which.size(); ++i)
    which[i] = i % 2;
  const OnGpu<float> a_on(a), b_on(b), y(105);
  const OnGpu<bool> which_on(which);
  std::vector<float> expected(105);
  const Strides broadcast = {0, 1, 0}, permuted = {1, 5, 35}, contiguous = {21, 3, 1};
  map(gpu(), shape, Choose(), y.data(), strided(which_on.data(), broadcast),
      strided<float>(a_on, permuted), strided<float>(b_on, contiguous));
  map(cpu, shape, Choose(), expected.data(),
      strided(reinterpret_cast<const bool *>(which.data()), broadcast), strided(a.data(), permuted),
      strided(b.data(), contiguous));
  EXPECT_TRUE(test::same_bits(y.read(), expected));
}

TEST(MapOnAGpu, KnowsWhichElementItIsAt) {
  Device cpu = test::cpu();
  const Shape shape = {4, 6};
  const std::vector<float> x = random_values(24);
  std::vector<float> expected(24);
  const OnGpu<float> x_on(x), y(24);
  const Index column{{0, 1}};
  const Index64 number{{6, 1}, 600};
  map(gpu(), shape, AddIndices(), y.data(), strided<float>(x_on, {6, 1}), column, number);
  map(cpu, shape, AddIndices(), expected.data(), strided(x.data(), {6, 1}), column, number);
  EXPECT_TRUE(test::same_bits(y.read(), expected));
}

// A recorded step is carried out again: the number is the step's, and not that of the recording.
TEST(MapOnAGpu, DropsByTheNumberOfTheStepThatRuns) {
  Device cpu = test::cpu();
  const std::vector<float> x(500, 1);
  std::vector<float> expected(500);
  const OnGpu<float> x_on(x), y(500);
  const Index64 number{{1}, 0};
  Gpu::get().backend.begin_step({}, 9, 9, {});
  map(gpu(), {500}, Drop{3}, y.data(), strided<float>(x_on, {1}), number);
  map(cpu, {500}, Drop{9}, expected.data(), strided(x.data(), {1}), number);
  EXPECT_TRUE(test::same_bits(y.read(), expected));
}

} // namespace
} // namespace mpar
