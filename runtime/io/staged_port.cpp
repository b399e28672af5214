// Rows on their way to GPUs.
#include "staged_port.h"

#include "communicator.h"

#include <cstring>
#include <set>
#include <vector>

namespace mpar {

/// What a second room leaves free of a GPU's memory.
static constexpr int64_t margin = int64_t(256) << 20;

void Fetch::issue() const {
  if (count > 0)
    gpu->gather_rows(kept, static_cast<const int32_t *>(from), count, to);
  else if (bytes > 0)
    gpu->copy_from_pinned(to, from, bytes, Lane::compute);
}

Readers readers_of(const PortDescription &port, const Machine &machine) {
  std::set<Backend *> all;
  const std::vector<int> none = {0};
  for (const int device : port.devices.empty() ? none : port.devices)
    if (machine.device(device).here())
      all.insert(machine.device(device).backend());
  Readers readers;
  readers.here = !all.empty();
  for (Backend *gpu : all)
    readers.any = gpu ? gpu : readers.any;
  readers.only = all.size() == 1 ? *all.begin() : nullptr;
  return readers;
}

StagedPort &StagedPort::operator=(StagedPort &&other) noexcept {
  std::swap(readers_, other.readers_);
  std::swap(bytes_, other.bytes_);
  std::swap(is_known_, other.is_known_);
  std::swap(communicator_, other.communicator_);
  std::swap(call_, other.call_);
  std::swap(rooms_, other.rooms_);
  std::swap(current_, other.current_);
  std::swap(fits_twice_, other.fits_twice_);
  return *this;
}

StagedPort::~StagedPort() {
  for (const Room &room : rooms_) {
    if (room.pinned)
      readers_.any->release_pinned(room.pinned);
    if (room.memory && communicator_)
      communicator_->forget_memory(room.memory);
    if (room.memory)
      readers_.only->release(room.memory);
  }
}

void StagedPort::make_pinned(Room &room) {
  if (!room.pinned)
    room.pinned = static_cast<std::byte *>(readers_.any->allocate_pinned(bytes_));
}

void StagedPort::make_memory(Room &room) {
  if (room.memory || !readers_.only)
    return;
  room.memory =
      static_cast<std::byte *>(communicator_ ? readers_.only->allocate_for_messages(bytes_)
                                             : readers_.only->allocate(bytes_));
  if (communicator_) // an input, or a view of it, may be sent on as it is
    communicator_->register_memory(room.memory, bytes_);
}

Fetch StagedPort::present() const {
  Fetch fetch;
  fetch.gpu = readers_.any;
  fetch.to = const_cast<std::byte *>(at(0));
  return fetch;
}

Fetch StagedPort::take(const void *rows, int64_t bytes) {
  Room &room = rooms_[current_];
  room.number = 0;
  make_pinned(room);
  make_memory(room);
  std::memcpy(room.pinned, rows, static_cast<size_t>(bytes));
  Fetch fetch = present();
  fetch.from = room.pinned;
  fetch.bytes = readers_.only ? bytes : 0;
  return fetch;
}

Fetch StagedPort::gather(const KeptRows &kept, const int32_t *numbers, int64_t count) {
  make_memory(rooms_[current_]);
  Fetch fetch = present();
  fetch.from = numbers;
  fetch.count = count;
  fetch.kept = kept;
  return fetch;
}

void StagedPort::bring_ahead(const void *rows, int64_t bytes, int64_t number) {
  Room &room = rooms_[1 - current_];
  if (!rooms_[current_].pinned || !fits_twice_)
    return;
  if (readers_.only && !room.memory) {
    fits_twice_ = readers_.only->free_memory() >= bytes_ + margin;
    if (!fits_twice_)
      return;
    make_memory(room);
    readers_.only->synchronize(); // it is zeroed in another order than it is filled
  }
  make_pinned(room);
  std::memcpy(room.pinned, rows, static_cast<size_t>(bytes));
  room.number = number;
  if (!readers_.only)
    return;
  if (!room.event)
    room.event = readers_.only->make_event();
  readers_.only->copy_from_pinned(room.memory, room.pinned, bytes, Lane::ahead);
  readers_.only->record(*room.event, Lane::ahead);
}

bool StagedPort::enter(int64_t number) {
  Room &room = rooms_[1 - current_];
  if (number == 0 || room.number != number)
    return false;
  current_ = 1 - current_;
  if (readers_.only)
    readers_.only->wait(*room.event, Lane::compute);
  return true;
}

} // namespace mpar
