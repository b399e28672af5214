// What all emitted models share: their parameters by name.
#include "mpar/model.h"

#include "mpar/errors.h"
#include "mpar/initialize.h"
#include "mpar/reduce.h"
#include "mpar/safetensors.h"
#include "mpar/world.h"
#include "staged_port.h"

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

DeviceMap map_of_all(const Settings &settings, const ModelDescription &description) {
  return map_devices(settings.devices,
                     static_cast<int>(description.devices.size()) * description.replicas,
                     settings.world ? settings.world->process() : Process());
}

// The description of one replica.
ModelDescription describe_replica(ModelDescription description, const Settings &settings) {
  if (description.shard_optimizer)
    for (DeviceDescription &device : description.devices) {
      device.shards = description.replicas;
      device.shard = settings.replica;
    }
  // A few rows at a time suit a cache; GPUs are given all there are.
  if (map_of_all(settings, description).has_gpus())
    description.schedule.part_rows = 0;
  return description;
}

// The GPUs of one replica's devices.
std::vector<int> gpus_of_replica(const Settings &settings, const ModelDescription &description) {
  const std::vector<int> gpus = map_of_all(settings, description).gpus;
  const auto count = static_cast<std::ptrdiff_t>(description.devices.size());
  return {gpus.begin() + settings.replica * count, gpus.begin() + (settings.replica + 1) * count};
}

// The cores of one replica's devices.
std::vector<int> cores_of_replica(const Settings &settings, const ModelDescription &description,
                                  bool apart) {
  const auto count = static_cast<std::ptrdiff_t>(description.devices.size());
  const DeviceMap map = map_of_all(settings, description);
  if (map.has_gpus())
    return {};
  std::vector<int> cores =
      settings.world
          ? map.cores
          : choose_cores(settings.devices, static_cast<int>(count) * description.replicas, apart);
  if (cores.empty())
    return cores;
  return {cores.begin() + settings.replica * count, cores.begin() + (settings.replica + 1) * count};
}

