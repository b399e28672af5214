// Worker threads: each walks its own list of turns, and waits for counters of other devices.
#include "mpar/schedule.h"

#include "mpar/device.h"
#include "mpar/errors.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <thread>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mpar {
namespace {

// A handoff is a cache line's way from core to core where both sides are busy; a thread that waits
// for long leaves its core to others.
constexpr int spins = 4000; // some 50 microseconds
constexpr int yields = 200; // a core shared with others is given to them
constexpr long nap_nanoseconds = 20'000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits for what is about to happen: spins, then yields, then naps.
class Patience {
public:
  void wait() {
    if (++count_ < spins)
      return pause();
    if (count_ < spins + yields) {
      sched_yield();
      return;
    }
    const timespec nap{0, nap_nanoseconds};
    nanosleep(&nap, nullptr);
  }
  bool spinning() const { return count_ < spins + yields; }

private:
  int count_ = 0;
};

/// How many turns a device has finished, since the workers began.
struct alignas(64) Counter {
  std::atomic<int64_t> turns{0};
};

} // namespace

std::vector<Turn> make_turns(const TurnEntry *begin, const TurnEntry *end) {
  std::vector<Turn> turns;
  for (const TurnEntry *entry = begin; entry != end; ++entry) {
    if (turns.empty() || turns.back().stage != entry->stage ||
        turns.back().microbatch != entry->microbatch)
      turns.push_back({entry->stage, entry->microbatch, {}});
    if (entry->device >= 0)
      turns.back().waits.push_back({entry->device, entry->turns});
  }
  return turns;
}

RowRange rows_of_microbatch(int64_t rows, int microbatch, int microbatches) {
  const int64_t each = rows / microbatches, longer = rows % microbatches;
  return {each * microbatch + std::min<int64_t>(microbatch, longer),
          each + (microbatch < longer ? 1 : 0)};
}

class Workers::Impl {
public:
  Impl(const std::vector<int> &cores, const Schedule &schedule);
  ~Impl() { end(); }
  void run(Work work, void *context);

private:
  struct Worker {
    int core;
    std::vector<const Turn *> turns;
    std::thread thread; // none: the calling thread
  };

  void end();
  void serve(const Worker &worker);
  void carry_out(const Worker &worker);
  /// False where another thread has failed meanwhile.
  bool wait_for(const Turn &turn) const;
  void fail_with_current();

  const Schedule &schedule_;
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
  cpu_set_t set;
  CPU_ZERO(&set);
  if (core < CPU_SETSIZE)
    CPU_SET(core, &set);
  if (core >= CPU_SETSIZE || pthread_setaffinity_np(thread, sizeof(set), &set) != 0)
    fail("`cpu:" + std::to_string(core) + "`: this process may not run on a core of that number");
}

Workers::Impl::Impl(const std::vector<int> &cores, const Schedule &schedule)
    : schedule_(schedule), turns_a_step_(cores.size()), counters_(new Counter[cores.size()]) {
  for (int core : cores)
    if (std::none_of(workers_.begin(), workers_.end(),
                     [core](const Worker &worker) { return worker.core == core; }))
      workers_.push_back({core, {}, {}});
  for (const Turn &turn : schedule.turns) {
    const int device = schedule.stages[turn.stage].device;
    ++turns_a_step_[device];
    for (Worker &worker : workers_)
      if (worker.core == cores[device])
        worker.turns.push_back(&turn);
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

void Workers::Impl::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (Worker &worker : workers_)
    if (worker.thread.joinable())
      worker.thread.join();
}

void Workers::Impl::serve(const Worker &worker) {
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

bool Workers::Impl::wait_for(const Turn &turn) const {
  for (const Turn::Wait &wait : turn.waits) {
    const int64_t target =
        (started_.load(std::memory_order_relaxed) - 1) * turns_a_step_[wait.device] + wait.turns;
    Patience patience;
    while (counters_[wait.device].turns.load(std::memory_order_acquire) < target) {
      if (failed_.load(std::memory_order_relaxed))
        return false;
      patience.wait();
    }
  }
  return true;
}

void Workers::Impl::carry_out(const Worker &worker) {
  try {
    for (const Turn *turn : worker.turns) {
      if (!wait_for(*turn))
        return;
      work_(context_, turn->stage, turn->microbatch);
      Counter &counter = counters_[schedule_.stages[turn->stage].device];
      counter.turns.store(counter.turns.load(std::memory_order_relaxed) + 1,
                          std::memory_order_release);
    }
  } catch (...) {
    fail_with_current();
  }
}

void Workers::Impl::fail_with_current() {
  const std::lock_guard lock(mutex_);
  if (!thrown_)
    thrown_ = std::current_exception();
  failed_ = true;
}

void Workers::Impl::run(Work work, void *context) {
  if (failed_)
    fail("a step after one that failed"); // counters stand anywhere
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
  while (busy_.workers.load(std::memory_order_acquire) > 0)
    patience.wait();
  if (thrown_)
    std::rethrow_exception(thrown_);
}

Workers::Workers(const std::vector<int> &cores, const Schedule &schedule)
    : impl_(std::make_unique<Impl>(cores, schedule)) {}
Workers::~Workers() = default;

void Workers::run(Work work, void *context) { impl_->run(work, context); }

} // namespace mpar
