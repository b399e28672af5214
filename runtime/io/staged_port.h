// Where rows of an input or target wait for GPUs: at one place from step to step.
#pragma once

#include "backend.h"
#include "fetch.h"
#include "mpar/model.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
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
/// pinned. There are two rooms: while a step reads one, the rows of the next may be brought to the
/// other. Memory is taken when it is first needed.
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
  StagedPort &operator=(StagedPort &&other) noexcept;
  ~StagedPort();

  bool is_known() const { return is_known_; }
  const Readers &readers() const { return readers_; }
  /// Whether this is the first time that it is asked in a call of the model, which has a number.
  bool begins(int64_t call) { return std::exchange(call_, call) != call; }
  /// Takes all rows of a call from memory of the host: they are read, or copied by what is
  /// returned, from the room's beginning on. Where several devices read them, nothing is copied.
  Fetch take(const void *rows, int64_t bytes);
  /// Brings rows there which the one GPU keeps.
  Fetch gather(const KeptRows &kept, const int32_t *numbers, int64_t count);
  /// Takes the rows of the next step, to which a number above 0 is given, and copies them beside
  /// what is under way. Only where rows have been taken before, and there is memory for a second
  /// room.
  void bring_ahead(const void *rows, int64_t bytes, int64_t number);
  /// Where the rows of that number have been brought: lets what the GPU computes from now on read
  /// them. Else false.
  bool enter(int64_t number);
  /// What a step that reads rows which are there already is recorded with: it copies nothing.
  Fetch present() const;
  /// Where what is so many bytes from the beginning is read.
  const std::byte *at(int64_t offset) const {
    const Room &room = rooms_[current_];
    return (room.memory ? room.memory : room.pinned) + offset;
  }

private:
  struct Room {
    std::byte *pinned = nullptr;
    std::byte *memory = nullptr; // of the one GPU
    std::unique_ptr<Event> event;
    int64_t number = 0; // of the rows that were brought ahead
  };
  void make_pinned(Room &room);
  void make_memory(Room &room);

  Readers readers_;
  int64_t bytes_ = 0;
  bool is_known_ = false;
  Communicator *communicator_ = nullptr;
  int64_t call_ = 0;
  std::array<Room, 2> rooms_;
  size_t current_ = 0;
  bool fits_twice_ = true; // for all that is known
};

} // namespace mpar
