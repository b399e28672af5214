#include "mpar/checkpoint.h"

#include "mpar/csv.h"
#include "mpar/errors.h"
#include "mpar/world.h"

#include <fast_float/fast_float.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>

namespace mpar {

namespace {

using Kind = OptimizerSettings::Kind;

constexpr char format_key[] = "mparc.checkpoint";
constexpr char format_version[] = "2";
constexpr char words_name[] = "generator/words";
constexpr char history_name[] = "history/losses";

// Training loss, test loss, accuracy, learning rate; where the loss is scaled, skipped steps.
int64_t history_columns(const ModelDescription &model) { return model.scales_loss ? 5 : 4; }

bool is_trained(const ModelDescription &model, const ParameterDescription &parameter) {
  return parameter.offset < model.devices[parameter.device].trained_floats;
}

// Takes the texts of the metadata apart; every one of them must be there and be what it should.
class MetadataReader {
public:
  explicit MetadataReader(const SafetensorsReader &reader) : reader_(reader) {}

  std::string text(const std::string &key) const {
    auto found = reader_.metadata().find("mparc." + key);
    if (found == reader_.metadata().end())
      fail(reader_.path() + ": not a whole checkpoint: it does not say the " + key);
    return found->second;
  }

  template <typename Integer> Integer integer(const std::string &key, Integer least) const {
    std::string value = text(key);
    Integer number{};
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < least)
      broken(key, value);
    return number;
  }

  double number(const std::string &key) const {
    std::string value = text(key);
    double number = 0;
    auto [end, error] = fast_float::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(number))
      broken(key, value);
    return number;
  }

  bool truth(const std::string &key) const {
    std::string value = text(key);
    if (value != "true" && value != "false")
      broken(key, value);
    return value == "true";
  }

  LearningRateSchedule::Kind schedule(const std::string &key) const {
    using Schedule = LearningRateSchedule::Kind;
    std::string value = text(key);
    for (Schedule kind : {Schedule::constant, Schedule::cosine, Schedule::linear, Schedule::step})
      if (value == schedule_name(kind))
        return kind;
    broken(key, value);
  }

private:
  [[noreturn]] void broken(const std::string &key, const std::string &value) const {
    fail(reader_.path() + ": not a checkpoint: its " + key + " is \"" + printable(value) + '"');
  }

  const SafetensorsReader &reader_;
};

} // namespace

