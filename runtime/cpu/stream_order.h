// Where GPUs' turns are issued, and what each has to wait for.
#pragma once

#include "backend.h"
#include "mpar/schedule.h"

#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

namespace mpar {

/// What one order of work is: a GPU's lane; without a GPU, the calling thread; or a device of
/// another process.
struct Queue {
  static constexpr int here = -1;
  Backend *gpu = nullptr;
  Lane lane = Lane::compute;
  int elsewhere = here;
  bool operator<(const Queue &other) const {
    return std::tie(gpu, lane, elsewhere) < std::tie(other.gpu, other.lane, other.elsewhere);
  }
  bool operator==(const Queue &other) const {
    return gpu == other.gpu && lane == other.lane && elsewhere == other.elsewhere;
  }
};

/// A turn where it is issued. Of turns of other processes this one may have a part, which is to
/// send.
struct Issue {
  Queue queue;
  std::vector<int> senders;     // devices of this process that send for a turn of another's
  std::vector<size_t> waits;    // turns of other queues that come first, by their events
  std::unique_ptr<Event> event; // of its end; null: the calling thread carries it out

  bool is_here() const { return queue.elsewhere == Queue::here; }
};

/// All turns of a schedule, as the process whose devices are `here` issues them.
std::vector<Issue> order_turns(const Schedule &schedule, const std::vector<const Device *> &devices,
                               bool has_world);

} // namespace mpar
