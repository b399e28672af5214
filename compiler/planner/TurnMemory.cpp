// Goes through all accesses in the order of the program. Of every byte it keeps who wrote it last
// and who has read it since: only these must come before the next access, as others must come
// before them. Microbatches do the same one after the other, so what holds of the first two of them
// says what must hold of all.
#include "planner/TurnMemory.h"
#include "planner/TurnClocks.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <map>

namespace mparc::mp {

using When = Stage::When;

namespace {

/// A stage, in the first microbatch or the second.
struct Visit {
  int64_t stage, microbatch;
};

/// A visit of a stage must come before another.
struct Demand {
  Visit earlier, later;
  int64_t device; // in whose memory
  bool written, writes;
};

/// Who has touched which bytes of a region last.
class Region {
public:
  using Meet = llvm::function_ref<void(int64_t earlier, bool written)>;
  /// Visits are numbered in the order of the program; `meet` is told who must come before this one.
  void access(int64_t visit, int64_t begin, int64_t end, bool writes, Meet meet);

private:
  struct Bytes {
    int64_t end;
    int64_t writer = -1;                        // none
    llvm::SmallVector<int64_t, 2> readers = {}; // since then
  };
  /// Makes a stretch begin at `place` where one contains it.
  void cut(int64_t place);

  std::map<int64_t, Bytes> stretches; // by begin
};

class MemoryChecker {
public:
  MemoryChecker(llvm::ArrayRef<Stage> stages, llvm::ArrayRef<int64_t> slots, int64_t microbatches,
                llvm::ArrayRef<StageMemory> memory, int64_t replicas)
      : stages(stages), slots(slots), microbatches(microbatches), memory(memory),
        replicas(replicas), clocks(stages, microbatches) {}
  std::optional<std::string> run(llvm::ArrayRef<PlannedTurn> plan);

private:
  /// All stages in the order of the program, those of the microbatches twice where there are
  /// several.
  std::vector<Visit> listVisits() const;
  std::vector<Demand> findDemands() const;
  std::optional<std::string> checkDemand(const Demand &demand) const;
  /// That each microbatch takes over a device's memory after the one that had it before.
  std::optional<std::string> checkSlots() const;
  /// That what all microbatches share is touched by its device's own stages alone, one after the
  /// other, and read by none but who has written it.
  std::optional<std::string> checkShared() const;
  std::optional<std::string> checkSlot(int64_t device, llvm::ArrayRef<int64_t> users,
                                       int64_t microbatch) const;
  bool isDuring(int64_t stage) const { return stages[stage].when == When::during; }

