// Messages between the processes of a run: what MPI and TCP each provide.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace mpar {

/// A peer that has ended without taking leave, or cannot be reached any more.
class PeerLost : public std::runtime_error {
public:
  PeerLost(int peer, const std::string &why) : std::runtime_error(why), peer(peer) {}
  int peer;
};

/// Point-to-point messages between processes numbered from 0. Messages of one sender, receiver and
/// channel arrive in the order in which they were begun, each whole in the receive of its size;
/// those of different channels do not wait for one another. May be used by several threads at
/// once. Whatever a transport cannot do it throws as std::runtime_error, in one line.
class Transport {
public:
  /// A message under way. Its memory must stay until it is over.
  class Message {
  public:
    virtual ~Message() = default;
  };

  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Begins to send `bytes` at `data`, which must not change before the message is over.
  virtual std::unique_ptr<Message> send(int peer, int channel, const void *data, int64_t bytes) = 0;
  /// Begins to receive as many bytes as were sent.
  virtual std::unique_ptr<Message> receive(int peer, int channel, void *data, int64_t bytes) = 0;
  /// Whether it is over; moves all messages on. Throws PeerLost where it can never be.
  virtual bool test(Message &message) = 0;
  /// Takes leave, once all messages are over, where all ranks do.
  virtual void close() = 0;
};

} // namespace mpar
