// Worker threads: each walks its own list of turns, and waits for counters of other devices.
#include "mpar/device.h"
#include "mpar/errors.h"
#include "patience.h"
#include "worker_threads.h"

#include <pthread.h>
#include <sched.h>

namespace mpar {
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
      workers_[i].thread = std::thread([this, i] { serve(i); });
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

void Workers::Threads::serve(size_t worker) {
  flush_denormals();
  for (int64_t round = 1;; ++round) {
    Patience patience;
    while (started_.load(std::memory_order_acquire) < round && !ending_) {
      if (patience.spinning()) {
        patience.wait();
        continue;
      }
      std::unique_lock lock(mutex_);
      ++sleepers_;
      wake_.wait(lock, [&] { return started_ >= round || ending_; });
      --sleepers_;
    }
    if (ending_)
      return;
    work_as(worker);
    busy_.workers.fetch_sub(1, std::memory_order_release);
  }
}

bool Workers::Threads::wait_for(const RankTurn &turn) {
  for (const Turn::Wait &wait : turn.waits) {
    const int64_t target = (steps_ - 1) * turns_a_step_[wait.device] + wait.turns;
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

void Workers::Threads::carry_out(const Worker &worker) {
  std::vector<Sent> sent;
  try {
    for (const RankTurn &part : worker.turns) {
      const Turn &turn = schedule_.turns[part.turn];
      if (!wait_for(part))
        return;
      if (part.sends) {
        for (TurnObserver *observer : observers_)
          observer->begin_sending(part.turn, part.device);
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

void Workers::Threads::work_as(size_t worker) {
  if (!round_)
    return carry_out(workers_[worker]);
  try {
    for (size_t item : round_->items[worker])
      if (!failed_.load(std::memory_order_relaxed))
        round_->work(round_->context, item);
  } catch (...) {
    fail_with_current();
  }
}

void Workers::Threads::run(Work work, void *context, int64_t rows) {
  if (failed_)
    fail("a step after one that failed"); // counters stand anywhere
  for (TurnObserver *observer : observers_)
    observer->begin_step(rows);
  work_ = work;
  context_ = context;
  round_ = nullptr;
  ++steps_;
  run_round("the step has waited ");
}

void Workers::Threads::run_on_devices(const std::vector<int> &devices,
                                      void (*work)(void *context, size_t item), void *context) {
  if (failed_)
    fail("an evaluation after a step that failed");
  Round round{std::vector<std::vector<size_t>>(workers_.size()), work, context};
  for (size_t item = 0; item < devices.size(); ++item) {
    const size_t worker = worker_of_[devices[item]];
    round.items[worker < workers_.size() ? worker : 0].push_back(item);
  }
  round_ = &round;
  run_round("the first worker has waited ");
}

void Workers::Threads::run_round(const char *what) {
  busy_.workers.store(static_cast<int>(workers_.size()) - 1, std::memory_order_relaxed);
  bool asleep;
  {
    const std::lock_guard lock(mutex_);
    started_.store(++rounds_, std::memory_order_release);
    asleep = sleepers_ > 0;
  }
  if (asleep)
    wake_.notify_all();
  work_as(0);
  Patience patience;
  while (busy_.workers.load(std::memory_order_acquire) > 0) {
    patience.wait();
    if (patience.is_over(timeout_)) {
      std::string line =
          what + seconds_text(timeout_) + (round_ ? " s for the others" : " s for its last turns");
      for (size_t device = 0; !round_ && device < worker_of_.size(); ++device)
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
                 const std::vector<int> &ranks, bool apart)
    : runner_(std::make_unique<Threads>(cores, schedule, apart, &world, ranks)) {}
Workers::Workers(const std::vector<const Device *> &devices, const Schedule &schedule,
                 bool recorded, World *world)
    : runner_(make_streams(devices, schedule, recorded, world)) {}
Workers::~Workers() = default;

void Workers::run(Work work, void *context, int64_t rows) { runner_->run(work, context, rows); }

void Workers::fetch_first(const std::vector<Fetch> &fetches) { runner_->fetch_first(fetches); }

void Workers::do_meanwhile(const std::function<void()> &work) { runner_->do_meanwhile(work); }

void Workers::run_on_devices(const std::vector<int> &devices,
                             void (*work)(void *context, size_t item), void *context) {
  runner_->run_on_devices(devices, work, context);
}

void Workers::set_timeout(double seconds, std::function<void(const std::string &)> stalled) {
  runner_->set_timeout(seconds, std::move(stalled));
}

void Workers::observe(TurnObserver &observer) { runner_->observe(observer); }

void Workers::ignore(TurnObserver &observer) { runner_->ignore(observer); }

void Workers::check_streams(const std::vector<Machine *> &machines, const Schedule &schedule) {
  runner_->check_streams(machines, schedule);
}
void Workers::forget_recordings() { runner_->forget_recordings(); }

} // namespace mpar
