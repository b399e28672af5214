// A training step as stages and turns, and the threads that work them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mpar {

/// Some of a step's work on one device, or a transfer to it.
struct StageDescription {
  enum class When { before, during, after }; // the microbatches, or for each of them
  int device;
  When when;
};

/// A stage's work on one microbatch (0 for what is done once), and what it waits for: on each of
/// some devices so many turns, of those in its own order, to have finished.
struct Turn {
  struct Wait {
    int device;
    int64_t turns;
  };
  int stage;
  int microbatch;
  std::vector<Wait> waits;
};

/// How a step goes where devices are worked by threads of their own: the compiler has proved that
/// it can be carried out, and that nothing in it races.
struct Schedule {
  int microbatches = 1;
  int64_t part_rows = 0; // a microbatch is worked through so many rows at a time; 0: all at once
  std::vector<StageDescription> stages;
  std::vector<Turn> turns; // in one order of all devices
};

/// A turn as an emitted program lists it, with one of the things it waits for; a turn that waits
/// for several is listed as often.
struct TurnEntry {
  int stage;
  int microbatch;
  int device = -1; // none
  int64_t turns = 0;
};

/// The turns of a list of entries.
std::vector<Turn> make_turns(const TurnEntry *begin, const TurnEntry *end);

/// The rows of a microbatch: `rows` are divided into contiguous parts, the first few a row longer.
struct RowRange {
  int64_t first;
  int64_t count;
};
RowRange rows_of_microbatch(int64_t rows, int microbatch, int microbatches);

/// The most rows of a microbatch of a batch of at most `rows`.
inline int64_t largest_microbatch(int64_t rows, int microbatches) {
  return (rows + microbatches - 1) / microbatches;
}

/// Threads, each pinned to a core of its own, that carry out the turns of their devices in order.
/// The thread that calls `run` is one of them.
class Workers {
public:
  /// `cores`: of each logical device, the core that works it; devices of one core share a thread.
  /// Fails where the machine has no such core for this process. `schedule` must outlive the
  /// workers.
  Workers(const std::vector<int> &cores, const Schedule &schedule);
  Workers(const Workers &) = delete;
  Workers &operator=(const Workers &) = delete;
  ~Workers();

  using Work = void (*)(void *context, int stage, int microbatch);
  /// Carries out one step: calls work(context, stage, microbatch) for every turn, on the thread of
  /// its device. What one throws ends the step on all threads and is thrown on.
  void run(Work work, void *context);

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace mpar
