// What a run's epochs came to, as files: a table and a plot.
#pragma once

#include "mpar/checkpoint.h"

#include <string>
#include <vector>

namespace mpar {

/// Writes `epoch,train_loss,test_loss,test_accuracy,lr,skipped_steps`, a line an epoch, without the
/// columns nothing was computed for. `lr` is the learning rate of the epoch's last step.
void write_history(const std::string &path, const std::vector<EpochResult> &history);

/// Writes a plot of the losses by epoch as SVG. `title` stands above it.
void write_plot(const std::string &path, const std::string &title,
                const std::vector<EpochResult> &history);

} // namespace mpar
