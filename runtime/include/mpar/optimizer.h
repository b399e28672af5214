// Steps of the optimisers, each one pass over a device's flat parameter region, and the clipping of
// gradients by their norm.
#pragma once

#include "mpar/device.h"

#include <cstdint>

namespace mpar {

/// Which optimiser and its hyper-parameters, in double as PyTorch keeps them.
struct OptimizerSettings {
  enum class Kind { none, sgd, adam, adamw, adagrad, rmsprop };
  Kind kind = Kind::none;
  double lr = 1e-3;
  double momentum = 0;   // sgd, rmsprop
  double dampening = 0;  // sgd
  bool nesterov = false; // sgd
  double beta1 = 0.9;    // adam, adamw
  double beta2 = 0.999;  // adam, adamw
  bool amsgrad = false;  // adam, adamw
  double lr_decay = 0;   // adagrad
  double alpha = 0.99;   // rmsprop
  bool centered = false; // rmsprop
  double eps = 1e-8;     // all but sgd
  double weight_decay = 0;
  double initial_accumulator_value = 0; // adagrad: what its sums of squares begin with
  double clip_norm = 0; // the largest norm of all gradients together; 0: they are not clipped
};
bool operator==(const OptimizerSettings &a, const OptimizerSettings &b);

/// The floats of state a parameter has: 0 to 3.
int optimizer_slots(const OptimizerSettings &settings);

/// What an update does with a scale that is not finite: multiplies by it like by any, so that it
/// shows, or leaves parameters and state as they are.
enum class NonFinite { use, skip };

/// Updates all trained parameters of the device from their gradients, multiplied by `*scale` where
/// there is one. `step` counts from 1. The last `undecayed_floats` of the trained ones have no
/// weight decay, as in a parameter group of their own. Formulas and their order of rounding are
/// PyTorch's torch.optim.SGD / Adam / AdamW / Adagrad / RMSprop.
void sgd(Device &device, const OptimizerSettings &settings, int64_t step,
         const float *scale = nullptr, NonFinite non_finite = NonFinite::use);
void adam(Device &device, const OptimizerSettings &settings, int64_t step,
          const float *scale = nullptr, NonFinite non_finite = NonFinite::use);
void adamw(Device &device, const OptimizerSettings &settings, int64_t step,
           const float *scale = nullptr, NonFinite non_finite = NonFinite::use);
void adagrad(Device &device, const OptimizerSettings &settings, int64_t step,
             const float *scale = nullptr, NonFinite non_finite = NonFinite::use);
void rmsprop(Device &device, const OptimizerSettings &settings, int64_t step,
             const float *scale = nullptr, NonFinite non_finite = NonFinite::use);

/// *y = *sum + Σ x², the sum of `count` squares rounded once; a null `sum` is zero. Squares are
/// summed in fixed blocks, so that neither threads nor the width of vectors change a bit.
void squared_norm(Device &device, int64_t count, const float *x, const float *sum, float *y);

/// min(1, clip_norm / (norm + 1e-6)): what clips gradients of that norm.
float clip(const OptimizerSettings &settings, float norm);

/// *y = min(1, clip_norm / (√*squared + 1e-6)): what gradients of that squared norm are multiplied
/// by, as in torch.nn.utils.clip_grad_norm_.
void clip_scale(Device &device, const OptimizerSettings &settings, const float *squared, float *y);

} // namespace mpar
