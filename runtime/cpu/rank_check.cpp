// What a rank knows of the order of its own turns and sends, as vector clocks.
#include "rank_check.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>

namespace mpar {
namespace {

/// The parts of a rank, each known by its place in their list.
class RankOrder {
public:
  RankOrder(const Schedule &all, size_t devices, const std::vector<RankTurn> &parts);
  /// Whether a part is done with its memory, what it sends having gone, when another begins.
  bool ordered(size_t earlier, size_t later) const;

private:
  static constexpr int64_t never = std::numeric_limits<int32_t>::max();
  struct Part {
    int device;
    int64_t number;             // of its device's parts, from 0
    int64_t over;               // the number of the device's part that begins when it is over
    int64_t known;              // how many parts of the device have finished when others know that
    std::vector<int64_t> clock; // by device: parts surely finished before it begins
  };
  std::vector<Part> parts_;
};

RankOrder::RankOrder(const Schedule &all, size_t devices, const std::vector<RankTurn> &parts) {
  // Of each turn, which of its device's it is, as waits count them.
  std::vector<int64_t> turns(devices, 0), numbers;
  for (const Turn &turn : all.turns)
    numbers.push_back(++turns[static_cast<size_t>(all.stages[turn.stage].device)]);
  std::vector<std::vector<size_t>> of_device(devices),
      own(devices); // parts; those that wait counts
  for (size_t index = 0; index < parts.size(); ++index) {
    const RankTurn &turn = parts[index];
    const auto device = static_cast<size_t>(turn.device);
    std::vector<int64_t> clock(devices, 0);
    const auto join = [&](size_t other) {
      const Part &known = parts_[other];
      for (size_t each = 0; each < devices; ++each)
        clock[each] = std::max(clock[each], known.clock[each]);
      int64_t &finished = clock[static_cast<size_t>(known.device)];
      finished = std::max(finished, known.number + 1);
    };
    if (!of_device[device].empty())
      join(of_device[device].back());
    for (const Turn::Wait &wait : turn.waits)
      join(own[static_cast<size_t>(wait.device)].at(static_cast<size_t>(wait.turns - 1)));
    const auto number = static_cast<int64_t>(of_device[device].size());
    for (const Turn::Wait &gone : turn.sent)
      for (size_t sent : of_device[device]) {
        const size_t received = parts[sent].turn;
        if (parts[sent].sends && all.stages[all.turns[received].stage].device == gone.device &&
            numbers[received] <= gone.turns && parts_[sent].over == never) {
          parts_[sent].over = number;
          parts_[sent].known = number + 1;
        }
      }
    const int64_t over = turn.sends ? never : number + 1;
    parts_.push_back({turn.device, number, over, over, std::move(clock)});
    of_device[device].push_back(index);
    if (!turn.sends)
      own[device].push_back(index);
  }
}

bool RankOrder::ordered(size_t earlier, size_t later) const {
  const Part &one = parts_[earlier], &other = parts_[later];
  return one.device == other.device ? one.over <= other.number
                                    : one.known <= other.clock[static_cast<size_t>(one.device)];
}

} // namespace

void prove_rank(const Touches &touches, const std::vector<int> &ranks, int rank,
                const std::vector<RankTurn> &parts) {
  const Schedule &all = touches.schedule();
  const RankOrder order(all, ranks.size(), parts);
  std::vector<std::vector<Touch>> own(ranks.size());   // by device
  std::map<std::pair<size_t, size_t>, size_t> part_of; // by turn and device
  for (size_t index = 0; index < parts.size(); ++index)
    for (Touch touch : touches.of(parts[index].turn)) {
      const bool elsewhere =
          parts[index].sends && static_cast<int>(touch.device) != parts[index].device;
      if (ranks[touch.device] != rank || elsewhere)
        continue;
      touch.slot = -1; // what is handed over from one microbatch to the next shows in its bytes
      own[touch.device].push_back(touch);
      part_of[{touch.turn, touch.device}] = index;
    }
  prove_ordered(all, own, [&](const Touch &earlier, const Touch &later) {
    return order.ordered(part_of.at({earlier.turn, earlier.device}),
                         part_of.at({later.turn, later.device}));
  });
}

} // namespace mpar
