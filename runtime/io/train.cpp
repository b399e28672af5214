#include "mpar/train.h"

#include "mpar/errors.h"
#include "mpar/safetensors.h"
#include "mpar/world.h"

#include <algorithm>
#include <cmath>

namespace mpar {

namespace {

// Fails where all ranks do alike: one says so.
[[noreturn]] void fail_alike(const Model &model, const std::string &message) {
  if (model.world() && model.world()->rank() > 0)
    throw Stopped();
  fail(message);
}

// A loss that is no number would be trained on, and saved, without anyone seeing it.
void check_loss(const Model &model, float loss, const std::string &where) {
  if (!std::isfinite(loss))
    fail_alike(model, where + ": the loss is " + (std::isnan(loss) ? "nan" : "infinite"));
}

bool are_finite(const std::vector<TensorPiece> &pieces) {
  return std::all_of(pieces.begin(), pieces.end(), [](const TensorPiece &piece) {
    bool finite = true;
    visit_piece(piece, [&](const void *data, int64_t bytes) {
      const auto *values = static_cast<const float *>(data);
      finite &= std::all_of(values, values + bytes / int64_t(sizeof(float)),
                            [](float value) { return std::isfinite(value); });
    });
    return finite;
  });
}

// The last step before a file is written may have broken what the next loss would show.
void check_own_parameters(Model &model, int64_t epoch) {
  const std::vector<ParameterDescription> &parameters = model.description().parameters;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].type != ElementType::f32)
      continue;
    if (!are_finite(model.parameter_pieces(i)))
      fail("epoch " + std::to_string(epoch) + ", step " + std::to_string(model.step()) +
           " of the run: " + parameters[i].name + " has values that are nan or infinite");
  }
}

void check_parameters(Model &model, int64_t epoch) {
  if (!model.world())
    return check_own_parameters(model, epoch);
  model.world()->set_activity("to look at the parameters");
  model.world()->together([&] { check_own_parameters(model, epoch); });
}

// Half a scale of 1, and the gradients are still not finite: it is not for the scale.
void check_scale(Model &model, const std::string &where) {
  if (model.loss_scaling().scale >= 1)
    return;
  const ModelDescription &description = model.description();
  std::string name = "a gradient";
  for (size_t i = 0; i < description.parameters.size(); ++i) {
    const ParameterDescription &parameter = description.parameters[i];
    if (parameter.offset < description.devices[parameter.device].trained_floats &&
        !are_finite(model.gradient_pieces(i))) {
      name = "the gradient of " + parameter.name;
      break;
    }
  }
  fail_alike(model, where + ": " + name + " is nan or infinite, whatever the loss is scaled by");
}

void evaluate(Model &model, DataLoader &loader, int64_t rows, int64_t epoch, EpochResult &result) {
  const ModelDescription &description = model.description();
  double sum = 0;
  int64_t correct = 0;
  loader.start(model.generator());
  for (int64_t index = 0; index < loader.batches(); ++index) {
    Batch batch = loader.batch(index);
    const void *output = nullptr;
    float loss = model.evaluate(batch, output);
    check_loss(model, loss,
               "epoch " + std::to_string(epoch) + ", test batch " + std::to_string(index + 1));
    sum += static_cast<double>(loss);
    if (description.classes > 0)
      correct += model.count_correct(batch, output);
  }
  result.test_loss = sum / static_cast<double>(loader.batches());
  if (description.classes > 0)
    result.test_accuracy = static_cast<double>(correct) /
                           static_cast<double>(rows * element_count(description.target.shape));
}

} // namespace

