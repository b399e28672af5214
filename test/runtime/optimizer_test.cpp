// Steps of the optimisers against torch.optim's: make_golden.py made the numbers.
#include "kernels.h"

#include "mpar/optimizer.h"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace mpar;

namespace {

#include "optimizer_golden.inc"

constexpr int64_t start_count = sizeof(start) / sizeof(start[0]);
const float *const gradients[] = {gradient1, gradient2, gradient3};

OptimizerSettings settings(OptimizerSettings::Kind kind, double lr, double weight_decay = 0) {
  OptimizerSettings s;
  s.kind = kind;
  s.lr = lr;
  s.weight_decay = weight_decay;
  return s;
}

using Step = void (*)(Device &, const OptimizerSettings &, int64_t, const float *, NonFinite);

/// Three steps; the same bits as torch, in any alignment of a vector's tail.
void expect_steps(const OptimizerSettings &s, Step step, const float *expected,
                  int64_t undecayed = 0, const float *scale = nullptr) {
  Device device(0, 0, {start_count, start_count, 0, 0, 1, undecayed}, optimizer_slots(s), 1);
  std::copy(start, start + start_count, device.parameters());
  std::fill_n(device.state(0), start_count, static_cast<float>(s.initial_accumulator_value));
  for (int64_t i = 0; i < 3; ++i) {
    std::copy(gradients[i], gradients[i] + start_count, device.gradients());
    step(device, s, i + 1, scale, NonFinite::use);
  }
  for (int64_t i = 0; i < start_count; ++i)
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

TEST(Sgd, WithDampeningIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::sgd, 0.05, 0.01);
  s.momentum = 0.9;
  s.dampening = 0.3;
  expect_steps(s, sgd, sgd_dampening);
}

TEST(Sgd, OfNesterovIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::sgd, 0.05);
  s.momentum = 0.9;
  s.nesterov = true;
  expect_steps(s, sgd, sgd_nesterov);
  s.weight_decay = 0.01;
  expect_steps(s, sgd, sgd_nesterov_decay);
}

TEST(Adagrad, IsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::adagrad, 1e-2);
  s.eps = 1e-10;
  EXPECT_EQ(optimizer_slots(s), 1);
  expect_steps(s, adagrad, adagrad_plain);
}

TEST(Adagrad, WithOtherSettingsIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::adagrad, 0.03, 0.02);
  s.lr_decay = 0.1;
  s.initial_accumulator_value = 0.1;
  s.eps = 1e-6;
  expect_steps(s, adagrad, adagrad_other);
}

TEST(Rmsprop, IsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::rmsprop, 1e-2);
  EXPECT_EQ(optimizer_slots(s), 1);
  expect_steps(s, rmsprop, rmsprop_plain);
}

TEST(Rmsprop, WithWeightDecayIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::rmsprop, 3e-3, 0.02);
  s.alpha = 0.9;
  s.eps = 1e-6;
  expect_steps(s, rmsprop, rmsprop_decay);
}

TEST(Rmsprop, WithMomentumIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::rmsprop, 3e-3);
  s.momentum = 0.9;
  EXPECT_EQ(optimizer_slots(s), 2);
  expect_steps(s, rmsprop, rmsprop_momentum);
}

TEST(Rmsprop, CenteredIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::rmsprop, 3e-3);
  s.alpha = 0.8;
  s.eps = 1e-3;
  s.centered = true;
  EXPECT_EQ(optimizer_slots(s), 2);
  expect_steps(s, rmsprop, rmsprop_centered);
  s.momentum = 0.7;
  s.weight_decay = 0.02;
  EXPECT_EQ(optimizer_slots(s), 3);
  expect_steps(s, rmsprop, rmsprop_all);
}

