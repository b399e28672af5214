// Messages between ranks.
#include "ranks.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <numeric>

using namespace mpar;
using namespace mpar::test;

namespace {

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

TEST_P(Worlds, SaysWhyItEndsOnceAndBeforeOthersHearOfIt) {
  std::atomic<int> said{0};
  std::atomic<bool> in_order{false};
  const auto thrown = run_ranks(GetParam(), 3, [&](World &world) {
    if (world.rank() == 2)
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
    world.set_timeout(world.rank() == 0 ? 0.2 : 10);
    world.set_speaker([&, rank = world.rank()](const std::string &) {
      if (rank == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (rank == 1)
        in_order = said > 0;
      ++said;
    });
    try {
      world.barrier();
    } catch (const Error &failure) {
      world.say(failure.what());
      throw;
    }
  });
  EXPECT_TRUE(in_order);
  EXPECT_EQ(said, 3);
  EXPECT_EQ(thrown[0].substr(0, 22), "has waited 0.2 s for r") << thrown[0];
  for (int rank : {1, 2})
    EXPECT_NE(thrown[rank].find("when rank 0 gave up"), std::string::npos) << thrown[rank];
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

} // namespace