// Where they are, in a run of several processes.
std::vector<Seat> seats_of_replica(const Settings &settings, const ModelDescription &description) {
  std::vector<Seat> seats;
  if (!settings.world)
    return seats;
  const DeviceMap map = map_of_all(settings, description);
  const auto count = static_cast<int>(description.devices.size());
  for (int number = settings.replica * count; number < (settings.replica + 1) * count; ++number)
    seats.push_back(
        {settings.world, map.ranks[number], number, static_cast<int>(map.ranks.size())});
  return seats;
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

std::vector<ParameterPiece> ParameterDescription::places() const {
  if (!pieces.empty())
    return pieces;
  const int64_t count = element_count(shape);
  return {{device, offset, {{count}, {0}, {count}}}};
}

Model::Model(ModelDescription description, const Settings &settings)
    : description_(describe_replica(std::move(description), settings)),
      optimizer_(choose(settings.optimizer, description_.training.optimizer)),
      schedule_(settings.schedule.value_or(description_.training.schedule)),
      largest_batch_(choose_batch(settings.batch, description_.training.batch)),
      number_(settings.replica),
      largest_share_(largest_microbatch(largest_batch_, description_.replicas)),
      world_(settings.world), has_gpus_(map_of_all(settings, description_).has_gpus()),
      machine_(cores_of_replica(settings, description_,
                                settings.check && !description_.schedule.turns.empty()),
               settings.threads, description_.devices, optimizer_slots(optimizer_), largest_share_,
               settings.check && !description_.schedule.turns.empty(),
               seats_of_replica(settings, description_), gpus_of_replica(settings, description_)) {
  for (const ParameterDescription &parameter : description_.parameters)
    for (const ParameterPiece &piece : parameter.places()) {
      bool placed = piece.device >= 0 && piece.device < machine_.count();
      if (!placed || piece.offset < 0 ||
          piece.offset + piece.box.count() >
              machine_.device(piece.device).description().parameter_floats)
        fail("the program places " + parameter.name + " where no device has room for it");
    }
  if (has_gpus_ || !machine_.cores().empty())
    machine_.make_slots(description_.schedule, largest_share_);
  if (!machine_.cores().empty())
    start_workers(settings);
  else if (has_gpus_ && description_.replicas == 1)
    start_streams(settings);
  initialize(settings.seed.value_or(description_.training.seed));
}

void Model::start_workers(const Settings &settings) {
  if (number_ > 0)
    return; // replica 0 has those of all
  const bool check = settings.check && !description_.schedule.turns.empty();
  if (description_.replicas > 1)
    all_turns_ = replicate(description_.schedule, description_.replicas, machine_.count());
  if (world_) {
    const DeviceMap map = map_of_all(settings, description_);
    workers_ = std::make_unique<Workers>(map.cores, schedule_of_all(), *world_, map.ranks, check);
  } else {
    workers_ = std::make_unique<Workers>(
        choose_cores(settings.devices, machine_.count() * description_.replicas, check),
        schedule_of_all(), check);
  }
  if (check && description_.replicas == 1)
    start_checking();
  workers_->set_timeout(settings.timeout);
}

void Model::start_checking() {
  std::vector<Machine *> machines{&machine_};
  for (const std::unique_ptr<Model> &other : others_)
    machines.push_back(&other->machine_);
  if (has_gpus_)
    return workers_->check_streams(machines, description_.schedule);
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
    if (!device.here())
      continue;
    device.zero(device.parameters(), device.training_floats(optimizer_slots(optimizer_)) *
                                         static_cast<int64_t>(sizeof(float)));
    if (optimizer_.kind == OptimizerSettings::Kind::adagrad)
      fill(device, device.updated().end - device.updated().begin,
           static_cast<float>(optimizer_.initial_accumulator_value),
           device.state(0) + device.updated().begin);
  }
  seed_ = seed;
  step_ = 0;
  loss_scaling_ = {};
  generator_.manual_seed(seed);
  std::vector<float> elsewhere; // what is drawn for other processes or GPUs, or to be cut
  for (size_t i = 0; i < description_.parameters.size(); ++i) {
    const ParameterDescription &tensor = description_.parameters[i];
    const int64_t count = element_count(tensor.shape);
    const bool in_place = has_parameter(i) && !machine_.device(tensor.device).backend();
    if (!in_place)
      elsewhere.resize(std::max(elsewhere.size(), static_cast<size_t>(count)));
    float *const values = in_place ? parameter(i) : elsewhere.data();
    mpar::initialize(tensor.initializer, tensor.type, generator_, values, count);
    if (int64_t row = tensor.initializer.zero_row; row >= 0) {
      int64_t size = count / tensor.shape.front();
      std::fill_n(values + row * size, size, 0.0f);
    }
    if (!in_place)
      write_own_parameter(i, values);
  }
  for (const std::unique_ptr<Model> &other : others_)
    other->initialize(seed);
}

void Model::save(const std::string &path) const {
  SafetensorsContent content;
  content.metadata = {{"format", "pt"}}; // what PyTorch's reader of these files looks for
  for (size_t i = 0; i < description_.parameters.size(); ++i) {
    const ParameterDescription &parameter = description_.parameters[i];
    for (const std::string &name : parameter.names())
      content.tensors.push_back(
          {name, element_type_name(parameter.type), parameter.shape, nullptr, parameter_pieces(i)});
  }
  write_safetensors(path, content, world_);
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

void Model::check_parts(int64_t rows) const {
  // Of contiguous parts, the first a row longer, those with rows: the smallest.
  const auto smallest = [](int64_t of, int64_t parts) { return std::max<int64_t>(1, of / parts); };
  const int64_t own =
      smallest(smallest(rows, description_.replicas), description_.schedule.microbatches);
  if (own < description_.least_part_rows)
    fail("a batch of " + std::to_string(rows) + " rows would be cut into parts of which one has " +
         std::to_string(own) + (own == 1 ? " row; " : " rows; ") + description_.name +
         " trains on at least " + std::to_string(description_.least_part_rows) +
         ", as it takes a variance over them; choose another --batch");
}

} // namespace mpar