// A parameter group without weight decay, and gradients that are scaled first.
TEST(Optimizers, HaveTorchsGroups) {
  const float scale = 0.625f;
  const int64_t undecayed = start_count - 20;
  OptimizerSettings s = settings(OptimizerSettings::Kind::sgd, 0.05, 0.1);
  s.momentum = 0.9;
  expect_steps(s, sgd, groups_sgd, undecayed, &scale);
  s = settings(OptimizerSettings::Kind::adam, 1e-3, 0.1);
  expect_steps(s, adam, groups_adam, undecayed, &scale);
  s.kind = OptimizerSettings::Kind::adamw;
  expect_steps(s, adamw, groups_adamw, undecayed, &scale);
  s = settings(OptimizerSettings::Kind::adagrad, 0.01, 0.1);
  s.eps = 1e-10;
  expect_steps(s, adagrad, groups_adagrad, undecayed, &scale);
  s = settings(OptimizerSettings::Kind::rmsprop, 0.01, 0.1);
  expect_steps(s, rmsprop, groups_rmsprop, undecayed, &scale);
}

TEST(ClipScale, IsTorchs) {
  Device device(0, 0, {0, 0, 0, 0}, 0, 1);
  OptimizerSettings s;
  int64_t at = 0;
  for (double maximum : {0.5, 1.0, 1e3}) {
    float sum = 0;
    bool first = true;
    for (int64_t size : {5, 4096, 9001}) {
      std::vector<float> gradient(size);
      for (int64_t i = 0; i < size; ++i)
        gradient[i] = static_cast<float>(std::sin(static_cast<double>(i))) * 0.1f;
      squared_norm(device, size, gradient.data(), first ? nullptr : &sum, &sum);
      first = false;
    }
    EXPECT_NEAR(std::sqrt(sum), clip_norms[at], 2e-6 * clip_norms[at]);
    s.clip_norm = maximum;
    float scale = 0;
    clip_scale(device, s, &sum, &scale);
    EXPECT_NEAR(scale, clip_scales[at], 2e-6 * clip_scales[at]);
    ++at;
  }
}

TEST(ClipScale, OfNoNumberIsNone) {
  Device device(0, 0, {0, 0, 0, 0}, 0, 1);
  OptimizerSettings s;
  s.clip_norm = 1;
  const float none = NAN, infinite = INFINITY, zero = 0;
  float scale = 0;
  clip_scale(device, s, &none, &scale);
  EXPECT_TRUE(std::isnan(scale));
  clip_scale(device, s, &infinite, &scale);
  EXPECT_EQ(scale, 0);
  clip_scale(device, s, &zero, &scale);
  EXPECT_EQ(scale, 1);
}

TEST(SquaredNorm, IsTheSameWithTwoThreads) {
  for (int64_t size : {1, 63, 64, 4095, 4097, 1000003}) {
    const auto values = test::random_values(size, 3);
    float results[2];
    double exact = 0;
    for (float value : values)
      exact += static_cast<double>(value) * value;
    for (int threads : {1, 2}) {
      Device device(0, 0, {0, 0, 0, 0}, 0, 1, threads);
      squared_norm(device, size, values.data(), nullptr, &results[threads - 1]);
    }
    EXPECT_EQ(results[0], results[1]) << size;
    EXPECT_NEAR(results[0], exact, 1e-6 * exact) << size;
  }
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

TEST(Adam, WithAmsgradIsTorchs) {
  OptimizerSettings s = settings(OptimizerSettings::Kind::adam, 3e-3, 0.02);
  s.beta1 = 0.8;
  s.beta2 = 0.9;
  s.amsgrad = true;
  EXPECT_EQ(optimizer_slots(s), 3);
  expect_steps(s, adam, adam_amsgrad);
  s.kind = OptimizerSettings::Kind::adamw;
  s.weight_decay = 0.01;
  expect_steps(s, adamw, adamw_amsgrad);
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
  for (Step step : {sgd, adam, adamw, adagrad, rmsprop}) {
    Device device(0, 0, {64, 48, 0, 0}, 2, 1);
    for (int i = 0; i < 64; ++i)
      device.parameters()[i] = device.gradients()[i] = 1;
    step(device, s, 1, nullptr, NonFinite::use);
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
  for (Step step : {sgd, adam, adamw, adagrad, rmsprop}) {
    std::vector<float> results[2];
    for (int threads : {1, 2}) {
      Device device(0, 0, {floats, floats, 0, 0, 1, 30011}, 2, 1, threads);
      std::copy(parameters.begin(), parameters.end(), device.parameters());
      std::copy(gradient.begin(), gradient.end(), device.gradients());
      for (int64_t i = 1; i <= 3; ++i)
        step(device, s, i, nullptr, NonFinite::use);
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
