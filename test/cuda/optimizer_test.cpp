// The optimisers' steps on a GPU, which are bit for bit the processor's.
#include "gpu.h"
#include "kernels.h"

namespace mpar {
namespace {

using test::Gpu;
using test::OnGpu;
using test::random_values;
using Kind = OptimizerSettings::Kind;

constexpr int64_t padded = 112; // floats of all parameters

using Step = void (*)(Device &, const OptimizerSettings &, int64_t, const float *, NonFinite);

struct Case {
  const char *name;
  Step step;
  OptimizerSettings settings;
};

OptimizerSettings settings_of(Kind kind, double weight_decay) {
  OptimizerSettings settings;
  settings.kind = kind;
  settings.lr = 0.01;
  settings.weight_decay = weight_decay;
  return settings;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const double decay : {0.0, 0.1}) {
    OptimizerSettings sgd_plain = settings_of(Kind::sgd, decay);
    all.push_back({"sgd", sgd, sgd_plain});
    sgd_plain.momentum = 0.9;
    sgd_plain.dampening = 0.2;
    all.push_back({"sgd with momentum", sgd, sgd_plain});
    sgd_plain.dampening = 0;
    sgd_plain.nesterov = true;
    all.push_back({"sgd with nesterov", sgd, sgd_plain});
    for (const bool amsgrad : {false, true}) {
      OptimizerSettings plain = settings_of(Kind::adam, decay);
      plain.amsgrad = amsgrad;
      all.push_back({"adam", adam, plain});
      plain.kind = Kind::adamw;
      all.push_back({"adamw", adamw, plain});
    }
    OptimizerSettings plain = settings_of(Kind::adagrad, decay);
    plain.lr_decay = 0.1;
    all.push_back({"adagrad", adagrad, plain});
    for (const bool centered : {false, true})
      for (const double momentum : {0.0, 0.9}) {
        plain = settings_of(Kind::rmsprop, decay);
        plain.centered = centered;
        plain.momentum = momentum;
        all.push_back({"rmsprop", rmsprop, plain});
      }
  }
  return all;
}

DeviceDescription description() {
  DeviceDescription description{padded, 99, 0, 0}; // 3 floats more than whole units
  description.undecayed_floats = 35;
  return description;
}

/// What parameters, gradients and the optimiser's state begin with.
std::vector<float> beginning(const Device &device, int slots) {
  std::vector<float> values(device.training_floats(slots));
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = std::sin(static_cast<float>(i) * 1.7f);
    values[i] = i < 2 * padded ? value : value * value * 0.1f;
  }
  return values;
}

int64_t bytes_of(const std::vector<float> &values) {
  return static_cast<int64_t>(values.size() * sizeof(float));
}

TEST(Optimizers, StepLikeTheProcessors) {
  Backend &backend = Gpu::get().backend;
  for (const Case &one : cases()) {
    const int slots = optimizer_slots(one.settings);
    Device on_cpu(0, 0, description(), slots, 1);
    Device on_gpu(0, 0, description(), slots, 1, 1, {}, &backend);
    std::vector<float> values = beginning(on_cpu, slots);
    std::memcpy(on_cpu.parameters(), values.data(), bytes_of(values));
    backend.write(on_gpu.parameters(), values.data(), bytes_of(values));
    const float scale = 0.37f;
    const OnGpu<float> scale_on(std::vector<float>{scale});
    for (int64_t step = 1; step <= 3; ++step) {
      one.step(on_cpu, one.settings, step, step == 2 ? &scale : nullptr, NonFinite::use);
      backend.begin_step(one.settings, step, step, {});
      one.step(on_gpu, one.settings, step, step == 2 ? scale_on.data() : nullptr, NonFinite::use);
    }
    backend.read(values.data(), on_gpu.parameters(), bytes_of(values));
    EXPECT_EQ(std::memcmp(on_cpu.parameters(), values.data(), bytes_of(values)), 0)
        << one.name << ", weight decay " << one.settings.weight_decay;
  }
}

TEST(Optimizers, LeaveOutAStepWhoseScaleIsNotFinite) {
  Backend &backend = Gpu::get().backend;
  const OptimizerSettings settings = settings_of(Kind::adamw, 0.1);
  Device device(0, 0, description(), 2, 1, 1, {}, &backend);
  const std::vector<float> before = beginning(device, 2);
  std::vector<float> after = before;
  backend.write(device.parameters(), before.data(), bytes_of(before));
  const OnGpu<float> scale(std::vector<float>{NAN});
  backend.begin_step(settings, 1, 1, {});
  adamw(device, settings, 1, scale, NonFinite::skip);
  backend.read(after.data(), device.parameters(), bytes_of(after));
  EXPECT_TRUE(test::same_bits(after, before));
  adamw(device, settings, 1, scale, NonFinite::use);
  backend.read(after.data(), device.parameters(), bytes_of(after));
  EXPECT_TRUE(std::isnan(after[0]));
}

TEST(Norms, AgreeWithTheProcessors) {
  Device cpu = test::cpu();
  for (const int64_t count : {1, 63, 4096, 4097, 50001}) {
    const std::vector<float> x = random_values(count);
    const float before = 2.5f;
    const OnGpu<float> x_on(x), before_on(std::vector<float>{before}), y(1);
    std::vector<float> expected(1);
    for (const bool adds : {false, true}) {
      squared_norm(test::gpu(), count, x_on, adds ? before_on.data() : nullptr, y);
      squared_norm(cpu, count, x.data(), adds ? &before : nullptr, expected.data());
      test::expect_near(y.read(), expected, 1e-6f);
    }
    OptimizerSettings settings;
    settings.clip_norm = 20;
    const OnGpu<float> squared(expected), scale(1);
    clip_scale(test::gpu(), settings, squared, scale);
    std::vector<float> clipped(1);
    clip_scale(cpu, settings, expected.data(), clipped.data());
    EXPECT_EQ(scale.read(), clipped);
  }
}

TEST(LossScalingOnAGpu, GoesLikeTheProcessors) {
  Device cpu = test::cpu();
  Backend &backend = Gpu::get().backend;
  for (const double clip_norm : {0.0, 1.0}) {
    OptimizerSettings settings;
    settings.clip_norm = clip_norm;
    LossScaling expected, got;
    expected.good_steps = got.good_steps = LossScaling::interval - 2;
    for (const float squared : {1e10f, 3e9f, INFINITY, NAN, 5.0f}) {
      const OnGpu<float> squared_on(std::vector<float>{squared}), scale(1), y(1);
      std::vector<float> expected_scale(1), expected_y(1);
      backend.begin_step(settings, 1, 1, got);
      loss_scale(test::gpu(), got, scale);
      loss_scale(cpu, expected, expected_scale.data());
      EXPECT_EQ(scale.read(), expected_scale);
      unscale(test::gpu(), settings, got, squared_on, y);
      got = backend.loss_scaling();
      unscale(cpu, settings, expected, &squared, expected_y.data());
      test::expect_near(y.read(), expected_y, 0);
    }
    EXPECT_EQ(got.scale, expected.scale);
    EXPECT_EQ(got.good_steps, expected.good_steps);
    EXPECT_EQ(got.skipped_steps, 2);
    EXPECT_EQ(got.gradient_scale, expected.gradient_scale);
  }
}

} // namespace
} // namespace mpar
