// A list scheduler over stages and microbatches.
#include "planner/Microbatches.h"
#include "planner/Schedules.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace mparc::mp {

using When = Stage::When;

namespace {

class ListScheduler {
public:
  ListScheduler(llvm::ArrayRef<Stage> stages, int64_t microbatches, ScheduleKind kind)
      : stages(stages), microbatches(microbatches), rule(stages, microbatches, kind),
        next(stages.size()), finish(stages.size() * microbatches) {
    int64_t devices = 0;
    for (const Stage &stage : stages)
      devices = std::max(devices, stage.device + 1);
    free.assign(devices, 0);
  }
  std::vector<Turn> run();

private:
  /// When a turn can begin; nothing while something it needs has not been scheduled, or what the
  /// schedule wants done before it where that is `heeded`.
  std::optional<int64_t> findBegin(Turn turn, bool heeded) const;
  /// What begins first; nothing where nothing can.
  std::optional<std::pair<Turn, int64_t>> choose(bool heeded) const;
  void take(Turn turn, int64_t begin);
  int64_t timesOf(const Stage &stage) const {
    return stage.when == When::during ? microbatches : 1;
  }

  llvm::ArrayRef<Stage> stages;
  int64_t microbatches;
  ScheduleRule rule;
  std::vector<int64_t> next;   // by stage: the microbatch it has not worked on
  std::vector<int64_t> finish; // by turn: its time, once it is scheduled
  std::vector<int64_t> free;   // by device: when it has finished what it took
  std::vector<int64_t> left;   // stages that have not worked on all
  std::vector<Turn> order;
};

} // namespace

std::optional<int64_t> ListScheduler::findBegin(Turn turn, bool heeded) const {
  const Stage &stage = stages[turn.stage];
  int64_t begin = free[stage.device];
  auto need = [&](int64_t other, int64_t microbatch) {
    if (next[other] <= microbatch)
      return false;
    begin = std::max(begin, finish[other * microbatches + microbatch]);
    return true;
  };
  for (int64_t other : stage.waits) {
    bool each = stage.when == When::during && stages[other].when == When::during;
    if (!need(other, each ? turn.microbatch : timesOf(stages[other]) - 1))
      return std::nullopt;
  }
  for (int64_t other : stage.follows)
    if (turn.microbatch > 0 && !need(other, turn.microbatch - 1))
      return std::nullopt;
  if (heeded)
    for (Turn other : rule.getBefore(turn))
      if (!need(other.stage, other.microbatch))
        return std::nullopt;
  return begin;
}

void ListScheduler::take(Turn turn, int64_t begin) {
  const Stage &stage = stages[turn.stage];
  int64_t end = begin + stage.cost;
  free[stage.device] = end;
  finish[turn.stage * microbatches + turn.microbatch] = end;
  ++next[turn.stage];
  order.push_back(turn);
}

std::optional<std::pair<Turn, int64_t>> ListScheduler::choose(bool heeded) const {
  // The way back goes first, for it frees memory; then what comes earlier in the batch.
  using Rank = std::tuple<int64_t, int64_t, int64_t, int64_t>;
  std::optional<Rank> best;
  for (int64_t number : left) {
    Turn turn{number, next[number]};
    std::optional<int64_t> begin = findBegin(turn, heeded);
    if (!begin)
      continue;
    Rank rank{*begin, rule.getUrgency(number), next[number], number};
    if (!best || rank < *best)
      best = rank;
  }
  if (!best)
    return std::nullopt;
  return std::pair(Turn{std::get<3>(*best), std::get<2>(*best)}, std::get<0>(*best));
}

std::vector<Turn> ListScheduler::run() {
  // What comes before the microbatches, and after them, in the order of the program.
  auto takeAll = [&](When when) {
    for (auto [index, stage] : llvm::enumerate(stages))
      if (stage.when == when && !stage.reduces)
        take({static_cast<int64_t>(index), 0}, free[stage.device]);
  };
  takeAll(When::before);
  for (auto [index, stage] : llvm::enumerate(stages))
    if (stage.when == When::during || stage.reduces)
      left.push_back(static_cast<int64_t>(index));
  while (!left.empty()) {
    // Where a schedule made for other pipelines would hold itself up, what must come first decides.
    auto chosen = choose(true);
    if (!chosen)
      chosen = choose(false);
    assert(chosen && "stages that wait for one another");
    auto [turn, begin] = *chosen;
    take(turn, begin);
    if (next[turn.stage] == timesOf(stages[turn.stage]))
      llvm::erase(left, turn.stage);
  }
  takeAll(When::after);
  return std::move(order);
}

std::vector<Turn> orderTurns(llvm::ArrayRef<Stage> stages, int64_t microbatches,
                             ScheduleKind kind) {
  return ListScheduler(stages, microbatches, kind).run();
}

llvm::SmallVector<int64_t> countSlots(llvm::ArrayRef<Stage> stages, llvm::ArrayRef<Turn> order,
                                      int64_t microbatches, int64_t devices) {
  llvm::SmallVector<int64_t> slots(devices, 1);
  for (int64_t device = 0; device < devices; ++device) {
    constexpr int64_t never = std::numeric_limits<int64_t>::max();
    std::vector<int64_t> enter(microbatches, never), leave(microbatches, -1);
    for (auto [position, turn] : llvm::enumerate(order)) {
      const Stage &stage = stages[turn.stage];
      if (stage.when != When::during || !llvm::is_contained(stage.touches, device))
        continue;
      int64_t at = static_cast<int64_t>(position);
      enter[turn.microbatch] = std::min(enter[turn.microbatch], at);
      leave[turn.microbatch] = std::max(leave[turn.microbatch], at);
    }
    for (int64_t microbatch = 0; microbatch < microbatches; ++microbatch)
      for (int64_t later = microbatch + slots[device]; later < microbatches; ++later)
        if (enter[later] < leave[microbatch])
          slots[device] = later - microbatch + 1;
    // Where another device is the last to read there, a microbatch that comes next would wait until
    // that one has got round to it: one more has memory of its own.
    for (int64_t microbatch = 0; microbatch + slots[device] < microbatches; ++microbatch)
      if (leave[microbatch] >= 0 && stages[order[leave[microbatch]].stage].device != device) {
        ++slots[device];
        break;
      }
  }
  return slots;
}

} // namespace mparc::mp
