// Worker threads: each walks its own list of turns, and waits for counters of other devices.
#include "mpar/schedule.h"

#include "mpar/device.h"
#include "mpar/errors.h"
#include "mpar/world.h"
#include "patience.h"
#include "runner.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <thread>

namespace mpar {
namespace {

/// How many turns a device has finished, since the workers began.
struct alignas(64) Counter {
  std::atomic<int64_t> turns{0};
};

} // namespace

class Workers::Threads final : public Runner {
public:
  Threads(const std::vector<int> &cores, const Schedule &schedule, bool apart, World *world,
          const std::vector<int> &ranks);
  ~Threads() override { end(); }
  void run(Work work, void *context, int64_t rows) override;

private:
  struct Worker {
    int core;
    std::vector<RankTurn> turns;
    std::thread thread; // none: the calling thread
  };
  /// What a turn of another rank's device is to receive.
  struct Sent {
    Turn::Wait turn; // that device, and which of its turns
    std::unique_ptr<Transport::Message> message;
  };

  void end();
  void serve(const Worker &worker);
  void carry_out(const Worker &worker);
  /// False where another thread has failed meanwhile.
  bool wait_for(const RankTurn &turn);
  /// Carries out a turn that has parts on other ranks too.
  void run_errand(const RankTurn &turn, std::vector<Sent> &sent);
  /// Waits until has gone what `turn` may write over; null: all.
  void finish_sending(const RankTurn *turn, std::vector<Sent> &sent);
  /// How many of its turns of this step a device has finished.
  int64_t finished(int device) const;
  /// The turn that is the last one to wait for.
  const Turn &turn_of(const Turn::Wait &wait) const;
  /// The turn that the worker of a device is at; null: it has finished the step.
  const RankTurn *current(int device) const;
  /// What a turn is still waiting for; null: nothing.
  const Turn::Wait *open_wait(const RankTurn &turn) const;
  /// "device 1 is at ..., which waits for ...": as far as that leads.
  std::string where_stands(int device) const;
  void stall(const std::string &line);
  void fail_with_current();

  const Schedule &schedule_;
  World *world_;                      // null: there is one process
  std::vector<int> ranks_;            // by device
  std::vector<size_t> numbers_;       // by turn: which of its device's it is, from 1
  std::vector<size_t> worker_of_;     // by device
  std::vector<int64_t> turns_a_step_; // by device
  std::unique_ptr<Counter[]> counters_;
  std::vector<Worker> workers_;
  int64_t step_ = 0; // of the calling thread

  Work work_ = nullptr;
  void *context_ = nullptr;
  std::atomic<int64_t> started_{0}; // steps
  std::atomic<bool> failed_{false};
  std::atomic<bool> ending_{false};
  struct alignas(64) Busy {
    std::atomic<int> workers{0};
  } busy_;
  std::mutex mutex_; // of sleepers, and of what was thrown
  std::condition_variable wake_;
  int sleepers_ = 0;
  std::exception_ptr thrown_;
};

/// Pins a thread to a core.
static void pin(pthread_t thread, int core) {
  if (core == DeviceMap::calling_thread)
    return;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (core < CPU_SETSIZE)
    CPU_SET(core, &set);
  if (core >= CPU_SETSIZE || pthread_setaffinity_np(thread, sizeof(set), &set) != 0)
    fail("`cpu:" + std::to_string(core) + "`: this process may not run on a core of that number");
}

Workers::Threads::Threads(const std::vector<int> &cores, const Schedule &schedule, bool apart,
                          World *world, const std::vector<int> &ranks)
    : schedule_(schedule), world_(world), ranks_(ranks), turns_a_step_(cores.size()),
      counters_(new Counter[cores.size()]) {
  constexpr auto none = static_cast<size_t>(-1);
  for (size_t device = 0; device < cores.size(); ++device) {
    if (world && ranks[device] != world->rank()) {
      worker_of_.push_back(none);
      continue;
    }
    const int core = cores[device];
    const auto same = std::find_if(workers_.begin(), apart ? workers_.begin() : workers_.end(),
                                   [core](const Worker &worker) { return worker.core == core; });
    const bool known = !apart && same != workers_.end();
    worker_of_.push_back(known ? static_cast<size_t>(same - workers_.begin()) : workers_.size());
    if (!known)
      workers_.push_back({core, {}, {}});
  }
  for (const Turn &turn : schedule.turns)
    numbers_.push_back(static_cast<size_t>(++turns_a_step_[schedule.stages[turn.stage].device]));
  if (world)
    for (RankTurn &turn : turns_of_rank(schedule, ranks, world->rank()))
      workers_[worker_of_[turn.device]].turns.push_back(std::move(turn));
  for (size_t index = 0; !world && index < schedule.turns.size(); ++index) {
    const int device = schedule.stages[schedule.turns[index].stage].device;
    workers_[worker_of_[device]].turns.push_back(
        {index, device, false, schedule.turns[index].waits, {}});
  }
  pin(pthread_self(), workers_.front().core);
  try {
    for (size_t i = 1; i < workers_.size(); ++i) {
      workers_[i].thread = std::thread([this, i] { serve(workers_[i]); });
      pin(workers_[i].thread.native_handle(), workers_[i].core);
    }
  } catch (...) {
    end();
    throw;
  }
}

void Workers::Threads::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (Worker &worker : workers_)
    if (worker.thread.joinable())
      worker.thread.join();
}

