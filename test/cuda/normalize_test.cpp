// Normalization on a GPU against the processor's.
#include "gpu.h"
#include "kernels.h"

namespace mpar {
namespace {

using test::expect_near;
using test::gpu;
using test::OnGpu;
using test::random_values;

const int64_t sizes[][2] = {{1, 1}, {5, 3}, {7, 33}, {300, 20}, {3, 700}, {2, 6200}};

TEST(LayerNorm, AgreesWithTheProcessors) {
  Device cpu = test::cpu();
  for (const auto &[rows, size] : sizes)
    for (const int given : {0, 1, 2, 3})
      for (const Store store : {Store::overwrite, Store::add}) {
        const bool weighted = (given & 1) != 0, biased = (given & 2) != 0;
        const std::vector<float> x = random_values(rows * size), weight = random_values(size, 2),
                                 bias = random_values(size, 3), g = random_values(rows * size, 4);
        std::vector<float> y(x.size()), mean(rows), scale(rows), dx(x.size()),
            dweight = random_values(size, 5), dbias = random_values(size, 6);
        const OnGpu<float> x_on(x), weight_on(weight), bias_on(bias), g_on(g), y_on(x.size()),
            mean_on(rows), scale_on(rows), dx_on(x.size()), dweight_on(dweight), dbias_on(dbias);
        layer_norm(gpu(), rows, size, 1e-5f, x_on, weighted ? weight_on.data() : nullptr,
                   biased ? bias_on.data() : nullptr, y_on, mean_on, scale_on);
        layer_norm(cpu, rows, size, 1e-5f, x.data(), weighted ? weight.data() : nullptr,
                   biased ? bias.data() : nullptr, y.data(), mean.data(), scale.data());
        expect_near(y_on.read(), y, 2e-5f, "y");
        expect_near(mean_on.read(), mean, 1e-5f, "mean");
        expect_near(scale_on.read(), scale, 1e-5f, "scale");
        layer_norm_gradient(gpu(), rows, size, g_on, x_on, mean_on, scale_on,
                            weighted ? weight_on.data() : nullptr, dx_on, dweight_on, dbias_on,
                            store);
        layer_norm_gradient(cpu, rows, size, g.data(), x.data(), mean.data(), scale.data(),
                            weighted ? weight.data() : nullptr, dx.data(), dweight.data(),
                            dbias.data(), store);
        if (size > 1) // else scale is 1 / √eps, and what is left is rounding
          expect_near(dx_on.read(), dx, 2e-5f, "dx");
        expect_near(dweight_on.read(), dweight, 2e-5f, "dweight");
        expect_near(dbias_on.read(), dbias, 1e-5f, "dbias");
      }
}

TEST(RmsNorm, AgreesWithTheProcessors) {
  Device cpu = test::cpu();
  for (const auto &[rows, size] : sizes)
    for (const bool weighted : {false, true}) {
      const std::vector<float> x = random_values(rows * size), weight = random_values(size, 2),
                               g = random_values(rows * size, 4);
      std::vector<float> y(x.size()), scale(rows), dx(x.size()), dweight(size);
      const OnGpu<float> x_on(x), weight_on(weight), g_on(g), y_on(x.size()), scale_on(rows),
          dx_on(x.size()), dweight_on(size);
      rms_norm(gpu(), rows, size, 1e-6f, x_on, weighted ? weight_on.data() : nullptr, y_on,
               scale_on);
      rms_norm(cpu, rows, size, 1e-6f, x.data(), weighted ? weight.data() : nullptr, y.data(),
               scale.data());
      expect_near(y_on.read(), y, 1e-5f, "y");
      expect_near(scale_on.read(), scale, 1e-5f, "scale");
      rms_norm_gradient(gpu(), rows, size, g_on, x_on, scale_on,
                        weighted ? weight_on.data() : nullptr, dx_on, dweight_on, Store::overwrite);
      rms_norm_gradient(cpu, rows, size, g.data(), x.data(), scale.data(),
                        weighted ? weight.data() : nullptr, dx.data(), dweight.data());
      expect_near(dx_on.read(), dx, 2e-5f, "dx");
      expect_near(dweight_on.read(), dweight, 2e-5f, "dweight");
    }
}

} // namespace
} // namespace mpar
