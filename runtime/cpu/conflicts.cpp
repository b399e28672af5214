// What turns of a schedule touch of the same memory: by the compiler's lists, as TurnChecker has
// them, without its proof.
#include "conflicts.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace mpar {
namespace {

using Region = MemoryAccess::Region;

constexpr int any_slot = -1;

/// Bytes of a region, of rows a row, that a turn touches; `slot`: whose rows.
struct Touch {
  size_t turn;
  int64_t begin, end;
  int slot;
  bool writes;

  bool meets(const Touch &other) const {
    const bool together = slot == other.slot || slot == any_slot || other.slot == any_slot;
    return together && begin < other.end && other.begin < end && (writes || other.writes);
  }
  bool covers(const Touch &other) const {
    return slot == other.slot && begin <= other.begin && other.end <= end;
  }
};

/// Walks the turns and keeps, of each region, the touches that later ones may meet.
class Finder {
public:
  Finder(const Schedule &schedule, const std::vector<const Device *> &devices,
         const std::vector<int> &orders)
      : schedule_(schedule), devices_(devices), orders_(orders),
        stages_each_(static_cast<int>(schedule.stages.size()) / schedule.replicas),
        devices_each_(static_cast<int>(devices.size()) / schedule.replicas) {
    for (const auto *list : {&schedule.reads, &schedule.writes})
      for (const MemoryAccess &access : *list)
        accesses_[access.stage].emplace_back(&access, list == &schedule.writes);
  }

  std::vector<size_t> find(size_t number) {
    const Turn &turn = schedule_.turns[number];
    const int stage = turn.stage % stages_each_, replica = turn.stage / stages_each_;
    const bool during = schedule_.stages[turn.stage].when == StageDescription::When::during;
    found_.clear();
    for (const auto &[access, writes] : accesses_[stage]) {
      const int device = replica * devices_each_ + access->device;
      Touch touch{number, access->begin, access->end, any_slot, writes};
      const bool shared = is_shared(devices_[device]->description(), *access);
      if (access->region == Region::rows && during && !shared)
        touch.slot = static_cast<int>(turn.microbatch % devices_[device]->description().slots);
      else if (access->region == Region::rows &&
               !during) // of all slots, which lie otherwise for it
        std::tie(touch.begin, touch.end) = std::pair(int64_t(0), all);
      meet(device, access->region, touch);
    }
    // Together replicas read and write the range on the same device of each.
    for (const CollectiveAccess &access : schedule_.collectives)
      for (int other = 0; access.stage == stage && other < schedule_.replicas; ++other)
        meet(other * devices_each_ + access.device, access.region,
             {number, access.begin, access.end, any_slot, other == replica});
    std::sort(found_.begin(), found_.end());
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
    return found_;
  }

private:
  static constexpr int64_t all = std::numeric_limits<int64_t>::max();

  void meet(int device, Region region, const Touch &touch) {
    std::vector<Touch> &known = touches_[{device, region}];
    for (const Touch &other : known)
      if (other.turn != touch.turn && touch.meets(other))
        found_.push_back(other.turn);
    known.erase(std::remove_if(known.begin(), known.end(),
                               [&](const Touch &other) {
                                 const bool after =
                                     touch.writes ||
                                     (!other.writes && orders_[other.turn] == orders_[touch.turn]);
                                 return other.turn != touch.turn && after && touch.covers(other);
                               }),
                known.end());
    known.push_back(touch);
  }

  const Schedule &schedule_;
  const std::vector<const Device *> &devices_;
  const std::vector<int> &orders_;
  int stages_each_, devices_each_;
  std::map<int, std::vector<std::pair<const MemoryAccess *, bool>>> accesses_; // by stage
  std::map<std::pair<int, Region>, std::vector<Touch>> touches_;
  std::vector<size_t> found_;
};

} // namespace

std::vector<std::vector<size_t>> find_conflicts(const Schedule &schedule,
                                                const std::vector<const Device *> &devices,
                                                const std::vector<int> &orders) {
  Finder finder(schedule, devices, orders);
  std::vector<std::vector<size_t>> conflicts;
  conflicts.reserve(schedule.turns.size());
  for (size_t number = 0; number < schedule.turns.size(); ++number)
    conflicts.push_back(finder.find(number));
  return conflicts;
}

} // namespace mpar
