// When each device works on what: a training step as its schedule and a model of costs predict it.
#pragma once

#include "emit/Text.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mparc {

/// What a turn costs a worker. Rates are those of one core of a server of today: they decide how
/// stages compare, not how long a step takes on another machine.
struct CostModel {
  double multiplications = 80'000; // of matrix products, a microsecond
  double bytes = 20'000;           // read and written, a microsecond
  double turn = 0.3;               // microseconds: its dispatch, and what its waits take
};

/// A step of a model on its batch, a worker a device. Times are microseconds.
struct Timetable {
  enum class Kind { forward, backward, weights, transfer, update };
  struct Turn {
    std::string name;  // the emitted function's
    std::string place; // of its first layer; may be empty
    Kind kind;
    int64_t device;
    int64_t microbatch; // -1: it is carried out once
    double begin, end;
    int64_t movedBytes; // of a transfer or a collective
  };
  int64_t rows = 0, microbatches = 1;
  std::vector<Turn> turns; // in the order of issue
  double time = 0;
  double bubble = 0;        // of the time of all devices together, the part without a turn
  std::vector<double> idle; // the same of each device
  int64_t movedBytes = 0;

  /// Other entries of the train block, and what is predicted of them.
  struct Advice {
    int64_t microbatches;
    std::string schedule;
    double time, bubble;
  };
  std::optional<Advice> advice; // where they would shorten the step
  /// Whether rows depend on one another within each part of the batch, so that other microbatches
  /// would compute something else.
  bool ofEachPart = false;
};

/// Predicts a step on `rows` rows of a model that has been prepared for emission and has a train
/// block. Each device carries out its turns in the order of issue, each as soon as what it waits
/// for has finished.
Timetable predict(const emit::ModelIndex &index, int64_t rows, const CostModel &costs = {});

/// The lines of a report about it.
std::string describe(const Timetable &timetable, const CostModel &costs = {});
/// As JSON for Perfetto or Chrome: what a run's --trace writes, predicted.
std::string traceOf(const Timetable &timetable, llvm::StringRef model);
/// As a drawing, SVG: a row a device, a box a turn.
std::string drawingOf(const Timetable &timetable, llvm::StringRef model);

} // namespace mparc
