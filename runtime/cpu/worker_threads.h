// The threads of Workers, and what they know of one another.
#pragma once

#include "mpar/world.h"
#include "runner.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace mpar {

/// How many turns a device has finished, since the workers began.
struct alignas(64) Counter {
  std::atomic<int64_t> turns{0};
};

class Workers::Threads final : public Runner {
public:
  Threads(const std::vector<int> &cores, const Schedule &schedule, bool apart, World *world,
          const std::vector<int> &ranks);
  ~Threads() override { end(); }
  void run(Work work, void *context, int64_t rows) override;
  void run_on_devices(const std::vector<int> &devices, void (*work)(void *context, size_t item),
                      void *context) override;

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

  /// What the threads do for several devices at once that is no step.
  struct Round {
    std::vector<std::vector<size_t>> items; // by worker
    void (*work)(void *context, size_t item);
    void *context;
  };

  void end();
  /// Has all workers begin, works itself as the first, and returns when all are done.
  void run_round(const char *what);
  void serve(size_t worker);
  void work_as(size_t worker);
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
  int64_t rounds_ = 0; // of the calling thread
  int64_t steps_ = 0;  // of these; changes between rounds only

  Work work_ = nullptr;
  void *context_ = nullptr;
  const Round *round_ = nullptr;    // null: a step
  std::atomic<int64_t> started_{0}; // rounds
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

} // namespace mpar
