// Schedules as data: their turns as they are listed, described and repeated for every replica.
#include "mpar/schedule.h"

#include "mpar/errors.h"

#include <algorithm>

namespace mpar {

std::vector<Turn> make_turns(const TurnEntry *begin, const TurnEntry *end) {
  std::vector<Turn> turns;
  for (const TurnEntry *entry = begin; entry != end; ++entry) {
    if (turns.empty() || turns.back().stage != entry->stage ||
        turns.back().microbatch != entry->microbatch)
      turns.push_back({entry->stage, entry->microbatch, {}});
    if (entry->device >= 0)
      turns.back().waits.push_back({entry->device, entry->turns});
  }
  return turns;
}

std::string describe_turn(const Schedule &schedule, const Turn &turn) {
  const StageDescription &stage = schedule.stages[turn.stage];
  std::string text = *stage.name ? stage.name : "stage " + std::to_string(turn.stage);
  if (stage.when == StageDescription::When::during)
    text += " of microbatch " + std::to_string(turn.microbatch);
  if (*stage.place)
    text += " (" + std::string(stage.place) + ")";
  return text;
}

void fail_to_wait(const Schedule &schedule, const Turn &turn, const Turn::Wait &wait) {
  fail(describe_turn(schedule, turn) + " waits for turn " + std::to_string(wait.turns) +
       " of device " + std::to_string(wait.device) + ", which does not come before it");
}

RowRange rows_of_microbatch(int64_t rows, int microbatch, int microbatches) {
  const int64_t each = rows / microbatches, longer = rows % microbatches;
  return {each * microbatch + std::min<int64_t>(microbatch, longer),
          each + (microbatch < longer ? 1 : 0)};
}

Schedule replicate(const Schedule &schedule, int replicas, int devices) {
  Schedule all = schedule;
  const int stages = static_cast<int>(schedule.stages.size());
  all.replicas = replicas;
  all.stages.clear();
  all.turns.clear();
  for (int replica = 0; replica < replicas; ++replica)
    for (StageDescription stage : schedule.stages) {
      stage.device += replica * devices;
      if (stage.from >= 0)
        stage.from += replica * devices;
      all.stages.push_back(stage);
    }
  for (const Turn &turn : schedule.turns)
    for (int replica = 0; replica < replicas; ++replica) {
      Turn own{replica * stages + turn.stage, turn.microbatch, {}};
      for (const Turn::Wait &wait : turn.waits)
        own.waits.push_back({replica * devices + wait.device, wait.turns});
      for (const PeerWait &wait : schedule.peer_waits)
        for (int other = 0; wait.stage == turn.stage && other < replicas; ++other)
          if (other != replica)
            own.waits.push_back({other * devices + wait.device, wait.turns});
      all.turns.push_back(std::move(own));
    }
  return all;
}

} // namespace mpar
