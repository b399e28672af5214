// Turns on GPUs: the calling thread walks them in their one order and issues each where its device
// is. What it waits for elsewhere the GPU waits for, by an event; the calling thread waits only
// where it has a processor's turn to carry out itself, and at the end of the step.
#include "backend.h"
#include "mpar/errors.h"
#include "mpar/world.h"
#include "patience.h"
#include "runner.h"
#include "stream_checker.h"
#include "stream_order.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

namespace mpar {
namespace {

/// The lane of the turn that is being issued; null: none is.
thread_local const Lane *lane_at_hand = nullptr;

class Streams final : public Workers::Runner {
public:
  Streams(const std::vector<const Device *> &devices, const Schedule &schedule, bool recorded,
          World *world);
  Streams(const Streams &) = delete;
  Streams &operator=(const Streams &) = delete;
  ~Streams() override { gpus_.front()->release_pinned(marks_); }
  void run(Workers::Work work, void *context, int64_t rows) override;
  void fetch_first(const std::vector<Fetch> &fetches) override { fetches_ = fetches; }
  void do_meanwhile(const std::function<void()> &work) override { meanwhile_ = work; }
  void forget_recordings() override { steps_.clear(); }
  void check_streams(const std::vector<Machine *> &machines, const Schedule &schedule) override {
    checker_ = std::make_unique<StreamChecker>(machines, schedule, schedule_);
  }

private:
  /// A step that begins with these fetches.
  struct Recorded {
    std::vector<Fetch> fetches;
    std::unique_ptr<Recording> recording;
  };
  /// Steps of so many rows.
  struct Steps {
    bool was_issued = false; // once turn by turn, so that libraries have made their choices
    std::vector<Recorded> recorded;
  };

  void issue(Workers::Work work, void *context);
  /// Has this process's part in a turn issued where it belongs.
  void issue_work(size_t number, Workers::Work work, void *context);
  /// The step at hand, recorded if it has not been.
  Recording &find_recording(Workers::Work work, void *context, Steps &steps);
  std::unique_ptr<Recording> record(Workers::Work work, void *context);
  /// Lets the other lanes of all GPUs begin after what has been issued on the first one's.
  void fork();
  /// Issues what rows the step needs, and lets all lanes begin after that.
  void begin();
  /// Lets the first GPU go on after all lanes.
  void join();
  void wait_for(const Event &event);
  /// The same where other processes may keep this one waiting.
  void wait_with_others(const Event &event);
  /// The first turn, in the schedule's order, that is not done: "; cuda:0 has not finished …".
  std::string where_it_stands() const;
  [[noreturn]] void stall();

  static constexpr size_t most_sizes = 16;     // of steps that are recorded, in rows
  static constexpr size_t most_recordings = 4; // of a size: rows come from two rooms, or are kept

