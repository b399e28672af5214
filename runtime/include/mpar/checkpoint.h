// Everything a training run needs to go on exactly where it stood, in one file that says nothing of
// placement.
#pragma once

#include "mpar/model.h"
#include "mpar/safetensors.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace mpar {

/// What an epoch came to; a value that was not computed is NaN.
struct EpochResult {
  double train_loss = std::numeric_limits<double>::quiet_NaN();
  double test_loss = std::numeric_limits<double>::quiet_NaN();
  double test_accuracy = std::numeric_limits<double>::quiet_NaN();
  double lr = std::numeric_limits<double>::quiet_NaN();            // of the epoch's last step
  double skipped_steps = std::numeric_limits<double>::quiet_NaN(); // where the loss is scaled
};

/// How a run trains: what must be the same for it to go on exactly.
struct TrainingSettings {
  int64_t epochs = 10;
  int64_t batch = 32;
  bool shuffle = true;
  uint64_t seed = 0;
  OptimizerSettings optimizer;
  LearningRateSchedule schedule;
};

/// Where a run stands, apart from what the model itself holds (parameters, optimiser, step,
/// generator, scale of the loss).
struct TrainingState {
  int64_t epoch = 0; // completed ones
  int64_t batch = 0; // batches trained on in the epoch begun; 0: none is begun
  int64_t sampler_seed = 0;
  double loss_sum = 0; // of those batches
  int64_t skipped = 0; // of those batches, where the loss is scaled
  int64_t train_rows = 0;
  std::vector<EpochResult> history; // as many as completed epochs
};

/// Writes a checkpoint: safetensors with each parameter under its name, the optimiser's state under
/// `<parameter>/exp_avg` and the like, by torch's names, the generator under `generator/words`, the
/// history under `history/losses`, the rest as text in the metadata, keys beginning with `mparc.`.
void write_checkpoint(const std::string &path, const Model &model, const TrainingSettings &settings,
                      const TrainingState &state);

/// A checkpoint being resumed: first what it says, then, once there is a model, its tensors.
class Checkpoint {
public:
  /// Reads and checks the description. Fails where `path` is no checkpoint, or one of another model
  /// or optimiser.
  Checkpoint(const std::string &path, const ModelDescription &description);

  const TrainingSettings &settings() const { return settings_; }
  const TrainingState &state() const { return state_; }
  /// Fills parameters, optimiser, step, scale of the loss and generator of `model`. Fails, changing
  /// nothing, where a tensor is missing, misshapen, or there are others.
  void restore(Model &model) const;

private:
  SafetensorsReader reader_;
  TrainingSettings settings_;
  TrainingState state_;
  int64_t step_ = 0;
  Generator::State generator_;
  LossScaling loss_scaling_;
};

/// The names of the optimiser's states, as PyTorch has them: as many as `optimizer_slots` says.
std::vector<std::string> optimizer_state_names(const OptimizerSettings &settings);
/// "adam", for messages and checkpoints.
std::string optimizer_name(OptimizerSettings::Kind kind);

} // namespace mpar
