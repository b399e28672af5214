// How ranks find out which GPU each has, and come to speak with one another's.
#include "ranks.h"

#include "mpar/device.h"
#include "mpar/errors.h"

#include <string>
#include <unistd.h>
#include <vector>

namespace mpar {
namespace {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

/// What this rank says of its GPU: nothing where it has none, else where it is.
std::string describe(int number) {
  std::string why;
  return number < count_gpus(why) ? host_name() + " " + gpu_library()->identify(number) : "";
}

/// On all ranks: what keeps them from having a GPU each, or nothing; `own`: what each says of its
/// own.
std::string find_fault(World &world, const std::string &own) {
  const std::vector<std::string> all = world.gather(own);
  std::string fault;
  for (size_t rank = 0; rank < all.size() && fault.empty(); ++rank) {
    if (all[rank].empty())
      fault = "rank " + std::to_string(rank) + " has no GPU that CUDA can use";
    for (size_t other = 0; other < rank && fault.empty(); ++other)
      if (all[other] == all[rank])
        fault = "ranks " + std::to_string(other) + " and " + std::to_string(rank) +
                " have the same GPU, " + all[rank].substr(all[rank].rfind(' ') + 1) + " of " +
                all[rank].substr(0, all[rank].rfind(' ')) +
                "; NCCL needs one for each rank, as one rank may have several devices on it";
  }
  auto length = static_cast<int64_t>(fault.size());
  world.broadcast(0, &length, sizeof length);
  fault.resize(static_cast<size_t>(length));
  if (length > 0)
    world.broadcast(0, fault.data(), length);
  return fault;
}

} // namespace

std::string choose_for_ranks(World &world, std::string &why) {
  if (!is_built_for_gpus()) // which holds for all: they are one file
    return "cpu";
  world.set_activity("to begin");
  const int there = count_gpus(why);
  why = find_fault(world, there == 0 ? "" : describe(world.process().local_rank % there));
  return why.empty() ? "cuda" : "cpu";
}

void join_ranks(World &world, Backend &gpu) {
  world.set_activity("to join its GPU");
  const std::string name = gpu.name();
  const std::string fault = find_fault(world, describe(std::stoi(name.substr(name.find(':') + 1))));
  if (!fault.empty() && world.rank() > 0)
    throw Stopped();
  if (!fault.empty())
    fail(fault);
  std::string meeting;
  world.together([&] {
    // Every rank tries, as a library may be there on one machine and not on another.
    meeting = gpu.make_meeting();
  });
  world.broadcast(0, meeting.data(), static_cast<int64_t>(meeting.size()));
  world.set_communicator(gpu.join(world, meeting));
}

} // namespace mpar
