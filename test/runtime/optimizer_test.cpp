// Steps of the optimisers against torch.optim's: make_golden.py made the numbers.
#include "kernels.h"

#include "mpar/optimizer.h"

#include <cmath>

using namespace mpar;

namespace {

#include "optimizer_golden.inc"

constexpr int64_t count = sizeof(start) / sizeof(start[0]);
const float *const gradients[] = {gradient1, gradient2, gradient3};

OptimizerSettings settings(OptimizerSettings::Kind kind, double lr, double weight_decay = 0) {
  OptimizerSettings s;
  s.kind = kind;
  s.lr = lr;
  s.weight_decay = weight_decay;
  return s;
}

using Step = void (*)(Device &, const OptimizerSettings &, int64_t);

/// Three steps; the same bits as torch, in any alignment of a vector's tail.
void expect_steps(const OptimizerSettings &s, Step step, const float *expected) {
  Device device(0, 0, {count, count, 0, 0}, optimizer_slots(s), 1);
  std::copy(start, start + count, device.parameters());
  for (int64_t i = 0; i < 3; ++i) {
    std::copy(gradients[i], gradients[i] + count, device.gradients());
    step(device, s, i + 1);
  }
  for (int64_t i = 0; i < count; ++i)
    EXPECT_EQ(device.parameters()[i], expected[i]) << "at " << i;
}

TEST(Sgd, IsTorchs) { expect_steps(settings(OptimizerSettings::Kind::sgd, 0.05), sgd, sgd_plain); }

TEST(Sgd, WithWeightDecayIsTorchs) {
  expect_steps(settings(OptimizerSettings::Kind::sgd, 0.05, 0.01), sgd, sgd_decay);
}

TEST(Sgd, WithMomentumIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::sgd, 0.05);
  s.momentum = 0.9;
  EXPECT_EQ(optimizer_slots(s), 1);
  expect_steps(s, sgd, sgd_momentum);
}

TEST(Sgd, WithMomentumAndWeightDecayIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::sgd, 0.05, 0.01);
  s.momentum = 0.9;
  expect_steps(s, sgd, sgd_momentum_decay);
}

TEST(Adam, IsTorchs) {
  expect_steps(settings(OptimizerSettings::Kind::adam, 1e-3), adam, adam_plain);
}

TEST(Adam, WithWeightDecayIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::adam, 3e-3, 0.02);
  s.beta1 = 0.8;
  s.beta2 = 0.99;
  s.eps = 1e-6;
  expect_steps(s, adam, adam_decay);
}

TEST(AdamW, IsTorchs) {
  expect_steps(settings(OptimizerSettings::Kind::adamw, 1e-3, 0.01), adamw, adamw_plain);
}

TEST(AdamW, WithOtherSettingsIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::adamw, 2e-3, 0.1);
  s.beta1 = 0.7;
  s.beta2 = 0.95;
  s.eps = 1e-7;
  expect_steps(s, adamw, adamw_other);
}

// The formula as it stands in torch, with its divisions, at many steps and magnitudes.
TEST(Adam, RoundsAsItsDivisionsDo) {
  const OptimizerSettings s = settings(OptimizerSettings::Kind::adam, 1e-2);
  const int64_t floats = 20000;
  Device device(0, 0, {floats, floats, 0, 0}, 2, 1);
  auto gradient = test::random_values(floats, 1);
  for (int64_t i = 0; i < floats; ++i)
    gradient[i] = std::ldexp(gradient[i], static_cast<int>(i % 60) - 50);
  gradient[7] = 1e25f; // its square is infinite
  gradient[8] = NAN;
  std::copy(gradient.begin(), gradient.end(), device.gradients());
  std::vector<float> p(floats), m(floats), v(floats);
  for (int64_t step = 1; step <= 300; ++step) {
    adam(device, s, step);
    const float correction = static_cast<float>(std::sqrt(1 - std::pow(s.beta2, step)));
    const float minus_size = static_cast<float>(-s.lr / (1 - std::pow(s.beta1, step)));
    for (int64_t i = 0; i < floats; ++i) {
      const float g = gradient[i];
      m[i] = std::fma(g, static_cast<float>(1 - s.beta1), m[i] * static_cast<float>(s.beta1));
      v[i] = std::fma(static_cast<float>(1 - s.beta2) * g, g, v[i] * static_cast<float>(s.beta2));
      const float denominator = std::sqrt(v[i]) / correction + static_cast<float>(s.eps);
      p[i] = p[i] + minus_size * m[i] / denominator;
    }
    for (int64_t i = 0; i < floats; ++i)
      ASSERT_TRUE(std::isnan(p[i]) ? std::isnan(device.parameters()[i])
                                   : p[i] == device.parameters()[i])
          << "step " << step << " at " << i << ": " << p[i] << ", " << device.parameters()[i];
  }
  EXPECT_FALSE(std::isnan(p[7]));
}

// Parameters that the loss does not depend on follow the trained ones and stay.
TEST(Optimizers, LeaveUntrainedParametersAlone) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::adamw, 0.1, 0.1);
  s.momentum = 0.9;
  for (Step step : {sgd, adam, adamw}) {
    Device device(0, 0, {64, 48, 0, 0}, 2, 1);
    for (int i = 0; i < 64; ++i)
      device.parameters()[i] = device.gradients()[i] = 1;
    step(device, s, 1);
    for (int i = 0; i < 64; ++i)
      EXPECT_EQ(device.parameters()[i] == 1, i >= 48) << i;
  }
}

TEST(Optimizers, AreTheSameWithTwoThreads) {
  const int64_t floats = 100003;
  const auto parameters = test::random_values(floats, 1);
  const auto gradient = test::random_values(floats, 2);
  OptimizerSettings s = settings(OptimizerSettings::Kind::adam, 0.1, 0.1);
  s.momentum = 0.9;
  for (Step step : {sgd, adam, adamw}) {
    std::vector<float> results[2];
    for (int threads : {1, 2}) {
      Device device(0, 0, {floats, floats, 0, 0}, 2, 1, threads);
      std::copy(parameters.begin(), parameters.end(), device.parameters());
      std::copy(gradient.begin(), gradient.end(), device.gradients());
      for (int64_t i = 1; i <= 3; ++i)
        step(device, s, i);
      results[threads - 1].assign(device.parameters(), device.parameters() + floats);
    }
    EXPECT_TRUE(test::same_bits(results[0], results[1]));
  }
}

TEST(OptimizerSlots, CountStatePerParameter) {
  EXPECT_EQ(optimizer_slots({}), 0);
  EXPECT_EQ(optimizer_slots(settings(OptimizerSettings::Kind::sgd, 1)), 0);
  EXPECT_EQ(optimizer_slots(settings(OptimizerSettings::Kind::adam, 1)), 2);
  EXPECT_EQ(optimizer_slots(settings(OptimizerSettings::Kind::adamw, 1)), 2);
}

} // namespace
