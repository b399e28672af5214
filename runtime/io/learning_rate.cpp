#include "mpar/learning_rate.h"

#include "mpar/errors.h"

#include <algorithm>
#include <cmath>

namespace mpar {

namespace {

using Kind = LearningRateSchedule::Kind;

constexpr double pi = 3.14159265358979323846;

// The steps that a cosine or a line takes after the warm-up.
int64_t length_after_warmup(const LearningRateSchedule &schedule, int64_t run_steps) {
  int64_t steps = schedule.steps > 0 ? schedule.steps : run_steps;
  if (steps == 0)
    fail("the learning rate's schedule is as long as the run, whose steps are not known; "
         "Model::run_steps() sets them");
  if (steps <= schedule.warmup)
    fail("the learning rate warms up for " + std::to_string(schedule.warmup) +
         " steps; its schedule has " + std::to_string(steps));
  return steps - schedule.warmup;
}

} // namespace

double learning_rate(const LearningRateSchedule &schedule, double lr, int64_t step,
                     int64_t run_steps) {
  // The length first, so that a warm-up that is too long is said at the first step.
  const bool has_length = schedule.kind == Kind::cosine || schedule.kind == Kind::linear;
  const int64_t length = has_length ? length_after_warmup(schedule, run_steps) : 0;
  const int64_t done = std::max<int64_t>(step, 1) - 1;
  if (done < schedule.warmup)
    return lr * (static_cast<double>(done + 1) / static_cast<double>(schedule.warmup));
  const int64_t epoch = done - schedule.warmup; // as torch calls what it counts
  const auto position = static_cast<double>(std::min(epoch, length));
  switch (schedule.kind) {
  case Kind::constant:
    return lr;
  case Kind::cosine:
    return schedule.min +
           (lr - schedule.min) * (1 + std::cos(pi * position / static_cast<double>(length))) / 2;
  case Kind::linear:
    return lr * (schedule.start_factor + (schedule.end_factor - schedule.start_factor) * position /
                                             static_cast<double>(length));
  case Kind::step: {
    const int64_t drops = epoch / schedule.every;
    return lr * std::pow(schedule.gamma, static_cast<double>(drops));
  }
  }
  return lr;
}

std::string schedule_name(Kind kind) {
  switch (kind) {
  case Kind::constant:
    return "constant";
  case Kind::cosine:
    return "cosine";
  case Kind::linear:
    return "linear";
  case Kind::step:
    return "step";
  }
  return "";
}

} // namespace mpar
