// What all emitted models share: their parameters by name.
#include "mpar/model.h"

#include "mpar/errors.h"
#include "mpar/initialize.h"
#include "mpar/safetensors.h"

#include <algorithm>
#include <cstring>

namespace mpar {

namespace {

// Settings with what is left open taken from the program.
OptimizerSettings choose(const OptimizerSettings &asked, const OptimizerSettings &program) {
  if (asked.kind == OptimizerSettings::Kind::none)
    return program;
  if (asked.kind != program.kind)
    fail("the program was compiled for another optimizer than the one asked for");
  if ((asked.clip_norm > 0) != (program.clip_norm > 0))
    fail(std::string("the program was compiled ") + (program.clip_norm > 0 ? "with" : "without") +
         " the clipping of gradients");
  return asked;
}

// The description of one replica.
ModelDescription describe_replica(ModelDescription description, int number) {
  if (description.shard_optimizer)
    for (DeviceDescription &device : description.devices) {
      device.shards = description.replicas;
      device.shard = number;
    }
  return description;
}

// The cores of one replica's devices.
std::vector<int> cores_of_replica(const std::string &devices, const ModelDescription &description,
                                  int number, bool apart) {
  const auto count = static_cast<std::ptrdiff_t>(description.devices.size());
  std::vector<int> cores =
      choose_cores(devices, static_cast<int>(count) * description.replicas, apart);
  if (cores.empty())
    return cores;
  return {cores.begin() + number * count, cores.begin() + (number + 1) * count};
}

int64_t choose_batch(int64_t asked, int64_t program) {
  if (asked < 0)
    fail("a batch of " + std::to_string(asked) + " rows; expected at least 1");
  return asked > 0 ? asked : program;
}

} // namespace

int64_t element_bytes(ElementType type) { return type == ElementType::boolean ? 1 : 4; }

const char *element_type_name(ElementType type) {
  return type == ElementType::f32 ? "F32" : type == ElementType::i32 ? "I32" : "BOOL";
}

std::vector<std::string> ParameterDescription::names() const {
  std::vector<std::string> all{name};
  all.insert(all.end(), also.begin(), also.end());
  return all;
}

Model::Model(ModelDescription description, const Settings &settings)
    : description_(describe_replica(std::move(description), settings.replica)),
      optimizer_(choose(settings.optimizer, description_.training.optimizer)),
      schedule_(settings.schedule.value_or(description_.training.schedule)),
      largest_batch_(choose_batch(settings.batch, description_.training.batch)),
      number_(settings.replica),
      largest_share_(largest_microbatch(largest_batch_, description_.replicas)),
      machine_(cores_of_replica(settings.devices, description_, number_,
                                settings.check && !description_.schedule.turns.empty()),
               settings.threads, description_.devices, optimizer_slots(optimizer_), largest_share_,
               settings.check && !description_.schedule.turns.empty()) {
  for (const ParameterDescription &parameter : description_.parameters) {
    bool placed = parameter.device >= 0 && parameter.device < machine_.count();
    if (!placed || parameter.offset < 0 ||
        parameter.offset + element_count(parameter.shape) >
            machine_.device(parameter.device).description().parameter_floats)
      fail("the program places " + parameter.name + " where no device has room for it");
  }
  if (!machine_.cores().empty()) {
    machine_.make_slots(description_.schedule, largest_share_);
    start_workers(settings);
  }
  initialize(settings.seed.value_or(description_.training.seed));
}

void Model::start_workers(const Settings &settings) {
  if (number_ > 0)
    return; // replica 0 has those of all
  const bool check = settings.check && !description_.schedule.turns.empty();
  if (description_.replicas > 1)
    all_turns_ = replicate(description_.schedule, description_.replicas, machine_.count());
  workers_ = std::make_unique<Workers>(
      choose_cores(settings.devices, machine_.count() * description_.replicas, check),
      schedule_of_all(), check);
  if (check && description_.replicas == 1)
    start_checking();
  workers_->set_timeout(settings.timeout);
}

void Model::start_checking() {
  std::vector<Machine *> machines{&machine_};
  for (const std::unique_ptr<Model> &other : others_)
    machines.push_back(&other->machine_);
  checker_ = std::make_unique<TurnChecker>(std::move(machines), description_.schedule);
  workers_->observe(*checker_);
}

float *Model::parameter(size_t index) {
  const ParameterDescription &parameter = description_.parameters[index];
  return machine_.device(parameter.device).parameters() + parameter.offset;
}

float *Model::gradient(size_t index) {
  const ParameterDescription &parameter = description_.parameters[index];
  return machine_.device(parameter.device).gradients() + parameter.offset;
}

OptimizerSettings Model::optimizer() const {
  OptimizerSettings settings = optimizer_;
  settings.lr = learning_rate(schedule_, settings.lr, step_, run_steps_);
  return settings;
}

void Model::initialize(uint64_t seed) {
  for (int i = 0; i < machine_.count(); ++i) {
    Device &device = machine_.device(i);
    std::fill_n(device.parameters(), device.training_floats(optimizer_slots(optimizer_)), 0.0f);
    if (optimizer_.kind == OptimizerSettings::Kind::adagrad)
      std::fill(device.state(0) + device.updated().begin, device.state(0) + device.updated().end,
                static_cast<float>(optimizer_.initial_accumulator_value));
  }
  seed_ = seed;
  step_ = 0;
  loss_scaling_ = {};
  generator_.manual_seed(seed);
  for (size_t i = 0; i < description_.parameters.size(); ++i) {
    const ParameterDescription &tensor = description_.parameters[i];
    mpar::initialize(tensor.initializer, tensor.type, generator_, parameter(i),
                     element_count(tensor.shape));
    if (int64_t row = tensor.initializer.zero_row; row >= 0) {
      int64_t size = element_count(tensor.shape) / tensor.shape.front();
      std::fill_n(parameter(i) + row * size, size, 0.0f);
    }
  }
  for (const std::unique_ptr<Model> &other : others_)
    other->initialize(seed);
}

void Model::save(const std::string &path) const {
  SafetensorsContent content;
  content.metadata = {{"format", "pt"}}; // what PyTorch's reader of these files looks for
  for (const ParameterDescription &parameter : description_.parameters)
    for (const std::string &name : parameter.names())
      content.tensors.push_back(
          {name, element_type_name(parameter.type), parameter.shape,
           machine_.device(parameter.device).parameters() + parameter.offset});
  write_safetensors(path, content);
}

void Model::check(const Batch &batch, int64_t least) const {
  if (batch.rows < least || batch.rows > largest_batch_)
    fail("a batch of " + std::to_string(batch.rows) + " rows; this model takes " +
         std::to_string(least) + " to " + std::to_string(largest_batch_) +
         (least > 1 ? " to train on" : ""));
  if (batch.inputs.size() != description_.inputs.size())
    fail("a batch of " + std::to_string(batch.inputs.size()) + " inputs; this model takes " +
         std::to_string(description_.inputs.size()));
}

} // namespace mpar
