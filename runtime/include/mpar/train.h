// The training loop: PyTorch's order of draws, steps and means.
#pragma once

#include "mpar/checkpoint.h"
#include "mpar/data_loader.h"
#include "mpar/model.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace mpar {

/// What a run does besides training; every member may be left empty.
struct TrainingHooks {
  /// Before each step, with its rows.
  std::function<void(int64_t rows)> before_step;
  /// After each step, with the number of the batch in its epoch, counted from 1, and its loss.
  std::function<void(int64_t epoch, int64_t batch, int64_t batches, float loss)> on_step;
  /// After each epoch, counted from 1.
  std::function<void(int64_t epoch, const EpochResult &result)> on_epoch;
  std::string checkpoint;       // written after each epoch, or
  int64_t checkpoint_every = 0; // above 0: every so many steps, and at the end
};

/// Trains `model` from `state` on, which it keeps up to date, until `settings.epochs` are
/// completed. An epoch is every batch of `train` once, then every batch of `test` in evaluation
/// mode; its losses are the unweighted means, in double, of the batches' f32 losses, as in a loop
/// over `loss.item()`. Fails, saying where, at a loss that is not finite, and at gradients that are
/// not however little the loss is scaled.
void train(Model &model, const Dataset &train, const std::optional<Dataset> &test,
           const TrainingSettings &settings, const TrainingHooks &hooks, TrainingState &state);

/// The line an epoch prints: "Epoch : 1 | train_Loss: 0.2034 | test_Loss: 0.1816"; where steps were
/// skipped " | skipped_Steps: 2" follows.
std::string epoch_line(int64_t epoch, const EpochResult &result);

/// Positions of `output` [rows, …, classes] whose largest value, the first of equals, stands at the
/// target's class.
int64_t count_correct(const ModelDescription &model, int64_t rows, const float *output,
                      const int32_t *target);

} // namespace mpar
