// What of a schedule is one rank's to do.
#include "mpar/errors.h"
#include "mpar/schedule.h"

#include <algorithm>

namespace mpar {
namespace {

/// A part of a turn, and after which of the rank's own turns, by number, it comes.
struct Placed {
  size_t after;
  RankTurn turn;
};

/// By device: how many of its turns have surely finished.
using Clock = std::vector<int64_t>;

} // namespace

std::vector<int> sources_of(const Schedule &schedule, int stage, int devices) {
  const StageDescription &description = schedule.stages[stage];
  if (description.from >= 0 && description.from != description.device)
    return {description.from};
  const int of_replica = stage % (static_cast<int>(schedule.stages.size()) / schedule.replicas);
  const bool collective =
      std::any_of(schedule.collectives.begin(), schedule.collectives.end(),
                  [&](const CollectiveAccess &access) { return access.stage == of_replica; });
  std::vector<int> sources;
  const int each = devices / schedule.replicas;
  for (int device = description.device % each; collective && device < devices; device += each)
    if (device != description.device)
      sources.push_back(device);
  return sources;
}

std::vector<RankTurn> turns_of_rank(const Schedule &schedule, const std::vector<int> &ranks,
                                    int rank) {
  const auto devices = static_cast<int>(ranks.size());
  std::vector<std::vector<Clock>> finished(devices);   // by device and turn: known once it has
  std::vector<Clock> told(devices, Clock(devices, 0)); // by device: waited for already
  std::vector<std::vector<size_t>> own_turns(devices); // by device of the rank: their numbers
  std::vector<Placed> placed;
  size_t count = 0;
  for (size_t index = 0; index < schedule.turns.size(); ++index) {
    const Turn &turn = schedule.turns[index];
    const StageDescription &stage = schedule.stages[turn.stage];
    std::vector<Clock> &own = finished[stage.device];
    Clock clock = own.empty() ? Clock(devices, 0) : own.back();
    for (const Turn::Wait &wait : turn.waits) {
      if (wait.turns < 1 || wait.turns > static_cast<int64_t>(finished[wait.device].size()))
        fail_to_wait(schedule, turn, wait);
      const Clock &theirs = finished[wait.device][wait.turns - 1];
      for (int device = 0; device < devices; ++device)
        clock[device] = std::max(clock[device], theirs[device]);
    }
    if (ranks[stage.device] == rank) {
      RankTurn part{index, stage.device, false, {}, {}};
      for (int device = 0; device < devices; ++device) {
        if (device == stage.device || clock[device] <= told[stage.device][device])
          continue;
        (ranks[device] == rank ? part.waits : part.sent).push_back({device, clock[device]});
      }
      told[stage.device] = clock;
      placed.push_back({++count, std::move(part)});
      own_turns[stage.device].push_back(count);
    } else {
      // As soon as it is there: in the schedule's order it would lie until whatever the sender has
      // begun meanwhile is over. Those to one device stay in the order in which that receives them,
      // since it knows ever more of the sender's turns.
      for (int source : sources_of(schedule, turn.stage, devices))
        if (ranks[source] == rank)
          placed.push_back({clock[source] > 0 ? own_turns[source][clock[source] - 1] : 0,
                            {index, source, true, {}, {}}});
    }
    clock[stage.device] = static_cast<int64_t>(own.size()) + 1;
    own.push_back(std::move(clock));
  }
  // An own turn was placed before all that comes after it.
  std::stable_sort(placed.begin(), placed.end(),
                   [](const Placed &one, const Placed &other) { return one.after < other.after; });
  std::vector<RankTurn> turns;
  turns.reserve(placed.size());
  for (Placed &each : placed)
    turns.push_back(std::move(each.turn));
  return turns;
}

} // namespace mpar
