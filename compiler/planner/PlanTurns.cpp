// Waits of scheduled microbatches, and the proof that they suffice. Both go by vector clocks: of a
// turn, how many turns of each device have surely finished when it begins.
#include "planner/TurnClocks.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>

namespace mparc::mp {

using When = Stage::When;

/// Turns that must have finished when `turn` begins, for what it reads.
static void forEachRead(llvm::ArrayRef<Stage> stages, int64_t microbatches, Turn turn,
                        llvm::function_ref<void(Turn)> visit) {
  const Stage &stage = stages[turn.stage];
  for (int64_t other : stage.waits) {
    int64_t microbatch = stages[other].when != When::during ? 0
                         : stage.when == When::during       ? turn.microbatch
                                                            : microbatches - 1;
    visit({other, microbatch});
  }
  for (int64_t other : stage.follows)
    if (turn.microbatch > 0)
      visit({other, turn.microbatch - 1});
}

/// Turns that must have finished for where it writes: what else touches the memory on its device
/// that another microbatch had before.
static void forEachReuse(llvm::ArrayRef<Stage> stages, llvm::ArrayRef<int64_t> slots, Turn turn,
                         llvm::function_ref<void(Turn)> visit) {
  const Stage &stage = stages[turn.stage];
  int64_t before = turn.microbatch - slots[stage.device];
  if (stage.when != When::during || before < 0 || !llvm::is_contained(stage.touches, stage.device))
    return;
  for (auto [index, other] : llvm::enumerate(stages))
    if (other.when == When::during && llvm::is_contained(other.touches, stage.device))
      visit({static_cast<int64_t>(index), before});
}

std::vector<PlannedTurn> planTurns(llvm::ArrayRef<Stage> stages, llvm::ArrayRef<Turn> order,
                                   llvm::ArrayRef<int64_t> slots, int64_t microbatches) {
  TurnClocks clocks(stages, microbatches);
  std::vector<PlannedTurn> plan;
  for (Turn turn : order) {
    PlannedTurn planned{turn, {}};
    int64_t device = stages[turn.stage].device;
    llvm::SmallVector<PlannedTurn::Wait> needed; // the latest of each device
    auto need = [&](Turn earlier) {
      if (clocks.isBefore(earlier, device, {}))
        return;
      PlannedTurn::Wait wait = clocks.waitFor(earlier);
      auto *same = llvm::find_if(needed, [&](auto other) { return other.device == wait.device; });
      if (same == needed.end())
        needed.push_back(wait);
      else
        same->turns = std::max(same->turns, wait.turns);
    };
    forEachRead(stages, microbatches, turn, need);
    forEachReuse(stages, slots, turn, need);
    // One wait may imply another.
    for (size_t i = 0; i < needed.size(); ++i) {
      llvm::SmallVector<PlannedTurn::Wait> others;
      for (size_t j = 0; j < needed.size(); ++j)
        if (j != i && needed[j].turns > 0)
          others.push_back(needed[j]);
      if (clocks.implies(others, needed[i]))
        needed[i].turns = 0;
    }
    for (PlannedTurn::Wait wait : needed)
      if (wait.turns > 0)
        planned.waits.push_back(wait);
    clocks.add(planned);
    plan.push_back(std::move(planned));
  }
  return plan;
}

std::string describe(Turn turn) {
  return "stage " + std::to_string(turn.stage) + " of microbatch " +
         std::to_string(turn.microbatch);
}

std::optional<std::string> checkTurns(llvm::ArrayRef<Stage> stages,
                                      llvm::ArrayRef<PlannedTurn> plan,
                                      llvm::ArrayRef<int64_t> slots, int64_t microbatches) {
  TurnClocks clocks(stages, microbatches);
  std::vector<int64_t> next(stages.size(), 0);
  size_t turns = 0;
  for (const Stage &stage : stages)
    turns += stage.when == When::during ? microbatches : 1;
  if (plan.size() != turns)
    return std::to_string(plan.size()) + " turns where " + std::to_string(turns) + " are needed";
  for (const PlannedTurn &planned : plan) {
    Turn turn = planned.turn;
    if (turn.stage < 0 || turn.stage >= static_cast<int64_t>(stages.size()) ||
        turn.microbatch < 0 ||
        turn.microbatch >= (stages[turn.stage].when == When::during ? microbatches : 1))
      return describe(turn) + ": no such turn";
    if (clocks.has(turn))
      return describe(turn) + " runs twice";
    const Stage &stage = stages[turn.stage];
    if (stage.sums && turn.microbatch != next[turn.stage])
      return describe(turn) + " adds to sums before microbatch " +
             std::to_string(next[turn.stage]) + " does";
    ++next[turn.stage];
    for (PlannedTurn::Wait wait : planned.waits)
      if (wait.device < 0 || wait.device >= static_cast<int64_t>(slots.size()) || wait.turns < 1 ||
          wait.turns > clocks.count(wait.device))
        return describe(turn) + " waits for turn " + std::to_string(wait.turns) + " of device " +
               std::to_string(wait.device) + ", which does not come before it";
    std::optional<std::string> error;
    auto demand = [&](Turn earlier, const char *why) {
      if (!error && !(earlier == turn) && !clocks.isBefore(earlier, stage.device, planned.waits))
        error = describe(turn) + " " + why + " " + describe(earlier) +
                ", and nothing orders it after that";
    };
    forEachRead(stages, microbatches, turn, [&](Turn earlier) { demand(earlier, "reads from"); });
    forEachReuse(stages, slots, turn,
                 [&](Turn earlier) { demand(earlier, "takes over the memory of"); });
    if (error)
      return error;
    clocks.add(planned);
  }
  return std::nullopt;
}

} // namespace mparc::mp
