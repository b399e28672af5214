// Where rows of an input or target wait for GPUs: at one place from step to step.
#pragma once

#include "backend.h"
#include "fetch.h"
#include "mpar/model.h"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace mpar {

/// Of the devices of one replica that this process has, those that read a port.
struct Readers {
  Backend *only = nullptr; // the one GPU, where no other device reads it
  Backend *any = nullptr;  // some GPU that does; null: none
  bool here = false;       // whether any device does
};
Readers readers_of(const PortDescription &port, const Machine &machine);

/// Room for a replica's rows of one port, or their numbers: where one GPU alone reads them, its own
/// memory, and pinned memory of the host from which it is filled; else all read them where they are
/// pinned. Memory is taken when it is first needed.
class StagedPort {
public:
  StagedPort() = default;
  /// `readers`: who reads it, of whom one is a GPU; else nothing is staged. `communicator`: what
  /// sends from there, or null; it must outlive this.
  StagedPort(const Readers &readers, int64_t bytes, Communicator *communicator = nullptr)
      : readers_(readers), bytes_(bytes), is_known_(true), communicator_(communicator) {}
  StagedPort(const StagedPort &) = delete;
  StagedPort &operator=(const StagedPort &) = delete;
  StagedPort(StagedPort &&other) noexcept { *this = std::move(other); }
  StagedPort &operator=(StagedPort &&other) noexcept {
    std::swap(readers_, other.readers_);
    std::swap(bytes_, other.bytes_);
    std::swap(is_known_, other.is_known_);
    std::swap(communicator_, other.communicator_);
    std::swap(call_, other.call_);
    std::swap(pinned_, other.pinned_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~StagedPort() {
    if (pinned_)
      readers_.any->release_pinned(pinned_);
    if (memory_ && communicator_)
      communicator_->forget_memory(memory_);
    if (memory_)
      readers_.only->release(memory_);
  }

  bool is_known() const { return is_known_; }
  const Readers &readers() const { return readers_; }
  /// Whether this is the first time that it is asked in a call of the model, which has a number.
  bool begins(int64_t call) { return std::exchange(call_, call) != call; }
  /// Takes all rows of a call from memory of the host: they are read, or copied by what is
  /// returned, from the room's beginning on. Nothing is to be copied where no GPU is named.
  Fetch take(const void *rows, int64_t bytes);
  /// Brings rows there which the one GPU keeps.
  Fetch gather(const KeptRows &kept, const int32_t *numbers, int64_t count);
  /// Where what is so many bytes from the beginning is read.
  const std::byte *at(int64_t offset) const { return (memory_ ? memory_ : pinned_) + offset; }

private:
  std::byte *memory();

  Readers readers_;
  int64_t bytes_ = 0;
  bool is_known_ = false;
  Communicator *communicator_ = nullptr;
  int64_t call_ = 0;
  std::byte *pinned_ = nullptr;
  std::byte *memory_ = nullptr; // of the one GPU
};

} // namespace mpar
