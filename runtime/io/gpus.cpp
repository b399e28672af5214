// What a model does for GPUs: it starts what issues their turns, brings them the rows of a batch,
// and tells them what changes from step to step.
#include "mpar/model.h"

#include "backend.h"
#include "mpar/part.h"
#include "mpar/world.h"
#include "ranks.h"
#include "staged_port.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <set>

namespace mpar {

StagedPort::StagedPort(Backend *reader, Backend &any, int64_t bytes)
    : reader_(reader), pinned_in_(&any),
      pinned_(static_cast<std::byte *>(any.allocate_pinned(bytes))),
      memory_(reader ? static_cast<std::byte *>(reader->allocate(bytes)) : nullptr) {}

StagedPort::~StagedPort() {
  if (pinned_)
    pinned_in_->release_pinned(pinned_);
  if (memory_)
    reader_->release(memory_);
}

const void *StagedPort::take(const void *rows, int64_t offset, int64_t bytes) {
  std::memcpy(pinned_ + offset, rows, static_cast<size_t>(bytes));
  if (!reader_)
    return pinned_ + offset;
  reader_->copy_from_pinned(memory_ + offset, pinned_ + offset, bytes);
  return memory_ + offset;
}

namespace {

/// The GPU that alone reads a port; null: processors do, or several GPUs.
struct Readers {
  Backend *only = nullptr; // the one GPU, where no other device reads the port
  Backend *any = nullptr;  // some GPU that does; null: none
};

Readers readers_of(const PortDescription &port, const Machine &machine) {
  std::set<Backend *> all;
  const std::vector<int> none = {0};
  for (const int device : port.devices.empty() ? none : port.devices)
    if (machine.device(device).here())
      all.insert(machine.device(device).backend());
  Readers readers;
  for (Backend *gpu : all)
    readers.any = gpu ? gpu : readers.any;
  readers.only = all.size() == 1 ? *all.begin() : nullptr;
  return readers;
}

} // namespace

Model::~Model() {
  Communicator *const communicator = world_ && lead_ == this ? world_->communicator() : nullptr;
  if (!communicator || !has_joined_)
    return;
  // What GPUs have still to do may wait for other ranks, which are not to come, and memory is
  // released after it.
  if (std::uncaught_exceptions() > 0)
    communicator->abort();
  for (int number = 0; number < count_of_all(); ++number)
    if (device_of_all(number).backend())
      communicator->forget_memory(device_of_all(number).parameters());
}

void Model::join_gpus() {
  Backend *gpu = nullptr;
  for (int number = 0; number < count_of_all(); ++number)
    if (device_of_all(number).backend())
      gpu = device_of_all(number).backend();
  if (!world_->communicator())
    join_ranks(*world_, *gpu);
  has_joined_ = true;
  for (int number = 0; number < count_of_all(); ++number)
    if (const Device &device = device_of_all(number); device.backend())
      world_->communicator()->register_memory(device.parameters(), device.arena_bytes());
}

void Model::start_streams(const Settings &settings) {
  for (int number = 0; number < count_of_all(); ++number)
    if (Backend *backend = device_of_all(number).backend())
      backend->use_tf32(settings.tf32);
  if (description_.schedule.turns.empty())
    return;
  if (settings.check)
    refuse_ranks();
  if (description_.replicas > 1)
    all_turns_ = replicate(description_.schedule, description_.replicas, machine_.count());
  std::vector<const Device *> devices;
  devices.reserve(count_of_all());
  for (int number = 0; number < count_of_all(); ++number)
    devices.push_back(&device_of_all(number));
  workers_ = std::make_unique<Workers>(devices, schedule_of_all(), settings.graph, world_);
  workers_->set_timeout(settings.timeout);
  if (settings.check && description_.replicas == 1)
    start_checking();
}

const void *Model::stage_rows(const BatchPart &part, size_t port, const void *rows,
                              int64_t row_bytes) {
  staged_.resize(description_.inputs.size() + 1);
  const PortDescription &description =
      port < description_.inputs.size() ? description_.inputs[port] : description_.target;
  StagedPort &staged = staged_[port];
  if (!staged.is_there()) {
    const Readers readers = readers_of(description, machine_);
    if (!readers.any)
      return rows;
    staged = StagedPort(readers.only, *readers.any, largest_share_ * row_bytes);
  }
  // Where the rows of this replica begin: it has room for its own.
  const int64_t first =
      part.batch_rows > largest_share_
          ? rows_of_microbatch(part.batch_rows, number_, description_.replicas).first
          : 0;
  return staged.take(rows, (part.first_row - first) * row_bytes, part.rows * row_bytes);
}

void Model::tell_gpus() {
  if (!has_gpus_)
    return;
  if (world_ && lead_ == this && !has_joined_)
    join_gpus(); // here, where all ranks come by one after the other's failure has been said
  const OptimizerSettings settings = optimizer();
  OptimizerSettings before = told_, now = settings;
  before.lr = now.lr = 0;
  if (lead_ == this && workers_ && !(before == now))
    workers_->forget_recordings(); // what else changes is not told from step to step
  told_ = settings;
  std::set<Backend *> told;
  for (int index = 0; index < machine_.count(); ++index)
    if (Backend *const gpu = machine_.device(index).backend(); gpu && told.insert(gpu).second)
      gpu->begin_step(settings, step_, updates(), loss_scaling_);
}

} // namespace mpar
