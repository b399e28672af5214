// Data sets that GPUs have whole, so that a step is sent no rows, but their numbers.
#pragma once

#include "mpar/data_loader.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mpar {

class Backend;
struct KeptRows;

/// A data set's rows in the memory of GPUs: each port on the GPUs that read it. Immutable; models
/// that are given batches of it must not outlive it by a call. Not thread-safe.
class ResidentData {
public:
  /// Bytes of a GPU that stay free, for what libraries take as steps go on.
  static constexpr int64_t default_margin = int64_t(1) << 30;

  /// Copies the rows of each port, in this process, to the GPUs of the model's replicas; not those
  /// of which a replica has other readers than one GPU, nor those that would leave one of them less
  /// than `margin` bytes free, beside the rows of a batch. Whether rows are kept changes no result.
  ResidentData(const Model &model, const Dataset &dataset, int64_t margin = default_margin);
  ResidentData(const ResidentData &) = delete;
  ResidentData &operator=(const ResidentData &) = delete;
  ~ResidentData();

  /// Whether whoever reads that port has it; `port`: the number of the input, or that of inputs for
  /// the target.
  bool has(size_t port) const { return port < ports_.size() && !ports_[port].empty(); }
  /// Its rows on a GPU; null: it is not there.
  const KeptRows *find(const Backend &gpu, size_t port) const;
  /// What was left out for want of room, in a line each: "`x` takes 5 bytes, cuda:0 has 4 free".
  const std::vector<std::string> &too_large() const { return too_large_; }

private:
  /// A table's columns, or a sequence of tokens, as a GPU has it.
  struct Copy {
    Backend *gpu;
    const void *source;
    int64_t column, width; // of a table
    void *memory;
  };
  void keep(const Model &model, size_t number, const Dataset::Port &port, int64_t margin);
  Copy *find_copy(const Backend &gpu, const Dataset::Port &port);

  std::vector<Copy> copies_;
  std::vector<std::map<const Backend *, KeptRows>> ports_;
  std::vector<std::string> too_large_;
};

/// Lets GPUs have a data set, where they may; `like`: another one, of which this may be a part.
void make_resident(const Model &model, Dataset &dataset, const Dataset *like = nullptr);

} // namespace mpar
