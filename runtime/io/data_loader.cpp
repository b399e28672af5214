#include "mpar/data_loader.h"

#include "mpar/errors.h"
#include "mpar/npy.h"
#include "mpar/resident.h"
#include "mpar/safetensors.h"

#include <algorithm>
#include <cstring>

namespace mpar {

namespace {

int64_t row_elements(const PortDescription &port) {
  int64_t elements = 1;
  for (int64_t extent : port.shape)
    elements *= extent;
  return elements;
}

std::string count_of(int64_t count, const std::string &what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

bool is_own_target(const ModelDescription &model, int64_t input_columns) {
  return model.classes == 0 && model.inputs.size() == 1 &&
         model.inputs[0].type == model.target.type && row_elements(model.target) == input_columns;
}

Dataset load_csv(const DataSource &source, const ModelDescription &model, bool needs_target,
                 const Reads &reads) {
  int64_t inputs = 0;
  for (const PortDescription &port : model.inputs)
    inputs += row_elements(port);
  int64_t targets = row_elements(model.target);
  if (source.input_columns >= 0 && source.input_columns != inputs)
    fail(source.path + ": " + count_of(source.input_columns, "input") + " asked for, " +
         model.name + " takes " + std::to_string(inputs));
  if (source.target_columns >= 0 && source.target_columns != targets)
    fail(source.path + ": " + count_of(source.target_columns, "target") + " asked for, " +
         model.name + " has " + std::to_string(targets));

  bool own_target = is_own_target(model, inputs);
  bool target_there = false;
  // Without a target of its own, the input is it.
  auto keeps = [&](const PortDescription &port) {
    return reads(port) || (needs_target && !target_there && reads(model.target));
  };
  auto plan = [&](int64_t columns) {
    target_there = columns == inputs + targets;
    if (!target_there && !(columns == inputs && (own_target || !needs_target))) {
      std::string expected = count_of(inputs, "input") + " and " + count_of(targets, "target");
      if (own_target || !needs_target)
        expected += ", or the " + count_of(inputs, "input") + " alone";
      else if (columns == inputs)
        expected += "; the targets are missing";
      fail(source.path + " has " + count_of(columns, "column") + "; " + model.name + " takes " +
           expected);
    }
    std::vector<ColumnRule> rules;
    for (const PortDescription &port : model.inputs)
      rules.insert(rules.end(), row_elements(port), ColumnRule{port.type, 0, keeps(port)});
    if (target_there)
      rules.insert(rules.end(), targets,
                   ColumnRule{model.target.type, model.classes, reads(model.target)});
    return rules;
  };
  auto table = std::make_shared<const Table>(read_csv(source.path, plan));

  std::vector<Dataset::Port> input_ports, target_port;
  int64_t column = 0;
  auto add = [&](std::vector<Dataset::Port> &ports, const PortDescription &port, bool kept) {
    ports.push_back({kept ? table : nullptr, column, row_elements(port), port.type});
    column += kept ? row_elements(port) : 0;
  };
  for (const PortDescription &port : model.inputs)
    add(input_ports, port, keeps(port));
  if (target_there)
    add(target_port, model.target, reads(model.target));
  else if (needs_target)
    target_port.push_back(input_ports[0]);
  return {std::move(input_ports), std::move(target_port)};
}

std::vector<int64_t> without_ones(std::vector<int64_t> shape) {
  shape.erase(std::remove(shape.begin(), shape.end(), 1), shape.end());
  return shape;
}

// Reads one array for one port: rows of the port's shape, dimensions of 1 aside, or flat rows of as
// many numbers. Other shapes of the same size would train on numbers in another order than meant.
Dataset::Port load_array(const std::string &path, const PortDescription &port, int64_t classes) {
  auto plan = [&](const std::vector<int64_t> &shape) {
    std::vector<int64_t> row = without_ones({shape.begin() + 1, shape.end()});
    std::vector<int64_t> wanted = without_ones(port.shape);
    int64_t count = 1;
    for (int64_t extent : row)
      count *= extent;
    bool flat = (row.size() <= 1 || wanted.size() <= 1) && count == row_elements(port);
    if (row != wanted && !flat) {
      std::vector<int64_t> expected = port.shape;
      expected.insert(expected.begin(), shape[0]);
      fail(path + " has shape " + shape_text(shape) + "; " + port.name + " takes " +
           shape_text(expected));
    }
    return ColumnRule{port.type, classes};
  };
  auto table = std::make_shared<const Table>(read_npy(path, plan));
  return {table, 0, table->columns, port.type};
}

// Arrays of one data set have as many rows as the first.
void check_rows(const Dataset::Port &port, const std::string &path, const Dataset::Port &first,
                const std::string &first_path) {
  if (port.table->rows != first.table->rows)
    fail(path + " has " + count_of(port.table->rows, "row") + ", " + first_path + " " +
         std::to_string(first.table->rows));
}

Dataset load_npy(const DataSource &source, const ModelDescription &model, bool needs_target,
                 const Reads &reads) {
  std::vector<std::string> paths = source.more_paths;
  paths.insert(paths.begin(), source.path);
  if (paths.size() != model.inputs.size())
    fail(source.path + ": a NumPy file holds one input; " + model.name + " takes " +
         std::to_string(model.inputs.size()) + ", got " + count_of(paths.size(), "file"));
  const bool own_target = needs_target && source.targets.empty();
  if (own_target && !is_own_target(model, row_elements(model.inputs[0])))
    fail(source.path + ": no targets given, and the inputs cannot be the targets of " + model.name);
  std::vector<Dataset::Port> input, target;
  const Dataset::Port *first = nullptr; // of those that are read
  std::string first_path;
  auto load = [&](std::vector<Dataset::Port> &ports, const std::string &path,
                  const PortDescription &port, int64_t classes, bool read) {
    ports.push_back(read ? load_array(path, port, classes)
                         : Dataset::Port{nullptr, 0, row_elements(port), port.type});
    if (!read)
      return;
    if (first)
      check_rows(ports.back(), path, *first, first_path);
    else
      first_path = path;
    first = first ? first : &ports.back();
  };
  input.reserve(paths.size());
  for (size_t i = 0; i < paths.size(); ++i)
    load(input, paths[i], model.inputs[i], 0,
         reads(model.inputs[i]) || (own_target && reads(model.target)));
  if (own_target)
    target = input;
  else if (needs_target)
    load(target, source.targets, model.target, model.classes, reads(model.target));
  return {std::move(input), std::move(target)};
}

// Bytes that are no class of a model that knows fewer than there are: said before training, and
// where.
void check_bytes(const std::string &path, const Tokens &tokens, int64_t classes) {
  std::vector<int32_t> block(1 << 14);
  for (int64_t first = 0; classes < 256 && first < tokens.count();
       first += static_cast<int64_t>(block.size())) {
    int64_t count = std::min(tokens.count() - first, static_cast<int64_t>(block.size()));
    tokens.read(first, count, block.data());
    for (int64_t i = 0; i < count; ++i)
      if (block[i] >= classes)
        fail(path + ": byte " + std::to_string(first + i) + " is " + std::to_string(block[i]) +
             ", which is no class: expected 0 to " + std::to_string(classes - 1));
  }
}

// Windows of one sequence; the target of each is the same a token on.
Dataset load_tokens(const DataSource &source, const ModelDescription &model, bool needs_target) {
  const std::string kind = source.kind == DataSource::Kind::text ? "text" : "tokens";
  auto takes_windows = [](const PortDescription &port) {
    return port.type == ElementType::i32 && port.shape.size() == 1;
  };
  if (model.inputs.size() != 1 || !takes_windows(model.inputs[0]))
    fail(source.path + ": " + kind + " gives rows of i32, which is not what " + model.name +
         " takes");
  const std::vector<int64_t> &shape = model.inputs[0].shape;
  const int64_t context = shape[0];
  if (needs_target && (!takes_windows(model.target) || model.target.shape != shape))
    fail(source.path + ": the next tokens are not what " + model.name + " has for a target");
  if (source.context > 0 && source.context != context)
    fail(source.path + ": rows of " + count_of(source.context, "token") + " asked for, " +
         model.name + " takes " + std::to_string(context));
  auto tokens = std::make_shared<const Tokens>(source);
  const int64_t after = needs_target ? 1 : 0; // the last window's next token
  const int64_t rows = (tokens->count() - after) / context;
  if (rows == 0)
    fail(source.path + " has " + count_of(tokens->count(), "token") + "; " + model.name +
         " takes rows of " + std::to_string(context) + (needs_target ? " and the next one" : ""));
  if (kind == "text" && model.classes > 0 && needs_target)
    check_bytes(source.path, *tokens, model.classes);
  auto port = [&](int64_t first) {
    return std::vector<Dataset::Port>{{nullptr, first, context, ElementType::i32, tokens, rows}};
  };
  return {port(0), needs_target ? port(1) : std::vector<Dataset::Port>{}};
}

} // namespace

Dataset::Dataset(std::vector<Port> inputs, std::vector<Port> target)
    : inputs_(std::move(inputs)), target_(std::move(target)) {
  for (const std::vector<Port> *ports : {&inputs_, &target_})
    for (const Port &port : *ports)
      rows_ = std::max(rows_, port.rows());
}

Dataset::Dataset(const ModelDescription &model, int64_t rows) : rows_(rows) {
  auto nowhere = [](const PortDescription &port) {
    return Port{nullptr, 0, row_elements(port), port.type};
  };
  for (const PortDescription &port : model.inputs)
    inputs_.push_back(nowhere(port));
  target_.push_back(nowhere(model.target));
}

Dataset Dataset::slice(int64_t first, int64_t count) const {
  Dataset part = *this;
  part.first_ += first;
  part.rows_ = count;
  return part;
}

Dataset load_dataset(const DataSource &source, const ModelDescription &model, bool needs_target,
                     const Reads &reads) {
  if (model.inputs.empty())
    fail(model.name + " has no inputs to read");
  if (source.kind == DataSource::Kind::text || source.kind == DataSource::Kind::tokens)
    return load_tokens(source, model, needs_target);
  return source.kind == DataSource::Kind::npy ? load_npy(source, model, needs_target, reads)
                                              : load_csv(source, model, needs_target, reads);
}

std::pair<Dataset, Dataset> split_dataset(const Dataset &dataset, double fraction) {
  int64_t test = static_cast<int64_t>(static_cast<double>(dataset.rows()) * fraction);
  test = std::clamp<int64_t>(test, 0, dataset.rows());
  int64_t train = dataset.rows() - test;
  return {dataset.slice(0, train), dataset.slice(train, test)};
}

void read_row(const Dataset::Port &port, int64_t row, std::byte *to) {
  if (port.tokens) {
    port.tokens->read(row * port.width + port.column, port.width, reinterpret_cast<int32_t *>(to));
    return;
  }
  const Table &table = *port.table;
  const uint32_t *cells = table.cells.data() + row * table.columns + port.column;
  if (port.type == ElementType::boolean)
    for (int64_t k = 0; k < port.width; ++k)
      to[k] = static_cast<std::byte>(cells[k]);
  else
    std::memcpy(to, cells, static_cast<size_t>(port.width * element_bytes(port.type)));
}

DataLoader::DataLoader(Dataset dataset, int64_t batch, bool shuffle, bool needs_target)
    : dataset_(std::move(dataset)), batch_(batch), shuffle_(shuffle) {
  const ResidentData *const resident = dataset_.resident().get();
  const auto rows = static_cast<size_t>(std::min(batch_, dataset_.rows()));
  auto buffer = [&](const Dataset::Port &port, bool is_wanted) {
    const int64_t row_bytes = port.width * element_bytes(port.type);
    return Buffer{is_wanted ? std::make_unique<std::byte[]>(rows * row_bytes) : nullptr, row_bytes};
  };
  const size_t inputs = dataset_.inputs().size();
  for (size_t i = 0; i < inputs; ++i)
    input_buffers_.push_back(buffer(dataset_.inputs()[i], !resident || !resident->has(i)));
  if (!dataset_.target().empty())
    target_buffer_ =
        buffer(dataset_.target()[0], needs_target || !resident || !resident->has(inputs));
  rows_.resize(rows);
  numbers_.resize(resident ? rows : 0);
}

void DataLoader::start(Generator &generator) {
  generator.random_int64(); // the base seed of worker processes
  restart(shuffle_ ? generator.random_int64() : 0);
}

void DataLoader::restart(int64_t sampler_seed) {
  sampler_seed_ = sampler_seed;
  if (shuffle_)
    order_ = Generator(static_cast<uint64_t>(sampler_seed)).permutation(dataset_.rows());
}

const void *DataLoader::gather(const Dataset::Port &port, Buffer &buffer, int64_t count) {
  for (int64_t i = 0; buffer.bytes && port.is_here() && i < count; ++i)
    read_row(port, rows_[i], buffer.bytes.get() + i * buffer.row_bytes);
  return buffer.bytes.get();
}

Batch DataLoader::batch(int64_t index) {
  const int64_t from = index * batch_;
  Batch batch;
  batch.rows = std::min(batch_, dataset_.rows() - from);
  for (int64_t i = 0; i < batch.rows; ++i)
    rows_[i] = dataset_.first() + (order_.empty() ? from + i : order_[from + i]);
  if (dataset_.resident()) {
    std::transform(rows_.begin(), rows_.begin() + batch.rows, numbers_.begin(),
                   [](int64_t row) { return static_cast<int32_t>(row); });
    batch.resident = dataset_.resident().get();
    batch.numbers = numbers_.data();
  }
  for (size_t i = 0; i < input_buffers_.size(); ++i)
    batch.inputs.push_back(gather(dataset_.inputs()[i], input_buffers_[i], batch.rows));
  if (!dataset_.target().empty())
    batch.target = gather(dataset_.target()[0], target_buffer_, batch.rows);
  return batch;
}

} // namespace mpar
