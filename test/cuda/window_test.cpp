// Convolutions and pools on a GPU against the processor's.
#include "gpu.h"
#include "kernels.h"

namespace mpar {
namespace {

using test::expect_near;
using test::gpu;
using test::OnGpu;
using test::random_values;

const Convolution convolutions[] = {
    {1, 1, 1, {5}, {3}, {1}, {0}, {1}},
    {4, 6, 2, {11}, {4}, {2}, {3}, {2}},
    {3, 5, 1, {7, 9}, {3, 2}, {1, 2}, {1, 0}, {1, 1}},
    {4, 4, 4, {6, 5}, {3, 3}, {2, 1}, {2, 1}, {2, 1}},
    {2, 3, 1, {4, 5, 3}, {2, 3, 1}, {1, 2, 1}, {1, 1, 0}, {1, 1, 1}},
};

TEST(ConvolutionsOnAGpu, AgreeWithTheProcessors) {
  Device cpu = test::cpu();
  for (const Convolution &c : convolutions)
    for (const Store store : {Store::overwrite, Store::add}) {
      const int64_t rows = 3, x_count = rows * c.in * c.extents.count(),
                    y_count = rows * c.out * c.positions().count(),
                    w_count = c.out * c.in / c.groups * c.kernel.count();
      const std::vector<float> x = random_values(x_count, 1), weight = random_values(w_count, 2),
                               g = random_values(y_count, 3);
      std::vector<float> y(y_count), dx(x_count), dweight = random_values(w_count, 4);
      const OnGpu<float> x_on(x), weight_on(weight), g_on(g), y_on(y_count), dx_on(x_count),
          dweight_on(dweight);
      conv(gpu(), rows, c, x_on, weight_on, y_on);
      conv_input_gradient(gpu(), rows, c, g_on, weight_on, dx_on);
      conv_weight_gradient(gpu(), rows, c, g_on, x_on, dweight_on, store);
      conv(cpu, rows, c, x.data(), weight.data(), y.data());
      conv_input_gradient(cpu, rows, c, g.data(), weight.data(), dx.data());
      conv_weight_gradient(cpu, rows, c, g.data(), x.data(), dweight.data(), store);
      expect_near(y_on.read(), y, 1e-5f, "y");
      expect_near(dx_on.read(), dx, 1e-5f, "dx");
      expect_near(dweight_on.read(), dweight, 1e-5f, "dweight");
    }
}

const Pooling poolings[] = {
    {{5}, {2}, {2}, {0}, false},
    {{9}, {4}, {3}, {2}, true},
    {{7, 8}, {3, 2}, {2, 1}, {1, 1}, false},
    {{7, 8}, {3, 3}, {2, 3}, {1, 1}, true},
    {{4, 5, 6}, {2, 3, 2}, {1, 2, 2}, {1, 0, 1}, false},
};

TEST(PoolsOnAGpu, AgreeWithTheProcessors) {
  Device cpu = test::cpu();
  const int64_t planes = 5;
  for (const Pooling &p : poolings) {
    const int64_t size = p.extents.count(), windows = p.positions().count();
    std::vector<float> x = random_values(planes * size);
    for (float &value : x)
      value = std::round(value); // many are equal
    x[3] = NAN;
    const std::vector<float> g = random_values(planes * windows, 2);
    std::vector<float> y(g.size()), dx(x.size());
    std::vector<int32_t> positions(g.size());
    const OnGpu<float> x_on(x), g_on(g), y_on(g.size()), dx_on(x.size());
    const OnGpu<int32_t> positions_on(g.size());
    max_pool(gpu(), planes, p, x_on, y_on, positions_on);
    max_pool(cpu, planes, p, x.data(), y.data(), positions.data());
    expect_near(y_on.read(), y, 0, "y");
    EXPECT_EQ(positions_on.read(), positions);
    // With so little memory to work in that planes go in parts.
    cuda::Queue &queue = test::Gpu::get().queue;
    const size_t bytes = queue.workspace_bytes;
    queue.workspace_bytes = 1024 + 16 * static_cast<size_t>(size);
    max_pool_gradient(gpu(), planes, windows, size, g_on, positions_on, dx_on);
    queue.workspace_bytes = bytes;
    max_pool_gradient(cpu, planes, windows, size, g.data(), positions.data(), dx.data());
    EXPECT_TRUE(test::same_bits(dx_on.read(), dx));
    for (const CountPadding count : {CountPadding::no, CountPadding::yes}) {
      avg_pool(gpu(), planes, p, count, x_on, y_on);
      avg_pool(cpu, planes, p, count, x.data(), y.data());
      expect_near(y_on.read(), y, 1e-6f, "mean");
      avg_pool_gradient(gpu(), planes, p, count, g_on, dx_on);
      avg_pool_gradient(cpu, planes, p, count, g.data(), dx.data());
      expect_near(dx_on.read(), dx, 1e-6f, "dx");
    }
  }
}

} // namespace
} // namespace mpar
