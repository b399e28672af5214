// What all emitted models share: their parameters by name.
#include "mpar/model.h"

#include "mpar/errors.h"
#include "mpar/initialize.h"
#include "mpar/safetensors.h"

#include <algorithm>
#include <cstring>

namespace mpar {

namespace {

int64_t element_count(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

// Settings with what is left open taken from the program.
OptimizerSettings choose(const OptimizerSettings &asked, const OptimizerSettings &program) {
  if (asked.kind == OptimizerSettings::Kind::none)
    return program;
  if (asked.kind != program.kind)
    fail("the program was compiled for another optimizer than the one asked for");
  return asked;
}

int64_t choose_batch(int64_t asked, int64_t program) {
  if (asked < 0)
    fail("a batch of " + std::to_string(asked) + " rows; expected at least 1");
  return asked > 0 ? asked : program;
}

// "a, b, c and 7 more": enough to see what is wrong without filling the screen.
class Complaints {
public:
  void add(const std::string &complaint) {
    if (++count_ <= 5)
      text_ += (text_.empty() ? "" : "; ") + complaint;
  }
  bool any() const { return count_ > 0; }
  std::string text() const {
    return count_ <= 5 ? text_ : text_ + "; and " + std::to_string(count_ - 5) + " more";
  }

private:
  std::string text_;
  int count_ = 0;
};

// The bytes of one tensor of a file as the model keeps them.
std::vector<std::byte> read_tensor(const SafetensorsReader &reader, const std::string &name,
                                   const TensorEntry &entry, ElementType type) {
  size_t count = static_cast<size_t>(element_count(entry.shape));
  std::vector<std::byte> bytes(count * static_cast<size_t>(element_bytes(type)));
  if (entry.type == element_type_name(type)) {
    reader.read(entry, bytes.data());
    return bytes;
  }
  std::vector<int64_t> wide(count);
  reader.read(entry, wide.data());
  for (size_t i = 0; i < count; ++i) {
    int32_t narrow = static_cast<int32_t>(wide[i]);
    if (narrow != wide[i])
      fail(reader.path() + ": " + name + " has " + std::to_string(wide[i]) +
           ", which does not fit into 32 bits");
    std::memcpy(bytes.data() + i * sizeof narrow, &narrow, sizeof narrow);
  }
  return bytes;
}

} // namespace

int64_t element_bytes(ElementType type) { return type == ElementType::boolean ? 1 : 4; }

const char *element_type_name(ElementType type) {
  return type == ElementType::f32 ? "F32" : type == ElementType::i32 ? "I32" : "BOOL";
}

Model::Model(ModelDescription description, const Settings &settings)
    : description_(std::move(description)),
      optimizer_(choose(settings.optimizer, description_.training.optimizer)),
      largest_batch_(choose_batch(settings.batch, description_.training.batch)),
      machine_(settings.devices, settings.threads, description_.devices,
               optimizer_slots(optimizer_), largest_batch_) {
  for (const ParameterDescription &parameter : description_.parameters) {
    bool placed = parameter.device >= 0 && parameter.device < machine_.count();
    if (!placed || parameter.offset < 0 ||
        parameter.offset + element_count(parameter.shape) >
            machine_.device(parameter.device).description().parameter_floats)
      fail("the program places " + parameter.name + " where no device has room for it");
  }
  initialize(settings.seed.value_or(description_.training.seed));
}

float *Model::parameter(size_t index) {
  const ParameterDescription &parameter = description_.parameters[index];
  return machine_.device(parameter.device).parameters() + parameter.offset;
}

float *Model::gradient(size_t index) {
  const ParameterDescription &parameter = description_.parameters[index];
  return machine_.device(parameter.device).gradients() + parameter.offset;
}

void Model::initialize(uint64_t seed) {
  int64_t regions = 2 + optimizer_slots(optimizer_);
  for (int i = 0; i < machine_.count(); ++i) {
    Device &device = machine_.device(i);
    std::fill_n(device.parameters(), regions * device.description().parameter_floats, 0.0f);
  }
  seed_ = seed;
  step_ = 0;
  generator_.manual_seed(seed);
  for (size_t i = 0; i < description_.parameters.size(); ++i) {
    const ParameterDescription &tensor = description_.parameters[i];
    mpar::initialize(tensor.initializer, tensor.type, generator_, parameter(i),
                     element_count(tensor.shape));
  }
}

void Model::save(const std::string &path) const {
  SafetensorsContent content;
  content.metadata = {{"format", "pt"}}; // what PyTorch's reader of these files looks for
  for (const ParameterDescription &parameter : description_.parameters)
    content.tensors.push_back({parameter.name, element_type_name(parameter.type), parameter.shape,
                               machine_.device(parameter.device).parameters() + parameter.offset});
  write_safetensors(path, content);
}

void Model::load(const std::string &path) {
  SafetensorsReader reader(path);
  if (reader.metadata().count("mparc.checkpoint"))
    fail(path + " is a checkpoint, to be resumed; expected the parameters of " + description_.name);

  Complaints complaints;
  std::vector<const TensorEntry *> entries;
  for (const ParameterDescription &parameter : description_.parameters) {
    auto found = reader.tensors().find(parameter.name);
    if (found == reader.tensors().end()) {
      complaints.add(parameter.name + " is missing");
      continue;
    }
    const TensorEntry &entry = found->second;
    if (entry.shape != parameter.shape)
      complaints.add(parameter.name + " is " + shape_text(entry.shape) + ", expected " +
                     shape_text(parameter.shape));
    else if (entry.type != element_type_name(parameter.type) &&
             !(entry.type == "I64" && parameter.type == ElementType::i32))
      complaints.add(parameter.name + " is of type " + printable(entry.type) + ", expected " +
                     element_type_name(parameter.type));
    entries.push_back(&entry);
  }
  if (reader.tensors().size() > entries.size())
    for (const auto &tensor : reader.tensors())
      if (std::none_of(description_.parameters.begin(), description_.parameters.end(),
                       [&](const auto &parameter) { return parameter.name == tensor.first; }))
        complaints.add(printable(tensor.first) + " is in none of its layers");
  if (complaints.any())
    fail(path + " does not fit " + description_.name + ": " + complaints.text());

  // All is read before anything is changed: a read error must leave the model as it was.
  std::vector<std::vector<std::byte>> values;
  for (size_t i = 0; i < entries.size(); ++i)
    values.push_back(read_tensor(reader, description_.parameters[i].name, *entries[i],
                                 description_.parameters[i].type));
  for (size_t i = 0; i < values.size(); ++i)
    if (!values[i].empty())
      std::memcpy(parameter(i), values[i].data(), values[i].size());
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
