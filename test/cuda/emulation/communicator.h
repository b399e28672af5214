// A communicator of the emulation's NCCL.
#pragma once

#include "emulation.h"
#include "links.h"

#include <nccl.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace emulation {

/// One side of a message.
struct Side {
  bool sends;
  int peer;
  unsigned char *data;
  uint64_t count;
  int32_t type;
  uint64_t bytes;
  Stream *stream;
  uint64_t number = 0; // of the messages between these two, in that direction
  bool done = false;
};

/// What is issued at once.
struct Unit {
  std::vector<Side> sides;
  bool captured;
  bool announced = false;
};

/// What another rank says of a side of its.
struct Told {
  int32_t sends;
  int32_t captured;
  int32_t type;
  int32_t nothing;
  uint64_t count;
  uint64_t number;
};

struct Communicator {
  Communicator(const std::string &name, int ranks, int rank, int device);

  /// Issues what was called as a group: now or, where it is captured, at each launch.
  void add(std::vector<Side> sides);
  /// Moves all on; what is wrong, if something is, stays in `error`.
  void poll();
  /// Whether the unit, the first that is not done, has come to its end.
  bool is_done(Unit &unit);
  Operation issue(std::vector<Side> sides, bool captured);
  void note(const Unit &unit) const;

  Links links;
  int ranks, rank, device;
  bool blocking = true, open = false, aborted = false, finalizing = false;
  ncclResult_t error = ncclInProgress;
  std::string words; // of the error
  std::deque<std::shared_ptr<Unit>> units;
  std::vector<std::vector<Side>> late; // groups whose call is still in progress
  std::map<void *, size_t> registered; // and its bytes

private:
  struct Peer {
    uint64_t issued[2] = {}, done[2] = {};   // messages: received, sent
    std::map<uint64_t, Told> told[2];        // sides of its, by `sends`, not yet matched
    std::map<uint64_t, std::string> arrived; // by number
    std::vector<Told> at_hand;               // what it was last at, with this rank
  };

  void announce(Unit &unit);
  void listen();
  bool match(Side &side, const Unit &unit);
  /// Gives up where this rank and a peer wait for one another for what the other is not at.
  void look_for_deadlock(const Unit &unit);

  std::vector<Peer> peers_;
};

} // namespace emulation