std::vector<std::string> optimizer_state_names(const OptimizerSettings &settings) {
  if ((settings.kind == Kind::adam || settings.kind == Kind::adamw) && settings.amsgrad)
    return {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
  if (settings.kind == Kind::adam || settings.kind == Kind::adamw)
    return {"exp_avg", "exp_avg_sq"};
  if (settings.kind == Kind::adagrad)
    return {"sum"};
  std::vector<std::string> names;
  if (settings.kind == Kind::rmsprop)
    names.push_back("square_avg");
  if ((settings.kind == Kind::rmsprop && settings.momentum > 0) ||
      (settings.kind == Kind::sgd && settings.momentum != 0))
    names.push_back("momentum_buffer");
  if (settings.kind == Kind::rmsprop && settings.centered)
    names.push_back("grad_avg");
  return names;
}

std::string optimizer_name(Kind kind) {
  switch (kind) {
  case Kind::none:
    return "none";
  case Kind::sgd:
    return "sgd";
  case Kind::adam:
    return "adam";
  case Kind::adamw:
    return "adamw";
  case Kind::adagrad:
    return "adagrad";
  case Kind::rmsprop:
    return "rmsprop";
  }
  return "";
}

namespace {

// The hyper-parameters and the schedule by name: what a checkpoint keeps of them.
struct Numbers {
  std::vector<std::pair<std::string, double *>> reals;
  std::vector<std::pair<std::string, int64_t *>> integers;
  std::vector<std::pair<std::string, bool *>> truths;
};

Numbers numbers_of(OptimizerSettings &optimizer, LearningRateSchedule &schedule) {
  Numbers numbers;
  numbers.reals = {{"lr", &optimizer.lr},
                   {"momentum", &optimizer.momentum},
                   {"dampening", &optimizer.dampening},
                   {"beta1", &optimizer.beta1},
                   {"beta2", &optimizer.beta2},
                   {"lr_decay", &optimizer.lr_decay},
                   {"alpha", &optimizer.alpha},
                   {"eps", &optimizer.eps},
                   {"weight_decay", &optimizer.weight_decay},
                   {"initial_accumulator_value", &optimizer.initial_accumulator_value},
                   {"clip_norm", &optimizer.clip_norm},
                   {"schedule_min", &schedule.min},
                   {"schedule_start_factor", &schedule.start_factor},
                   {"schedule_end_factor", &schedule.end_factor},
                   {"schedule_gamma", &schedule.gamma}};
  numbers.integers = {{"schedule_warmup", &schedule.warmup},
                      {"schedule_steps", &schedule.steps},
                      {"schedule_every", &schedule.every}};
  numbers.truths = {{"nesterov", &optimizer.nesterov},
                    {"amsgrad", &optimizer.amsgrad},
                    {"centered", &optimizer.centered}};
  return numbers;
}

void read_numbers(const MetadataReader &metadata, OptimizerSettings &optimizer,
                  LearningRateSchedule &schedule) {
  const Numbers numbers = numbers_of(optimizer, schedule);
  for (const auto &[name, value] : numbers.reals)
    *value = metadata.number(name);
  for (const auto &[name, value] : numbers.integers)
    *value = metadata.integer<int64_t>(name, name == "schedule_every" ? 1 : 0);
  for (const auto &[name, value] : numbers.truths)
    *value = metadata.truth(name);
  schedule.kind = metadata.schedule("schedule");
}

} // namespace

void write_checkpoint(const std::string &path, const Model &model, const TrainingSettings &settings,
                      const TrainingState &state) {
  const ModelDescription &description = model.description();
  OptimizerSettings optimizer = settings.optimizer;
  LearningRateSchedule schedule = settings.schedule;
  const Generator::State &generator = model.generator().state();
  SafetensorsContent content;
  content.metadata = {
      {format_key, format_version},
      {"mparc.model", description.name},
      {"mparc.optimizer", optimizer_name(optimizer.kind)},
      {"mparc.schedule", schedule_name(schedule.kind)},
      {"mparc.epochs", std::to_string(settings.epochs)},
      {"mparc.batch", std::to_string(settings.batch)},
      {"mparc.shuffle", settings.shuffle ? "true" : "false"},
      {"mparc.seed", std::to_string(settings.seed)},
      {"mparc.step", std::to_string(model.step())},
      {"mparc.epoch", std::to_string(state.epoch)},
      {"mparc.epoch_batch", std::to_string(state.batch)},
      {"mparc.sampler_seed", std::to_string(state.sampler_seed)},
      {"mparc.loss_sum", shortest(state.loss_sum)},
      {"mparc.train_rows", std::to_string(state.train_rows)},
      {"mparc.generator_next", std::to_string(generator.next)},
      {"mparc.generator_kept",
       generator.kept_normal ? shortest(*generator.kept_normal) : std::string("none")},
  };
  const Numbers numbers = numbers_of(optimizer, schedule);
  for (const auto &[name, value] : numbers.reals)
    content.metadata.emplace_back("mparc." + name, shortest(*value));
  for (const auto &[name, value] : numbers.integers)
    content.metadata.emplace_back("mparc." + name, std::to_string(*value));
  for (const auto &[name, value] : numbers.truths)
    content.metadata.emplace_back("mparc." + name, *value ? "true" : "false");

  if (description.scales_loss) {
    const LossScaling &scaling = model.loss_scaling();
    content.metadata.emplace_back("mparc.loss_scale", shortest(scaling.scale));
    content.metadata.emplace_back("mparc.loss_scale_steps", std::to_string(scaling.good_steps));
    content.metadata.emplace_back("mparc.skipped_steps", std::to_string(scaling.skipped_steps));
    content.metadata.emplace_back("mparc.epoch_skipped", std::to_string(state.skipped));
  }

  // What all ranks have one writes.
  const bool lead = !model.world() || model.world()->rank() == 0;
  std::vector<double> losses;
  for (const EpochResult &result : state.history) {
    losses.insert(losses.end(),
                  {result.train_loss, result.test_loss, result.test_accuracy, result.lr});
    if (description.scales_loss)
      losses.push_back(result.skipped_steps);
  }
  content.tensors.push_back(
      {history_name,
       "F64",
       {static_cast<int64_t>(state.history.size()), history_columns(description)},
       lead ? losses.data() : nullptr});
  content.tensors.push_back(
      {words_name, "U32", {Generator::state_size}, lead ? generator.words.data() : nullptr});
  std::vector<std::string> slots = optimizer_state_names(optimizer);
  for (size_t i = 0; i < description.parameters.size(); ++i) {
    const ParameterDescription &parameter = description.parameters[i];
    content.tensors.push_back({parameter.name, element_type_name(parameter.type), parameter.shape,
                               nullptr, model.parameter_pieces(i)});
    if (is_trained(description, parameter))
      for (size_t slot = 0; slot < slots.size(); ++slot)
        content.tensors.push_back({parameter.name + "/" + slots[slot], "F32", parameter.shape,
                                   nullptr, model.state_pieces(i, static_cast<int>(slot))});
  }
  write_safetensors(path, content, model.world());
}

Checkpoint::Checkpoint(const std::string &path, const ModelDescription &description)
    : reader_(path) {
  MetadataReader metadata(reader_);
  auto format = reader_.metadata().find(format_key);
  if (format == reader_.metadata().end())
    fail(path + " is not a checkpoint; expected a file that --checkpoint wrote");
  if (format->second != format_version)
    fail(path + " is a checkpoint of version " + printable(format->second) +
         " of the format; expected version " + format_version);
  std::string model = metadata.text("model");
  if (model != description.name)
    fail(path + " is a checkpoint of the model " + printable(model) + "; expected " +
         description.name);
  std::string optimizer = metadata.text("optimizer");
  std::string expected = optimizer_name(description.training.optimizer.kind);
  if (optimizer != expected)
    fail(path + " is a checkpoint of a run with the optimizer " + printable(optimizer) +
         "; expected " + expected);

  settings_.optimizer = description.training.optimizer;
  settings_.schedule = description.training.schedule;
  read_numbers(metadata, settings_.optimizer, settings_.schedule);
  settings_.epochs = metadata.integer<int64_t>("epochs", 0);
  settings_.batch = metadata.integer<int64_t>("batch", 1);
  settings_.shuffle = metadata.truth("shuffle");
  settings_.seed = metadata.integer<uint64_t>("seed", 0);
  step_ = metadata.integer<int64_t>("step", 0);
  state_.epoch = metadata.integer<int64_t>("epoch", 0);
  state_.batch = metadata.integer<int64_t>("epoch_batch", 0);
  state_.sampler_seed = metadata.integer<int64_t>("sampler_seed", 0);
  state_.loss_sum = metadata.number("loss_sum");
  state_.train_rows = metadata.integer<int64_t>("train_rows", 1);
  generator_.next = metadata.integer<uint32_t>("generator_next", 0);
  if (metadata.text("generator_kept") != "none")
    generator_.kept_normal = metadata.number("generator_kept");

  if (description.scales_loss) {
    loss_scaling_.scale = static_cast<float>(metadata.number("loss_scale"));
    loss_scaling_.good_steps = metadata.integer<int64_t>("loss_scale_steps", 0);
    loss_scaling_.skipped_steps = metadata.integer<int64_t>("skipped_steps", 0);
    state_.skipped = metadata.integer<int64_t>("epoch_skipped", 0);
  }

  auto words = reader_.tensors().find(words_name);
  auto history = reader_.tensors().find(history_name);
  if (generator_.next > Generator::state_size || words == reader_.tensors().end() ||
      words->second.type != "U32" ||
      words->second.shape != std::vector<int64_t>{Generator::state_size})
    fail(path + ": not a whole checkpoint: the generator's state is missing");
  if (history == reader_.tensors().end() || history->second.type != "F64" ||
      history->second.shape != std::vector<int64_t>{state_.epoch, history_columns(description)})
    fail(path + ": not a whole checkpoint: the history is missing");
  reader_.read(words->second, generator_.words.data());
  const auto columns = static_cast<size_t>(history_columns(description));
  std::vector<double> losses(static_cast<size_t>(state_.epoch) * columns);
  reader_.read(history->second, losses.data());
  for (size_t i = 0; i < losses.size(); i += columns) {
    state_.history.push_back({losses[i], losses[i + 1], losses[i + 2], losses[i + 3]});
    if (description.scales_loss)
      state_.history.back().skipped_steps = losses[i + 4];
  }
}

void Checkpoint::restore(Model &model) const {
  const ModelDescription &description = model.description();
  std::vector<std::string> slots = optimizer_state_names(model.hyperparameters());
  struct Place {
    const TensorEntry *entry;
    size_t parameter;
    int slot; // of its state; -1: the parameter itself
  };
  std::vector<Place> places;
  auto place = [&](const std::string &name, ElementType type, const std::vector<int64_t> &shape,
                   size_t parameter, int slot) {
    auto found = reader_.tensors().find(name);
    if (found == reader_.tensors().end())
      fail(reader_.path() + " does not fit " + description.name + ": " + name + " is missing");
    if (found->second.shape != shape || found->second.type != element_type_name(type))
      fail(reader_.path() + " does not fit " + description.name + ": " + name + " is " +
           printable(found->second.type) + shape_text(found->second.shape) + ", expected " +
           element_type_name(type) + shape_text(shape));
    places.push_back({&found->second, parameter, slot});
  };
  for (size_t i = 0; i < description.parameters.size(); ++i) {
    const ParameterDescription &parameter = description.parameters[i];
    place(parameter.name, parameter.type, parameter.shape, i, -1);
    if (is_trained(description, parameter))
      for (size_t slot = 0; slot < slots.size(); ++slot)
        place(parameter.name + "/" + slots[slot], parameter.type, parameter.shape, i,
              static_cast<int>(slot));
  }
  size_t others = reader_.tensors().size() - places.size() - 2; // generator and history
  if (others > 0)
    fail(reader_.path() + " does not fit " + description.name + ": it has " +
         std::to_string(others) + " tensors that the model has not");

  // All is read before anything is changed: a read error must leave the model as it was.
  std::vector<std::vector<std::byte>> values;
  for (const Place &each : places) {
    values.emplace_back(static_cast<size_t>(each.entry->end - each.entry->begin));
    reader_.read(*each.entry, values.back().data());
  }
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i].slot >= 0)
      model.write_state(places[i].parameter, places[i].slot,
                        reinterpret_cast<const float *>(values[i].data()));
    else
      model.write_parameter(places[i].parameter, values[i].data());
  }
  model.step() = step_;
  model.loss_scaling() = loss_scaling_;
  model.generator().set_state(generator_);
}

} // namespace mpar
