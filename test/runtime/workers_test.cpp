// Worker threads and the turns that they carry out.
#include "kernels.h"

#include "mpar/errors.h"
#include "mpar/schedule.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <sched.h>
#include <string>
#include <thread>
#include <time.h>
#include <vector>

using namespace mpar;

namespace {

using When = StageDescription::When;

/// Cores that this process may run on, at most `count`.
std::vector<int> some_cores(int count) {
  cpu_set_t set;
  sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE && static_cast<int>(cores.size()) < count; ++core)
    if (CPU_ISSET(core, &set))
      cores.push_back(core);
  return cores;
}

/// The affinity that a test changes is given back.
class WorkersTest : public testing::Test {
protected:
  void SetUp() override { sched_getaffinity(0, sizeof(before_), &before_); }
  void TearDown() override { sched_setaffinity(0, sizeof(before_), &before_); }

private:
  cpu_set_t before_;
};

/// A chain over three devices and back, of `microbatches`: each stage waits for the one before.
Schedule make_chain(int microbatches) {
  Schedule schedule;
  schedule.microbatches = microbatches;
  const std::vector<int> devices = {0, 1, 2, 1, 0};
  for (int device : devices)
    schedule.stages.push_back({device, When::during});
  std::vector<int64_t> done(3);
  std::vector<int64_t> number(devices.size() * microbatches);
  for (int microbatch = 0; microbatch < microbatches; ++microbatch)
    for (size_t stage = 0; stage < devices.size(); ++stage) {
      Turn turn{static_cast<int>(stage), microbatch, {}};
      if (stage > 0)
        turn.waits.push_back({devices[stage - 1], number[(stage - 1) * microbatches + microbatch]});
      number[stage * microbatches + microbatch] = ++done[devices[stage]];
      schedule.turns.push_back(turn);
    }
  return schedule;
}

struct Counts {
  // Not atomic: the waits must order what touches them.
  std::vector<int> values;
  int wrong = 0;
};

// What is no step goes on at once where devices have threads of their own, each item on its own,
// and those of one thread in their order; steps go on as before in between.
TEST_F(WorkersTest, WorkOnSeveralDevicesAtOnce) {
  const std::vector<int> cores = some_cores(2);
  if (cores.size() < 2)
    GTEST_SKIP() << "one core";
  const Schedule schedule = make_chain(2);
  Workers workers({cores[0], cores[1], cores[0]}, schedule);
  struct Seen {
    std::atomic<int> there{0};
    std::thread::id threads[4];
    std::vector<size_t> first; // items of device 0's thread
  };
  for (int repeat = 0; repeat < 20; ++repeat) {
    workers.run([](void *, int, int) {}, nullptr);
    Seen seen;
    workers.run_on_devices(
        {0, 1, 2, 0},
        [](void *context, size_t item) {
          Seen &all = *static_cast<Seen *>(context);
          all.threads[item] = std::this_thread::get_id();
          // Neither of these returns before the other has begun.
          if (item < 2)
            for (++all.there; all.there < 2;)
              std::this_thread::yield();
          if (item != 1)
            all.first.push_back(item);
        },
        &seen);
    EXPECT_EQ(seen.threads[0], std::this_thread::get_id());
    EXPECT_NE(seen.threads[1], seen.threads[0]);
    EXPECT_EQ(seen.threads[2], seen.threads[0]);
    EXPECT_EQ(seen.first, (std::vector<size_t>{0, 2, 3}));
  }
  EXPECT_THROW(
      workers.run_on_devices(
          {0, 1}, [](void *, size_t item) { item == 1 ? fail("one fails") : void(); }, nullptr),
      Error);
}

