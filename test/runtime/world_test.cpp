// Messages between ranks, here threads of one process: over TCP, and over a transport that keeps no
// message, where a send is over when it has been received.
#include "backend.h"
#include "comm/sockets.h"
#include "mpar/device.h"
#include "mpar/errors.h"
#include "mpar/schedule.h"
#include "mpar/world.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

using namespace mpar;

namespace {

/// What several ranks of one process meet at: a message is copied from sender to receiver once both
/// are there.
class Rendezvous {
public:
  struct Message final : Transport::Message {
    Message(Rendezvous &meeting, void *data, int64_t bytes)
        : meeting(meeting), data(data), bytes(bytes) {}
    ~Message() override { meeting.forget(this); }
    Rendezvous &meeting;
    void *data;
    int64_t bytes;
    std::atomic<bool> over{false};
  };
  using Key = std::tuple<int, int, int>; // from, to, channel

  void add(const Key &key, Message *message, bool sends) {
    const std::lock_guard lock(mutex_);
    auto &own = (sends ? sent_ : wanted_)[key], &others = (sends ? wanted_ : sent_)[key];
    if (others.empty()) {
      own.push_back(message);
      return;
    }
    Message *other = others.front();
    others.erase(others.begin());
    EXPECT_EQ(message->bytes, other->bytes);
    std::memcpy(sends ? other->data : message->data, sends ? message->data : other->data,
                static_cast<size_t>(message->bytes));
    message->over = other->over = true;
  }

  /// One that is given up before its peer has come.
  void forget(Message *message) {
    const std::lock_guard lock(mutex_);
    for (auto *all : {&sent_, &wanted_})
      for (auto &[key, messages] : *all)
        messages.erase(std::remove(messages.begin(), messages.end(), message), messages.end());
  }

private:
  std::mutex mutex_;
  std::map<Key, std::vector<Message *>> sent_, wanted_;
};

class RendezvousTransport final : public Transport {
public:
  RendezvousTransport(Rendezvous &meeting, int rank, int size)
      : meeting_(meeting), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::unique_ptr<Message> send(int peer, int channel, const void *data, int64_t bytes) override {
    return begin({rank_, peer, channel}, const_cast<void *>(data), bytes, true);
  }
  std::unique_ptr<Message> receive(int peer, int channel, void *data, int64_t bytes) override {
    return begin({peer, rank_, channel}, data, bytes, false);
  }
  bool test(Message &message) override { return static_cast<Rendezvous::Message &>(message).over; }
  void close() override {}

private:
  std::unique_ptr<Message> begin(const Rendezvous::Key &key, void *data, int64_t bytes,
                                 bool sends) {
    auto message = std::make_unique<Rendezvous::Message>(meeting_, data, bytes);
    meeting_.add(key, message.get(), sends);
    return message;
  }
  Rendezvous &meeting_;
  int rank_;
  int size_;
};

int free_port() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  bind(listener, reinterpret_cast<sockaddr *>(&address), length);
  getsockname(listener, reinterpret_cast<sockaddr *>(&address), &length);
  close(listener);
  return ntohs(address.sin_port);
}

enum class Over { tcp, rendezvous };

