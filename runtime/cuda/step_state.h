// What changes from step to step, as kernels read it: from memory, so that a captured step can be
// replayed.
#pragma once

#include "mpar/optimizer.h"

#include <cstdint>

namespace mpar::cuda {

/// Numbers of one step. Plain data: filled by the host once a step, copied to each GPU before the
/// step begins.
struct StepState {
  int64_t step; // counts from 1
  // The optimiser's, rounded from double as the processor's kernels round them; those that the
  // optimiser at hand has no use for are zero.
  float minus_lr;            // sgd, rmsprop; adagrad: decayed
  float one_minus_dampening; // sgd
  float minus_step_size;     // adam, adamw: -lr / (1 − β₁ᵗ)
  float correction;          // adam, adamw: √(1 − β₂ᵗ)
  float reciprocal;          // adam, adamw: 1 / correction
  float shrink;              // adamw: 1 − lr · weight decay
};

/// The numbers of step `step` under `settings`, whose learning rate is the step's.
StepState step_state(const OptimizerSettings &settings, int64_t step);

} // namespace mpar::cuda
