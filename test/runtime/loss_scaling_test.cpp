// The scale of a loss, and steps that are skipped.
#include "kernels.h"

#include "mpar/linear.h"
#include "mpar/loss_scaling.h"
#include "mpar/low_precision.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace mpar;

namespace {

constexpr int64_t count = 64;

Device make_device(int slots) { return Device(0, 0, {count, count, 0, 0}, slots, 1); }

/// What `unscale` gives for gradients of that squared norm.
float unscaled(LossScaling &scaling, float squared, double clip_norm = 0) {
  Device device = make_device(0);
  OptimizerSettings settings;
  settings.clip_norm = clip_norm;
  float scale = 0;
  unscale(device, settings, scaling, &squared, &scale);
  return scale;
}

TEST(LossScaling, BeginsAsGradScalerDoes) {
  Device device = make_device(0);
  LossScaling scaling;
  float scale = 0;
  loss_scale(device, scaling, &scale);
  EXPECT_EQ(65536.0f, scale);
}

TEST(LossScaling, TakesTheScaleBack) {
  LossScaling scaling;
  EXPECT_EQ(1.0f / 65536, unscaled(scaling, 4.0f));
  EXPECT_EQ(0, scaling.skipped_steps);
  EXPECT_EQ(65536.0f, scaling.scale);
}

TEST(LossScaling, ClipsWhatIsUnscaled) {
  LossScaling scaling;
  scaling.scale = 1024;
  // A norm of 4096 is one of 4 that was scaled.
  EXPECT_EQ(1 / (4.0f + 1e-6f) * 0.5f / 1024, unscaled(scaling, 4096.0f * 4096, 0.5));
  // One of 0.25 is not clipped.
  EXPECT_EQ(1.0f / 1024, unscaled(scaling, 256.0f * 256, 0.5));
}

TEST(LossScaling, HalvesAfterGradientsThatAreNotFinite) {
  for (float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    LossScaling scaling;
    unscaled(scaling, 1.0f);
    EXPECT_TRUE(std::isnan(unscaled(scaling, bad)));
    EXPECT_EQ(32768.0f, scaling.scale);
    EXPECT_EQ(65536.0f, scaling.gradient_scale);
    EXPECT_EQ(0, scaling.good_steps);
    EXPECT_EQ(1, scaling.skipped_steps);
  }
}

TEST(LossScaling, DoublesAfter2000GoodSteps) {
  LossScaling scaling;
  for (int step = 1; step < 2000; ++step)
    unscaled(scaling, 1.0f);
  EXPECT_EQ(65536.0f, scaling.scale);
  EXPECT_EQ(1.0f / 65536, unscaled(scaling, 1.0f)); // the 2000th itself is scaled as before
  EXPECT_EQ(131072.0f, scaling.scale);
  EXPECT_EQ(0, scaling.good_steps);
  // A step that is skipped in between begins the count anew.
  for (int step = 1; step < 2000; ++step)
    unscaled(scaling, 1.0f);
  unscaled(scaling, std::numeric_limits<float>::infinity());
  for (int step = 1; step < 2000; ++step)
    unscaled(scaling, 1.0f);
  EXPECT_EQ(65536.0f, scaling.scale);
}

TEST(LossScaling, StaysFinite) {
  LossScaling scaling;
  scaling.scale = std::numeric_limits<float>::max();
  scaling.good_steps = LossScaling::interval - 1;
  unscaled(scaling, 1.0f);
  EXPECT_EQ(std::numeric_limits<float>::max(), scaling.scale);
  EXPECT_EQ(0, scaling.good_steps);
}

using Kind = OptimizerSettings::Kind;
using Step = void (*)(Device &, const OptimizerSettings &, int64_t, const float *, NonFinite);

TEST(LossScaling, ASkippedStepChangesNothing) {
  const std::vector<std::pair<Kind, Step>> optimizers = {{Kind::sgd, sgd},
                                                         {Kind::adam, adam},
                                                         {Kind::adamw, adamw},
                                                         {Kind::adagrad, adagrad},
                                                         {Kind::rmsprop, rmsprop}};
  for (const auto &[kind, step] : optimizers) {
    OptimizerSettings settings;
    settings.kind = kind;
    settings.momentum = 0.5;
    settings.weight_decay = 0.25;
    const int slots = optimizer_slots(settings);
    Device device = make_device(slots);
    std::fill_n(device.gradients(), count, 0.5f);
    std::fill_n(device.parameters(), count, 2.0f);
    for (int slot = 0; slot < slots; ++slot)
      std::fill_n(device.state(slot), count, 0.25f);
    const float bad = std::numeric_limits<float>::quiet_NaN(), good = 0.125f;
    step(device, settings, 2, &bad, NonFinite::skip);
    EXPECT_EQ(2.0f, device.parameters()[7]);
    for (int slot = 0; slot < slots; ++slot)
      EXPECT_EQ(0.25f, device.state(slot)[7]);
    step(device, settings, 2, &good, NonFinite::skip);
    EXPECT_NE(2.0f, device.parameters()[7]);
    // Where nothing is to be skipped, as with `clip_norm` alone, it shows.
    step(device, settings, 3, &bad, NonFinite::use);
    EXPECT_TRUE(std::isnan(device.parameters()[7]));
  }
}

// gradientᵀ · x of a gradient that f16 takes for zero, scaled and not.
TEST(LossScaling, KeepsGradientsThatF16TakesForZero) {
  constexpr int64_t rows = 16;
  constexpr float small = 1e-9f;
  LossScaling scaling;
  for (float scale : {1.0f, scaling.scale}) {
    Device device = make_device(0);
    const std::vector<float16> gradient(rows, float16(small * scale));
    const std::vector<float16> x(rows, float16(1.0f));
    float weight = -1;
    matmul(device, 1, 1, 1, rows, Transpose::yes, Transpose::no, gradient.data(), x.data(),
           &weight);
    if (scale == 1) {
      EXPECT_EQ(0.0f, weight);
    } else {
      EXPECT_NEAR(rows * small, weight / scale, rows * small * 0x1p-10);
    }
  }
}

} // namespace
