// Where the turns of workers stand, for the one that has waited for too long.
#include "worker_threads.h"

#include <cstdio>
#include <cstdlib>

namespace mpar {

int64_t Workers::Threads::finished(int device) const {
  return counters_[device].turns.load(std::memory_order_acquire) -
         (steps_ - 1) * turns_a_step_[device];
}

const Turn &Workers::Threads::turn_of(const Turn::Wait &wait) const {
  int64_t number = 0;
  for (const Turn &turn : schedule_.turns)
    if (schedule_.stages[turn.stage].device == wait.device && ++number == wait.turns)
      return turn;
  return schedule_.turns.back(); // no schedule waits for more turns than there are
}

const RankTurn *Workers::Threads::current(int device) const {
  std::vector<int64_t> done;
  done.reserve(worker_of_.size());
  for (size_t other = 0; other < worker_of_.size(); ++other)
    done.push_back(finished(static_cast<int>(other)));
  for (const RankTurn &turn : workers_[worker_of_[device]].turns)
    if (!turn.sends && --done[turn.device] < 0)
      return &turn;
  return nullptr;
}

const Turn::Wait *Workers::Threads::open_wait(const RankTurn &turn) const {
  for (const Turn::Wait &wait : turn.waits)
    if (finished(wait.device) < wait.turns)
      return &wait;
  return nullptr;
}

std::string Workers::Threads::where_stands(int device) const {
  std::string text;
  // As often as there are devices: then it has come back to one.
  for (size_t hops = 0; hops < worker_of_.size(); ++hops) {
    const RankTurn *turn = current(device);
    if (!turn)
      return text + "the worker of device " + std::to_string(device) + " has finished the step";
    text += "the worker of device " + std::to_string(device) + " is at " +
            describe_turn(schedule_, schedule_.turns[turn->turn]);
    const Turn::Wait *wait = open_wait(*turn);
    if (!wait)
      return text + ", which waits for nothing";
    text += ", which waits for device " + std::to_string(wait->device) + "; ";
    device = wait->device;
  }
  return text + "and so on";
}

void Workers::Threads::stall(const std::string &line) {
  const std::lock_guard lock(mutex_); // the first one speaks for all
  if (stalled_)
    stalled_(line);
  if (world_) {
    world_->say(line);
    world_->stop_others();
  } else {
    std::fprintf(stderr, "error: %s\n", line.c_str());
  }
  std::_Exit(1);
}

} // namespace mpar
