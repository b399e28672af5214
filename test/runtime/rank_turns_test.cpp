// The turns of one rank, over both transports.
#include "mpar/device.h"
#include "mpar/schedule.h"
#include "ranks.h"

#include <mutex>
#include <random>

using namespace mpar;
using namespace mpar::test;

namespace {

/// A random program: stages on devices, each after the one before it on its device, and transfers
/// between, for several microbatches; every turn waits for what it reads.
Schedule random_schedule(std::mt19937 &random, int devices) {
  Schedule schedule;
  schedule.microbatches = 1 + static_cast<int>(random() % 3);
  int at = 0;
  for (int stage = 0; stage < 12; ++stage) {
    const int next = static_cast<int>(random() % devices);
    StageDescription description{next, StageDescription::When::during};
    description.name = "stage";
    if (next != at && stage > 0)
      description.from = at;
    schedule.stages.push_back(description);
    at = next;
  }
  std::vector<int64_t> count(devices, 0);
  std::vector<int> next(schedule.microbatches, 0);
  std::vector<Turn::Wait> before(schedule.microbatches, Turn::Wait{-1, 0});
  // Microbatches in any order, each through its stages in theirs.
  for (size_t left = 12 * next.size(); left > 0;) {
    const auto microbatch = static_cast<int>(random() % next.size());
    if (next[microbatch] == 12)
      continue;
    const int stage = next[microbatch]++;
    const int device = schedule.stages[stage].device;
    Turn turn{stage, microbatch, {}};
    if (before[microbatch].device >= 0 && before[microbatch].device != device)
      turn.waits.push_back(before[microbatch]);
    before[microbatch] = {device, ++count[device]};
    schedule.turns.push_back(turn);
    --left;
  }
  return schedule;
}

/// Carries out schedules on ranks: a stage adds to a number of its microbatch, which transfers
/// move. Devices of a rank have one thread, or a worker each.
void run_random_schedules(Over over, int count, bool workers) {
  std::mt19937 random(workers ? 5 : 3);
  for (int number = 0; number < count; ++number) {
    const int devices = 2 + static_cast<int>(random() % 4);
    const int size = 2 + static_cast<int>(random() % (devices - 1));
    const Schedule schedule = random_schedule(random, devices);
    std::vector<int> ranks(devices);
    for (int device = 0; device < devices; ++device)
      ranks[device] = device < size ? device : static_cast<int>(random() % size);
    std::shuffle(ranks.begin(), ranks.end(), random);
    std::vector<int64_t> expected(schedule.microbatches, 0);
    for (size_t stage = 0; stage < schedule.stages.size(); ++stage)
      for (int64_t &value : expected)
        value = value * 3 + static_cast<int64_t>(stage);
    const auto last = static_cast<size_t>(ranks[schedule.stages.back().device]);
    const auto thrown = run_ranks(over, size, [&](World &world) {
      // By device and microbatch: memory that another rank's device has only by its address.
      std::vector<std::vector<int64_t>> values(devices,
                                               std::vector<int64_t>(schedule.microbatches, 0));
      auto work = [&](int stage, int microbatch) {
        const StageDescription &description = schedule.stages[stage];
        int64_t &own = values[description.device][microbatch];
        if (description.from >= 0) {
          int64_t &source = values[description.from][microbatch];
          const int channel = World::channel(description.from, description.device, devices);
          const int from = ranks[description.from], to = ranks[description.device];
          if (from == to)
            own = source;
          else if (from == world.rank())
            return world.send(to, channel, &source, sizeof source);
          else
            world.receive(from, channel, &own, sizeof own);
        }
        own = own * 3 + stage;
      };
      std::vector<int> cores;
      for (int device = 0; device < devices; ++device)
        cores.push_back(workers ? sched_getcpu() : -1);
      Workers all(cores, schedule, world, ranks);
      for (int step = 0; step < 3; ++step) {
        for (auto &of_device : values)
          std::fill(of_device.begin(), of_device.end(), 0);
        all.run(
            [](void *context, int stage, int microbatch) {
              (*static_cast<decltype(work) *>(context))(stage, microbatch);
            },
            &work);
        if (static_cast<size_t>(world.rank()) == last) {
          EXPECT_EQ(values[schedule.stages.back().device], expected);
        }
        world.barrier();
      }
      world.close();
    });
    ASSERT_EQ(thrown, std::vector<std::string>(size));
  }
}

TEST(RankTurns, NeverHangWhereNoMessageIsKept) {
  run_random_schedules(Over::rendezvous, 150, /*workers=*/false);
  run_random_schedules(Over::rendezvous, 150, /*workers=*/true);
}

TEST(RankTurns, GoOverTcp) { run_random_schedules(Over::tcp, 10, /*workers=*/true); }

TEST(RankTurns, WaitForDevicesOfTheirRankThatAnotherRankStandsBetween) {
  // Device 0 → 1 → 2, where 0 and 2 are one rank's: that turn 2 of device 2 comes after device 0's
  // is known only by way of device 1.
  using When = StageDescription::When;
  Schedule schedule;
  schedule.stages = {{0, When::during}, {1, When::during, "", "", 0}, {2, When::during, "", "", 1}};
  schedule.turns = {{0, 0, {}}, {1, 0, {{0, 1}}}, {2, 0, {{1, 1}}}};
  const std::vector<RankTurn> own = turns_of_rank(schedule, {0, 1, 0}, 0);
  ASSERT_EQ(own.size(), 3u);
  EXPECT_TRUE(own[1].sends);
  EXPECT_EQ(own[1].device, 0);
  ASSERT_EQ(own[2].waits.size(), 1u);
  EXPECT_EQ(own[2].waits[0].device, 0);
  EXPECT_EQ(own[2].waits[0].turns, 1);
  const std::vector<RankTurn> other = turns_of_rank(schedule, {0, 1, 0}, 1);
  ASSERT_EQ(other.size(), 2u);
  EXPECT_FALSE(other[0].sends);
  EXPECT_TRUE(other[1].sends);
  EXPECT_EQ(other[1].device, 1);
}

TEST(RankTurns, SendsHaveGoneBeforeWhatIsOrderedAfterThemAndNotSooner) {
  // Device 0 sends to 1, works on, and then hears from 1: only that comes after the transfer.
  using When = StageDescription::When;
  Schedule schedule;
  schedule.stages = {{0, When::during},
                     {1, When::during, "", "", 0},
                     {0, When::during},
                     {0, When::during, "", "", 1},
                     {0, When::during}};
  schedule.turns = {{0, 0, {}}, {1, 0, {{0, 1}}}, {2, 0, {}}, {3, 0, {{1, 1}}}, {4, 0, {}}};
  const std::vector<RankTurn> own = turns_of_rank(schedule, {0, 1}, 0);
  ASSERT_EQ(own.size(), 5u);
  EXPECT_TRUE(own[1].sends);
  EXPECT_TRUE(own[2].sent.empty());
  ASSERT_EQ(own[3].sent.size(), 1u);
  EXPECT_EQ(own[3].sent[0].device, 1);
  EXPECT_EQ(own[3].sent[0].turns, 1);
  EXPECT_TRUE(own[4].sent.empty());
}

TEST(RankTurns, SendWhatThereIsBeforeTheyWorkOn) {
  // Device 1 works on its own before it receives, and device 0 after it has made what it sends.
  using When = StageDescription::When;
  Schedule schedule;
  schedule.stages = {
      {0, When::during}, {0, When::during}, {1, When::during}, {1, When::during, "", "", 0}};
  schedule.turns = {{0, 0, {}}, {1, 0, {}}, {2, 0, {}}, {3, 0, {{0, 1}}}};
  const std::vector<RankTurn> own = turns_of_rank(schedule, {0, 1}, 0);
  ASSERT_EQ(own.size(), 3u);
  EXPECT_FALSE(own[0].sends);
  EXPECT_TRUE(own[1].sends);
  EXPECT_EQ(own[1].turn, 3u);
  EXPECT_EQ(own[2].turn, 1u);
}

TEST(Device, OfAnotherRankTakesAddressesAndNoMemory) {
  Rendezvous meeting;
  World world(std::make_unique<RendezvousTransport>(meeting, 0, 1), 1);
  DeviceDescription large{};
  large.fixed_bytes = int64_t(1) << 38;
  const Device elsewhere(1, 1, large, 0, 1, 1, Seat{&world, 1, 1, 2});
  EXPECT_FALSE(elsewhere.here());
  EXPECT_EQ(elsewhere.fixed<std::byte>(64) - elsewhere.fixed<std::byte>(0), 64);
  EXPECT_NO_THROW(Machine({-1, -1}, 1, {{}, large}, 0, 1, false,
                          {Seat{&world, 0, 0, 2}, Seat{&world, 1, 1, 2}}));
}

} // namespace
