// What the checker of turns proves, and the traps it lays.
#include "kernels.h"

#include "mpar/check.h"
#include "mpar/errors.h"
#include "rank_check.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

using namespace mpar;

namespace {

using When = StageDescription::When;
using Region = MemoryAccess::Region;

constexpr int64_t rows = 4; // of a batch of two microbatches

/// Forward on device 0, a transfer to device 1, forward there, and back on 0: a slot each, so that
/// the second microbatch takes over the memory of the first.
Schedule make_schedule() {
  Schedule schedule;
  schedule.microbatches = 2;
  schedule.stages = {{0, When::during, "forward_on_0", "two.mp:2"},
                     {1, When::during, "transfer_0_to_1", "two.mp:3", 0, 8, 0},
                     {1, When::during, "forward_on_1", "two.mp:3"},
                     {0, When::during, "backward_on_0", "two.mp:2"}};
  schedule.reads = {
      {1, 0, Region::rows, 0, 8}, {2, 1, Region::rows, 0, 8}, {3, 0, Region::rows, 0, 8}};
  schedule.writes = {{0, 0, Region::rows, 0, 8},
                     {1, 1, Region::rows, 0, 8},
                     {2, 1, Region::rows, 8, 16},
                     {3, 0, Region::gradients, 0, 16}};
  schedule.turns = {{0, 0, {}},       {1, 0, {{0, 1}}}, {2, 0, {}}, {3, 0, {}},
                    {0, 1, {{1, 1}}}, {1, 1, {{0, 3}}}, {2, 1, {}}, {3, 1, {}}};
  return schedule;
}

class Check : public testing::Test {
protected:
  Check() {
    std::vector<DeviceDescription> devices(2);
    for (DeviceDescription &device : devices) {
      device.parameter_floats = device.trained_floats = 16;
      device.row_bytes = 16;
      device.slots = 1;
      device.microbatches = 2;
    }
    machine_ = std::make_unique<Machine>("cpu", 1, devices, 0, rows, true);
    machine_->make_slots(make_schedule(), rows);
  }
  std::string error_of(const std::function<void()> &work) {
    try {
      work();
    } catch (const Error &error) {
      return error.what();
    }
    return "";
  }
  std::string error_of(const Schedule &schedule) {
    return error_of([&] { TurnChecker checker({machine_.get()}, schedule); });
  }
  std::unique_ptr<Machine> machine_;
};

TEST_F(Check, AcceptsWhatIsOrdered) { EXPECT_EQ(error_of(make_schedule()), ""); }

TEST_F(Check, GivesEachDeviceMemoryAndAWorkerOfItsOwn) {
  EXPECT_NE(machine_->device(0).physical(), machine_->device(1).physical());
  EXPECT_EQ(machine_->cores().size(), 2u);
}

TEST_F(Check, NamesBothOperationsThatNothingOrders) {
  Schedule schedule = make_schedule();
  schedule.turns[1].waits.clear();
  EXPECT_EQ(error_of(schedule),
            "transfer_0_to_1 of microbatch 0 (two.mp:3) reads what forward_on_0 of microbatch 0 "
            "(two.mp:2) writes on device 0, and nothing orders one after the other");
  schedule = make_schedule();
  schedule.turns[5].waits.clear();
  EXPECT_NE(error_of(schedule).find("transfer_0_to_1 of microbatch 1 (two.mp:3)"),
            std::string::npos);
}

TEST_F(Check, FindsMemoryTakenOverTooEarly) {
  Schedule schedule = make_schedule();
  schedule.turns[4].waits.clear();
  EXPECT_EQ(error_of(schedule),
            "forward_on_0 of microbatch 1 (two.mp:2) writes what transfer_0_to_1 of microbatch 0 "
            "(two.mp:3) reads on device 0, and nothing orders one after the other");
  // Other bytes of it too: it is handed over whole.
  schedule.writes[0].begin = 8;
  schedule.writes[0].end = 16;
  EXPECT_EQ(error_of(schedule),
            "forward_on_0 of microbatch 1 (two.mp:2) takes over memory on device 0 that "
            "transfer_0_to_1 of microbatch 0 (two.mp:3) still has, and nothing orders one after "
            "the other");
}

TEST_F(Check, RefusesAWaitForWhatComesLater) {
  Schedule schedule = make_schedule();
  schedule.turns[0].waits = {{1, 1}};
  EXPECT_EQ(error_of(schedule), "forward_on_0 of microbatch 0 (two.mp:2) waits for turn 1 of "
                                "device 1, which does not come before it");
}

TEST_F(Check, RefusesATurnWhoseWaitsAreNotOver) {
  const Schedule schedule = make_schedule();
  TurnChecker checker({machine_.get()}, schedule);
  checker.begin_step(rows);
  EXPECT_EQ(error_of([&] { checker.begin(1); }),
            "transfer_0_to_1 of microbatch 0 (two.mp:3) began when device 0 had finished 0 turns, "
            "not the 1 that its waits are for");
}

TEST_F(Check, RefusesToReadWhatNothingHasWritten) {
  const Schedule schedule = make_schedule();
  TurnChecker checker({machine_.get()}, schedule);
  checker.begin_step(rows);
  checker.begin(0); // and writes nothing
  checker.end(0);
  EXPECT_EQ(error_of([&] { checker.begin(1); }),
            "transfer_0_to_1 of microbatch 0 (two.mp:3) reads memory on device 0 that nothing has "
            "written");
}

TEST_F(Check, PoisonsWhatNothingReadsAnyMore) {
  Schedule schedule = make_schedule();
  // Else the transfer may still be reading it.
  schedule.turns[3].waits = {{1, 2}};
  schedule.turns[7].waits = {{1, 4}};
  TurnChecker checker({machine_.get()}, schedule);
  checker.begin_step(rows);
  float *const value = machine_->slot(0, 0, 0).rows<float>(0);
  float *const copy = machine_->slot(1, 0, 0).rows<float>(0);
  EXPECT_TRUE(std::isnan(value[0]));
  auto carry_out = [&](size_t turn, float *written) {
    checker.begin(turn);
    if (written)
      std::fill_n(written, 4, 1.0f);
    checker.end(turn);
  };
  carry_out(0, value);
  carry_out(1, copy);
  EXPECT_EQ(value[3], 1.0f); // backward_on_0 reads it
  EXPECT_EQ(copy[3], 1.0f);
  carry_out(2, machine_->slot(1, 0, 0).rows<float>(8));
  EXPECT_TRUE(std::isnan(copy[0]));
  carry_out(3, nullptr);
  EXPECT_TRUE(std::isnan(value[3]));
}

/// Devices 0 and 2 are one rank's. What device 0 computes goes to 1 and from there to 2, and beside
/// that to 2 straight away, which only the way by device 1 puts after device 0. Device 1 hears of
/// the end before the second microbatch takes over the memory of the first.
Schedule make_detour() {
  Schedule schedule;
  schedule.microbatches = 2;
  schedule.stages = {{0, When::during, "forward_on_0", "three.mp:2"},
                     {1, When::during, "transfer_0_to_1", "three.mp:3", 0, 8, 0},
                     {2, When::during, "transfer_1_to_2", "three.mp:4", 1, 8, 0},
                     {2, When::during, "transfer_0_to_2", "three.mp:4", 0, 8, 0}};
  schedule.reads = {
      {1, 0, Region::rows, 0, 8}, {2, 1, Region::rows, 0, 8}, {3, 0, Region::rows, 0, 8}};
  schedule.writes = {{0, 0, Region::rows, 0, 8},
                     {1, 1, Region::rows, 0, 8},
                     {2, 2, Region::rows, 0, 8},
                     {3, 2, Region::rows, 8, 16}};
  schedule.turns = {{0, 0, {}},       {1, 0, {{0, 1}}}, {2, 0, {{1, 1}}},         {3, 0, {}},
                    {0, 1, {{2, 2}}}, {1, 1, {{0, 2}}}, {2, 1, {{1, 2}, {0, 2}}}, {3, 1, {}}};
  return schedule;
}

class RankCheck : public testing::Test {
protected:
  RankCheck() : all_(make_detour()) {
    std::vector<DeviceDescription> devices(3);
    for (DeviceDescription &device : devices) {
      device.row_bytes = 16;
      device.slots = 1;
      device.microbatches = 2;
    }
    machine_ = std::make_unique<Machine>("cpu", 1, devices, 0, rows, true);
    machine_->make_slots(all_, rows);
    machines_ = {machine_.get()};
  }
  std::string error_of(int rank, const std::vector<RankTurn> &parts) {
    try {
      prove_rank(Touches(machines_, all_, all_), ranks_, rank, parts);
    } catch (const Error &error) {
      return error.what();
    }
    return "";
  }
  std::vector<RankTurn> parts_of(int rank) { return turns_of_rank(all_, ranks_, rank); }

