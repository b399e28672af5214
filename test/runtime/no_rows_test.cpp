// Kernels on no rows: what a device of a group has of fewer rows than there are devices. Sums over
// none are 0, and nothing else is touched.
#include "kernels.h"

#include "mpar/convolution.h"
#include "mpar/indexing.h"
#include "mpar/linear.h"
#include "mpar/low_precision.h"
#include "mpar/map.h"
#include "mpar/normalize.h"
#include "mpar/part.h"
#include "mpar/pool.h"
#include "mpar/reduce.h"

using namespace mpar;
using namespace mpar::test;

namespace {

/// 12 numbers that a kernel is to overwrite, or to leave.
const std::vector<float> held(12, 7.0f);
const std::vector<float> none(12, 0.0f);

} // namespace

TEST(NoRows, PiecesDivideRows) {
  for (int64_t rows : {0, 1, 2, 3, 7, 64})
    for (int pieces : {1, 2, 3, 5}) {
      int64_t next = 0;
      for (int piece = 0; piece < pieces; ++piece) {
        const RowRange range = rows_of_piece(rows, piece, pieces);
        EXPECT_EQ(range.first, next);
        EXPECT_EQ(range.count, rows / pieces + (piece < rows % pieces));
        next += range.count;
      }
      EXPECT_EQ(next, rows);
    }
}

TEST(NoRows, ProductsOverNone) {
  for (const ProductKernels *kernels : product_kernel_sets()) {
    use_product_kernels(*kernels);
    Device device = plain_device();
    std::vector<float> y = held;
    const std::vector<float> x = held;
    linear(device, 0, 3, 4, x.data(), x.data(), x.data(), Activation::relu, y.data());
    EXPECT_EQ(y, held);
    matmul(device, 1, 3, 4, 0, Transpose::yes, Transpose::no, x.data(), x.data(), y.data(),
           Store::add);
    EXPECT_EQ(y, held);
    matmul(device, 1, 3, 4, 0, Transpose::yes, Transpose::no, x.data(), x.data(), y.data());
    EXPECT_EQ(y, none);
    matmul(device, 0, 3, 4, 2, Transpose::no, Transpose::no, x.data(), x.data(), y.data());
    EXPECT_EQ(y, none);
  }
  use_product_kernels(*product_kernel_sets().front());
}

TEST(NoRows, ProductsOfTwoBytesOverNone) {
  Device device = plain_device();
  const std::vector<bfloat16> x(12, bfloat16(1.0f));
  const std::vector<float16> h(12, float16(1.0f));
  std::vector<float> y = held;
  linear(device, 0, 3, 4, x.data(), x.data(), held.data(), Activation::none, y.data());
  linear(device, 0, 3, 4, h.data(), h.data(), held.data(), Activation::none, y.data());
  EXPECT_EQ(y, held);
  matmul(device, 1, 3, 4, 0, Transpose::yes, Transpose::no, x.data(), x.data(), y.data());
  EXPECT_EQ(y, none);
  y = held;
  matmul(device, 1, 3, 4, 0, Transpose::yes, Transpose::no, h.data(), h.data(), y.data());
  EXPECT_EQ(y, none);
}

TEST(NoRows, Reductions) {
  Device device = plain_device();
  const std::vector<float> x = held;
  for (uint32_t dimensions : {1u, 3u, 5u}) {
    std::vector<float> y = held;
    const Shape shape{0, 3, 4};
    const int64_t kept = dimensions == 1 ? 12 : dimensions == 3 ? 4 : 3;
    reduce(device, Reduction::sum, shape, dimensions, x.data(), y.data(), Store::add);
    EXPECT_EQ(y, held);
    reduce(device, Reduction::sum, shape, dimensions, x.data(), y.data());
    for (int64_t i = 0; i < 12; ++i)
      EXPECT_EQ(y[i], i < kept ? 0.0f : 7.0f);
  }
  std::vector<float> y = held;
  reduce(device, Reduction::mean, Shape{0, 4}, 2, x.data(), y.data());
  softmax(device, 0, 4, 1, x.data(), y.data());
  softmax(device, 3, 4, 0, x.data(), y.data());
  map(
      device, Shape{0, 4}, [](float a) { return a + 1; }, y.data(),
      strided(x.data(), Strides{4, 1}));
  copy(device, Shape{0, 4}, x.data(), Strides{4, 1}, y.data(), Strides{4, 1});
  fill(device, 0, 3.0f, y.data());
  EXPECT_EQ(y, held);
}

TEST(NoRows, Normalizations) {
  Device device = plain_device();
  const std::vector<float> x = held;
  std::vector<float> dx = held, dweight = held, dbias = held;
  layer_norm_gradient(device, 0, 12, x.data(), x.data(), x.data(), x.data(), x.data(), dx.data(),
                      dweight.data(), dbias.data(), Store::add);
  EXPECT_EQ(dweight, held);
  layer_norm_gradient(device, 0, 12, x.data(), x.data(), x.data(), x.data(), x.data(), dx.data(),
                      dweight.data(), dbias.data());
  EXPECT_EQ(dx, held);
  EXPECT_EQ(dweight, none);
  EXPECT_EQ(dbias, none);
}

TEST(NoRows, Windows) {
  Device device = plain_device();
  const Convolution convolution{1, 1, 1, Shape{4}, Shape{12}, Shape{1}, Shape{6}, Shape{1}};
  const std::vector<float> x = held;
  std::vector<float> y = held;
  conv(device, 0, convolution, x.data(), x.data(), y.data());
  conv_input_gradient(device, 0, convolution, x.data(), x.data(), y.data());
  conv_weight_gradient(device, 0, convolution, x.data(), x.data(), y.data(), Store::add);
  avg_pool(device, 0, Pooling{Shape{4}, Shape{2}, Shape{2}, Shape{0}}, CountPadding::yes, x.data(),
           y.data());
  EXPECT_EQ(y, held);
  conv_weight_gradient(device, 0, convolution, x.data(), x.data(), y.data());
  EXPECT_EQ(y, none);
}

TEST(NoRows, Lookups) {
  Device device = plain_device();
  const std::vector<float> x = held;
  std::vector<float> y = held;
  const int32_t id = 99;
  gather(device, 3, 4, 0, "table", x.data(), &id, y.data());
  cross_entropy(device, 0, 4, x.data(), &id, y.data());
  EXPECT_EQ(y, held);
  scatter_add(device, 3, 4, 0, "table", &id, x.data(), y.data());
  EXPECT_EQ(y, none);
}