  const std::vector<const Device *> devices_;
  const Schedule &schedule_;
  World *const world_;
  const std::vector<Issue> issues_; // by turn
  std::vector<Backend *> gpus_;
  std::vector<std::pair<Queue, std::unique_ptr<Event>>> lanes_; // those in use, and their ends
  std::map<Backend *, std::unique_ptr<Event>> begins_;
  std::unique_ptr<Event> end_;
  int32_t *marks_ = nullptr; // by turn: 1 once it is done, in a step that is replayed
  bool marking_ = false;     // while one is recorded
  bool recorded_;
  std::map<int64_t, Steps> steps_; // by rows
  bool replaying_ = false;         // the step at hand
  bool failed_ = false;
  std::vector<Fetch> fetches_; // of the step at hand
  std::function<void()> meanwhile_;
  std::unique_ptr<StreamChecker> checker_;
};

Streams::Streams(const std::vector<const Device *> &devices, const Schedule &schedule,
                 bool recorded, World *world)
    : devices_(devices), schedule_(schedule), world_(world),
      issues_(order_turns(schedule, devices, world != nullptr)), recorded_(recorded) {
  for (const Device *device : devices_) {
    recorded_ &= device->backend() != nullptr || !device->here();
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
  for (const Issue &issue : issues_) {
    const auto same = [&](const auto &lane) { return lane.first == issue.queue; };
    if (issue.queue.gpu && std::none_of(lanes_.begin(), lanes_.end(), same))
      lanes_.emplace_back(issue.queue, issue.queue.gpu->make_event());
  }
}

void Streams::issue_work(size_t number, Workers::Work work, void *context) {
  const Issue &issue = issues_[number];
  const Turn &turn = schedule_.turns[number];
  struct Current {
    ~Current() {
      lane_at_hand = nullptr;
      World::errand() = nullptr;
    }
  } current;
  lane_at_hand = &issue.queue.lane;
  if (!world_)
    return work(context, turn.stage, turn.microbatch);
  const std::vector<int> own{schedule_.stages[turn.stage].device};
  for (const int device : issue.senders.empty() ? own : issue.senders) {
    Errand errand{&schedule_, &turn, device, {}, {}};
    World::errand() = &errand;
    work(context, turn.stage, turn.microbatch);
  }
}

void Streams::issue(Workers::Work work, void *context) {
  for (size_t number = 0; number < issues_.size(); ++number) {
    const Issue &issue = issues_[number];
    if (!issue.is_here())
      continue;
    const bool observed = !observers_.empty() && issue.senders.empty();
    for (const size_t wait : issue.waits)
      if (issue.queue.gpu)
        issue.queue.gpu->wait(*issues_[wait].event, issue.queue.lane);
      else
        wait_for(*issues_[wait].event);
    for (size_t each = 0; observed && each < observers_.size(); ++each)
      observers_[each]->begin(number);
    if (checker_)
      checker_->begin(number, issue.queue);
    issue_work(number, work, context);
    if (checker_)
      checker_->end(number);
    if (issue.event)
      issue.queue.gpu->record(*issue.event, issue.queue.lane);
    if (issue.event && marking_) { // beside what follows, which it does not hold up
      issue.queue.gpu->wait(*issue.event, Lane::marks);
      issue.queue.gpu->mark(marks_ + number);
    }
    // Who follows the turns sees how long each takes, one after the other.
    if (!observers_.empty() && issue.queue.gpu)
      issue.queue.gpu->synchronize();
    for (size_t each = 0; observed && each < observers_.size(); ++each)
      observers_[each]->end(number);
  }
}

void Streams::fork() {
  Backend &first = *gpus_.front();
  first.record(*begins_[&first], Lane::compute);
  for (const auto &[queue, end] : lanes_)
    if (queue.gpu != &first || queue.lane != Lane::compute)
      queue.gpu->wait(*begins_[&first], queue.lane);
}

void Streams::begin() {
  for (const Fetch &fetch : fetches_)
    fetch.issue();
  for (Backend *gpu : gpus_)
    gpu->record(*begins_[gpu], Lane::compute);
  // What a lane of copies takes may be another GPU's rows, which no turn has written.
  for (const auto &[queue, end] : lanes_)
    for (Backend *gpu : gpus_)
      if (queue.lane == Lane::copies || (queue.lane == Lane::marks && gpu == queue.gpu))
        queue.gpu->wait(*begins_[gpu], queue.lane);
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

Recording &Streams::find_recording(Workers::Work work, void *context, Steps &steps) {
  for (const Recorded &each : steps.recorded)
    if (each.fetches == fetches_)
      return *each.recording;
  if (steps.recorded.size() == most_recordings)
    steps.recorded.erase(steps.recorded.begin());
  steps.recorded.push_back({fetches_, record(work, context)});
  return *steps.recorded.back().recording;
}

std::unique_ptr<Recording> Streams::record(Workers::Work work, void *context) {
  Backend &first = *gpus_.front();
  first.begin_recording();
  marking_ = true;
  try {
    fork();
    begin();
    issue(work, context);
    join();
  } catch (...) {
    marking_ = false;
    drop_recording(first);
    throw;
  }
  marking_ = false;
  return first.end_recording();
}

void Streams::run(Workers::Work work, void *context, int64_t rows) {
  if (failed_)
    fail("a step after one that failed");
  failed_ = true; // until it has come to its end
  for (TurnObserver *observer : observers_)
    observer->begin_step(rows);
  replaying_ = false;
  Backend &first = *gpus_.front();
  struct Observed {
    explicit Observed(IssueObserver *observer) { issue_observer() = observer; }
    ~Observed() { issue_observer() = nullptr; }
  } observed(checker_.get());
  if (checker_)
    checker_->begin_step();
  if (recorded_ && observers_.empty() && !checker_ &&
      (steps_.count(rows) > 0 || steps_.size() < most_sizes)) {
    // On all ranks alike, which messages ask for: where rows come from may differ.
    if (Steps &steps = steps_[rows]; std::exchange(steps.was_issued, true)) {
      Recording &recording = find_recording(work, context, steps);
      // After what the other GPUs were given before the step.
      for (Backend *gpu : gpus_)
        if (gpu != &first)
          order(*gpu, first);
      std::fill_n(marks_, schedule_.turns.size(), 0);
      replaying_ = true;
      recording.launch();
    } else {
      begin();
      issue(work, context);
      join();
    }
  } else {
    begin();
    issue(work, context);
    join();
  }
  first.record(*end_, Lane::compute);
  if (const auto meanwhile = std::exchange(meanwhile_, nullptr); meanwhile && !checker_)
    meanwhile();
  wait_for(*end_);
  if (checker_)
    checker_->end_step();
  for (Backend *gpu : gpus_)
    gpu->synchronize();
  failed_ = false;
}

void Streams::wait_for(const Event &event) {
  if (world_)
    return wait_with_others(event);
  Patience patience;
  while (!gpus_.front()->is_done(event)) {
    patience.wait();
    if (patience.is_over(timeout_))
      stall();
  }
}

void Streams::wait_with_others(const Event &event) {
  try {
    world_->wait_until([&] { return gpus_.front()->is_done(event); },
                       [&] { return "for its GPU" + where_it_stands(); });
  } catch (const std::exception &failure) {
    // Messages have been given up. Whatever else the GPU was given it carries out; one that does
    // not, and its memory, can be waited for no more.
    constexpr double long_enough = 2;
    Patience patience;
    while (!gpus_.front()->is_done(*end_) && !patience.is_over(long_enough))
      patience.wait();
    if (gpus_.front()->is_done(*end_))
      throw;
    world_->say(failure.what());
    world_->stop_others();
    std::_Exit(1);
  }
}

std::string Streams::where_it_stands() const {
  for (size_t number = 0; number < issues_.size(); ++number) {
    const Issue &issue = issues_[number];
    const bool done =
        !issue.event || (replaying_ ? static_cast<const volatile int32_t *>(marks_)[number] != 0
                                    : issue.queue.gpu->is_done(*issue.event));
    if (!done)
      return "; " + issue.queue.gpu->name() + " has not finished " +
             describe_turn(schedule_, schedule_.turns[number]);
  }
  return "";
}

void Streams::stall() {
  const std::string line =
      "the step has waited " + seconds_text(timeout_) + " s for its GPUs" + where_it_stands();
  if (stalled_)
    stalled_(line);
  std::fprintf(stderr, "error: %s\n", line.c_str());
  std::_Exit(1);
}

} // namespace

std::unique_ptr<Workers::Runner> make_streams(const std::vector<const Device *> &devices,
                                              const Schedule &schedule, bool recorded,
                                              World *world) {
  return std::make_unique<Streams>(devices, schedule, recorded, world);
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

void send_between_gpus(const Device &from, const void *source, const Device &to, void *buffer,
                       int64_t bytes) {
  const Device &own = from.here() ? from : to;
  Communicator &communicator = *own.seat().world->communicator();
  const auto issue = [&] {
    if (from.here())
      communicator.send(to.seat().rank, source, bytes);
    else
      communicator.receive(from.seat().rank, buffer, bytes);
  };
  if (lane_at_hand)
    return issue();
  static thread_local std::map<Backend *, std::unique_ptr<Event>> events;
  Backend &gpu = *own.backend();
  std::unique_ptr<Event> &event = events[&gpu];
  if (!event)
    event = gpu.make_event();
  gpu.record(*event, Lane::compute);
  gpu.wait(*event, Lane::copies);
  issue();
  gpu.record(*event, Lane::copies);
  gpu.wait(*event, Lane::compute);
}

} // namespace mpar
