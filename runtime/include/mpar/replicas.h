// Copies of a model that share out each batch and add up what they have summed over its rows.
#pragma once

#include "mpar/model.h"
#include "mpar/part.h"

#include <cstdint>
#include <vector>

namespace mpar {

/// The rows of a batch that a replica takes: contiguous parts, the first few a row longer.
inline RowRange rows_of_replica(int64_t rows, int replica, int replicas) {
  return rows_of_microbatch(rows, replica, replicas);
}

/// Adds up what all replicas with rows have in a range of their gradients, in ascending order; each
/// keeps of the sum the share of the device's parameters that it updates, in place. `part`: of the
/// replica whose device it is, without a microbatch. Other replicas must have what they add ready,
/// and leave it there until theirs have been here.
void reduce_scatter_gradients(const BatchPart &part, Device &device, int64_t first, int64_t count);
/// Fetches from the others their shares of such a range: then all replicas have the whole sum.
void all_gather_gradients(const BatchPart &part, Device &device, int64_t first, int64_t count);
/// Fetches from the others the parameters that they have updated.
void all_gather_parameters(const BatchPart &part, Device &device, int64_t first, int64_t count);

/// The same of other sums over the batch, which lie at `values` in the region of constant size; the
/// shares are of the range itself.
void reduce_scatter(const BatchPart &part, Device &device, float *values, int64_t count);
void reduce_scatter(const BatchPart &part, Device &device, int32_t *values, int64_t count);
void all_gather(const BatchPart &part, Device &device, float *values, int64_t count);
void all_gather(const BatchPart &part, Device &device, int32_t *values, int64_t count);

/// One training step of all replicas of an emitted model.
template <typename Derived, typename Part> class ReplicaStep {
public:
  using Stage = void (Derived::*)(Part &);

  ReplicaStep(Derived &lead, int64_t rows) : rows_(rows) {
    lead.begin_step_of_replicas();
    for (int number = 0; number < lead.replicas(); ++number)
      replicas_.push_back(static_cast<Derived *>(&lead.replica(number)));
  }

  /// Calls body(replica, part) for one replica after the other, `part` all the rows it has; not for
  /// those without rows.
  template <typename Body> void for_each_with_rows(const Body &body) {
    for (int number = 0; number < count(); ++number) {
      const RowRange range = rows_of_replica(rows_, number, count());
      if (range.count == 0)
        continue;
      Part part(*replicas_[number], range.count);
      part.first_row = range.first;
      part.batch_rows = rows_;
      body(*replicas_[number], part);
    }
  }
  /// A stage that stands before or after the rows, on one replica after the other.
  void run(Stage stage) {
    for (Derived *replica : replicas_) {
      Part whole(*replica, rows_);
      (replica->*stage)(whole);
    }
  }
  /// A stage that updates parameters, which threads share out.
  void run_shared(Stage stage) {
    for (Derived *replica : replicas_) {
      Part whole(*replica, rows_);
      for_each_share(whole, [&](Part &part) { (replica->*stage)(part); });
    }
  }
  /// Carries out a step on workers, as run_turns does for one replica; `stages` by number.
  template <typename Begin>
  void run_turns(std::vector<Part> &parts, const Begin &begin, const Stage *stages);

private:
  int count() const { return static_cast<int>(replicas_.size()); }

  std::vector<Derived *> replicas_;
  int64_t rows_;
};

template <typename Derived, typename Part>
template <typename Begin>
void ReplicaStep<Derived, Part>::run_turns(std::vector<Part> &parts, const Begin &begin,
                                           const Stage *stages) {
  std::vector<Part> wholes;
  for (Derived *replica : replicas_)
    wholes.emplace_back(*replica, rows_);
  const Schedule &schedule = wholes.front().schedule(); // of one replica
  const int64_t parts_each = wholes.front().parts_a_microbatch();
  const int64_t parts_of_replica = schedule.microbatches * parts_each;
  const int stages_each = static_cast<int>(schedule.stages.size());
  parts.assign(0, wholes.front());
  for (int number = 0; number < count(); ++number) {
    const RowRange own = rows_of_replica(rows_, number, count());
    for (int microbatch = 0; microbatch < schedule.microbatches; ++microbatch) {
      const RowRange range = rows_of_microbatch(own.count, microbatch, schedule.microbatches);
      const int64_t most = schedule.part_rows > 0 ? schedule.part_rows : range.count;
      for (int64_t each = 0; each < parts_each; ++each) {
        Part &part = parts.emplace_back(wholes[number]);
        part.enter_microbatch(microbatch, each);
        part.rows = std::max<int64_t>(0, std::min(most, range.count - each * most));
        part.first_row = own.first + range.first + each * most;
        part.store = microbatch + each == 0 ? Store::overwrite : Store::add;
        if (part.rows > 0)
          begin(part);
      }
    }
  }
  auto work = [&](int turn, int microbatch) {
    const int number = turn / stages_each, stage = turn % stages_each;
    Derived &replica = *replicas_[number];
    if (schedule.stages[stage].when != StageDescription::When::during)
      return (replica.*stages[stage])(wholes[number]);
    for (int64_t each = 0; each < parts_each; ++each)
      if (Part &part = parts[number * parts_of_replica + microbatch * parts_each + each];
          part.rows > 0)
        (replica.*stages[stage])(part);
  };
  wholes.front().run_turns(
      [](void *context, int stage, int microbatch) {
        (*static_cast<decltype(work) *>(context))(stage, microbatch);
      },
      &work);
}

} // namespace mpar
