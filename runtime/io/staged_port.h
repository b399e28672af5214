// Where rows of an input or target wait for GPUs: at one place from step to step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace mpar {

class Backend;

/// Room for the rows of one port: pinned memory of the host, and, where one GPU alone reads them, a
/// copy of its own; else all read them where they are pinned.
class StagedPort {
public:
  StagedPort() = default;
  /// `reader`: the GPU that alone reads the port, or null; `any`: one of those that do.
  StagedPort(Backend *reader, Backend &any, int64_t bytes);
  StagedPort(StagedPort &&other) noexcept { *this = std::move(other); }
  StagedPort &operator=(StagedPort &&other) noexcept {
    std::swap(reader_, other.reader_);
    std::swap(pinned_in_, other.pinned_in_);
    std::swap(pinned_, other.pinned_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~StagedPort();

  bool is_there() const { return pinned_in_ != nullptr; }
  /// Takes `bytes` of rows for the place `offset` bytes into the room; where they can be read by
  /// what is issued from now on.
  const void *take(const void *rows, int64_t offset, int64_t bytes);

private:
  Backend *reader_ = nullptr;
  Backend *pinned_in_ = nullptr;
  std::byte *pinned_ = nullptr;
  std::byte *memory_ = nullptr;
};

} // namespace mpar