void train(Model &model, const Dataset &train, const std::optional<Dataset> &test,
           const TrainingSettings &settings, const TrainingHooks &hooks, TrainingState &state) {
  DataLoader loader(train, settings.batch, settings.shuffle);
  std::optional<DataLoader> test_loader;
  if (test)
    test_loader.emplace(*test, settings.batch, false, model.description().classes > 0);
  auto checkpoint = [&] {
    if (hooks.checkpoint.empty())
      return;
    check_parameters(model, state.epoch + (state.batch > 0));
    write_checkpoint(hooks.checkpoint, model, settings, state);
  };

  int64_t last = train.rows() - (loader.batches() - 1) * settings.batch;
  int64_t least = model.description().least_rows;
  if (last < least && state.epoch < settings.epochs)
    fail("the last batch of an epoch would have " + std::to_string(last) +
         (last == 1 ? " row; " : " rows; ") + model.description().name + " trains on at least " +
         std::to_string(least) + ", as it takes a variance over them; choose another --batch");
  if (state.epoch < settings.epochs) {
    model.check_parts(std::min(settings.batch, train.rows()));
    model.check_parts(last);
  }
  state.train_rows = train.rows();
  // What is left, not what there is altogether: a resumed run may have had other batches.
  model.run_steps() =
      model.step() + (settings.epochs - state.epoch) * loader.batches() - state.batch;
  while (state.epoch < settings.epochs) {
    int64_t epoch = state.epoch + 1;
    if (state.batch == 0) {
      loader.start(model.generator());
      state.sampler_seed = loader.sampler_seed();
      state.loss_sum = 0;
      state.skipped = 0;
    } else {
      loader.restart(state.sampler_seed);
    }
    std::optional<Batch> next;
    while (state.batch < loader.batches()) {
      const int64_t skipped = model.loss_scaling().skipped_steps;
      const Batch batch = next ? *next : loader.batch(state.batch);
      next.reset();
      // Rows that GPUs are sent are found and sent while they are at the step before.
      if (state.batch + 1 < loader.batches())
        model.do_meanwhile([&] {
          next = loader.batch(state.batch + 1);
          model.bring_ahead(*next);
        });
      if (hooks.before_step)
        hooks.before_step(batch.rows);
      float loss = model.train_step(batch);
      ++state.batch;
      state.skipped += model.loss_scaling().skipped_steps - skipped;
      const std::string where =
          "epoch " + std::to_string(epoch) + ", step " + std::to_string(state.batch);
      check_loss(model, loss, where);
      check_scale(model, where);
      state.loss_sum += static_cast<double>(loss);
      if (hooks.on_step)
        hooks.on_step(epoch, state.batch, loader.batches(), loss);
      if (hooks.checkpoint_every > 0 && model.step() % hooks.checkpoint_every == 0)
        checkpoint();
    }
    EpochResult result;
    result.train_loss = state.loss_sum / static_cast<double>(loader.batches());
    result.lr = model.optimizer().lr;
    if (model.description().scales_loss)
      result.skipped_steps = static_cast<double>(state.skipped);
    if (test)
      evaluate(model, *test_loader, test->rows(), epoch, result);
    state.history.push_back(result);
    state.epoch = epoch;
    state.batch = 0;
    if (epoch == settings.epochs)
      check_parameters(model, epoch);
    // The line first: a run killed in between says it twice, never not at all.
    if (hooks.on_epoch)
      hooks.on_epoch(epoch, result);
    if (hooks.checkpoint_every == 0)
      checkpoint();
  }
  if (hooks.checkpoint_every > 0)
    checkpoint();
}

std::string epoch_line(int64_t epoch, const EpochResult &result) {
  std::string line =
      "Epoch : " + std::to_string(epoch) + " | train_Loss: " + shortest(result.train_loss);
  if (!std::isnan(result.test_loss))
    line += " | test_Loss: " + shortest(result.test_loss);
  if (!std::isnan(result.test_accuracy))
    line += " | test_Accuracy: " + shortest(result.test_accuracy);
  if (result.skipped_steps > 0)
    line += " | skipped_Steps: " + shortest(result.skipped_steps);
  return line;
}

int64_t count_correct(const ModelDescription &model, int64_t rows, const float *output,
                      const int32_t *target) {
  int64_t positions = rows * element_count(model.target.shape);
  int64_t correct = 0;
  for (int64_t position = 0; position < positions; ++position) {
    const float *values = output + position * model.classes;
    int64_t best = 0;
    for (int64_t c = 1; c < model.classes; ++c)
      if (values[c] > values[best] || (std::isnan(values[c]) && !std::isnan(values[best])))
        best = c;
    correct += best == target[position];
  }
  return correct;
}

} // namespace mpar
