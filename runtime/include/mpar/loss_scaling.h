// The scaling of a loss whose gradients pass through f16, which holds nothing below 6e-8.
#pragma once

#include "mpar/device.h"
#include "mpar/optimizer.h"

#include <cstdint>

namespace mpar {

/// What the loss is multiplied by, step by step, as torch.cuda.amp.GradScaler has it: half as much
/// after a step with a gradient that is not finite, which is skipped, and twice as much after
/// `interval` steps without one.
struct LossScaling {
  static constexpr double growth = 2;
  static constexpr double backoff = 0.5;
  static constexpr int64_t interval = 2000;

  float scale = 65536;          // of the next step
  int64_t good_steps = 0;       // since the scale has changed
  int64_t skipped_steps = 0;    // of all
  float gradient_scale = 65536; // of the last step: what its gradients are multiplied by
};

/// *y = the scale of the step at hand.
void loss_scale(Device &device, const LossScaling &scaling, float *y);

/// *y = what the gradients of the scaled loss, of that squared norm, are multiplied by: 1 / scale,
/// times what clips them so unscaled where `settings` have a clip_norm. Where the norm is not
/// finite *y is NaN, and the step is to be skipped. Sets the scale of the next step.
void unscale(Device &device, const OptimizerSettings &settings, LossScaling &scaling,
             const float *squared, float *y);

} // namespace mpar