/// Runs body(world) for each of `size` ranks, a thread each. What one throws is returned, by rank.
std::vector<std::string> run_ranks(Over over, int size, const std::function<void(World &)> &body,
                                   double timeout = 10) {
  Rendezvous meeting;
  const int port = over == Over::tcp ? free_port() : 0;
  std::vector<std::string> thrown(size);
  std::vector<std::thread> threads;
  // Kept until all have ended: threads are not sockets that a system closes.
  std::vector<std::unique_ptr<World>> worlds(size);
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      try {
        Launch launch{Launch::Kind::tcp, rank, size, "127.0.0.1", port, "test"};
        worlds[rank] = std::make_unique<World>(
            over == Over::tcp ? open_tcp(launch, timeout)
                              : std::make_unique<RendezvousTransport>(meeting, rank, size),
            timeout);
        body(*worlds[rank]);
      } catch (const Stopped &stopped) {
        thrown[rank] = "stopped";
        worlds[rank]->acknowledge();
      } catch (const std::exception &error) {
        thrown[rank] = error.what();
        if (worlds[rank])
          worlds[rank]->stop_others();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  return thrown;
}

class Worlds : public testing::TestWithParam<Over> {};
INSTANTIATE_TEST_SUITE_P(Of, Worlds, testing::Values(Over::tcp, Over::rendezvous),
                         [](const auto &each) {
                           return each.param == Over::tcp ? "Tcp" : "Rendezvous";
                         });

TEST_P(Worlds, BroadcastGatherAndLeave) {
  for (int size : {1, 2, 5})
    EXPECT_EQ(run_ranks(GetParam(), size,
                        [size](World &world) {
                          for (int root = 0; root < size; ++root) {
                            int64_t value = world.rank() == root ? 7 + root : 0;
                            world.broadcast(root, &value, sizeof value);
                            EXPECT_EQ(value, 7 + root);
                          }
                          const auto all = world.gather("rank " + std::to_string(world.rank()));
                          for (size_t rank = 0; rank < all.size(); ++rank)
                            EXPECT_EQ(all[rank], "rank " + std::to_string(rank));
                          EXPECT_EQ(all.size(), world.rank() == 0 ? size_t(size) : 0);
                          world.barrier();
                          world.close();
                        }),
              std::vector<std::string>(size));
}

TEST_P(Worlds, OneRanksFailureStopsAllAndOneSays) {
  std::atomic<int> undone{0};
  const auto thrown = run_ranks(GetParam(), 3, [&](World &world) {
    world.together([] {});
    world.together(
        [&] { world.rank() > 0 ? fail("no room on " + std::to_string(world.rank())) : void(); },
        [&] { ++undone; });
  });
  EXPECT_EQ(thrown, (std::vector<std::string>{"stopped", "no room on 1", "stopped"}));
  EXPECT_EQ(undone, 3);
}

TEST_P(Worlds, WhoWaitsTooLongSaysWhatForAndSoDoOthers) {
  const auto thrown = run_ranks(
      GetParam(), 3,
      [](World &world) {
        if (world.rank() == 2)
          std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        world.set_activity("for the loss");
        int value = 0;
        world.broadcast(2, &value, sizeof value);
      },
      /*timeout=*/0.3);
  EXPECT_TRUE(thrown[0].find("for rank 2 for the loss") != std::string::npos) << thrown[0];
  EXPECT_TRUE(thrown[1].find("for rank 2 for the loss") != std::string::npos) << thrown[1];
}

TEST(Tcp, KeepsMessagesOfChannelsApartAndInOrder) {
  constexpr int channels = 5, messages = 60;
  const auto thrown = run_ranks(Over::tcp, 2, [&](World &world) {
    // Both directions at once, of all sizes: nothing waits for what the other has not asked for.
    std::mt19937 random(1);
    std::vector<std::vector<int32_t>> sizes(channels, std::vector<int32_t>(messages));
    for (auto &of_channel : sizes)
      for (int32_t &size : of_channel)
        size = static_cast<int32_t>(random() % 3 == 0 ? random() % 300000 : random() % 8);
    const int peer = 1 - world.rank();
    Errand errand{nullptr, nullptr, 0, {}, {}};
    World::errand() = &errand;
    std::vector<std::vector<int32_t>> sent;
    for (int message = 0; message < messages; ++message)
      for (int channel = 0; channel < channels; ++channel) {
        const int32_t size = sizes[channel][message];
        sent.emplace_back(size + 1, channel * 1000 + message + world.rank());
        world.send(peer, 16 + channel, sent.back().data(), size * int64_t(sizeof(int32_t)));
      }
    World::errand() = nullptr;
    for (int channel = channels; channel-- > 0;)
      for (int message = 0; message < messages; ++message) {
        std::vector<int32_t> values(sizes[channel][message]);
        world.receive(peer, 16 + channel, values.data(), values.size() * sizeof(int32_t));
        EXPECT_TRUE(std::all_of(values.begin(), values.end(), [&](int32_t value) {
          return value == channel * 1000 + message + peer;
        }));
      }
    for (auto &message : errand.sent)
      world.wait(*message, peer);
    world.close();
  });
  EXPECT_EQ(thrown, std::vector<std::string>(2));
}

TEST(Tcp, KnowsAConnectionWithItself) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto *const bytes = reinterpret_cast<sockaddr *>(&address);
  const Socket own(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(bind(own.get(), bytes, length), 0);
  ASSERT_EQ(getsockname(own.get(), bytes, &length), 0);
  ASSERT_EQ(connect(own.get(), bytes, length), 0); // nobody listens there
  EXPECT_TRUE(is_own_peer(own));

  const Socket listener(socket(AF_INET, SOCK_STREAM, 0));
  address.sin_port = 0;
  ASSERT_EQ(bind(listener.get(), bytes, length), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  ASSERT_EQ(getsockname(listener.get(), bytes, &length), 0);
  const Socket other(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(connect(other.get(), bytes, length), 0);
  EXPECT_FALSE(is_own_peer(other));
}

TEST(Tcp, RefusesAMessageOfAnotherSize) {
  const auto thrown = run_ranks(Over::tcp, 2, [](World &world) {
    int64_t values[2] = {};
    if (world.rank() == 0)
      world.send(1, 20, values, sizeof values);
    else
      world.receive(0, 20, values, sizeof values[0]);
    world.barrier();
  });
  EXPECT_EQ(thrown[1], "a message of 16 bytes where 8 are expected, on channel 20");
  EXPECT_EQ(thrown[0], "stopped");
}

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

TEST(DeviceMap, SharesOutDevicesAmongRanks) {
  auto ranks = [](const std::string &text, int count, int of) {
    return map_devices(text, count, of).ranks;
  };
  EXPECT_EQ(ranks("auto", 4, 2), (std::vector<int>{0, 0, 1, 1}));
  EXPECT_EQ(ranks("cpu", 5, 3), (std::vector<int>{0, 0, 1, 1, 2}));
  EXPECT_EQ(ranks("cpu:0,cpu:1,cpu:0,cpu:1", 4, 2), (std::vector<int>{0, 0, 1, 1}));
  EXPECT_EQ(ranks("rank:1,rank:0,rank:1", 3, 2), (std::vector<int>{1, 0, 1}));
  const DeviceMap map = map_devices("rank:0/cpu:3,rank:1,rank:0/cpu:1", 3, 2);
  EXPECT_EQ(map.ranks, (std::vector<int>{0, 1, 0}));
  EXPECT_EQ(map.cores, (std::vector<int>{3, DeviceMap::calling_thread, 1}));
  for (const auto &[text, words] : std::map<std::string, std::string>{
           {"rank:0", "`rank:0`: rank 1 has no device"},
           {"rank:2,rank:1", "`rank:2`: there are 2 ranks, numbered from 0"},
           {"rank:x,rank:1", "`rank:x`: expected a rank's number after `rank:`"},
           {"rank:0/gpu,rank:1", "`rank:0/gpu`: no such device; expected `auto`, `cpu`, `cpu:K`, "
                                 "`cuda`, `cuda:K` or `rank:R`"},
           {"rank:0,cpu", "`rank:0,cpu`: either all devices have a rank or none"}})
    try {
      map_devices(text, 2, 2);
      ADD_FAILURE() << text;
    } catch (const Error &error) {
      EXPECT_EQ(error.what(), words);
    }
  EXPECT_THROW(map_devices("auto", 2, 3), Error);
}

TEST(DeviceMap, GivesRanksOneGpuEach) {
  const GpuLibrary two = {[](std::string &) { return 2; }, nullptr, nullptr};
  const GpuLibrary *const before = std::exchange(gpu_library(), &two);
  EXPECT_EQ(map_devices("cuda", 2, {2, 1, 1}).gpus, (std::vector<int>{1, 1}));
  // On the second machine of two.
  EXPECT_EQ(map_devices("cuda", 4, {4, 3, 1}).gpus[3], 1);
  const DeviceMap map = map_devices("rank:1/cuda:0,rank:0/cuda:1,rank:1/cuda:0", 3, {2, 0, 0});
  EXPECT_EQ(map.gpus, (std::vector<int>{0, 1, 0}));
  EXPECT_EQ(map.ranks, (std::vector<int>{1, 0, 1}));
  // What another machine has is not known here.
  EXPECT_NO_THROW(map_devices("cuda:0,cuda:7", 2, {2, 0, 0}));
  EXPECT_FALSE(map_devices("auto", 2, {2, 0, 0}).has_gpus());
  for (const auto &[text, words] : std::map<std::string, std::string>{
           {"cuda:0,cuda:7", "`cuda:7`: there are 2 GPUs, numbered from 0"},
           {"cuda:0,cpu", "`cuda:0,cpu`: of several ranks either all devices are GPUs or none is"},
           {"rank:0,rank:1/cuda:1",
            "`rank:0,rank:1/cuda:1`: of several ranks either all devices are GPUs or none is"}})
    try {
      map_devices(text, 2, {2, 1, 1});
      ADD_FAILURE() << text;
    } catch (const Error &error) {
      EXPECT_EQ(error.what(), words);
    }
  try {
    map_devices("cuda:0,cuda:1,cuda:1", 3, {2, 1, 1});
    ADD_FAILURE() << "two GPUs of one rank";
  } catch (const Error &error) {
    EXPECT_EQ(std::string(error.what()),
              "`cuda:0,cuda:1,cuda:1`: rank 0 has cuda:0 and cuda:1; of several ranks each has "
              "one GPU");
  }
  gpu_library() = before;
}

TEST(Launch, ReadsTheVariablesOfLaunchers) {
  const std::vector<const char *> all = {
      "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "RANK",
      "WORLD_SIZE",           "MASTER_ADDR",          "MASTER_PORT",
      "SLURM_PROCID",         "SLURM_NTASKS",         "SLURM_STEP_ID",
      "SLURM_JOB_ID",         "SLURM_STEP_NODELIST",  "TORCHELASTIC_USE_AGENT_STORE",
      "LOCAL_RANK",           "SLURM_LOCALID",        "OMPI_COMM_WORLD_LOCAL_RANK"};
  auto launch = [&](const std::map<std::string, std::string> &variables) {
    for (const char *name : all)
      unsetenv(name);
    for (const auto &[name, value] : variables)
      setenv(name.c_str(), value.c_str(), 1);
    const Launch found = find_launch();
    for (const char *name : all)
      unsetenv(name);
    return found;
  };
  EXPECT_EQ(launch({}).size, 1);
  EXPECT_EQ(launch({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).kind, Launch::Kind::alone);
  Launch found = launch({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "3"}});
  EXPECT_EQ(found.kind, Launch::Kind::mpi);
  EXPECT_EQ(found.rank, 1);
  EXPECT_EQ(found.size, 3);
  found =
      launch({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "29500"}});
  EXPECT_EQ(found.kind, Launch::Kind::tcp);
  EXPECT_EQ(found.address, "a");
  EXPECT_EQ(found.port, 29500);
  EXPECT_EQ(found.local_rank, 1); // as far as is known there is one machine
  EXPECT_EQ(launch({{"RANK", "3"},
                    {"WORLD_SIZE", "4"},
                    {"LOCAL_RANK", "1"},
                    {"MASTER_ADDR", "a"},
                    {"MASTER_PORT", "29500"}})
                .local_rank,
            1);
  EXPECT_EQ(launch({{"OMPI_COMM_WORLD_RANK", "2"},
                    {"OMPI_COMM_WORLD_SIZE", "3"},
                    {"OMPI_COMM_WORLD_LOCAL_RANK", "0"}})
                .local_rank,
            0);
  for (const auto &[list, first] :
       std::map<std::string, std::string>{{"node7", "node7"},
                                          {"a,b", "a"},
                                          {"node[03-05,09],x", "node03"},
                                          {"n[1,3].cluster,x", "n1.cluster"}})
    EXPECT_EQ(launch({{"SLURM_PROCID", "1"},
                      {"SLURM_NTASKS", "2"},
                      {"SLURM_STEP_ID", "0"},
                      {"SLURM_STEP_NODELIST", list}})
                  .address,
              first);
  // A batch script is no task of a step.
  EXPECT_EQ(launch({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}, {"SLURM_JOB_ID", "1"}}).size, 1);
  EXPECT_THROW(
      launch({{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}}),
      Error);
  EXPECT_THROW(launch({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "1"}}), Error);
}

} // namespace
