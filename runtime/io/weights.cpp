// Parameters from a file, by name; in the layouts and element types that files come in.
#include "mpar/model.h"

#include "mpar/errors.h"
#include "mpar/low_precision.h"
#include "mpar/safetensors.h"

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace mpar {
namespace {

// "a; b; c; and 7 more": one for each tensor, unless it is another model's file altogether.
class Complaints {
public:
  void add(const std::string &complaint) {
    if (++count_ <= limit)
      text_ += (text_.empty() ? "" : "; ") + complaint;
  }
  bool any() const { return count_ > 0; }
  std::string text() const {
    return count_ <= limit ? text_ : text_ + "; and " + std::to_string(count_ - limit) + " more";
  }

private:
  static constexpr int limit = 100;
  std::string text_;
  int count_ = 0;
};

// A tensor of a file, and whether its rows are the parameter's columns.
struct Source {
  std::string name; // in the file
  const TensorEntry *entry;
  bool transposed;
};

bool ends_with(const std::string &text, const char *end) {
  const size_t length = std::strlen(end);
  return text.size() >= length && text.compare(text.size() - length, length, end) == 0;
}

// Where the model has what GPT-2 calls `wte`: "" or, for a layer in it, its path and a point.
std::string path_of_gpt2(const std::set<std::string> &known) {
  const std::string words = "wte.weight";
  std::string path;
  for (const std::string &name : known)
    if (ends_with(name, ("." + words).c_str())) {
      if (!path.empty())
        return ""; // there are several
      path = name.substr(0, name.size() - words.size());
    }
  return known.count(words) != 0 ? "" : path;
}

// The tensors of a file under the names that the model, which has those `known`, gives them.
std::map<std::string, Source> name_tensors(const SafetensorsReader &reader, WeightLayout layout,
                                           const std::set<std::string> &known) {
  std::map<std::string, Source> sources;
  const std::string prefix = "transformer.", path = path_of_gpt2(known);
  for (const auto &[name, entry] : reader.tensors()) {
    if (layout == WeightLayout::plain) {
      sources[name] = {name, &entry, false};
      continue;
    }
    // Masks of attention, which are no parameters.
    if (ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias"))
      continue;
    const bool transposed = entry.shape.size() == 2 &&
                            (ends_with(name, ".c_attn.weight") ||
                             ends_with(name, ".c_proj.weight") || ends_with(name, ".c_fc.weight"));
    const bool prefixed = name.compare(0, prefix.size(), prefix) == 0;
    const std::string own = prefixed ? name.substr(prefix.size()) : name;
    sources[known.count(path + own) != 0 || known.count(own) == 0 ? path + own : own] = {
        name, &entry, transposed};
  }
  return sources;
}

bool can_read(const std::string &from, ElementType to) {
  if (from == element_type_name(to))
    return true;
  if (to == ElementType::f32)
    return from == "F64" || from == "F16" || from == "BF16";
  return to == ElementType::i32 && from == "I64";
}

template <typename From>
void convert(const SafetensorsReader &reader, const TensorEntry &entry, size_t count, float *to) {
  std::vector<From> numbers(count);
  reader.read(entry, numbers.data());
  for (size_t i = 0; i < count; ++i)
    to[i] = static_cast<float>(numbers[i]);
}

void narrow(const SafetensorsReader &reader, const Source &source, size_t count, int32_t *to) {
  std::vector<int64_t> wide(count);
  reader.read(*source.entry, wide.data());
  for (size_t i = 0; i < count; ++i) {
    to[i] = static_cast<int32_t>(wide[i]);
    if (to[i] != wide[i])
      fail(reader.path() + ": " + source.name + " has " + std::to_string(wide[i]) +
           ", which does not fit into 32 bits");
  }
}

// The bytes of one tensor of a file as the model keeps them.
std::vector<std::byte> read_tensor(const SafetensorsReader &reader, const Source &source,
                                   ElementType type) {
  const TensorEntry &entry = *source.entry;
  const auto count = static_cast<size_t>(element_count(entry.shape));
  std::vector<std::byte> bytes(count * static_cast<size_t>(element_bytes(type)));
  auto *floats = reinterpret_cast<float *>(bytes.data());
  if (entry.type == element_type_name(type))
    reader.read(entry, bytes.data());
  else if (entry.type == "F64")
    convert<double>(reader, entry, count, floats);
  else if (entry.type == "F16")
    convert<float16>(reader, entry, count, floats);
  else if (entry.type == "BF16")
    convert<bfloat16>(reader, entry, count, floats);
  else
    narrow(reader, source, count, reinterpret_cast<int32_t *>(bytes.data()));
  if (!source.transposed)
    return bytes;
  const int64_t rows = entry.shape[0], columns = entry.shape[1];
  std::vector<std::byte> turned(bytes.size());
  auto *to = reinterpret_cast<float *>(turned.data());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      to[j * rows + i] = floats[i * columns + j];
  return turned;
}

// What does not fit between a tensor of the file and a parameter, or nothing.
void check_tensor(const std::string &name, const Source &source,
                  const ParameterDescription &parameter, Complaints &complaints) {
  std::vector<int64_t> expected = parameter.shape;
  if (source.transposed && expected.size() == 2)
    std::swap(expected[0], expected[1]);
  if (source.entry->shape != expected)
    complaints.add(name + " is " + shape_text(source.entry->shape) + ", expected " +
                   shape_text(expected));
  else if (!can_read(source.entry->type, parameter.type))
    complaints.add(name + " is of type " + printable(source.entry->type) + ", expected " +
                   element_type_name(parameter.type));
}

} // namespace

void Model::load(const std::string &path, WeightLayout layout) {
  SafetensorsReader reader(path);
  if (reader.metadata().count("mparc.checkpoint"))
    fail(path + " is a checkpoint, to be resumed; expected the parameters of " + description_.name);

  Complaints complaints;
  std::set<std::string> known;
  for (const ParameterDescription &parameter : description_.parameters)
    for (const std::string &name : parameter.names())
      known.insert(name);
  const std::map<std::string, Source> sources = name_tensors(reader, layout, known);
  // Of each parameter what the file has: one tensor, or more under further names.
  std::vector<std::vector<std::pair<std::string, Source>>> found;
  for (const ParameterDescription &parameter : description_.parameters) {
    found.emplace_back();
    for (const std::string &name : parameter.names()) {
      auto source = sources.find(name);
      if (source == sources.end())
        continue;
      check_tensor(name, source->second, parameter, complaints);
      found.back().emplace_back(name, source->second);
    }
    if (found.back().empty())
      complaints.add(parameter.name + " is missing");
  }
  for (const auto &[name, source] : sources)
    if (known.count(name) == 0)
      complaints.add(printable(source.name) + " is in none of its layers");

  // All is read before anything is changed: an error must leave the model as it was.
  std::vector<std::vector<std::byte>> values;
  for (size_t i = 0; i < found.size() && !complaints.any(); ++i) {
    values.emplace_back();
    for (const auto &[name, source] : found[i]) {
      std::vector<std::byte> bytes = read_tensor(reader, source, description_.parameters[i].type);
      if (name == found[i].front().first)
        values.back() = std::move(bytes);
      else if (bytes != values.back())
        complaints.add(name + " differs from " + found[i].front().first + ", which is tied to it");
    }
  }
  if (complaints.any())
    fail(path + " does not fit " + description_.name + ": " + complaints.text());
  for (size_t i = 0; i < values.size(); ++i)
    write_parameter(i, values[i].data());
}

} // namespace mpar
