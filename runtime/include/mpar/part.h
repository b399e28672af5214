// Rows of a batch that are worked through together, and how threads share out a batch.
#pragma once

#include "mpar/device.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace mpar {

struct Batch;
class Model;

/// Some rows of a batch, and the devices as the thread that works on them sees them. What an
/// emitted model derives from it holds the values that its functions hand to one another.
class BatchPart {
public:
  /// All rows of a batch. The kernels of the model's devices are given as many threads as so many
  /// rows are worth. `model` must outlive it.
  BatchPart(Model &model, int64_t rows);

  Device &device(int index) const;

  int64_t rows;                   // of this part
  int64_t first_row = 0;          // where they begin in the batch
  int64_t batch_rows;             // of the whole batch
  Store store = Store::overwrite; // whether sums over the batch begin with this part or go on

  /// Threads that share out this batch's rows; 1: none do, and each kernel uses all.
  int sharing_threads() const { return sharing_threads_; }
  Model &model() const { return *model_; }
  /// The most rows to work on at a time, where a thread is to take `part_rows`.
  int64_t most_rows(int64_t part_rows) const;
  /// Sees the devices as this thread of several that share out rows; -1: as a whole.
  void enter(int thread);
  /// Sees the devices as this thread of several that share out parameters, and adds up the
  /// gradients of these, where they are apart.
  void enter_share(int thread);
  /// Sees the devices as a part of a microbatch, which has memory of its own on each.
  void enter_microbatch(int microbatch, int64_t part) {
    microbatch_ = microbatch;
    part_ = part;
  }
  /// Whether the part is one of a step that is carried out turn by turn.
  bool is_of_turns() const { return microbatch_ >= 0; }
  /// The microbatches of a batch.
  int microbatches() const;
  int64_t parts_a_microbatch() const { return machine_->parts_a_microbatch(); }
  /// Carries out the turns of the model's schedule on its workers.
  void run_turns(Workers::Work work, void *context) const;
  const Schedule &schedule() const;
  /// Adds up the gradients of all threads, in their order.
  void add_gradients();
  /// Whether gradients are still to be added up.
  void set_apart(bool apart) { apart_ = apart; }

private:
  void add_share_of_gradients() const;
  template <typename T>
  friend void sum_over_threads(const BatchPart &whole, int device, int64_t offset, int64_t count);
  Model *model_;
  Machine *machine_;
  int microbatch_ = -1; // none: the devices as a whole
  int64_t part_ = 0;
  int thread_ = -1; // none: the devices as a whole
  int sharing_threads_ = 1;
  bool apart_ = false;
};

/// Where the devices of a part's replica can read its rows of an input of a batch, `row_bytes`
/// each: where they lie, or a copy on a GPU that is there until the next call of the model.
const void *find_input(const BatchPart &part, const Batch &batch, size_t input, int64_t row_bytes);
const void *find_target(const BatchPart &part, const Batch &batch, int64_t row_bytes);

/// The same of rows of `width` elements.
template <typename T>
const T *input_rows(const BatchPart &part, const Batch &batch, size_t input, int64_t width) {
  const int64_t bytes = width * static_cast<int64_t>(sizeof(T));
  return static_cast<const T *>(find_input(part, batch, input, bytes));
}
template <typename T>
const T *target_rows(const BatchPart &part, const Batch &batch, int64_t width) {
  const int64_t bytes = width * static_cast<int64_t>(sizeof(T));
  return static_cast<const T *>(find_target(part, batch, bytes));
}

/// Of `rows` that the devices of a group divide into contiguous pieces, one: the first few are a
/// row longer, and where there are fewer rows than pieces the last are empty.
inline RowRange rows_of_piece(int64_t rows, int piece, int pieces) {
  return rows_of_microbatch(rows, piece, pieces);
}

/// Of `rows` in contiguous shares of nearly equal size, one.
inline RowRange rows_of_share(int64_t rows, int share, int shares) {
  return {rows * share / shares, rows * (share + 1) / shares - rows * share / shares};
}

/// Calls work(context, thread) for each of `threads` threads, at once, and waits for all. What one
/// throws is thrown on, the first thread's first.
void run_on_threads(int threads, void (*work)(void *context, int thread), void *context);