  llvm::ArrayRef<Stage> stages;
  llvm::ArrayRef<int64_t> slots;
  int64_t microbatches;
  llvm::ArrayRef<StageMemory> memory;
  int64_t replicas;
  TurnClocks clocks;
};

} // namespace

void Region::cut(int64_t place) {
  auto next = stretches.upper_bound(place);
  if (next == stretches.begin())
    return;
  auto within = std::prev(next);
  if (within->first == place || within->second.end <= place)
    return;
  Bytes rest = within->second;
  within->second.end = place;
  stretches.emplace_hint(next, place, std::move(rest));
}

void Region::access(int64_t visit, int64_t begin, int64_t end, bool writes, Meet meet) {
  cut(begin);
  cut(end);
  auto it = stretches.lower_bound(begin);
  if (writes) {
    while (it != stretches.end() && it->first < end) {
      for (int64_t reader : it->second.readers)
        meet(reader, false);
      if (it->second.readers.empty() && it->second.writer >= 0)
        meet(it->second.writer, true);
      it = stretches.erase(it);
    }
    stretches.emplace_hint(it, begin, Bytes{end, visit});
    return;
  }
  for (int64_t place = begin; place < end; ++it) {
    if (it == stretches.end() || it->first > place) {
      int64_t next = it == stretches.end() ? end : std::min(end, it->first);
      it = stretches.emplace_hint(it, place, Bytes{next});
    }
    Bytes &bytes = it->second;
    if (bytes.writer >= 0)
      meet(bytes.writer, true);
    if (bytes.readers.empty() || bytes.readers.back() != visit)
      bytes.readers.push_back(visit);
    place = bytes.end;
  }
}

std::vector<Visit> MemoryChecker::listVisits() const {
  std::vector<Visit> visits;
  int64_t each = static_cast<int64_t>(stages.size()) / replicas;
  auto add = [&](When when, int64_t microbatch) {
    for (int64_t stage = 0; stage < each; ++stage)
      for (int64_t replica = 0; stages[stage].when == when && replica < replicas; ++replica)
        visits.push_back({replica * each + stage, microbatch});
  };
  add(When::before, 0);
  for (int64_t microbatch = 0; microbatch < std::min<int64_t>(2, microbatches); ++microbatch)
    add(When::during, microbatch);
  add(When::after, 0);
  return visits;
}

std::vector<Demand> MemoryChecker::findDemands() const {
  std::vector<Demand> demands;
  std::map<std::pair<int64_t, RegionKind>, Region> regions;
  std::vector<Visit> visits = listVisits();
  for (auto [number, visit] : llvm::enumerate(visits)) {
    llvm::SmallDenseSet<int64_t, 8> known;
    for (bool writes : {false, true})
      for (const MemoryRange &range :
           writes ? memory[visit.stage].writes : memory[visit.stage].reads) {
        // Microbatches have memory of their own for what grows with rows.
        if (range.begin == range.end || range.shared ||
            (range.region == RegionKind::rows && visit.microbatch > 0))
          continue;
        regions[{range.device, range.region}].access(
            static_cast<int64_t>(number), range.begin, range.end, writes,
            [&, own = static_cast<int64_t>(number)](int64_t earlier, bool written) {
              if (earlier != own && known.insert(earlier).second)
                demands.push_back({visits[earlier], visits[own], range.device, written, writes});
            });
      }
  }
  return demands;
}

std::optional<std::string> MemoryChecker::checkDemand(const Demand &demand) const {
  auto [earlier, later] = std::pair(demand.earlier.stage, demand.later.stage);
  int64_t apart = demand.later.microbatch - demand.earlier.microbatch;
  bool both = isDuring(earlier) && isDuring(later), any = isDuring(earlier) || isDuring(later);
  for (int64_t i = 0; i < (both ? microbatches - apart : any ? microbatches : 1); ++i) {
    Turn first{earlier, isDuring(earlier) ? i : 0};
    Turn second{later, isDuring(later) ? both ? i + apart : i : 0};
    if (!clocks.isBefore(stages[earlier].device, clocks.numberOf(first), second))
      return describe(second) + (demand.writes ? " writes what " : " reads what ") +
             describe(first) + (demand.written ? " writes" : " reads") + " on device " +
             std::to_string(demand.device) + ", and nothing orders it after that";
  }
  return std::nullopt;
}

std::optional<std::string> MemoryChecker::checkSlots() const {
  std::vector<llvm::SmallVector<int64_t>> users(slots.size()); // by device: stages
  for (auto [stage, own] : llvm::enumerate(memory))
    for (const auto *list : {&own.reads, &own.writes})
      for (const MemoryRange &range : *list)
        if (auto &known = users[range.device];
            range.region == RegionKind::rows && !range.shared &&
            isDuring(static_cast<int64_t>(stage)) &&
            (known.empty() || known.back() != static_cast<int64_t>(stage)))
          known.push_back(static_cast<int64_t>(stage));
  for (auto [device, stagesThere] : llvm::enumerate(users))
    for (int64_t microbatch = slots[device]; microbatch < microbatches; ++microbatch)
      if (auto error = checkSlot(static_cast<int64_t>(device), stagesThere, microbatch))
        return error;
  return std::nullopt;
}

std::optional<std::string> MemoryChecker::checkShared() const {
  for (auto [stage, own] : llvm::enumerate(memory))
    for (const auto *list : {&own.reads, &own.writes})
      for (const MemoryRange &range : *list) {
        if (!range.shared)
          continue;
        std::string where =
            " what all microbatches share on device " + std::to_string(range.device);
        Turn turn{static_cast<int64_t>(stage), 0};
        if (list == &own.reads)
          return describe(turn) + " reads what another stage has written in" + where;
        if (stages[stage].device != range.device || !isDuring(turn.stage))
          return describe(turn) + " writes" + where + ", and is none of its turns";
      }
  return std::nullopt;
}

std::optional<std::string> MemoryChecker::checkSlot(int64_t device, llvm::ArrayRef<int64_t> users,
                                                    int64_t microbatch) const {
  std::map<int64_t, Turn> last; // by device: of those that the one before had there
  for (int64_t stage : users) {
    Turn turn{stage, microbatch - slots[device]};
    auto [known, isNew] = last.try_emplace(stages[stage].device, turn);
    if (!isNew && clocks.numberOf(known->second) < clocks.numberOf(turn))
      known->second = turn;
  }
  for (int64_t stage : users)
    for (auto [on, turn] : last)
      if (!clocks.isBefore(on, clocks.numberOf(turn), {stage, microbatch}))
        return describe({stage, microbatch}) + " takes over memory on device " +
               std::to_string(device) + " that " + describe(turn) +
               " still has, and nothing orders it after that";
  return std::nullopt;
}

std::optional<std::string> MemoryChecker::run(llvm::ArrayRef<PlannedTurn> plan) {
  for (const PlannedTurn &planned : plan)
    clocks.add(planned);
  for (const Demand &demand : findDemands())
    if (auto error = checkDemand(demand))
      return error;
  if (auto error = checkShared())
    return error;
  return checkSlots();
}

std::optional<std::string> checkTurnMemory(llvm::ArrayRef<Stage> stages,
                                           llvm::ArrayRef<PlannedTurn> plan,
                                           llvm::ArrayRef<int64_t> slots, int64_t microbatches,
                                           llvm::ArrayRef<StageMemory> memory, int64_t replicas) {
  return MemoryChecker(stages, slots, microbatches, memory, replicas).run(plan);
}

/// What of [0, bytes) a replica has, in lines of 64 bytes.
static std::pair<int64_t, int64_t> findShare(int64_t bytes, int64_t replica, int64_t replicas) {
  constexpr int64_t line = 64;
  int64_t lines = (bytes + line - 1) / line;
  return {std::min(bytes, lines * replica / replicas * line),
          std::min(bytes, lines * (replica + 1) / replicas * line)};
}

std::vector<StageMemory> replicateMemory(llvm::ArrayRef<StageMemory> memory, int64_t replicas,
                                         llvm::ArrayRef<int64_t> trainedFloats) {
  std::vector<StageMemory> all;
  int64_t devices = static_cast<int64_t>(trainedFloats.size());
  for (int64_t own = 0; own < replicas; ++own)
    for (const StageMemory &one : memory) {
      StageMemory stage = one;
      stage.collectives.clear();
      for (auto *list : {&stage.reads, &stage.writes})
        for (MemoryRange &range : *list)
          range.device += own * devices;
      for (const CollectiveRange &collective : one.collectives) {
        const MemoryRange &whole = collective.range;
        auto add = [&](std::vector<MemoryRange> &list, int64_t replica, int64_t owner) {
          bool isFixed = whole.region == RegionKind::fixed;
          auto [begin, end] =
              findShare(isFixed ? whole.end - whole.begin
                                : trainedFloats[whole.device] * static_cast<int64_t>(sizeof(float)),
                        owner, replicas);
          MemoryRange range = whole;
          range.device += replica * devices;
          range.begin = std::max(whole.begin, begin + (isFixed ? whole.begin : 0));
          range.end = std::min(whole.end, end + (isFixed ? whole.begin : 0));
          if (range.begin < range.end)
            list.push_back(range);
        };
        for (int64_t other = 0; other < replicas; ++other)
          if (!collective.gathers) {
            add(stage.reads, other, own);
          } else if (other != own) {
            add(stage.reads, other, other);
            add(stage.writes, own, other);
          }
        if (!collective.gathers)
          add(stage.writes, own, own);
      }
      all.push_back(std::move(stage));
    }
  return all;
}

} // namespace mparc::mp
