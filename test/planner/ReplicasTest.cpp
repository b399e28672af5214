// Turns of several replicas: the expanded program is proved, and no wait among them is idle.
#include "planner/Replicas.h"

#include <gtest/gtest.h>

#include <random>

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

} // namespace
