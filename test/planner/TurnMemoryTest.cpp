// Turns in memory: what is proved of them is compared with all pairs of accesses, of random
// pipelines that are right by how they are made, and with faults of every kind in them.
#include "planner/TurnMemory.h"
#include "Pipelines.h"
#include "planner/Replicas.h"

#include "llvm/ADT/STLExtras.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

using namespace mparc::mp;

namespace {

using When = Stage::When;

bool meet(const MemoryRange &a, const MemoryRange &b) {
  return a.device == b.device && a.region == b.region && a.begin < b.end && b.begin < a.end;
}

struct Access {
  MemoryRange range;
  bool writes;
};

std::vector<Access> accessesOf(const StageMemory &memory) {
  std::vector<Access> all;
  for (const MemoryRange &range : memory.reads)
    all.push_back({range, false});
  for (const MemoryRange &range : memory.writes)
    all.push_back({range, true});
  return all;
}

/// Whether two stages must not be carried out at once.
bool conflict(const StageMemory &a, const StageMemory &b, bool sharedOnly = false) {
  for (const Access &one : accessesOf(a))
    for (const Access &other : accessesOf(b))
      if ((one.writes || other.writes) && meet(one.range, other.range) &&
          !(sharedOnly && one.range.region == RegionKind::rows))
        return true;
  return false;
}

/// A program of one or several replicas in memory.
struct Case {
  std::vector<Stage> stages; // of one replica
  std::vector<StageMemory> memory;
  PeerStages peers;
  int64_t devices = 1, microbatches = 1, replicas = 1;
  llvm::SmallVector<int64_t> slots, trainedFloats;
  std::vector<PlannedTurn> turns;
  std::vector<PeerWait> peerWaits;
};

class Maker {
public:
  explicit Maker(std::mt19937 &random) : random(random) {}
  Case make();

private:
  int64_t pick(int64_t from, int64_t to) {
    return std::uniform_int_distribution<int64_t>(from, to)(random);
  }
  void giveMemory(Case &made);
  void addCollectives(Case &made);
  void order(Case &made);

