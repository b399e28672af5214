// Steps of the optimisers, each one pass over a device's flat parameter region.
#pragma once

#include "mpar/device.h"

#include <cstdint>

namespace mpar {

/// Which optimiser and its hyper-parameters, in double as PyTorch keeps them.
struct OptimizerSettings {
  enum class Kind { none, sgd, adam, adamw };
  Kind kind = Kind::none;
  double lr = 1e-3;
  double momentum = 0; // sgd
  double beta1 = 0.9;  // adam, adamw
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};

/// The floats of state a parameter has: 0, 1 (momentum) or 2 (Adam's moments).
int optimizer_slots(const OptimizerSettings &settings);

/// Updates all trained parameters of the device from their gradients. `step` counts from 1.
/// Formulas and their order of rounding are PyTorch's torch.optim.SGD / Adam / AdamW.
void sgd(Device &device, const OptimizerSettings &settings, int64_t step);
void adam(Device &device, const OptimizerSettings &settings, int64_t step);
void adamw(Device &device, const OptimizerSettings &settings, int64_t step);

} // namespace mpar
