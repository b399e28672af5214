// One function a schedule. In the timetables a line is a device, Fi a microbatch forward, Bi back;
// wi is the part of its way back that no transfer waits for.
#include "planner/Schedules.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallSet.h"

#include <algorithm>

namespace mparc::mp {

using When = Stage::When;

std::optional<ScheduleKind> parseScheduleKind(llvm::StringRef name) {
  if (name == "gpipe")
    return ScheduleKind::gpipe;
  if (name == "1f1b")
    return ScheduleKind::one_forward_one_backward;
  if (name == "interleaved")
    return ScheduleKind::interleaved;
  if (name == "zero-bubble")
    return ScheduleKind::zero_bubble;
  return std::nullopt;
}

ScheduleRule::ScheduleRule(llvm::ArrayRef<Stage> stages, int64_t microbatches, ScheduleKind kind)
    : stages(stages), microbatches(microbatches), kind(kind), groupFrom(stages.size(), -1) {
  findGroups(kind == ScheduleKind::zero_bubble);
}

void ScheduleRule::findGroups(bool splitsWeights) {
  for (auto [index, stage] : llvm::enumerate(stages)) {
    if (stage.when != When::during || stage.isTransfer())
      continue;
    int64_t number = static_cast<int64_t>(index);
    bool weights = stage.weights && splitsWeights;
    if (!groups.empty() && groups.back().device == stage.device &&
        groups.back().backward == stage.backward && groups.back().weights == weights)
      groups.back().last = number;
    else
      groups.push_back({stage.device, stage.backward, weights, number, number});
  }
  int64_t places[2] = {0, 0};
  llvm::SmallSet<int64_t, 8> known;
  for (Group &group : groups) {
    groupFrom[group.first] = &group - groups.data();
    group.place = group.weights ? -1 : places[group.backward]++;
    known.insert(group.device);
  }
  for (Group &group : groups) {
    group.visits = 0;
    for (const Group &other : groups) {
      if (other.device != group.device)
        continue;
      bool same = other.backward == group.backward && other.weights == group.weights;
      group.visits += same;
      group.visit += same && other.first < group.first;
      revisits |= group.visit > 0 && !group.backward;
      if (!other.backward)
        group.lastPlace = std::max(group.lastPlace, other.place);
    }
  }
  stagesForward = places[false];
  devices = static_cast<int64_t>(known.size());
}

const ScheduleRule::Group *ScheduleRule::find(bool backward, int64_t device, int64_t visit) const {
  for (const Group &group : groups)
    if (group.backward == backward && group.device == device && group.visit == visit)
      return &group;
  return nullptr;
}

int64_t ScheduleRule::getUrgency(int64_t stage) const {
  // What replicas add up is on its way while the rest is computed.
  if (stages[stage].reduces)
    return -1;
  // What is put off goes last where it is what fills gaps; else as the rest of its direction. What
  // may go forward goes first then where the rule has looked to the memory.
  if (kind == ScheduleKind::zero_bubble && stages[stage].weights)
    return 2;
  if (kind == ScheduleKind::zero_bubble && !revisits)
    return stages[stage].backward;
  return stages[stage].backward ? 0 : 1;
}

llvm::SmallVector<Turn, 2> ScheduleRule::getBefore(Turn turn) const {
  Turns turns;
  int64_t number = groupFrom[turn.stage];
  if (number < 0)
    return turns;
  const Group &group = groups[number];
  switch (kind) {
  case ScheduleKind::gpipe:
    addGpipe(group, turns);
    break;
  case ScheduleKind::one_forward_one_backward:
    addOneForwardOneBackward(group, turn.microbatch, turns);
    break;
  case ScheduleKind::interleaved:
    addInterleaved(group, turn.microbatch, turns);
    break;
  case ScheduleKind::zero_bubble:
    addZeroBubble(group, turn.microbatch, turns);
    break;
  }
  return turns;
}

/// F0 F1 F2 .. .. B0 B1 B2
/// .. F0 F1 F2 B0 B1 B2 ..
void ScheduleRule::addGpipe(const Group &group, Turns &turns) const {
  if (!group.backward)
    return;
  for (const Group &other : groups)
    if (!other.backward && other.device == group.device)
      turns.push_back({other.last, microbatches - 1});
}

/// F0 F1 .. B0 F2 B1 .. B2
/// .. F0 B0 F1 B1 F2 B2 ..
void ScheduleRule::addOneForwardOneBackward(const Group &group, int64_t microbatch,
                                            Turns &turns) const {
  int64_t earlier = microbatch - (stagesForward - group.place);
  if (group.backward || earlier < 0)
    return;
  // The way back goes through the stages in reverse; where it does not, the last of the device.
  const Group *back = nullptr;
  for (const Group &other : groups) {
    if (!other.backward || other.weights || other.device != group.device)
      continue;
    back = &other;
    if (other.place == stagesForward - 1 - group.place)
      break;
  }
  if (back)
    turns.push_back({back->last, earlier});
}

/// With two devices that the batch visits twice, F and B of the first visit, f and b of the second:
/// F0 F1 f0 f1 .. b0 F2 b1 ...
/// .. F0 F1 f0 b0 f1 b1 F2 ...
void ScheduleRule::addInterleaved(const Group &group, int64_t microbatch, Turns &turns) const {
  // Microbatches go in flocks of as many as there are devices; the last may have fewer.
  struct Position {
    int64_t visit, microbatch;
  };
  auto numberOf = [&](Position position) {
    int64_t begin = position.microbatch / devices * devices;
    int64_t size = std::min(devices, microbatches - begin);
    return begin * group.visits + position.visit * size + position.microbatch - begin;
  };
  auto positionOf = [&](int64_t number) -> Position {
    int64_t begin = number / (devices * group.visits) * devices;
    int64_t size = std::min(devices, microbatches - begin), rest = number - begin * group.visits;
    return {rest / size, begin + rest % size};
  };
  int64_t number = numberOf({group.visit, microbatch});
  // A device's own passes of one direction follow one another in this order.
  if (number > 0) {
    Position before = positionOf(number - 1);
    if (const Group *other = find(group.backward, group.device, before.visit))
      turns.push_back({other->last, before.microbatch});
  }
  // So many forward passes are ahead of those back: all of a flock but in the last visit, and what
  // the pipeline holds from there on, there and back. Then one forward, one back.
  int64_t ahead = stagesForward - 1 - group.lastPlace;
  if (group.visits > 1)
    ahead = 2 * ahead + (group.visits - 1) * devices;
  int64_t partner = group.backward ? std::min(number + ahead, microbatches * group.visits - 1)
                                   : number - ahead - 1;
  if (partner < 0)
    return;
  Position position = positionOf(partner);
  if (const Group *other = find(!group.backward, group.device, position.visit))
    turns.push_back({other->last, position.microbatch});
}

/// F0 F1 F2 B0 w0 F3 B1 w1 ...
/// .. F0 F1 B0 F2 B1 w0 F3 ...
/// As "1f1b" where what can be put off is no part of the way back; and a device begins with no more
/// microbatches than there are devices before it has done with the first of them altogether: the
/// memory of "1f1b" on its first device. Where the batch comes back through the devices, only that,
/// and with one microbatch more, with which the theory's bubble is met there.
void ScheduleRule::addZeroBubble(const Group &group, int64_t microbatch, Turns &turns) const {
  if (!revisits)
    addOneForwardOneBackward(group, microbatch, turns);
  int64_t earlier = microbatch - devices - revisits;
  if (group.backward || group.visit > 0 || earlier < 0)
    return;
  for (const Group &other : groups)
    if (other.backward && other.device == group.device)
      turns.push_back({other.last, earlier});
}

} // namespace mparc::mp
