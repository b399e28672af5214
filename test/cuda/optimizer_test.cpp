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
  Step on_cpu, on_gpu;
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
    all.push_back({"sgd", sgd, cuda::sgd, sgd_plain});
    sgd_plain.momentum = 0.9;
    sgd_plain.dampening = 0.2;
    all.push_back({"sgd with momentum", sgd, cuda::sgd, sgd_plain});
    sgd_plain.dampening = 0;
    sgd_plain.nesterov = true;
    all.push_back({"sgd with nesterov", sgd, cuda::sgd, sgd_plain});
    for (const bool amsgrad : {false, true}) {
      OptimizerSettings plain = settings_of(Kind::adam, decay);
      plain.amsgrad = amsgrad;
      all.push_back({"adam", adam, cuda::adam, plain});
      plain.kind = Kind::adamw;
      all.push_back({"adamw", adamw, cuda::adamw, plain});
    }
    OptimizerSettings plain = settings_of(Kind::adagrad, decay);
    plain.lr_decay = 0.1;
    all.push_back({"adagrad", adagrad, cuda::adagrad, plain});
    for (const bool centered : {false, true})
      for (const double momentum : {0.0, 0.9}) {
        plain = settings_of(Kind::rmsprop, decay);
        plain.centered = centered;
        plain.momentum = momentum;
        all.push_back({"rmsprop", rmsprop, cuda::rmsprop, plain});
      }
  }
  return all;
}

/// A device whose parameters, gradients and state have values; 3 floats more than whole units.
void fill(Device &device, int slots) {
  for (int64_t i = 0; i < device.training_floats(slots); ++i) {
    const float value = std::sin(static_cast<float>(i) * 1.7f);
    device.parameters()[i] = i < 2 * padded ? value : value * value * 0.1f;
  }
}

void set_step(const OptimizerSettings &settings, int64_t step) {
  cuda::Queue &queue = Gpu::get().queue;
  const cuda::StepState state = cuda::step_state(settings, step);
  cuda::check(
      cudaMemcpyAsync(queue.step, &state, sizeof state, cudaMemcpyHostToDevice, queue.stream),
      "cudaMemcpyAsync");
}

// Here the devices' memory is the host's, which emulated kernels can read as well.
TEST(Optimizers, StepLikeTheProcessors) {
  for (const Case &one : cases()) {
    const int slots = optimizer_slots(one.settings);
    DeviceDescription description{padded, 99, 0, 0};
    description.undecayed_floats = 35;
    Device on_cpu(0, 0, description, slots, 1), on_gpu(0, 0, description, slots, 1);
    fill(on_cpu, slots);
    fill(on_gpu, slots);
    const float scale = 0.37f;
    for (int64_t step = 1; step <= 3; ++step) {
      one.on_cpu(on_cpu, one.settings, step, step == 2 ? &scale : nullptr, NonFinite::use);
      set_step(one.settings, step);
      one.on_gpu(on_gpu, one.settings, step, step == 2 ? &scale : nullptr, NonFinite::use);
      Gpu::get().synchronize();
    }
    EXPECT_EQ(std::memcmp(on_cpu.parameters(), on_gpu.parameters(),
                          on_cpu.training_floats(slots) * sizeof(float)),
              0)
        << one.name << ", weight decay " << one.settings.weight_decay;
  }
}

TEST(Optimizers, LeaveOutAStepWhoseScaleIsNotFinite) {
  const OptimizerSettings settings = settings_of(Kind::adamw, 0.1);
  Device device(0, 0, {padded, 99, 0, 0}, 2, 1);
  fill(device, 2);
  const std::vector<float> before(device.parameters(),
                                  device.parameters() + device.training_floats(2));
  const float scale = NAN;
  set_step(settings, 1);
  cuda::adamw(device, settings, 1, &scale, NonFinite::skip);
  Gpu::get().synchronize();
  EXPECT_EQ(std::memcmp(before.data(), device.parameters(), before.size() * sizeof(float)), 0);
  cuda::adamw(device, settings, 1, &scale, NonFinite::use);
  Gpu::get().synchronize();
  EXPECT_TRUE(std::isnan(device.parameters()[0]));
}

TEST(Norms, AgreeWithTheProcessors) {
  Device cpu = test::cpu();
  for (const int64_t count : {1, 63, 4096, 4097, 50001}) {
    const std::vector<float> x = random_values(count);
    const float before = 2.5f;
    const OnGpu<float> x_on(x), before_on(std::vector<float>{before}), y(1);
    std::vector<float> expected(1);
    for (const bool adds : {false, true}) {
      cuda::squared_norm(test::gpu(), count, x_on, adds ? before_on.data() : nullptr, y);
      squared_norm(cpu, count, x.data(), adds ? &before : nullptr, expected.data());
      test::expect_near(y.read(), expected, 1e-6f);
    }
    OptimizerSettings settings;
    settings.clip_norm = 20;
    const OnGpu<float> squared(expected), scale(1);
    cuda::clip_scale(test::gpu(), settings, squared, scale);
    std::vector<float> clipped(1);
    clip_scale(cpu, settings, expected.data(), clipped.data());
    EXPECT_EQ(scale.read(), clipped);
  }
}

TEST(LossScalingOnAGpu, GoesLikeTheProcessors) {
  Device cpu = test::cpu();
  cuda::Queue &queue = Gpu::get().queue;
  for (const double clip_norm : {0.0, 1.0}) {
    OptimizerSettings settings;
    settings.clip_norm = clip_norm;
    LossScaling expected;
    expected.good_steps = LossScaling::interval - 2;
    LossScaling unused;
    cuda::check(cudaMemcpyAsync(queue.scaling, &expected, sizeof expected, cudaMemcpyHostToDevice,
                                queue.stream),
                "cudaMemcpyAsync");
    for (const float squared : {1e10f, 3e9f, INFINITY, NAN, 5.0f}) {
      const OnGpu<float> squared_on(std::vector<float>{squared}), scale(1), y(1);
      std::vector<float> expected_scale(1), expected_y(1);
      cuda::loss_scale(test::gpu(), unused, scale);
      loss_scale(cpu, expected, expected_scale.data());
      EXPECT_EQ(scale.read(), expected_scale);
      cuda::unscale(test::gpu(), settings, unused, squared_on, y);
      unscale(cpu, settings, expected, &squared, expected_y.data());
      test::expect_near(y.read(), expected_y, 0);
    }
    LossScaling got;
    cuda::check(
        cudaMemcpyAsync(&got, queue.scaling, sizeof got, cudaMemcpyDeviceToHost, queue.stream),
        "cudaMemcpyAsync");
    Gpu::get().synchronize();
    EXPECT_EQ(got.scale, expected.scale);
    EXPECT_EQ(got.good_steps, expected.good_steps);
    EXPECT_EQ(got.skipped_steps, 2);
    EXPECT_EQ(got.gradient_scale, expected.gradient_scale);
  }
}

} // namespace
} // namespace mpar