void Workers::Threads::serve(const Worker &worker) {
  flush_denormals();
  for (int64_t step = 1;; ++step) {
    Patience patience;
    while (started_.load(std::memory_order_acquire) < step && !ending_) {
      if (patience.spinning()) {
        patience.wait();
        continue;
      }
      std::unique_lock lock(mutex_);
      ++sleepers_;
      wake_.wait(lock, [&] { return started_ >= step || ending_; });
      --sleepers_;
    }
    if (ending_)
      return;
    carry_out(worker);
    busy_.workers.fetch_sub(1, std::memory_order_release);
  }
}

bool Workers::Threads::wait_for(const RankTurn &turn) {
  for (const Turn::Wait &wait : turn.waits) {
    const int64_t target =
        (started_.load(std::memory_order_relaxed) - 1) * turns_a_step_[wait.device] + wait.turns;
    Patience patience;
    while (counters_[wait.device].turns.load(std::memory_order_acquire) < target) {
      if (failed_.load(std::memory_order_relaxed))
        return false;
      patience.wait();
      if (patience.is_over(timeout_))
        stall("device " + std::to_string(turn.device) + " has waited " + seconds_text(timeout_) +
              " s with " + describe_turn(schedule_, schedule_.turns[turn.turn]) + " for turn " +
              std::to_string(wait.turns) + " of device " + std::to_string(wait.device) + ", " +
              describe_turn(schedule_, turn_of(wait)) + "; " + where_stands(wait.device));
    }
  }
  return true;
}

int64_t Workers::Threads::finished(int device) const {
  return counters_[device].turns.load(std::memory_order_acquire) -
         (started_.load(std::memory_order_relaxed) - 1) * turns_a_step_[device];
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
  std::fprintf(stderr, "error: %s%s\n",
               world_ ? ("rank " + std::to_string(world_->rank()) + ": ").c_str() : "",
               line.c_str());
  if (world_)
    world_->stop_others();
  std::_Exit(1);
}

void Workers::Threads::carry_out(const Worker &worker) {
  std::vector<Sent> sent;
  try {
    for (const RankTurn &part : worker.turns) {
      const Turn &turn = schedule_.turns[part.turn];
      if (!wait_for(part))
        return;
      if (part.sends) {
        run_errand(part, sent);
        continue;
      }
      for (TurnObserver *observer : observers_)
        observer->begin(part.turn);
      if (world_)
        run_errand(part, sent);
      else
        work_(context_, turn.stage, turn.microbatch);
      for (TurnObserver *observer : observers_)
        observer->end(part.turn);
      Counter &counter = counters_[part.device];
      counter.turns.store(counter.turns.load(std::memory_order_relaxed) + 1,
                          std::memory_order_release);
    }
    if (world_)
      finish_sending(nullptr, sent);
  } catch (...) {
    fail_with_current();
  }
}

