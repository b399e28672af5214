// What a step brings to GPUs before it begins: rows, or the numbers of rows that they have.
#pragma once

#include <cstdint>

namespace mpar {

class Backend;

/// The rows of one port of a data set as a GPU has them, all of them: row r begins r · row_bytes
/// bytes after `first`.
struct KeptRows {
  /// What lies there: rows as kernels read them, or tokens of so many bits, of which kernels read
  /// i32.
  enum class Kind { rows, u8, u16, u32, i64 };
  const void *first = nullptr;
  int64_t rows = 0;
  int64_t row_bytes = 0; // of a row as it lies there
  int64_t width = 0;     // tokens of a row
  Kind kind = Kind::rows;

  bool operator==(const KeptRows &other) const {
    return first == other.first && rows == other.rows && row_bytes == other.row_bytes &&
           width == other.width && kind == other.kind;
  }
};

/// A copy from pinned memory to a GPU, or the gathering of rows that it keeps. All of its places
/// stay from step to step, so that it may be recorded.
struct Fetch {
  Backend *gpu = nullptr;
  void *to = nullptr;
  const void *from = nullptr; // pinned; or, on the GPU, the numbers of the rows, as int32_t
  int64_t bytes = 0;          // that are copied
  int64_t count = 0;          // rows that are gathered, of `kept`; 0: it is a copy
  KeptRows kept = {};

  bool operator==(const Fetch &other) const {
    return gpu == other.gpu && to == other.to && from == other.from && bytes == other.bytes &&
           count == other.count && kept == other.kept;
  }
  /// Issues it on the GPU's compute lane.
  void issue() const;
};

} // namespace mpar
