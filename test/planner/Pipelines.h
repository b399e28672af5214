// Pipelines as tests make them, their plans, and what a plan orders.
#pragma once

#include "planner/Microbatches.h"

#include <vector>

inline constexpr mparc::mp::ScheduleKind kKinds[] = {
    mparc::mp::ScheduleKind::gpipe, mparc::mp::ScheduleKind::one_forward_one_backward,
    mparc::mp::ScheduleKind::interleaved, mparc::mp::ScheduleKind::zero_bubble};

/// A pipeline that visits devices in this order, and goes back the same way: transfers between
/// different ones, an update on each device last. Of the way back so much can be put off.
std::vector<mparc::mp::Stage> makePipeline(const std::vector<int64_t> &visited,
                                           int64_t forwardCost = 1, int64_t backwardCost = 2,
                                           int64_t weightsCost = 0);

struct Plan {
  std::vector<mparc::mp::Stage> stages;
  std::vector<mparc::mp::Turn> order;
  llvm::SmallVector<int64_t> slots;
  std::vector<mparc::mp::PlannedTurn> turns;
};

Plan makePlan(std::vector<mparc::mp::Stage> stages, int64_t microbatches,
              mparc::mp::ScheduleKind kind);

/// By turn of a plan, which others have finished when it begins, by following every way through
/// streams and waits. Waits must be for earlier turns.
std::vector<std::vector<bool>> findBefore(const std::vector<mparc::mp::Stage> &stages,
                                          const std::vector<mparc::mp::PlannedTurn> &turns);

constexpr int kSeeds = 8;

/// MPARC_RANDOM_SCHEDULES=100000 in the environment checks more than the 2,000 of every day.
int schedulesOfOneSeed();
