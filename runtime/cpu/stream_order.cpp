// Which lane of which GPU a turn is issued on, and the fewest events that it must come after.
#include "stream_order.h"

#include "conflicts.h"

#include <algorithm>
#include <map>

namespace mpar {
namespace {

/// By queue: how many of its turns are surely done.
using Clock = std::map<Queue, int64_t>;

/// Transfers between GPUs have the receiving GPU's lane for copies, so that it computes meanwhile;
/// so has whatever goes between processes, where it goes.
std::vector<Issue> choose_queues(const Schedule &schedule,
                                 const std::vector<const Device *> &devices, bool has_world) {
  std::vector<Issue> issues;
  for (const Turn &turn : schedule.turns) {
    const StageDescription &stage = schedule.stages[turn.stage];
    const Device &device = *devices[stage.device];
    Issue &issue = issues.emplace_back();
    std::vector<int> sources;
    if (has_world)
      sources = sources_of(schedule, turn.stage, static_cast<int>(devices.size()));
    if (!device.here()) {
      for (const int source : sources)
        if (devices[source]->here())
          issue.senders.push_back(source);
      if (issue.senders.empty())
        issue.queue.elsewhere = stage.device;
      else
        issue.queue = {devices[issue.senders.front()]->backend(), Lane::copies};
      continue;
    }
    Backend *const gpu = device.backend();
    Backend *const from = stage.from < 0 ? gpu : devices[stage.from]->backend();
    const bool between_gpus = gpu && from && gpu != from;
    const bool between_processes = !sources.empty() && (stage.from < 0 || !from);
    issue.queue = {gpu, between_gpus || between_processes ? Lane::copies : Lane::compute};
  }
  return issues;
}

/// Finds the waits of the turns one after the other.
class Waits {
public:
  explicit Waits(std::vector<Issue> &issues) : issues_(issues) {}

  /// The next turn comes after `before`, earlier ones.
  void add(std::vector<size_t> before) {
    const size_t number = done_.size();
    Issue &issue = issues_[number];
    Clock clock = clocks_[issue.queue];
    std::sort(before.rbegin(), before.rend()); // the last ones first, which others came before
    for (const size_t other : before) {
      const Queue &queue = issues_[other].queue;
      if (queue == issue.queue || clock[queue] >= positions_[other])
        continue;
      if (issue.is_here())
        wait_for(issue, clock, other);
      for (const auto &[each, count] : done_[other])
        clock[each] = std::max(clock[each], count);
    }
    positions_.push_back(++clock[issue.queue]);
    turns_of_[issue.queue].push_back(number);
    clocks_[issue.queue] = clock;
    done_.push_back(std::move(clock));
  }

private:
  /// Of a turn of another process nothing is known here but what comes by its messages, whose
  /// receives are turns themselves; what that turn came after of this process's is waited for.
  void wait_for(Issue &issue, const Clock &clock, size_t other) {
    if (issues_[other].is_here()) {
      if (issues_[other].queue.gpu)
        issue.waits.push_back(other);
      return;
    }
    for (const auto &[queue, count] : done_[other]) {
      const auto known = clock.find(queue);
      if (queue.elsewhere == Queue::here && queue.gpu && !(queue == issue.queue) &&
          (known == clock.end() || known->second < count))
        issue.waits.push_back(turns_of_[queue][static_cast<size_t>(count - 1)]);
    }
  }

  std::vector<Issue> &issues_;
  std::map<Queue, Clock> clocks_;                 // of each queue's last turn
  std::vector<Clock> done_;                       // by turn: what is, once it is done
  std::vector<int64_t> positions_;                // by turn, in its queue, from 1
  std::map<Queue, std::vector<size_t>> turns_of_; // by queue, in order
};

} // namespace

/// What must come before each turn: what the schedule has it wait for, which is some of a device's
/// first turns; and, since turns of one device may lie on two lanes, whatever touches the same
/// memory. Of these the fewest events: what has been waited for by an earlier turn of a queue need
/// not be waited for again.
std::vector<Issue> order_turns(const Schedule &schedule, const std::vector<const Device *> &devices,
                               bool has_world) {
  std::vector<Issue> issues = choose_queues(schedule, devices, has_world);
  std::map<Queue, int> numbers;
  std::vector<int> orders;
  orders.reserve(issues.size());
  for (const Issue &issue : issues)
    orders.push_back(
        numbers.try_emplace(issue.queue, static_cast<int>(numbers.size())).first->second);
  const std::vector<std::vector<size_t>> conflicts = find_conflicts(schedule, devices, orders);
  std::vector<std::vector<size_t>> turns_of(devices.size());
  Waits waits(issues);
  for (size_t number = 0; number < schedule.turns.size(); ++number) {
    const Turn &turn = schedule.turns[number];
    std::vector<size_t> before = conflicts[number];
    for (const Turn::Wait &wait : turn.waits) {
      const std::vector<size_t> &all = turns_of[static_cast<size_t>(wait.device)];
      before.insert(before.end(), all.begin(), all.begin() + wait.turns);
    }
    waits.add(std::move(before));
    if (issues[number].queue.gpu)
      issues[number].event = issues[number].queue.gpu->make_event();
    turns_of[static_cast<size_t>(schedule.stages[turn.stage].device)].push_back(number);
  }
  return issues;
}

} // namespace mpar
