// Orders of microbatches: right by a proof of its own, and of the length that theory gives.
#include "Pipelines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

using namespace mparc::mp;

namespace {

using When = Stage::When;

/// The time of a plan that waits for nothing but what it must: each turn begins when its device is
/// free and what it waits for has finished.
int64_t timeOf(const Plan &plan) {
  std::vector<std::vector<int64_t>> finished(plan.slots.size());
  int64_t last = 0;
  for (const PlannedTurn &planned : plan.turns) {
    const Stage &stage = plan.stages[planned.turn.stage];
    auto &own = finished[stage.device];
    int64_t begin = own.empty() ? 0 : own.back();
    for (auto wait : planned.waits)
      begin = std::max(begin, finished[wait.device][wait.turns - 1]);
    own.push_back(begin + (stage.when == When::during ? stage.cost : 0));
    last = std::max(last, own.back());
  }
  return last;
}

TEST(Microbatches, TakeTheTimeThatTheoryGives) {
  // (m + p - 1) slots of a forward and a backward pass, for either schedule.
  for (auto kind : {ScheduleKind::gpipe, ScheduleKind::one_forward_one_backward})
    for (int64_t stages : {1, 2, 4, 7})
      for (int64_t microbatches : {1, 2, 5, 8, 20}) {
        std::vector<int64_t> visited;
        for (int64_t stage = 0; stage < stages; ++stage)
          visited.push_back(stage);
        Plan plan = makePlan(makePipeline(visited), microbatches, kind);
        EXPECT_EQ(checkTurns(plan.stages, plan.turns, plan.slots, microbatches), std::nullopt);
        EXPECT_EQ(timeOf(plan), (microbatches + stages - 1) * 3)
            << stages << " stages, " << microbatches << " microbatches";
      }
}

std::vector<int64_t> countUp(int64_t devices) {
  std::vector<int64_t> visited;
  for (int64_t device = 0; device < devices; ++device)
    visited.push_back(device);
  return visited;
}

TEST(Microbatches, FillTheBubbleWithWhatCanBePutOff) {
  // (p - 1)·(F + B - W) where 1F1B has (p - 1)·(F + B + W), all three being 1.
  for (int64_t devices : {1, 2, 3, 4, 7})
    for (int64_t microbatches : {devices, 2 * devices, int64_t(20)}) {
      Plan plan = makePlan(makePipeline(countUp(devices), 1, 1, 1), microbatches,
                           ScheduleKind::zero_bubble);
      EXPECT_EQ(checkTurns(plan.stages, plan.turns, plan.slots, microbatches), std::nullopt);
      EXPECT_EQ(timeOf(plan), 3 * microbatches + devices - 1)
          << devices << " devices, " << microbatches << " microbatches";
    }
  // As many microbatches have memory as there are devices: as many as on the first one under
  // "1f1b".
  for (int64_t devices : {2, 3, 4, 7}) {
    Plan plan = makePlan(makePipeline(countUp(devices), 1, 1, 1), 20, ScheduleKind::zero_bubble);
    EXPECT_EQ(plan.slots, llvm::SmallVector<int64_t>(devices, devices));
  }
  // There and back again: the same from a placement of twice as many stages, each half as long, so
  // that what is lost is half of it.
  for (int64_t devices : {2, 3, 4}) {
    std::vector<int64_t> visited = countUp(devices);
    for (int64_t device = devices - 1; device >= 0; --device)
      visited.push_back(device);
    Plan plan = makePlan(makePipeline(visited, 1, 1, 1), 20, ScheduleKind::zero_bubble);
    EXPECT_EQ(checkTurns(plan.stages, plan.turns, plan.slots, 20), std::nullopt);
    EXPECT_EQ(timeOf(plan), 6 * 20 + devices - 1) << devices << " devices";
  }
}

TEST(Microbatches, InterleaveTheStagesOfADevice) {
  // v stages a device: the bubble of one, (p - 1)·(F + B), is v times shorter. Megatron-LM wants
  // microbatches in multiples of p; any number can be carried out.
  for (int64_t devices : {2, 3, 4})
    for (int64_t visits : {1, 2, 3})
      for (int64_t microbatches : {1, 2, 3, 5, 12, 24}) {
        std::vector<int64_t> visited;
        for (int64_t visit = 0; visit < visits; ++visit)
          for (int64_t device = 0; device < devices; ++device)
            visited.push_back(device);
        Plan plan = makePlan(makePipeline(visited), microbatches, ScheduleKind::interleaved);
        EXPECT_EQ(checkTurns(plan.stages, plan.turns, plan.slots, microbatches), std::nullopt);
        if (microbatches % devices == 0) {
          EXPECT_EQ(timeOf(plan), (microbatches * visits + devices - 1) * 3)
              << devices << " devices, " << visits << " visits, " << microbatches
              << " microbatches";
        }
      }
}

TEST(Microbatches, KeepWhatTheScheduleSays) {
  Plan all = makePlan(makePipeline({0, 1, 2, 3}), 9, ScheduleKind::gpipe);
  EXPECT_EQ(all.slots, llvm::SmallVector<int64_t>({9, 9, 9, 9}));
  Plan few = makePlan(makePipeline({0, 1, 2, 3}), 9, ScheduleKind::one_forward_one_backward);
  // A stage has begun at most as many as there are stages from it on; the next arrives meanwhile,
  // and the last is still being copied away.
  for (auto [device, slots] : llvm::enumerate(few.slots)) {
    EXPECT_GE(slots, 4 - static_cast<int64_t>(device));
    EXPECT_LE(slots, 6 - static_cast<int64_t>(device));
  }
}

/// Whether a plan is right, by following every way through its streams and waits.
bool isRight(const Plan &plan, int64_t microbatches) {
  size_t count = plan.turns.size();
  std::vector<std::vector<size_t>> ofDevice(plan.slots.size());
  std::vector<std::vector<bool>> before(count, std::vector<bool>(count));
  std::set<std::pair<int64_t, int64_t>> seen;
  size_t expected = 0;
  for (const Stage &stage : plan.stages)
    expected += stage.when == When::during ? microbatches : 1;
  if (count != expected)
    return false;
  for (size_t i = 0; i < count; ++i) {
    const PlannedTurn &planned = plan.turns[i];
    bool once = plan.stages[planned.turn.stage].when != When::during;
    if ((once && planned.turn.microbatch > 0) ||
        !seen.insert({planned.turn.stage, planned.turn.microbatch}).second)
      return false;
    auto follow = [&](size_t earlier) {
      before[i][earlier] = true;
      for (size_t j = 0; j < count; ++j)
        if (before[earlier][j])
          before[i][j] = true;
    };
    auto &own = ofDevice[plan.stages[planned.turn.stage].device];
    if (!own.empty())
      follow(own.back());
    for (auto wait : planned.waits) {
      if (wait.turns > static_cast<int64_t>(ofDevice[wait.device].size()))
        return false;
      follow(ofDevice[wait.device][wait.turns - 1]);
    }
    own.push_back(i);
  }
  for (size_t i = 0; i < count; ++i)
    for (size_t j = 0; j < count; ++j) {
      Turn later = plan.turns[i].turn, earlier = plan.turns[j].turn;
      const Stage &stage = plan.stages[later.stage], &other = plan.stages[earlier.stage];
      bool same = later.microbatch == earlier.microbatch || stage.when != When::during ||
                  other.when != When::during;
      bool reads = same && llvm::is_contained(stage.waits, earlier.stage);
      bool reuses = stage.when == When::during && other.when == When::during &&
                    llvm::is_contained(stage.touches, stage.device) &&
                    llvm::is_contained(other.touches, stage.device) &&
                    earlier.microbatch == later.microbatch - plan.slots[stage.device];
      bool sums =
          stage.sums && later.stage == earlier.stage && earlier.microbatch < later.microbatch;
      if ((reads || reuses || sums) && !before[i][j])
        return false;
    }
  return true;
}

class RandomPlans : public testing::TestWithParam<int> {};

TEST_P(RandomPlans, AreRightAndFaultsAreFound) {
  std::mt19937 random(GetParam());
  auto pick = [&](int64_t from, int64_t to) {
    return std::uniform_int_distribution<int64_t>(from, to)(random);
  };
  for (int repeat = 0; repeat < schedulesOfOneSeed(); ++repeat) {
    int64_t devices = pick(1, 4), visits = pick(1, 5), microbatches = pick(1, 5);
    std::vector<int64_t> visited;
    for (int64_t i = 0; i < visits; ++i)
      visited.push_back(pick(0, devices - 1));
    std::vector<Stage> stages = makePipeline(visited, pick(1, 3), pick(1, 3), pick(0, 2));
    // A skip connection: one stage reads of another what it must then wait for.
    if (int64_t later = pick(0, static_cast<int64_t>(stages.size()) - 1); later > 0)
      stages[later].waits.push_back(pick(0, later - 1));
    Plan plan = makePlan(stages, microbatches, kKinds[pick(0, 3)]);
    auto check = [&] { return checkTurns(plan.stages, plan.turns, plan.slots, microbatches); };
    ASSERT_EQ(check(), std::nullopt);
    ASSERT_TRUE(isRight(plan, microbatches));
    // Faults of every kind: found where they are ones.
    for (int fault = 0; fault < 6; ++fault) {
      Plan whole = plan;
      size_t at = pick(0, static_cast<int64_t>(plan.turns.size()) - 1);
      PlannedTurn &planned = plan.turns[at];
      if (fault == 0 && at > 0)
        std::swap(planned, plan.turns[at - 1]);
      else if (fault == 1 && !planned.waits.empty())
        planned.waits.pop_back();
      else if (fault == 2 && !planned.waits.empty())
        --planned.waits.back().turns;
      else if (fault == 3)
        plan.turns.erase(plan.turns.begin() + at);
      else if (fault == 4)
        planned.turn.microbatch = pick(0, microbatches - 1);
      else if (fault == 5)
        for (int64_t &slots : plan.slots)
          slots = std::max<int64_t>(1, slots - 1);
      bool hasZeroWait = llvm::any_of(plan.turns, [](const PlannedTurn &turn) {
        return llvm::any_of(turn.waits, [](auto wait) { return wait.turns < 1; });
      });
      if (!hasZeroWait) {
        EXPECT_EQ(check() == std::nullopt, isRight(plan, microbatches)) << "fault " << fault;
      }
      plan = whole;
    }
  }
}

// What is read in one stage and set in a later one goes from microbatch to microbatch, whatever the
// schedule would rather do; a plan that does not keep to it is found.
TEST(Microbatches, PassOnWhatEachOfThemSets) {
  Stage reads{}, sets{}, back{};
  reads.touches = sets.touches = back.touches = {0};
  reads.follows = sets.follows = {1};
  sets.waits = {0};
  back.waits = {1};
  back.backward = true;
  const std::vector<Stage> stages{reads, sets, back};
  for (ScheduleKind kind : {ScheduleKind::gpipe, ScheduleKind::one_forward_one_backward,
                            ScheduleKind::interleaved, ScheduleKind::zero_bubble}) {
    std::vector<Turn> order = orderTurns(stages, 3, kind);
    llvm::SmallVector<int64_t> slots = countSlots(stages, order, 3, 1);
    EXPECT_EQ(checkTurns(stages, planTurns(stages, order, slots, 3), slots, 3), std::nullopt);
  }
  const std::vector<Turn> wrong{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 1}};
  std::vector<PlannedTurn> plan;
  for (Turn turn : wrong)
    plan.push_back({turn, {}});
  EXPECT_EQ(checkTurns(stages, plan, {2}, 2),
            "stage 0 of microbatch 1 reads from stage 1 of microbatch 0, and nothing orders it "
            "after that");
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomPlans, testing::Range(0, kSeeds));

} // namespace
