// Ranks that are threads of one process: over TCP, and over a transport that keeps no message,
// where a send is over when it has been received.
#pragma once

#include "comm/sockets.h"
#include "mpar/errors.h"
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
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace mpar::test {

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

inline int free_port() {
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
inline std::vector<std::string>
run_ranks(Over over, int size, const std::function<void(World &)> &body, double timeout = 10) {
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

} // namespace mpar::test