TEST_F(WorkersTest, CarryOutEveryTurnAfterWhatItWaitsFor) {
  for (int wanted : {1, 2, 3}) {
    const std::vector<int> cores = some_cores(wanted);
    std::vector<int> of_device;
    for (size_t device = 0; device < 3; ++device)
      of_device.push_back(cores[device % cores.size()]);
    const Schedule schedule = make_chain(4);
    Workers workers(of_device, schedule);
    for (int step = 0; step < 200; ++step) {
      Counts counts{std::vector<int>(4), 0};
      workers.run(
          [](void *context, int stage, int microbatch) {
            Counts &all = *static_cast<Counts *>(context);
            if (all.values[microbatch] != stage)
              all.wrong = 1;
            ++all.values[microbatch];
          },
          &counts);
      ASSERT_EQ(counts.values, std::vector<int>(4, 5));
      ASSERT_EQ(counts.wrong, 0);
    }
  }
}

TEST_F(WorkersTest, ThrowOnWhatATurnThrowsAndEnd) {
  const std::vector<int> cores = some_cores(2);
  const Schedule schedule = make_chain(3);
  Workers workers({cores.front(), cores.back(), cores.front()}, schedule);
  const auto run = [&] {
    workers.run(
        [](void *, int stage, int microbatch) {
          if (stage == 1 && microbatch == 1)
            fail("stage 1 of microbatch 1");
        },
        nullptr);
  };
  for (const char *expected : {"stage 1 of microbatch 1", "a step after one that failed"})
    try {
      run();
      FAIL();
    } catch (const Error &error) {
      EXPECT_STREQ(error.what(), expected);
    }
}

/// Ends the process as `set_timeout` does where nothing else is asked for, after a stage has slept.
void stall_at(int stage, int microbatch) {
  const std::vector<int> cores = some_cores(2);
  Schedule schedule = make_chain(2);
  const char *const names[] = {"forward_on_0", "forward_on_1", "forward_on_2", "backward_on_1",
                               "backward_on_0"};
  const char *const places[] = {"chain.mp:2", "chain.mp:3", "chain.mp:4", "chain.mp:3",
                                "chain.mp:2"};
  for (size_t i = 0; i < schedule.stages.size(); ++i) {
    schedule.stages[i].name = names[i];
    schedule.stages[i].place = places[i];
  }
  Workers workers({cores.front(), cores.back(), cores.front()}, schedule);
  workers.set_timeout(0.2);
  Turn sleeper{stage, microbatch, {}};
  workers.run(
      [](void *context, int at, int of) {
        const Turn &turn = *static_cast<const Turn *>(context);
        if (turn.stage == at && turn.microbatch == of)
          std::this_thread::sleep_for(std::chrono::seconds(20));
      },
      &sleeper);
}

TEST_F(WorkersTest, SayWhatTheyWaitForWhenAnotherStalls) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  if (some_cores(2).size() < 2)
    GTEST_SKIP() << "one core";
  // The calling thread waits for a worker,
  EXPECT_EXIT(
      stall_at(1, 0), testing::ExitedWithCode(1),
      "^error: device 2 has waited 0.2 s with forward_on_2 of microbatch 0 \\(chain.mp:4\\) "
      "for turn 1 of device 1, forward_on_1 of microbatch 0 \\(chain.mp:3\\); the worker of "
      "device 1 is at forward_on_1 of microbatch 0 \\(chain.mp:3\\), which waits for "
      "nothing\n$");
  // a worker for the calling thread,
  EXPECT_EXIT(
      stall_at(0, 1), testing::ExitedWithCode(1),
      "^error: device 1 has waited 0.2 s with forward_on_1 of microbatch 1 .* the worker of "
      "device 0 is at forward_on_0 of microbatch 1 \\(chain.mp:2\\), which waits for "
      "nothing\n$");
}

TEST_F(WorkersTest, SayThatAStepDoesNotEnd) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const std::vector<int> cores = some_cores(2);
  if (cores.size() < 2)
    GTEST_SKIP() << "one core";
  const auto run = [&] {
    Schedule schedule;
    schedule.stages = {{0, When::after, "update_on_0"}, {1, When::after, "update_on_1"}};
    schedule.turns = {{0, 0, {}}, {1, 0, {}}};
    Workers workers(cores, schedule);
    workers.set_timeout(0.2);
    workers.run(
        [](void *, int stage, int) {
          if (stage == 1)
            std::this_thread::sleep_for(std::chrono::seconds(20));
        },
        nullptr);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(1),
              "^error: the step has waited 0.2 s for its last turns; the worker of device 1 is at "
              "update_on_1, which waits for nothing\n$");
}