/// Calls body(part) on parts of the batch, at most `part_rows` rows a thread at a time, in order.
/// Threads take runs of rows that follow one another; each keeps to its rows from the first layer
/// to the last gradient, so that what it computes stays in its cache. Sums over the batch are sums
/// over the parts of a run, in order, and then over the runs, in order: of gradients by
/// `add_gradients` or `for_each_share`, of others by `sum_over_threads`.
template <typename Part, typename Body>
void for_each_part(Part &whole, int64_t part_rows, const Body &body) {
  const int threads = whole.sharing_threads();
  const int64_t rows = whole.rows;
  auto run = [&](int thread) {
    Part part = whole;
    if (threads > 1)
      part.enter(thread);
    const int64_t most = part.most_rows(part_rows);
    // Threads share out the whole batch; one takes microbatch by microbatch, as workers sum.
    const int runs = threads > 1 ? 1 : whole.microbatches();
    for (int number = 0; number < runs; ++number) {
      const RowRange range = threads > 1 ? rows_of_share(rows, thread, threads)
                                         : rows_of_microbatch(rows, number, runs);
      const int64_t end = range.first + range.count;
      for (int64_t row = range.first; row < end; row += most) {
        part.rows = std::min(most, end - row);
        part.first_row = whole.first_row + row;
        body(part);
        part.store = Store::add;
      }
    }
  };
  if (threads == 1)
    run(0);
  else
    run_on_threads(
        threads,
        [](void *context, int thread) { (*static_cast<decltype(run) *>(context))(thread); }, &run);
  whole.set_apart(threads > 1);
}

/// Calls body(part) on one microbatch after the other, all of its rows at once: where these depend
/// on one another. Threads share out the work of each kernel.
template <typename Part, typename Body> void for_each_microbatch(Part &whole, const Body &body) {
  Part part = whole;
  for (int number = 0; number < whole.microbatches(); ++number) {
    const RowRange range = rows_of_microbatch(whole.rows, number, whole.microbatches());
    if (range.count == 0)
      continue;
    part.rows = range.count;
    part.first_row = whole.first_row + range.first;
    body(part);
    part.store = Store::add;
  }
}

/// Carries out a step on the model's workers: begin(part) for each part of each microbatch, on the
/// calling thread, then body(part, stage) for each turn, on the thread of the stage's device.
/// `parts` is where they lie; it keeps its memory from step to step.
template <typename Part, typename Begin, typename Body>
void run_turns(Part &whole, std::vector<Part> &parts, const Begin &begin, const Body &body) {
  const Schedule &schedule = whole.schedule();
  const int64_t parts_each = whole.parts_a_microbatch();
  parts.assign(schedule.microbatches * parts_each, whole);
  for (int microbatch = 0; microbatch < schedule.microbatches; ++microbatch) {
    const RowRange range = rows_of_microbatch(whole.rows, microbatch, schedule.microbatches);
    const int64_t most = schedule.part_rows > 0 ? schedule.part_rows : range.count;
    for (int64_t number = 0; number < parts_each; ++number) {
      Part &part = parts[microbatch * parts_each + number];
      part.enter_microbatch(microbatch, number);
      part.rows = std::max<int64_t>(0, std::min(most, range.count - number * most));
      part.first_row = range.first + number * most;
      part.store = microbatch + number == 0 ? Store::overwrite : Store::add;
      if (part.rows > 0)
        begin(part);
    }
  }
  auto work = [&](int stage, int microbatch) {
    if (schedule.stages[stage].when != StageDescription::When::during)
      return body(whole, stage);
    for (int64_t number = 0; number < parts_each; ++number)
      if (Part &part = parts[microbatch * parts_each + number]; part.rows > 0)
        body(part, stage);
  };
  whole.run_turns(
      [](void *context, int stage, int microbatch) {
        (*static_cast<decltype(work) *>(context))(stage, microbatch);
      },
      &work);
}

/// Calls body(part), which updates parameters, on each thread that shares out the batch: there an
/// optimiser's step updates the thread's share of a device's parameters. What gradients are still
/// apart is added up first.
template <typename Part, typename Body> void for_each_share(Part &whole, const Body &body) {
  const int threads = whole.sharing_threads();
  if (threads == 1)
    return body(whole);
  auto run = [&](int thread) {
    Part part = whole;
    part.enter_share(thread);
    body(part);
  };
  run_on_threads(
      threads, [](void *context, int thread) { (*static_cast<decltype(run) *>(context))(thread); },
      &run);
  whole.set_apart(false);
}

/// Adds to a sum over the batch, which lies `offset` bytes into the region of constant size of
/// `device`, what threads other than the first have of it, in their order.
template <typename T>
void sum_over_threads(const BatchPart &whole, int device, int64_t offset, int64_t count) {
  Machine &machine = *whole.machine_;
  T *sum = machine.device(device).fixed<T>(offset);
  for (int thread = 1; thread < whole.sharing_threads(); ++thread) {
    const T *more = machine.share(thread, device).template fixed<T>(offset);
    for (int64_t i = 0; i < count; ++i)
      sum[i] += more[i];
  }
}

} // namespace mpar
