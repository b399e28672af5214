// What a model does for GPUs: it starts what issues their turns, brings them the rows of a batch,
// and tells them what changes from step to step.
#include "mpar/model.h"

#include "backend.h"
#include "mpar/errors.h"
#include "mpar/part.h"
#include "mpar/resident.h"
#include "mpar/safetensors.h"
#include "mpar/world.h"
#include "ranks.h"
#include "staged_port.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <set>
#include <utility>

namespace mpar {

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
  if (settings.check && world_)
    fail("--check: this version checks GPUs of one process; this run has " +
         std::to_string(world_->size()));
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

void Model::fetch(const BatchPart &part, const Fetch &fetch) {
  if (part.is_of_turns())
    fetches_.push_back(fetch);
  else
    fetch.issue();
}

RowRange Model::own_rows(int64_t batch_rows) const {
  return batch_rows > largest_share_
             ? rows_of_microbatch(batch_rows, number_, description_.replicas)
             : RowRange{0, batch_rows};
}

void Model::do_meanwhile(const std::function<void()> &work) {
  if (Workers *const streams = has_gpus_ ? workers() : nullptr)
    streams->do_meanwhile(work);
}

void Model::bring_ahead(Batch &batch) {
  batch.ahead = ++brought_ahead_;
  for (int number = 0; number < replicas(); ++number) {
    Model &own = replica(number);
    const RowRange rows = own.own_rows(batch.rows);
    for (size_t each = 0; each < own.staged_.size() && rows.count > 0; ++each) {
      StagedPort &staged = own.staged_[each];
      const void *const values = each < batch.inputs.size() ? batch.inputs[each] : batch.target;
      if (!values || !staged.readers().any || (batch.resident && batch.resident->has(each)))
        continue;
      const int64_t row_bytes = element_count(port(each).shape) * element_bytes(port(each).type);
      staged.bring_ahead(static_cast<const std::byte *>(values) + rows.first * row_bytes,
                         rows.count * row_bytes, batch.ahead);
    }
  }
}

const void *Model::stage_rows(const BatchPart &part, const Batch &batch, size_t port,
                              int64_t row_bytes) {
  const void *const values = port < description_.inputs.size() ? batch.inputs[port] : batch.target;
  const auto values_from = [&](int64_t row) -> const void * {
    return values ? static_cast<const std::byte *>(values) + row * row_bytes : nullptr;
  };
  staged_.resize(description_.inputs.size() + 1);
  StagedPort &staged = staged_[port];
  if (!staged.is_known())
    staged = StagedPort(readers_of(this->port(port), machine_), largest_share_ * row_bytes,
                        world_ ? world_->communicator() : nullptr);
  if (!staged.readers().any)
    return values_from(part.first_row);
  const RowRange own = own_rows(part.batch_rows);
  if (staged.begins(calls_)) {
    Backend *const gpu = staged.readers().only;
    const KeptRows *const kept = gpu && batch.resident ? batch.resident->find(*gpu, port) : nullptr;
    if (kept)
      fetch(part, staged.gather(*kept, stage_numbers(part, *gpu, batch.numbers, own), own.count));
    else if (staged.enter(batch.ahead))
      fetch(part, staged.present());
    else
      fetch(part, staged.take(values_from(own.first), own.count * row_bytes));
  }
  return staged.at((part.first_row - own.first) * row_bytes);
}

const int32_t *Model::stage_numbers(const BatchPart &part, Backend &gpu, const int32_t *numbers,
                                    const RowRange &rows) {
  constexpr int64_t each = sizeof(int32_t);
  const auto same = [&](const StagedPort &port) { return port.readers().only == &gpu; };
  auto found = std::find_if(numbers_.begin(), numbers_.end(), same);
  if (found == numbers_.end())
    found = numbers_.emplace(found, Readers{&gpu, &gpu, true}, largest_share_ * each);
  if (found->begins(calls_)) // one port's rows have the numbers of another's
    fetch(part, found->take(numbers + rows.first, rows.count * each));
  return reinterpret_cast<const int32_t *>(found->at(0));
}

std::vector<Fetch> Model::take_fetches() {
  std::vector<Fetch> all;
  for (int number = 0; number < replicas(); ++number) {
    std::vector<Fetch> &own = replica(number).fetches_;
    all.insert(all.end(), own.begin(), own.end());
    own.clear();
  }
  return all;
}

void Model::tell_gpus() {
  if (!has_gpus_)
    return;
  ++calls_;
  fetches_.clear(); // of a step that has not come to be
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
