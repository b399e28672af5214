// Turns on GPUs: the calling thread walks them in their one order and issues each where its device
// is. What it waits for elsewhere the GPU waits for, by an event; the calling thread waits only
// where it has a processor's turn to carry out itself, and at the end of the step.
#include "backend.h"
#include "conflicts.h"
#include "mpar/errors.h"
#include "patience.h"
#include "runner.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

namespace mpar {
namespace {

/// The lane of the turn that is being issued; null: none is.
thread_local const Lane *lane_at_hand = nullptr;

/// What one order of work is: a GPU's lane, or, without a GPU, the calling thread.
struct Queue {
  Backend *gpu;
  Lane lane;
  bool operator<(const Queue &other) const {
    return std::pair(gpu, lane) < std::pair(other.gpu, other.lane);
  }
  bool operator==(const Queue &other) const { return gpu == other.gpu && lane == other.lane; }
};

/// By queue: how many of its turns are surely done.
using Clock = std::map<Queue, int64_t>;

class Streams final : public Workers::Runner {
public:
  Streams(const std::vector<const Device *> &devices, const Schedule &schedule, bool recorded);
  Streams(const Streams &) = delete;
  Streams &operator=(const Streams &) = delete;
  ~Streams() override { gpus_.front()->release_pinned(marks_); }
  void run(Workers::Work work, void *context, int64_t rows) override;
  void forget_recordings() override { recordings_.clear(); }

private:
  /// A turn where it is issued.
  struct Issue {
    Queue queue;
    std::vector<size_t> waits;    // turns of other queues that come first, by their events
    std::unique_ptr<Event> event; // of its end; null: the calling thread carries it out
  };
  /// A step of so many rows.
  struct Recorded {
    bool was_issued = false; // once turn by turn, so that libraries have made their choices
    std::unique_ptr<Recording> recording;
  };

  void choose_queues();
  void find_waits();
  void issue(Workers::Work work, void *context);
  void record(Workers::Work work, void *context, Recorded &step);
  /// Lets the other lanes of all GPUs begin after what has been issued on the first one's, or,
  /// where `apart`, on their own GPU's.
  void fork(bool apart);
  /// Lets the first GPU go on after all lanes.
  void join();
  void wait_for(const Event &event);
  [[noreturn]] void stall();

  static constexpr size_t most_recordings = 16;

