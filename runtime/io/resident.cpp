// Data sets in the memory of GPUs.
#include "mpar/resident.h"

#include "backend.h"
#include "fetch.h"
#include "mpar/safetensors.h"
#include "staged_port.h"

#include <algorithm>
#include <limits>
#include <set>

namespace mpar {

namespace {

/// Copied at a time, of tables whose columns belong to several ports.
constexpr int64_t block_bytes = int64_t(16) << 20;

int64_t bytes_of(const Dataset::Port &port) {
  return port.tokens ? port.tokens->count() * port.tokens->token_bytes()
                     : port.table->rows * port.width * element_bytes(port.type);
}

int64_t row_bytes_of(const PortDescription &port) {
  return element_count(port.shape) * element_bytes(port.type);
}

const void *source_of(const Dataset::Port &port) {
  if (port.tokens)
    return port.tokens.get();
  return port.table.get();
}

KeptRows::Kind kind_of(const Tokens &tokens) {
  switch (tokens.width()) {
  case Tokens::Width::u8:
    return KeptRows::Kind::u8;
  case Tokens::Width::u16:
    return KeptRows::Kind::u16;
  case Tokens::Width::u32:
    return KeptRows::Kind::u32;
  case Tokens::Width::i32:
    return KeptRows::Kind::rows;
  case Tokens::Width::i64:
    return KeptRows::Kind::i64;
  }
  return KeptRows::Kind::rows;
}

/// The rows of a port whose values, or whose tokens, begin at `memory`.
KeptRows rows_at(const Dataset::Port &port, const void *memory) {
  KeptRows kept;
  kept.rows = port.rows();
  kept.width = port.width;
  kept.first = memory;
  kept.row_bytes = port.width * element_bytes(port.type);
  if (port.tokens) {
    kept.kind = kind_of(*port.tokens);
    kept.row_bytes = port.width * port.tokens->token_bytes();
    kept.first = static_cast<const std::byte *>(memory) +
                 port.column * port.tokens->token_bytes(); // whose rows begin there
  }
  return kept;
}

/// Copies the values of a port, row after row.
void copy_values(Backend &gpu, const Dataset::Port &port, void *memory) {
  auto *to = static_cast<std::byte *>(memory);
  if (port.tokens) {
    gpu.write(to, port.tokens->bytes(), bytes_of(port));
    return;
  }
  const int64_t row_bytes = port.width * element_bytes(port.type);
  const Table &table = *port.table;
  if (port.width == table.columns && port.type != ElementType::boolean) {
    gpu.write(to, table.cells.data(), bytes_of(port));
    return;
  }
  const int64_t most = std::max<int64_t>(1, block_bytes / row_bytes);
  std::vector<std::byte> block(static_cast<size_t>(std::min(most, table.rows) * row_bytes));
  for (int64_t row = 0; row < table.rows; row += most) {
    const int64_t count = std::min(most, table.rows - row);
    for (int64_t i = 0; i < count; ++i)
      read_row(port, row + i, block.data() + i * row_bytes);
    gpu.write(to + row * row_bytes, block.data(), count * row_bytes);
  }
}

bool is_same(const std::vector<Dataset::Port> &a, const std::vector<Dataset::Port> &b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Dataset::Port &one, const Dataset::Port &other) {
                      return one.table == other.table && one.tokens == other.tokens &&
                             one.column == other.column && one.width == other.width;
                    });
}

} // namespace

ResidentData::ResidentData(const Model &model, const Dataset &dataset, int64_t margin)
    : ports_(model.description().inputs.size() + 1) {
  // Steps are to have room for the rows of a batch, too, wherever they come from.
  for (size_t number = 0; number < ports_.size(); ++number)
    margin += model.replicas() * model.largest_share() * row_bytes_of(model.port(number));
  for (size_t number = 0; number < dataset.inputs().size(); ++number)
    keep(model, number, dataset.inputs()[number], margin);
  if (!dataset.target().empty())
    keep(model, ports_.size() - 1, dataset.target().front(), margin);
}

ResidentData::~ResidentData() {
  for (const Copy &copy : copies_)
    copy.gpu->release(copy.memory);
}

ResidentData::Copy *ResidentData::find_copy(const Backend &gpu, const Dataset::Port &port) {
  const auto same = [&](const Copy &copy) {
    return copy.gpu == &gpu && copy.source == source_of(port) &&
           (port.tokens || (copy.column == port.column && copy.width == port.width));
  };
  const auto found = std::find_if(copies_.begin(), copies_.end(), same);
  return found == copies_.end() ? nullptr : &*found;
}

void ResidentData::keep(const Model &model, size_t number, const Dataset::Port &port,
                        int64_t margin) {
  if (!port.is_here() || port.rows() > std::numeric_limits<int32_t>::max())
    return;
  std::set<Backend *> gpus;
  for (int replica = 0; replica < model.replicas(); ++replica) {
    const Readers readers = readers_of(model.port(number), model.replica(replica).machine());
    if (readers.here && !readers.only)
      return;
    if (readers.here)
      gpus.insert(readers.only);
  }
  for (Backend *gpu : gpus) {
    const int64_t bytes = bytes_of(port), free = gpu->free_memory();
    if (find_copy(*gpu, port) || bytes <= free - margin)
      continue;
    too_large_.push_back("`" + model.port(number).name + "` takes " + std::to_string(bytes) +
                         " bytes, " + gpu->name() + " has " + std::to_string(free) + " free");
    return;
  }
  for (Backend *gpu : gpus) {
    const Copy *copy = find_copy(*gpu, port);
    if (!copy) {
      copies_.push_back({gpu, source_of(port), port.column, port.width, nullptr});
      copies_.back().memory = gpu->allocate(bytes_of(port));
      copy_values(*gpu, port, copies_.back().memory);
      copy = &copies_.back();
    }
    ports_[number][gpu] = rows_at(port, copy->memory);
  }
}

const KeptRows *ResidentData::find(const Backend &gpu, size_t port) const {
  if (port >= ports_.size())
    return nullptr;
  const auto found = ports_[port].find(&gpu);
  return found == ports_[port].end() ? nullptr : &found->second;
}

void make_resident(const Model &model, Dataset &dataset, const Dataset *like) {
  const bool is_part = like && like->resident() && is_same(like->inputs(), dataset.inputs()) &&
                       is_same(like->target(), dataset.target());
  dataset.set_resident(is_part ? like->resident()
                               : std::make_shared<const ResidentData>(model, dataset));
}

} // namespace mpar
