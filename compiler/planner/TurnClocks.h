// Vector clocks over turns: of each, how many turns of every device have surely finished when it
// begins.
#pragma once

#include "planner/Microbatches.h"

namespace mparc::mp {

/// What is known when turns begin, as they are added in order.
class TurnClocks {
public:
  TurnClocks(llvm::ArrayRef<Stage> stages, int64_t microbatches);

  /// Turns of a device so far.
  int64_t count(int64_t device) const { return static_cast<int64_t>(finished[device].size()); }
  /// Whether a turn has been added.
  bool has(Turn turn) const { return numberOf(turn) >= 0; }
  /// Which of its device's turns one is that has been added, from 0.
  int64_t numberOf(Turn turn) const { return numbers[turn.stage * microbatches + turn.microbatch]; }
  /// Whether `earlier`, if it has been added, has finished when a turn of `device` begins that is
  /// to be added next, with these waits.
  bool isBefore(Turn earlier, int64_t device, llvm::ArrayRef<PlannedTurn::Wait> waits) const;
  /// Whether the turn of that number of a device has finished when `later` begins, which has been
  /// added.
  bool isBefore(int64_t device, int64_t number, Turn later) const;
  /// Whether some waits imply another.
  bool implies(llvm::ArrayRef<PlannedTurn::Wait> waits, PlannedTurn::Wait other) const;
  PlannedTurn::Wait waitFor(Turn turn) const {
    return {stages[turn.stage].device, numberOf(turn) + 1};
  }
  void add(const PlannedTurn &planned);

private:
  using Clock = llvm::SmallVector<int64_t, 8>;

  llvm::ArrayRef<Stage> stages;
  int64_t microbatches;
  std::vector<int64_t> numbers;             // by turn: which of its device's it is
  std::vector<Clock> streams;               // by device
  std::vector<std::vector<Clock>> finished; // by device and turn: known once that has finished
};

} // namespace mparc::mp