  const std::vector<const Device *> devices_;
  const Schedule &schedule_;
  std::vector<Issue> issues_; // by turn
  std::vector<Backend *> gpus_;
  std::vector<std::pair<Queue, std::unique_ptr<Event>>> lanes_; // those in use, and their ends
  std::map<Backend *, std::unique_ptr<Event>> begins_;
  std::unique_ptr<Event> end_;
  int32_t *marks_ = nullptr; // by turn: 1 once it is done, in a step that is replayed
  bool marking_ = false;     // while one is recorded
  bool recorded_;
  std::map<int64_t, Recorded> recordings_; // by rows
  bool replaying_ = false;                 // the step at hand
  bool failed_ = false;
};

Streams::Streams(const std::vector<const Device *> &devices, const Schedule &schedule,
                 bool recorded)
    : devices_(devices), schedule_(schedule), recorded_(recorded) {
  for (const Device *device : devices_) {
    recorded_ &= device->backend() != nullptr;
    Backend *const gpu = device->backend();
    if (!gpu || begins_.count(gpu) > 0)
      continue;
    gpus_.push_back(gpu);
    begins_[gpu] = gpu->make_event();
    for (const Lane lane : {Lane::compute, Lane::marks})
      lanes_.emplace_back(Queue{gpu, lane}, gpu->make_event());
  }
  const auto turns = static_cast<int64_t>(schedule_.turns.size());
  marks_ = static_cast<int32_t *>(
      gpus_.front()->allocate_pinned(turns * static_cast<int64_t>(sizeof(int32_t))));
  std::fill_n(marks_, turns, 0);
  end_ = gpus_.front()->make_event();
  choose_queues();
  find_waits();
}

/// Transfers between GPUs have the receiving GPU's lane for copies, so that it computes meanwhile.
void Streams::choose_queues() {
  for (const Turn &turn : schedule_.turns) {
    const StageDescription &stage = schedule_.stages[turn.stage];
    Backend *const gpu = devices_[stage.device]->backend();
    Backend *const from = stage.from < 0 ? gpu : devices_[stage.from]->backend();
    const bool copies = gpu && from && gpu != from;
    Issue &issue = issues_.emplace_back();
    issue.queue = {gpu, copies ? Lane::copies : Lane::compute};
    const auto same = [&](const auto &lane) { return lane.first == issue.queue; };
    if (copies && std::none_of(lanes_.begin(), lanes_.end(), same))
      lanes_.emplace_back(issue.queue, gpu->make_event());
  }
}

/// What must come before each turn: what the schedule has it wait for, which is some of a device's
/// first turns; and, since turns of one device may lie on two lanes, whatever touches the same
/// memory. Of these the fewest events: what has been waited for by an earlier turn of a queue need
/// not be waited for again.
void Streams::find_waits() {
  std::map<Queue, int> numbers;
  std::vector<int> orders;
  orders.reserve(issues_.size());
  for (const Issue &issue : issues_)
    orders.push_back(
        numbers.try_emplace(issue.queue, static_cast<int>(numbers.size())).first->second);
  const std::vector<std::vector<size_t>> conflicts = find_conflicts(schedule_, devices_, orders);
  std::vector<std::vector<size_t>> turns_of(devices_.size());
  std::map<Queue, Clock> clocks;  // of each queue's last turn
  std::vector<Clock> done;        // by turn: what is, once it is done
  std::vector<int64_t> positions; // by turn, in its queue, from 1
  for (size_t number = 0; number < schedule_.turns.size(); ++number) {
    const Turn &turn = schedule_.turns[number];
    std::vector<size_t> before = conflicts[number];
    for (const Turn::Wait &wait : turn.waits) {
      const std::vector<size_t> &all = turns_of[static_cast<size_t>(wait.device)];
      before.insert(before.end(), all.begin(), all.begin() + wait.turns);
    }
    std::sort(before.rbegin(), before.rend()); // the last ones first, which others came before
    Issue &issue = issues_[number];
    Clock &clock = clocks[issue.queue];
    for (const size_t other : before) {
      const Queue &queue = issues_[other].queue;
      if (queue == issue.queue || clock[queue] >= positions[other])
        continue;
      if (queue.gpu)
        issue.waits.push_back(other);
      for (const auto &[each, count] : done[other])
        clock[each] = std::max(clock[each], count);
    }
    if (issue.queue.gpu)
      issue.event = issue.queue.gpu->make_event();
    positions.push_back(++clock[issue.queue]);
    done.push_back(clock);
    turns_of[static_cast<size_t>(schedule_.stages[turn.stage].device)].push_back(number);
  }
}

void Streams::issue(Workers::Work work, void *context) {
  struct Current {
    ~Current() { lane_at_hand = nullptr; }
  } current;
  for (size_t number = 0; number < issues_.size(); ++number) {
    const Issue &issue = issues_[number];
    const Turn &turn = schedule_.turns[number];
    for (const size_t wait : issue.waits)
      if (issue.queue.gpu)
        issue.queue.gpu->wait(*issues_[wait].event, issue.queue.lane);
      else
        wait_for(*issues_[wait].event);
    for (TurnObserver *observer : observers_)
      observer->begin(number);
    lane_at_hand = &issue.queue.lane;
    work(context, turn.stage, turn.microbatch);
    lane_at_hand = nullptr;
    if (issue.event)
      issue.queue.gpu->record(*issue.event, issue.queue.lane);
    if (issue.event && marking_) { // beside what follows, which it does not hold up
      issue.queue.gpu->wait(*issue.event, Lane::marks);
      issue.queue.gpu->mark(marks_ + number);
    }
    // Who follows the turns sees how long each takes, one after the other.
    if (!observers_.empty() && issue.queue.gpu)
      issue.queue.gpu->synchronize();
    for (TurnObserver *observer : observers_)
      observer->end(number);
  }
}

void Streams::fork(bool apart) {
  Backend &first = *gpus_.front();
  for (Backend *gpu : gpus_)
    if (apart || gpu == &first)
      gpu->record(*begins_[gpu], Lane::compute);
  for (const auto &[queue, end] : lanes_)
    if (apart ? queue.lane != Lane::compute : queue.gpu != &first || queue.lane != Lane::compute)
      queue.gpu->wait(*begins_[apart ? queue.gpu : &first], queue.lane);
}

void Streams::join() {
  Backend &first = *gpus_.front();
  for (const auto &[queue, end] : lanes_)
    if (queue.gpu != &first || queue.lane != Lane::compute) {
      queue.gpu->record(*end, queue.lane);
      first.wait(*end, Lane::compute);
    }
}

/// Ends what is being recorded after something has gone wrong, so that the lanes are as they were.
/// False where that goes wrong too, as it may: what did first is what is said.
static bool drop_recording(Backend &backend) {
  try {
    backend.end_recording();
    return true;
  } catch (const Error &) {
    return false;
  }
}

void Streams::record(Workers::Work work, void *context, Recorded &step) {
  Backend &first = *gpus_.front();
  first.begin_recording();
  marking_ = true;
  try {
    fork(false);
    issue(work, context);
    join();
  } catch (...) {
    marking_ = false;
    drop_recording(first);
    throw;
  }
  marking_ = false;
  step.recording = first.end_recording();
}

void Streams::run(Workers::Work work, void *context, int64_t rows) {
  if (failed_)
    fail("a step after one that failed");
  failed_ = true; // until it has come to its end
  for (TurnObserver *observer : observers_)
    observer->begin_step(rows);
  replaying_ = false;
  Backend &first = *gpus_.front();
  if (recorded_ && observers_.empty() &&
      (recordings_.count(rows) > 0 || recordings_.size() < most_recordings)) {
    Recorded &step = recordings_[rows];
    if (std::exchange(step.was_issued, true) && !step.recording)
      record(work, context, step);
    if (step.recording) {
      // After what the other GPUs were given before the step.
      for (Backend *gpu : gpus_)
        if (gpu != &first)
          order(*gpu, first);
      std::fill_n(marks_, schedule_.turns.size(), 0);
      replaying_ = true;
      step.recording->launch();
    } else {
      fork(true);
      issue(work, context);
      join();
    }
  } else {
    fork(true);
    issue(work, context);
    join();
  }
  first.record(*end_, Lane::compute);
  wait_for(*end_);
  for (Backend *gpu : gpus_)
    gpu->synchronize();
  failed_ = false;
}

void Streams::wait_for(const Event &event) {
  Patience patience;
  while (!gpus_.front()->is_done(event)) {
    patience.wait();
    if (patience.is_over(timeout_))
      stall();
  }
}

void Streams::stall() {
  std::string line = "the step has waited " + seconds_text(timeout_) + " s for its GPUs";
  for (size_t number = 0; number < issues_.size(); ++number) {
    const Issue &issue = issues_[number];
    const bool done =
        !issue.event || (replaying_ ? static_cast<const volatile int32_t *>(marks_)[number] != 0
                                    : issue.queue.gpu->is_done(*issue.event));
    if (done)
      continue;
    line += "; " + issue.queue.gpu->name() + " has not finished " +
            describe_turn(schedule_, schedule_.turns[number]);
    break;
  }
  if (stalled_)
    stalled_(line);
  std::fprintf(stderr, "error: %s\n", line.c_str());
  std::_Exit(1);
}

} // namespace

std::unique_ptr<Workers::Runner> make_streams(const std::vector<const Device *> &devices,
                                              const Schedule &schedule, bool recorded) {
  return std::make_unique<Streams>(devices, schedule, recorded);
}

void order(Backend &before, Backend &after) {
  if (&before == &after)
    return;
  // What waits takes the event as it stands: it may be recorded anew at once.
  static thread_local std::map<Backend *, std::unique_ptr<Event>> events;
  std::unique_ptr<Event> &event = events[&before];
  if (!event)
    event = before.make_event();
  before.record(*event, Lane::compute);
  after.wait(*event, Lane::compute);
}

void copy_with_gpus(const Device &from, const void *source, const Device &to, void *buffer,
                    int64_t bytes) {
  if (!from.backend())
    return to.write(buffer, source, bytes);
  if (!to.backend())
    return from.read(buffer, source, bytes);
  if (lane_at_hand)
    return to.backend()->copy(buffer, *from.backend(), source, bytes, *lane_at_hand);
  order(*from.backend(), *to.backend());
  to.backend()->copy(buffer, *from.backend(), source, bytes, Lane::compute);
  order(*to.backend(), *from.backend());
}

} // namespace mpar
