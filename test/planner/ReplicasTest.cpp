// Turns of several replicas: the expanded program is proved, and no wait among them is idle.
#include "planner/Replicas.h"
#include "planner/TurnClocks.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>

using namespace mparc::mp;

namespace {

using When = Stage::When;

struct Program {
  std::vector<Stage> stages;
  PeerStages peers;
  int64_t devices;

  int64_t add(Stage stage, llvm::SmallVector<int64_t> of = {}) {
    stages.push_back(std::move(stage));
    peers.push_back(std::move(of));
    return static_cast<int64_t>(stages.size()) - 1;
  }
};

/// A pipeline forward and back, then on each device: reduce, gather, something that may write where
/// others gather from, update; where `sharded` parameters are gathered last.
Program makeProgram(int64_t devices, bool sharded) {
  Program program{{}, {}, devices};
  std::vector<llvm::SmallVector<int64_t>> on(devices);
  int64_t last = -1;
  for (bool backward : {false, true})
    for (int64_t step = 0; step < devices; ++step) {
      int64_t device = backward ? devices - 1 - step : step;
      llvm::SmallVector<int64_t> waits;
      if (last >= 0)
        waits.push_back(last);
      last = program.add(
          {device, -1, When::during, backward, 1 + backward, waits, {device}, backward});
      on[device].push_back(last);
    }
  for (int64_t device = devices - 1; device >= 0; --device) {
    auto after = [&](llvm::SmallVector<int64_t> of) {
      on[device].push_back(program.add(
          {device, -1, When::after, true, 1, {on[device].back()}, {}, false}, std::move(of)));
      return on[device].back();
    };
    int64_t reduced = after(on[device]);
    int64_t gathered = after({reduced});
    after({gathered});
    int64_t updated = after({});
    if (sharded)
      after({updated});
  }
  return program;
}

TEST(Replicas, TheProgramOfAllIsProvedAndEveryWaitIsNeeded) {
  std::mt19937 random(11);
  for (int number = 0; number < 100; ++number) {
    int64_t devices = 1 + random() % 4, microbatches = 1 + random() % 5;
    int64_t replicas = 2 + random() % 3;
    Program program = makeProgram(devices, random() % 2);
    ScheduleKind kind = random() % 2 ? ScheduleKind::gpipe : ScheduleKind::one_forward_one_backward;
    std::vector<Turn> order = orderTurns(program.stages, microbatches, kind);
    llvm::SmallVector<int64_t> slots = countSlots(program.stages, order, microbatches, devices);
    std::vector<PlannedTurn> plan = planTurns(program.stages, order, slots, microbatches);
    std::vector<PeerWait> waits = planPeerWaits(program.stages, program.peers, plan);
    std::vector<Stage> all = replicateStages(program.stages, program.peers, replicas, devices);
    llvm::SmallVector<int64_t> allSlots;
    for (int64_t replica = 0; replica < replicas; ++replica)
      allSlots.append(slots.begin(), slots.end());
    auto check = [&](const std::vector<PeerWait> &some) {
      return checkTurns(all,
                        replicateTurns(plan, some, replicas,
                                       static_cast<int64_t>(program.stages.size()), devices),
                        allSlots, microbatches);
    };
    EXPECT_EQ(check(waits), std::nullopt);
    for (size_t index = 0; index < waits.size(); ++index) {
      std::vector<PeerWait> fewer = waits, shorter = waits, longer = waits;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(index));
      EXPECT_NE(check(fewer), std::nullopt) << "without wait " << index;
      if (--shorter[index].turns > 0) {
        EXPECT_NE(check(shorter), std::nullopt) << "with a turn less in wait " << index;
      }
      longer[index].turns += 1000;
      EXPECT_NE(check(longer), std::nullopt) << "with turns there are none of in wait " << index;
    }
  }
}

/// A program with its plan: what one replica does, and what it waits for in others.
struct Planned {
  Program program;
  int64_t microbatches;
  std::vector<PlannedTurn> plan;
  std::vector<PeerWait> waits;
};

/// Of two turns of one replica's plan: whether the first has finished when the second begins, in
/// the same replica and in another. Empty where that depends on which replicas they are of.
using Orders = std::vector<std::pair<bool, bool>>;

Orders findOrders(const Planned &planned, int64_t replicas) {
  const Program &program = planned.program;
  auto each = static_cast<int64_t>(program.stages.size());
  auto turns = static_cast<int64_t>(planned.plan.size());
  std::vector<Stage> all =
      replicateStages(program.stages, program.peers, replicas, program.devices);
  TurnClocks clocks(all, planned.microbatches);
  for (const PlannedTurn &turn :
       replicateTurns(planned.plan, planned.waits, replicas, each, program.devices))
    clocks.add(turn);
  auto of = [&](int64_t number, int64_t replica) {
    Turn turn = planned.plan[number].turn;
    return Turn{replica * each + turn.stage, turn.microbatch};
  };
  Orders orders;
  for (int64_t first = 0; first < turns; ++first)
    for (int64_t second = 0; second < turns; ++second)
      for (int64_t one = 0; one < replicas; ++one)
        for (int64_t other = 0; other < replicas; ++other) {
          Turn earlier = of(first, one);
          bool before = clocks.isBefore(all[earlier.stage].device, clocks.numberOf(earlier),
                                        of(second, other));
          auto index = static_cast<size_t>(first * turns + second);
          if (orders.size() == index)
            orders.push_back({before, false});
          bool &known = one == other ? orders[index].first : orders[index].second;
          if (one == 0 && other == 1)
            known = before;
          else if (known != before)
            return {};
        }
  return orders;
}

TEST(Replicas, MoreReplicasAddNoKindOfOrder) {
  std::mt19937 random(12);
  for (int number = 0; number < 12; ++number) {
    int64_t devices = 1 + random() % 3, microbatches = 1 + random() % 3;
    Planned planned{makeProgram(devices, random() % 2), microbatches, {}, {}};
    const std::vector<Stage> &stages = planned.program.stages;
    std::vector<Turn> order = orderTurns(stages, microbatches, ScheduleKind::gpipe);
    planned.plan =
        planTurns(stages, order, countSlots(stages, order, microbatches, devices), microbatches);
    planned.waits = planPeerWaits(stages, planned.program.peers, planned.plan);
    for (bool spoiled : {false, true}) {
      if (spoiled) {
        PeerWait &wait = planned.waits[random() % planned.waits.size()];
        wait.turns = random() % wait.turns;
      }
      const Orders ofTwo = findOrders(planned, 2);
      EXPECT_FALSE(ofTwo.empty());
      for (int64_t replicas = 3; replicas <= 8; ++replicas)
        EXPECT_EQ(findOrders(planned, replicas), ofTwo) << replicas << " replicas";
    }
  }
}

} // namespace
