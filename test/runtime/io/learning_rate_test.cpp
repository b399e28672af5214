// Schedules of the learning rate against torch's: ../make_golden.py made the numbers.
#include "mpar/learning_rate.h"

#include "mpar/errors.h"

#include <gtest/gtest.h>

#include <iterator>

using namespace mpar;

namespace {

#include "../learning_rate_golden.inc"

using Kind = LearningRateSchedule::Kind;

LearningRateSchedule schedule(Kind kind, int64_t warmup, int64_t steps = 0) {
  LearningRateSchedule s;
  s.kind = kind;
  s.warmup = warmup;
  s.steps = steps;
  return s;
}

/// The bits of each step's rate, also beyond the schedule's end.
template <size_t count>
void expect_rates(const LearningRateSchedule &s, double lr, const double (&expected)[count],
                  int64_t run_steps = 0) {
  for (size_t i = 0; i < count; ++i)
    EXPECT_EQ(expected[i], learning_rate(s, lr, static_cast<int64_t>(i) + 1, run_steps))
        << "step " << i + 1;
}

TEST(LearningRate, CosineIsTorchs) {
  expect_rates(schedule(Kind::cosine, 0, 20), 1e-3, cosine);
  LearningRateSchedule s = schedule(Kind::cosine, 7, 44);
  s.min = 3e-5;
  expect_rates(s, 3e-3, cosine_warm);
}

TEST(LearningRate, LinearIsTorchs) {
  expect_rates(schedule(Kind::linear, 0, 13), 0.1, linear);
  LearningRateSchedule s = schedule(Kind::linear, 3, 14);
  s.start_factor = 0.7;
  s.end_factor = 0.05;
  expect_rates(s, 0.3, linear_warm);
}

TEST(LearningRate, StepIsTorchs) {
  LearningRateSchedule s = schedule(Kind::step, 0);
  s.every = 4;
  s.gamma = 0.3;
  expect_rates(s, 0.02, steps);
  s = schedule(Kind::step, 5);
  s.every = 3;
  expect_rates(s, 0.02, steps_warm);
}

TEST(LearningRate, OfNoScheduleStays) {
  for (int64_t step : {0, 1, 2, 1000})
    EXPECT_EQ(0.25, learning_rate({}, 0.25, step, 0));
  EXPECT_EQ(0.125, learning_rate(schedule(Kind::constant, 4), 0.25, 2, 0));
  EXPECT_EQ(0.25, learning_rate(schedule(Kind::constant, 4), 0.25, 4, 0));
}

TEST(LearningRate, TakesTheRunsLengthWhereItHasNone) {
  expect_rates(schedule(Kind::cosine, 0), 1e-3, cosine, 20);
  expect_rates(schedule(Kind::linear, 0), 0.1, linear, 13);
}

std::string message(const LearningRateSchedule &s, int64_t step, int64_t run_steps) {
  try {
    learning_rate(s, 1, step, run_steps);
  } catch (const Error &error) {
    return error.what();
  }
  return "";
}

TEST(LearningRate, SaysWhatItsLengthLacks) {
  EXPECT_EQ("the learning rate's schedule is as long as the run, whose steps are not known; "
            "Model::run_steps() sets them",
            message(schedule(Kind::cosine, 0), 1, 0));
  EXPECT_EQ("the learning rate warms up for 9 steps; its schedule has 9",
            message(schedule(Kind::linear, 9), 1, 9));
}

} // namespace
