// Joins what is known of devices along streams and waits.
#include "planner/TurnClocks.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>

namespace mparc::mp {

TurnClocks::TurnClocks(llvm::ArrayRef<Stage> stages, int64_t microbatches)
    : stages(stages), microbatches(microbatches),
      numbers(stages.size() * microbatches, int64_t(-1)) {
  int64_t devices = 0;
  for (const Stage &stage : stages)
    devices = std::max(devices, stage.device + 1);
  streams.assign(devices, Clock(devices, 0));
  finished.resize(devices);
}

bool TurnClocks::isBefore(Turn earlier, int64_t device,
                          llvm::ArrayRef<PlannedTurn::Wait> waits) const {
  int64_t on = stages[earlier.stage].device, number = numberOf(earlier);
  if (number < 0)
    return false;
  if (on == device || streams[device][on] > number)
    return true;
  return llvm::any_of(waits, [&](PlannedTurn::Wait wait) {
    return wait.turns > 0 &&
           (wait.device == on ? wait.turns > number
                              : finished[wait.device][wait.turns - 1][on] > number);
  });
}

bool TurnClocks::isBefore(int64_t device, int64_t number, Turn later) const {
  int64_t own = stages[later.stage].device, ownNumber = numberOf(later);
  return own == device ? number < ownNumber : finished[own][ownNumber][device] > number;
}

bool TurnClocks::implies(llvm::ArrayRef<PlannedTurn::Wait> waits, PlannedTurn::Wait other) const {
  return llvm::any_of(waits, [&](PlannedTurn::Wait wait) {
    return finished[wait.device][wait.turns - 1][other.device] >= other.turns;
  });
}

void TurnClocks::add(const PlannedTurn &planned) {
  int64_t device = stages[planned.turn.stage].device;
  Clock &clock = streams[device];
  for (PlannedTurn::Wait wait : planned.waits)
    if (wait.turns > 0)
      for (auto [mine, theirs] : llvm::zip(clock, finished[wait.device][wait.turns - 1]))
        mine = std::max(mine, theirs);
  numbers[planned.turn.stage * microbatches + planned.turn.microbatch] = count(device);
  clock[device] = count(device) + 1;
  finished[device].push_back(clock);
}

} // namespace mparc::mp
