// Messages between the GPUs of several processes.
#pragma once

#include <cstdint>

namespace mpar {

/// What carries messages between GPUs, one a process. Like a GPU's other work they are issued, on
/// its lane of copies, and go on later. A message waits for its other side: all processes issue
/// theirs in one order of all, the schedule's, so that the first that has not come can. Every
/// failure of the library beneath is reported (see errors.h) with the call, its place and the
/// library's words.
class Communicator {
public:
  virtual ~Communicator() = default;
  /// Issues a message to, or from, another rank.
  virtual void send(int rank, const void *data, int64_t bytes) = 0;
  virtual void receive(int rank, void *data, int64_t bytes) = 0;
  /// What is issued between the two goes on at once, in any order.
  virtual void begin_group() = 0;
  virtual void end_group() = 0;
  /// Says that messages are going to lie in this memory, so that they may go without a detour, and
  /// that it is to be released. Where any has been registered, on any rank, all messages are to
  /// come from and go to such memory.
  virtual void register_memory(void *memory, int64_t bytes) = 0;
  virtual void forget_memory(void *memory) noexcept = 0;
  /// Fails where something has gone wrong under way; to be called now and then by who waits.
  virtual void look() = 0;
  /// Takes leave, where all ranks do, once all messages are over.
  virtual void close() = 0;
  /// Ends what is under way, as it is: GPUs then have nothing more to wait for.
  virtual void abort() noexcept = 0;
};

} // namespace mpar
