// Rows to train on, test on or predict, and the batches they are cut into.
#pragma once

#include "mpar/csv.h"
#include "mpar/model.h"
#include "mpar/random.h"
#include "mpar/tokens.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mpar {

/// Rows of a model's inputs and, where there is one, its target. Copies share the numbers, which do
/// not change.
class Dataset {
public:
  /// Where the values of one port lie: `width` cells from `column` on, of each row of a table.
  /// Neither table nor sequence: they are nowhere, as another process reads them.
  struct Port {
    std::shared_ptr<const Table> table;
    int64_t column;
    int64_t width;
    ElementType type;
    // Or rows of one sequence: row r begins at token r · width + column, as i32.
    std::shared_ptr<const Tokens> tokens = nullptr;
    int64_t token_rows = 0;

    bool is_here() const { return tokens || table; }
    int64_t rows() const { return tokens ? token_rows : table ? table->rows : 0; }
  };

  /// As many rows as those ports have that are there.
  Dataset(std::vector<Port> inputs, std::vector<Port> target);
  /// So many rows, the values of which other processes have.
  Dataset(const ModelDescription &model, int64_t rows);

  int64_t rows() const { return rows_; }
  const std::vector<Port> &inputs() const { return inputs_; }
  /// Empty, or the one target.
  const std::vector<Port> &target() const { return target_; }
  /// `count` rows from `first` on.
  Dataset slice(int64_t first, int64_t count) const;
  /// The row of the tables that row 0 is.
  int64_t first() const { return first_; }
  /// The tables as GPUs have them, or null. Parts that are made of this have them too.
  const std::shared_ptr<const ResidentData> &resident() const { return resident_; }
  void set_resident(std::shared_ptr<const ResidentData> resident) {
    resident_ = std::move(resident);
  }

private:
  std::vector<Port> inputs_;
  std::vector<Port> target_;
  int64_t first_ = 0;
  int64_t rows_ = 0;
  std::shared_ptr<const ResidentData> resident_;
};

/// Copies a row of a port that is here to `to`: its elements as the model reads them.
void read_row(const Dataset::Port &port, int64_t row, std::byte *to);

/// Reads `source` for the model described: column counts that the source leaves open come from the
/// model's ports, a file with only the inputs is its own target, and with `needs_target` false one
/// with the targets too is taken. Ports that `reads` is not true of are left out. Fails, naming the
/// file, what it has and what is expected.
using Reads = std::function<bool(const PortDescription &)>;
Dataset load_dataset(
    const DataSource &source, const ModelDescription &model, bool needs_target,
    const Reads &reads = [](const PortDescription &) { return true; });

/// Splits off the last int(rows · fraction) rows. The second set is empty where that is none.
std::pair<Dataset, Dataset> split_dataset(const Dataset &dataset, double fraction);

/// Goes over a dataset in batches as torch.utils.data.DataLoader does, the last one short. The
/// batch it returns lies in its own buffers until the next call; of what GPUs have it has the rows'
/// numbers alone. Keeps a reference to neither generator nor model.
class DataLoader {
public:
  /// `needs_target`: targets are wanted on the host, too.
  DataLoader(Dataset dataset, int64_t batch, bool shuffle, bool needs_target = false);

  int64_t batches() const { return (dataset_.rows() + batch_ - 1) / batch_; }
  /// Begins an epoch, with the draws of `iter(loader)` (its base seed, which nothing here needs)
  /// and, when shuffling, of its RandomSampler: the seed of a generator of its own, from which the
  /// order comes.
  void start(Generator &generator);
  /// Begins an epoch in the order of one begun before, drawing nothing.
  void restart(int64_t sampler_seed);
  /// What the order of this epoch came from; 0 without shuffling.
  int64_t sampler_seed() const { return sampler_seed_; }
  /// Gathers batch `index` of the epoch, in [0, batches()).
  Batch batch(int64_t index);

private:
  struct Buffer {
    std::unique_ptr<std::byte[]> bytes;
    int64_t row_bytes;
  };
  const void *gather(const Dataset::Port &port, Buffer &buffer, int64_t count);

  Dataset dataset_;
  int64_t batch_;
  bool shuffle_;
  int64_t sampler_seed_ = 0;
  std::vector<int64_t> order_;   // empty: in order
  std::vector<int32_t> numbers_; // of the batch at hand, where GPUs have rows
  std::vector<int64_t> rows_;    // of the tables: those of the batch at hand
  std::vector<Buffer> input_buffers_;
  Buffer target_buffer_;
};

} // namespace mpar
