// How the learning rate changes from one step of the optimiser to the next.
#pragma once

#include <cstdint>
#include <string>

namespace mpar {

/// A schedule, in steps of the optimiser. `warmup` steps come first, in which the rate grows in
/// proportion to their number and reaches the whole rate with the last; then
///   constant  the whole rate
///   cosine    down to `min` along half a wave
///   linear    from `start_factor` to `end_factor` times the whole rate, in a straight line
///   step      times `gamma` after every `every` steps
/// Warm-up and cosine, or warm-up and line, take `steps` together; the end of either stays.
struct LearningRateSchedule {
  enum class Kind { constant, cosine, linear, step };
  Kind kind = Kind::constant;
  int64_t warmup = 0;
  int64_t steps = 0;       // cosine, linear: 0 for all steps of the run
  double min = 0;          // cosine
  double start_factor = 1; // linear
  double end_factor = 0;   // linear
  int64_t every = 1;       // step
  double gamma = 0.1;      // step
};

/// The learning rate of the step number `step`, counted from 1, of a run of `run_steps` steps (0:
/// not known). In double, with the operations of the closed forms of torch.optim.lr_scheduler:
/// CosineAnnealingLR, LinearLR and StepLR, which begin with the first step after the warm-up, and
/// for that LambdaLR with (epoch + 1) / warmup. Fails where the length is that of the run and not
/// known, or no step is left after the warm-up.
double learning_rate(const LearningRateSchedule &schedule, double lr, int64_t step,
                     int64_t run_steps);

/// "cosine", for messages and checkpoints.
std::string schedule_name(LearningRateSchedule::Kind kind);

} // namespace mpar
