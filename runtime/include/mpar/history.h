// What a run's epochs came to, as files: a table and a plot.
#pragma once

#include "mpar/checkpoint.h"

#include <string>
#include <vector>

namespace mpar {

/// Writes `epoch,train_loss,test_loss,test_accuracy,skipped_steps`, a line an epoch, without the
/// columns nothing was computed for.
void write_history(const std::string &path, const std::vector<EpochResult> &history);

/// Writes a plot of the losses by epoch as SVG. `title` stands above it.
void write_plot(const std::string &path, const std::string &title,
                const std::vector<EpochResult> &history);

} // namespace mpar