  const std::vector<int> ranks_{0, 1, 0};
  Schedule all_;
  std::unique_ptr<Machine> machine_;
  std::vector<Machine *> machines_;
};

TEST_F(RankCheck, AcceptsWhatRanksAreGiven) {
  for (int rank : {0, 1})
    EXPECT_EQ(error_of(rank, parts_of(rank)), "");
}

TEST_F(RankCheck, FindsAWaitAmongItsDevicesThatAnotherRankStandsBehind) {
  std::vector<RankTurn> parts = parts_of(0);
  ASSERT_EQ(parts[2].turn, 2u);
  ASSERT_EQ(parts[2].waits.size(), 1u);
  parts[2].waits.clear();
  EXPECT_EQ(error_of(0, parts), "transfer_0_to_2 of microbatch 0 (three.mp:4) reads what "
                                "forward_on_0 of microbatch 0 (three.mp:2) writes on device 0, and "
                                "nothing orders one after the other");
}

TEST_F(RankCheck, FindsASendThatNothingWaitsFor) {
  std::vector<RankTurn> parts = parts_of(0);
  ASSERT_EQ(parts[4].turn, 4u);
  ASSERT_EQ(parts[4].sent.size(), 1u);
  parts[4].sent.clear();
  EXPECT_EQ(error_of(0, parts), "forward_on_0 of microbatch 1 (three.mp:2) writes what "
                                "transfer_0_to_1 of microbatch 0 (three.mp:3) reads on device 0, "
                                "and nothing orders one after the other");
  parts = parts_of(1);
  const auto receives =
      std::find_if(parts.begin(), parts.end(), [](const RankTurn &part) { return part.turn == 5; });
  ASSERT_NE(receives, parts.end());
  receives->sent.clear();
  EXPECT_EQ(error_of(1, parts), "transfer_0_to_1 of microbatch 1 (three.mp:3) writes what "
                                "transfer_1_to_2 of microbatch 0 (three.mp:4) reads on device 1, "
                                "and nothing orders one after the other");
}

TEST_F(RankCheck, RefusesAWaitForWhatComesLater) {
  all_.turns[0].waits = {{1, 1}};
  try {
    parts_of(0);
    FAIL();
  } catch (const Error &error) {
    EXPECT_EQ(std::string(error.what()),
              "forward_on_0 of microbatch 0 (three.mp:2) waits for turn 1 of device 1, which does "
              "not come before it");
  }
}

} // namespace