TEST_F(WorkersTest, AskBeforeTheyEndTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const std::vector<int> cores = some_cores(2);
  if (cores.size() < 2)
    GTEST_SKIP() << "one core";
  const auto run = [&] {
    const Schedule schedule = make_chain(1);
    Workers workers({cores.front(), cores.back(), cores.front()}, schedule);
    workers.set_timeout(0.1, [](const std::string &) { std::_Exit(7); });
    workers.run(
        [](void *, int stage, int) {
          if (stage == 1)
            std::this_thread::sleep_for(std::chrono::seconds(20));
        },
        nullptr);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(7), "^$");
}

/// Milliseconds that the process has spent on all its cores.
double busy_milliseconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

TEST_F(WorkersTest, LeaveTheirCoresWhenTheyHaveWaitedForLong) {
  const std::vector<int> cores = some_cores(2);
  if (cores.size() < 2)
    GTEST_SKIP() << "one core";
  static constexpr auto long_time = std::chrono::milliseconds(400);
  const Schedule schedule = make_chain(2);
  Workers workers({cores[0], cores[1], cores[0]}, schedule);
  workers.run([](void *, int, int) {}, nullptr);
  // Between steps,
  double before = busy_milliseconds();
  std::this_thread::sleep_for(long_time);
  EXPECT_LT(busy_milliseconds() - before, 100);
  // and within one, where another takes so long.
  before = busy_milliseconds();
  workers.run(
      [](void *, int stage, int microbatch) {
        if (stage == 0 && microbatch == 0)
          std::this_thread::sleep_for(long_time);
      },
      nullptr);
  EXPECT_LT(busy_milliseconds() - before, 200);
}

TEST_F(WorkersTest, RefuseACoreThatIsNotThere) {
  const Schedule schedule = make_chain(1);
  for (int core : {CPU_SETSIZE - 1, CPU_SETSIZE, 1 << 30})
    try {
      Workers workers({some_cores(1).front(), core, core}, schedule);
      FAIL();
    } catch (const Error &error) {
      EXPECT_EQ(std::string(error.what()).find("`cpu:" + std::to_string(core) + "`"), 0u);
    }
}

TEST(Microbatches, DivideRowsAsTheContractSays) {
  // The first `rows mod microbatches` are a row longer, empty ones come last.
  for (int64_t rows : {1, 5, 8, 13})
    for (int microbatches : {1, 2, 5, 9}) {
      int64_t next = 0;
      for (int microbatch = 0; microbatch < microbatches; ++microbatch) {
        const RowRange range = rows_of_microbatch(rows, microbatch, microbatches);
        EXPECT_EQ(range.first, next);
        EXPECT_EQ(range.count, rows / microbatches + (microbatch < rows % microbatches ? 1 : 0));
        EXPECT_LE(range.count, largest_microbatch(rows, microbatches));
        next += range.count;
      }
      EXPECT_EQ(next, rows);
    }
}

TEST(Turns, AreMadeOfEntries) {
  const TurnEntry entries[] = {{0, 0}, {1, 0, 0, 1}, {2, 0, 0, 1}, {2, 0, 1, 3}, {2, 1}};
  const std::vector<Turn> turns = make_turns(std::begin(entries), std::end(entries));
  ASSERT_EQ(turns.size(), 4u);
  EXPECT_TRUE(turns[0].waits.empty());
  EXPECT_EQ(turns[1].waits.size(), 1u);
  ASSERT_EQ(turns[2].waits.size(), 2u);
  EXPECT_EQ(turns[2].waits[1].device, 1);
  EXPECT_EQ(turns[2].waits[1].turns, 3);
  EXPECT_EQ(turns[3].microbatch, 1);
}

} // namespace
