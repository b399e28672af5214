// A progress bar on a terminal.
#pragma once

#include <chrono>
#include <cstdint>

namespace mpar {

/// One line of a terminal that says how far an epoch is. Draws at most ten times a second, and
/// nothing where standard output is no terminal.
class Progress {
public:
  explicit Progress(bool wanted);
  ~Progress() { clear(); }

  void update(int64_t epoch, int64_t epochs, int64_t batch, int64_t batches, float loss);
  /// Erases the line, before others are printed.
  void clear();

private:
  bool enabled_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
  std::chrono::steady_clock::time_point epoch_start_{};
  int64_t epoch_ = -1;
  int64_t first_batch_ = 0;
};

} // namespace mpar
