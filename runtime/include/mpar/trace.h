// A record of when each turn of a run was carried out, and what it says of how busy devices were.
#pragma once

#include "mpar/model.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace mpar {

/// How busy a step keeps the workers: of several steps the medians.
struct TraceSummary {
  int64_t steps = 0;        // that were recorded
  double step_seconds = 0;  // from the first turn's begin to the last one's end
  double bubble = 0;        // of that time of all workers together, the part without a turn
  std::vector<double> idle; // the same of each device
  int64_t moved_bytes = 0;  // by transfers and collectives; what shares a worker moves nothing
};

/// Records a run's steps and, where devices have workers, their turns. Steps are recorded until a
/// device has `most_turns` of them, or there are so many steps; later ones are not.
class Trace final : public TurnObserver {
public:
  static constexpr size_t most_turns = 200'000;

  /// `model`, which must outlive the trace, has its workers tell of their turns from now on.
  explicit Trace(Model &model);
  Trace(const Trace &) = delete;
  Trace &operator=(const Trace &) = delete;
  ~Trace() override;

  void begin_step(int64_t rows) override;
  void begin(size_t turn) override;
  void end(size_t turn) override;
  /// Where devices have no workers, a step is begun and ended by whoever trains.
  void begin_whole_step(int64_t rows);
  void end_whole_step();

  /// Of a run of several processes, which all call it: gives the first what the others have
  /// recorded, by its own clock. Only there is there something to be written then.
  void gather_ranks();
  TraceSummary summarize() const;
  /// Writes what has been recorded to a temporary file that is then renamed, in the JSON format
  /// that Perfetto and Chrome's about:tracing read: times in microseconds, a row a device.
  void write(const std::string &path) const;

private:
  using Clock = std::chrono::steady_clock;
  struct Event {
    uint32_t step;
    uint32_t turn;
    Clock::time_point begin, end;
  };
  struct Step {
    int64_t rows;
    Clock::time_point begin, end;
  };
  int64_t moved_bytes(const Turn &turn, int64_t rows) const;
  std::string pack() const;
  void unpack(const std::string &packed, Clock::duration ahead);
  /// Forgets all but the first so many steps.
  void keep_steps(size_t count);
  bool has_workers() const { return model_->workers() != nullptr; }

  Model *model_;
  Clock::time_point began_ = Clock::now();
  bool recording_ = true;
  std::vector<Step> steps_;
  std::vector<std::vector<Event>> events_; // by device, each written by the device's thread
};

/// "Trace : step 105.2 us, bubble 12.3 %, idle 10.1 % 14.5 %, moved 2112 B".
std::string summary_line(const TraceSummary &summary);

} // namespace mpar