  std::mt19937 &random;
};

/// Values lie where they happen to: whatever meets there is made to wait.
void Maker::giveMemory(Case &made) {
  int64_t room = pick(4, 60);
  for (auto [number, stage] : llvm::enumerate(made.stages)) {
    StageMemory memory;
    for (int64_t other : stage.waits)
      for (const MemoryRange &range : made.memory[other].writes)
        if (stage.when == When::during && range.region == RegionKind::rows &&
            (range.device == stage.device || stage.isTransfer()))
          memory.reads.push_back(range);
    auto place = [&](RegionKind region) {
      int64_t begin = pick(0, room);
      return MemoryRange{stage.device, region, begin, begin + pick(1, 6)};
    };
    if (stage.when == When::during) {
      memory.writes.push_back(place(RegionKind::rows));
      if (!stage.isTransfer())
        memory.reads.push_back({stage.device, RegionKind::parameters, 0, pick(1, 40)});
      if (pick(0, 7) == 0)
        (pick(0, 1) ? memory.writes : memory.reads).push_back(place(RegionKind::fixed));
    }
    if (stage.sums) {
      int64_t begin = 64 * static_cast<int64_t>(number);
      memory.writes.push_back({stage.device, RegionKind::gradients, begin, begin + 64});
    }
    if (stage.when == When::after) {
      int64_t all = 64 * static_cast<int64_t>(made.stages.size());
      memory.reads.push_back({stage.device, RegionKind::gradients, 0, all});
      memory.writes.push_back({stage.device, RegionKind::parameters, 0, all});
    }
    made.memory.push_back(std::move(memory));
  }
  made.trainedFloats.assign(made.devices, 16 * static_cast<int64_t>(made.stages.size()));
}

/// Before its update, each device adds up its gradients over the replicas and gathers the sums.
void Maker::addCollectives(Case &made) {
  std::vector<Stage> updates;
  std::vector<StageMemory> updateMemory;
  while (made.stages.back().when == When::after) {
    updates.push_back(made.stages.back());
    updateMemory.push_back(made.memory.back());
    made.stages.pop_back();
    made.memory.pop_back();
  }
  int64_t all = 4 * made.trainedFloats.front();
  made.peers.resize(made.stages.size());
  auto add = [&](Stage stage, StageMemory memory, llvm::SmallVector<int64_t> peers) {
    made.stages.push_back(std::move(stage));
    made.memory.push_back(std::move(memory));
    made.peers.push_back(std::move(peers));
    return static_cast<int64_t>(made.stages.size()) - 1;
  };
  for (auto [update, memory] : llvm::zip(updates, updateMemory)) {
    llvm::SmallVector<int64_t> sums;
    for (auto [number, stage] : llvm::enumerate(made.stages))
      if (stage.sums && stage.device == update.device)
        sums.push_back(static_cast<int64_t>(number));
    auto stage = [&](llvm::SmallVector<int64_t> waits) {
      return Stage{update.device, -1, When::after, true, 1, std::move(waits), {}, false};
    };
    auto collective = [&](RegionKind region, bool gathers) {
      return StageMemory{{}, {}, {{{update.device, region, 0, all}, gathers}}};
    };
    int64_t reduced = add(stage(sums), collective(RegionKind::gradients, false), sums);
    bool sharded = pick(0, 1);
    int64_t last = reduced;
    if (!sharded)
      last = add(stage({reduced}), collective(RegionKind::gradients, true), {reduced});
    Stage own = update;
    own.waits.push_back(last);
    last = add(std::move(own), memory, {});
    if (sharded)
      add(stage({last}), collective(RegionKind::parameters, true), {last});
  }
}

void Maker::order(Case &made) {
  auto &stages = made.stages;
  for (size_t later = 0; later < stages.size(); ++later) {
    for (size_t earlier = 0; earlier < later; ++earlier)
      if (conflict(made.memory[earlier], made.memory[later]))
        stages[later].waits.push_back(static_cast<int64_t>(earlier));
    for (size_t other = 0; other < stages.size(); ++other)
      if (stages[later].when == When::during && stages[other].when == When::during &&
          conflict(made.memory[other], made.memory[later], true))
        stages[later].follows.push_back(static_cast<int64_t>(other));
    stages[later].touches.clear();
    for (const Access &access : accessesOf(made.memory[later]))
      if (access.range.region == RegionKind::rows &&
          !llvm::is_contained(stages[later].touches, access.range.device))
        stages[later].touches.push_back(access.range.device);
  }
  std::vector<Turn> order = orderTurns(stages, made.microbatches, kKinds[pick(0, 3)]);
  made.slots = countSlots(stages, order, made.microbatches, made.devices);
  made.turns = planTurns(stages, order, made.slots, made.microbatches);
  made.peerWaits = planPeerWaits(stages, made.peers, made.turns);
}

Case Maker::make() {
  Case made;
  made.devices = pick(1, 4);
  made.microbatches = pick(1, 5);
  std::vector<int64_t> visited;
  for (int64_t i = pick(1, 4); i > 0; --i)
    visited.push_back(pick(0, made.devices - 1));
  made.stages = makePipeline(visited, pick(1, 3), pick(1, 3), pick(0, 2));
  giveMemory(made);
  if (pick(0, 3) == 0) {
    made.replicas = pick(2, 3);
    addCollectives(made);
  }
  order(made);
  return made;
}

/// What is proved of a case: the stages, turns, slots and memory of all replicas.
struct Whole {
  explicit Whole(const Case &made)
      : stages(replicateStages(made.stages, made.peers, made.replicas, made.devices)),
        turns(replicateTurns(made.turns, made.peerWaits, made.replicas,
                             static_cast<int64_t>(made.stages.size()), made.devices)),
        memory(replicateMemory(made.memory, made.replicas, made.trainedFloats)) {
    for (int64_t replica = 0; replica < made.replicas; ++replica)
      slots.append(made.slots.begin(), made.slots.end());
  }
  std::vector<Stage> stages;
  std::vector<PlannedTurn> turns;
  std::vector<StageMemory> memory;
  llvm::SmallVector<int64_t> slots;
};

/// The same by looking at each pair of accesses.
bool isOrdered(const Case &made, const Whole &whole) {
  std::vector<std::vector<bool>> before = findBefore(whole.stages, whole.turns);
  int64_t each = static_cast<int64_t>(made.stages.size());
  auto placeOf = [&](Turn turn) { // in the order of the program
    When when = whole.stages[turn.stage].when;
    return std::tuple(when, turn.microbatch, turn.stage % each, turn.stage / each);
  };
  for (size_t i = 0; i < whole.turns.size(); ++i)
    for (size_t j = 0; j < whole.turns.size(); ++j) {
      Turn earlier = whole.turns[i].turn, later = whole.turns[j].turn;
      if (before[j][i] || placeOf(earlier) >= placeOf(later))
        continue;
      bool rows = whole.stages[earlier.stage].when == When::during &&
                  whole.stages[later.stage].when == When::during;
      for (const Access &one : accessesOf(whole.memory[earlier.stage]))
        for (const Access &other : accessesOf(whole.memory[later.stage])) {
          bool apart = rows && one.range.region == RegionKind::rows &&
                       earlier.microbatch != later.microbatch;
          if (!apart && (one.writes || other.writes) && meet(one.range, other.range))
            return false;
          if (apart && other.range.region == RegionKind::rows &&
              one.range.device == other.range.device &&
              (later.microbatch - earlier.microbatch) % whole.slots[one.range.device] == 0)
            return false;
        }
    }
  return true;
}

enum Fault {
  swapped,
  dropped,
  shortened,
  fewerSlots,
  overlapping,
  withoutPeer,
  withoutWrite,
  faults
};

/// False where there is nothing to spoil.
bool spoil(Case &made, int fault, std::mt19937 &random) {
  auto pick = [&](size_t size) {
    return std::uniform_int_distribution<size_t>(0, size - 1)(random);
  };
  PlannedTurn &planned = made.turns[pick(made.turns.size())];
  StageMemory &memory = made.memory[pick(made.memory.size())];
  switch (fault) {
  case swapped:
    std::swap(planned, made.turns[pick(made.turns.size())]);
    return true;
  case dropped:
    if (!planned.waits.empty())
      planned.waits.pop_back();
    return true;
  case shortened:
    return !planned.waits.empty() && --planned.waits.back().turns > 0;
  case fewerSlots:
    for (int64_t &slots : made.slots)
      slots = std::max<int64_t>(1, slots - 1);
    return true;
  case overlapping: {
    if (memory.writes.empty())
      return false;
    MemoryRange &range = memory.writes[pick(memory.writes.size())];
    auto shift = static_cast<int64_t>(pick(12));
    range.begin += shift;
    range.end += shift + static_cast<int64_t>(pick(4));
    return true;
  }
  case withoutPeer:
    if (made.peerWaits.empty())
      return false;
    made.peerWaits.erase(made.peerWaits.begin() +
                         static_cast<std::ptrdiff_t>(pick(made.peerWaits.size())));
    return true;
  case withoutWrite: // less memory is touched: never a fault by itself
    if (memory.writes.empty())
      return false;
    memory.writes.pop_back();
    return true;
  }
  return false;
}

class RandomMemory : public testing::TestWithParam<int> {};

TEST_P(RandomMemory, IsProvedAndFaultsAreFound) {
  std::mt19937 random(GetParam());
  std::map<int, int> found;
  for (int repeat = 0; repeat < schedulesOfOneSeed(); ++repeat) {
    const Case right = Maker(random).make();
    const Whole whole(right);
    auto turnsOf = [&](const Whole &all) {
      return checkTurns(all.stages, all.turns, all.slots, right.microbatches);
    };
    auto memoryOf = [&](const Whole &all) {
      return checkTurnMemory(all.stages, all.turns, all.slots, right.microbatches, all.memory,
                             right.replicas);
    };
    ASSERT_EQ(turnsOf(whole), std::nullopt);
    ASSERT_EQ(memoryOf(whole), std::nullopt);
    ASSERT_TRUE(isOrdered(right, whole));
    for (int fault = 0; fault < faults; ++fault) {
      Case wrong = right;
      if (!spoil(wrong, fault, random))
        continue;
      // That turns wait for earlier ones and come once each is the other check's to say; so that
      // this one stands by itself, what it says of dependences is not asked here.
      for (Stage &stage : wrong.stages) {
        stage.waits.clear();
        stage.follows.clear();
        stage.touches.clear();
        stage.sums = false;
      }
      for (auto &peers : wrong.peers)
        peers.clear();
      const Whole all(wrong);
      if (turnsOf(all))
        continue;
      bool ordered = isOrdered(wrong, all);
      found[fault] += !ordered;
      EXPECT_EQ(memoryOf(all) == std::nullopt, ordered) << "fault " << fault;
    }
  }
  for (int fault = 0; fault < withoutWrite; ++fault)
    EXPECT_GT(found[fault], 0) << "fault " << fault;
  EXPECT_EQ(found[withoutWrite], 0);
}

// What is found of two replicas is found of more, and nothing else.
TEST_P(RandomMemory, OfMoreReplicasIsProvedAlike) {
  std::mt19937 random(GetParam() + 1000);
  for (int cases = 0; cases < 8;) {
    Case made = Maker(random).make();
    if (made.replicas == 1)
      continue;
    ++cases;
    for (int fault = -1; fault < faults; ++fault) {
      Case each = made;
      if (fault >= 0 && !spoil(each, fault, random))
        continue;
      std::vector<bool> verdicts;
      for (int64_t replicas : {2, 4, 5, 6, 7, 8}) {
        each.replicas = replicas;
        const Whole all(each);
        verdicts.push_back(checkTurns(all.stages, all.turns, all.slots, each.microbatches) ||
                           checkTurnMemory(all.stages, all.turns, all.slots, each.microbatches,
                                           all.memory, replicas));
      }
      EXPECT_EQ(verdicts, std::vector<bool>(verdicts.size(), verdicts.front()))
          << "fault " << fault;
    }
  }
}

// What all microbatches share is its device's own stages' alone, and no stage's to read that has
// not written it.
TEST(SharedMemory, IsOfOneTurnAtATime) {
  Stage own, other;
  own.device = 0;
  other.device = 1;
  other.waits = {0};
  std::vector<Stage> stages{own, other};
  std::vector<PlannedTurn> turns;
  for (int64_t microbatch : {0, 1}) {
    turns.push_back({{0, microbatch}, {}});
    turns.push_back({{1, microbatch}, {{0, microbatch + 1}}});
  }
  MemoryRange range{0, RegionKind::rows, 8, 12};
  range.shared = true;
  std::vector<StageMemory> memory(2);
  auto check = [&] { return checkTurnMemory(stages, turns, {2, 2}, 2, memory); };
  memory[0].writes = {range};
  EXPECT_EQ(check(), std::nullopt);
  memory[1].reads = {range};
  EXPECT_EQ(check(), "stage 1 of microbatch 0 reads what another stage has written in what all "
                     "microbatches share on device 0");
  memory[1].reads.clear();
  memory[1].writes = {range};
  EXPECT_EQ(check(), "stage 1 of microbatch 0 writes what all microbatches share on device 0, and "
                     "is none of its turns");
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomMemory, testing::Range(0, kSeeds));

} // namespace