void Workers::Threads::run_errand(const RankTurn &part, std::vector<Sent> &sent) {
  const Turn &turn = schedule_.turns[part.turn];
  Errand errand{&schedule_, &turn, part.device, {}, [this] { return failed_.load(); }};
  struct Current {
    explicit Current(Errand &errand) { World::errand() = &errand; }
    ~Current() { World::errand() = nullptr; }
  } current(errand);
  if (!part.sent.empty())
    finish_sending(&part, sent);
  work_(context_, turn.stage, turn.microbatch);
  for (std::unique_ptr<Transport::Message> &message : errand.sent)
    sent.push_back(
        {{schedule_.stages[turn.stage].device, static_cast<int64_t>(numbers_[part.turn])},
         std::move(message)});
}

void Workers::Threads::finish_sending(const RankTurn *turn, std::vector<Sent> &sent) {
  const auto due = [turn](const Sent &each) {
    return !turn || std::any_of(turn->sent.begin(), turn->sent.end(), [&](const Turn::Wait &wait) {
      return wait.device == each.turn.device && each.turn.turns <= wait.turns;
    });
  };
  for (Sent &each : sent)
    if (due(each)) {
      world_->wait(*each.message, ranks_[each.turn.device]);
      each.message.reset();
    }
  sent.erase(
      std::remove_if(sent.begin(), sent.end(), [](const Sent &each) { return !each.message; }),
      sent.end());
}

void Workers::Threads::fail_with_current() {
  const std::lock_guard lock(mutex_);
  if (!thrown_)
    thrown_ = std::current_exception();
  failed_ = true;
}

void Workers::Threads::run(Work work, void *context, int64_t rows) {
  if (failed_)
    fail("a step after one that failed"); // counters stand anywhere
  for (TurnObserver *observer : observers_)
    observer->begin_step(rows);
  work_ = work;
  context_ = context;
  busy_.workers.store(static_cast<int>(workers_.size()) - 1, std::memory_order_relaxed);
  bool asleep;
  {
    const std::lock_guard lock(mutex_);
    started_.store(++step_, std::memory_order_release);
    asleep = sleepers_ > 0;
  }
  if (asleep)
    wake_.notify_all();
  carry_out(workers_.front());
  Patience patience;
  while (busy_.workers.load(std::memory_order_acquire) > 0) {
    patience.wait();
    if (patience.is_over(timeout_)) {
      std::string line = "the step has waited " + seconds_text(timeout_) + " s for its last turns";
      for (size_t device = 0; device < worker_of_.size(); ++device)
        if (worker_of_[device] < workers_.size() &&
            finished(static_cast<int>(device)) < turns_a_step_[device]) {
          line += "; " + where_stands(static_cast<int>(device));
          break;
        }
      stall(line);
    }
  }
  if (thrown_)
    std::rethrow_exception(thrown_);
}

Workers::Workers(const std::vector<int> &cores, const Schedule &schedule, bool apart)
    : runner_(std::make_unique<Threads>(cores, schedule, apart, nullptr, std::vector<int>())) {}
Workers::Workers(const std::vector<int> &cores, const Schedule &schedule, World &world,
                 const std::vector<int> &ranks)
    : runner_(std::make_unique<Threads>(cores, schedule, false, &world, ranks)) {}
Workers::Workers(const std::vector<const Device *> &devices, const Schedule &schedule,
                 bool recorded)
    : runner_(make_streams(devices, schedule, recorded)) {}
Workers::~Workers() = default;

void Workers::run(Work work, void *context, int64_t rows) { runner_->run(work, context, rows); }

void Workers::set_timeout(double seconds, std::function<void(const std::string &)> stalled) {
  runner_->set_timeout(seconds, std::move(stalled));
}

void Workers::observe(TurnObserver &observer) { runner_->observe(observer); }

void Workers::ignore(TurnObserver &observer) { runner_->ignore(observer); }

void Workers::forget_recordings() { runner_->forget_recordings(); }

} // namespace mpar
