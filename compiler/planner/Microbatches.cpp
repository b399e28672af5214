// A list scheduler over stages and microbatches.
#include "planner/Microbatches.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace mparc::mp {

using When = Stage::When;

std::optional<ScheduleKind> parseScheduleKind(llvm::StringRef name) {
  if (name == "gpipe")
    return ScheduleKind::gpipe;
  if (name == "1f1b")
    return ScheduleKind::one_forward_one_backward;
  return std::nullopt;
}

namespace {

/// Stages of one device and direction that follow one another, transfers aside: what the literature
/// calls a stage.
struct Group {
  int64_t device;
  bool backward;
  int64_t first, last; // stages
};

class ListScheduler {
public:
  ListScheduler(llvm::ArrayRef<Stage> stages, int64_t microbatches, ScheduleKind kind)
      : stages(stages), microbatches(microbatches), kind(kind), next(stages.size()),
        finish(stages.size() * microbatches) {
    int64_t devices = 0;
    for (const Stage &stage : stages)
      devices = std::max(devices, stage.device + 1);
    free.assign(devices, 0);
    findGroups();
    findGates();
  }
  std::vector<Turn> run();

private:
  void findGroups();
  void findGates();
  /// When a turn can begin; nothing while something it needs has not been scheduled.
  std::optional<int64_t> findBegin(Turn turn) const;
  void take(Turn turn, int64_t begin);
  int64_t timesOf(const Stage &stage) const {
    return stage.when == When::during ? microbatches : 1;
  }

  /// What the schedule demands of a stage beyond what it waits for: that another has worked on a
  /// microbatch `behind` before its own; where that is before the first, nothing. -1: on the last.
  struct Gate {
    int64_t stage;
    int64_t behind;
  };

  llvm::ArrayRef<Stage> stages;
  int64_t microbatches;
  ScheduleKind kind;
  std::vector<Group> groups;
  std::vector<llvm::SmallVector<Gate, 1>> gates; // by stage
  std::vector<int64_t> next;                     // by stage: the microbatch it has not worked on
  std::vector<int64_t> finish;                   // by turn: its time, once it is scheduled
  std::vector<int64_t> free;                     // by device: when it has finished what it took
  std::vector<Turn> order;
};

} // namespace

void ListScheduler::findGroups() {
  for (auto [index, stage] : llvm::enumerate(stages)) {
    if (stage.when != When::during || stage.isTransfer())
      continue;
    int64_t number = static_cast<int64_t>(index);
    if (!groups.empty() && groups.back().device == stage.device &&
        groups.back().backward == stage.backward)
      groups.back().last = number;
    else
      groups.push_back({stage.device, stage.backward, number, number});
  }
}

void ListScheduler::findGates() {
  gates.resize(stages.size());
  std::vector<const Group *> forward, backward;
  for (const Group &group : groups)
    (group.backward ? backward : forward).push_back(&group);
  if (kind == ScheduleKind::gpipe) {
    for (const Group *later : backward)
      for (const Group *earlier : forward)
        if (later->device == earlier->device)
          gates[later->first].push_back({earlier->last, -1});
    return;
  }
  int64_t count = static_cast<int64_t>(forward.size());
  for (int64_t rank = 0; rank < count; ++rank) {
    // The way back goes through the stages in reverse; where it does not, the last of the device.
    const Group *back = nullptr;
    if (forward.size() == backward.size() &&
        backward[count - 1 - rank]->device == forward[rank]->device)
      back = backward[count - 1 - rank];
    else
      for (const Group *group : backward)
        if (group->device == forward[rank]->device)
          back = group;
    if (back)
      gates[forward[rank]->first].push_back({back->last, count - rank});
  }
}

std::optional<int64_t> ListScheduler::findBegin(Turn turn) const {
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
  for (const Gate &gate : gates[turn.stage]) {
    int64_t microbatch = gate.behind < 0 ? microbatches - 1 : turn.microbatch - gate.behind;
    if (microbatch >= 0 && !need(gate.stage, microbatch))
      return std::nullopt;
  }
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

std::vector<Turn> ListScheduler::run() {
  // What comes before the microbatches, and after them, in the order of the program.
  auto takeAll = [&](When when) {
    for (auto [index, stage] : llvm::enumerate(stages))
      if (stage.when == when)
        take({static_cast<int64_t>(index), 0}, free[stage.device]);
  };
  takeAll(When::before);
  std::vector<int64_t> left;
  for (auto [index, stage] : llvm::enumerate(stages))
    if (stage.when == When::during)
      left.push_back(static_cast<int64_t>(index));
  while (!left.empty()) {
    // The way back goes first, for it frees memory; then what comes earlier in the batch.
    using Rank = std::tuple<int64_t, bool, int64_t, int64_t>;
    std::optional<Rank> best;
    for (int64_t number : left) {
      std::optional<int64_t> begin = findBegin({number, next[number]});
      if (!begin)
        continue;
      Rank rank{*begin, !stages[number].backward, next[number], number};
      if (!best || rank < *best)
        best = rank;
    }
    // Every gate leads to a turn of an earlier microbatch, or of the way forward, which no gate of
    // this schedule holds up: something can always begin.
    assert(best && "a schedule that holds itself up");
    int64_t number = std::get<3>(*best);
    take({number, next[number]}, std::get<0>(*best));
    if (next[number] == microbatches)
      llvm::erase(left, number);
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
    int64_t last = -1;
    for (auto [index, stage] : llvm::enumerate(stages))
      if (stage.when == When::during && llvm::is_contained(stage.touches, device))
        last = static_cast<int64_t>(index);
    if (last >= 0 && stages[last].device != device && slots[device] < microbatches)
      ++slots[device];
  }
  return slots;
}

} // namespace mparc::mp
