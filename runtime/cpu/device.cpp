// Logical devices and their arenas.
#include "mpar/device.h"

#include "backend.h"
#include "memory.h"
#include "mpar/errors.h"
#include "mpar/world.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#if defined(__SSE2__)
#include <pmmintrin.h>
#include <xmmintrin.h>
#endif

namespace mpar {
namespace {

constexpr int64_t alignment = 256;
constexpr int largest_thread_count = 1024;
constexpr int64_t most_rows_of_a_share = 64;
constexpr int64_t floats_of_a_line = 16; // in a cache line
/// Gradients of which each thread that shares out rows may have a copy: 16 MiB. Products of larger
/// models are worth being shared out one by one.
constexpr int64_t most_copied_floats = int64_t(4) << 20;

/// The rows that a device has room for, of values of which it has those of one microbatch.
int64_t rounded_rows(const DeviceDescription &description, int64_t largest_batch) {
  return round_up(rows_at_once(description, largest_batch), description.row_unit);
}

/// Of what microbatches of `each` rows do not share, the bytes of those that are there at once.
int64_t bytes_of_slots(const DeviceDescription &description, int64_t each) {
  return multiply_sizes(description.row_bytes - description.shared_row_bytes,
                        round_up(multiply_sizes(description.slots, each), description.row_unit));
}

/// The bytes of activations that grow with the batch: as many microbatches as are there at once, or
/// one and the output of all.
int64_t bytes_of_rows(const DeviceDescription &description, int64_t largest_batch) {
  const int64_t each =
      largest_microbatch(largest_batch, static_cast<int>(description.microbatches));
  const int64_t slots =
      add_sizes(bytes_of_slots(description, each),
                multiply_sizes(description.shared_row_bytes, round_up(each, description.row_unit)));
  const int64_t one =
      multiply_sizes(description.row_bytes, rounded_rows(description, largest_batch));
  const int64_t output =
      multiply_sizes(description.output_row_bytes, round_up(largest_batch, description.row_unit));
  return std::max(slots, add_sizes(one, output));
}

/// The three regions of an arena, in bytes.
struct Regions {
  int64_t parameters; // and gradients, and the optimiser's state
  int64_t fixed;
  int64_t rows;
  int64_t total() const { return add_sizes(add_sizes(parameters, fixed), rows); }
};

/// The floats of a slot of the optimiser's state. Of shares all devices have room for the largest,
/// so that what follows lies at one place in all replicas.
int64_t floats_of_state(const DeviceDescription &description) {
  if (description.shards <= 1)
    return description.parameter_floats;
  const int64_t lines = (description.trained_floats + floats_of_a_line - 1) / floats_of_a_line;
  return (lines + description.shards - 1) / description.shards * floats_of_a_line;
}

Regions regions(const DeviceDescription &description, int optimizer_slots, int64_t largest_batch) {
  const int64_t floats = add_sizes(multiply_sizes(2, description.parameter_floats),
                                   multiply_sizes(optimizer_slots, floats_of_state(description)));
  return {round_up(multiply_sizes(floats, sizeof(float)), alignment),
          round_up(description.fixed_bytes, alignment),
          round_up(bytes_of_rows(description, largest_batch), alignment)};
}

[[noreturn]] void fail_to_allocate(int index, int64_t bytes, int64_t available,
                                   const Backend *gpu = nullptr) {
  fail("device " + std::to_string(index) + ": its arena takes " + std::to_string(bytes) +
       " bytes, " + std::to_string(available) + " are left" + (gpu ? " on " + gpu->name() : ""));
}

} // namespace

bool is_shared(const DeviceDescription &device, const MemoryAccess &access) {
  return access.region == MemoryAccess::Region::rows &&
         access.begin >= device.row_bytes - device.shared_row_bytes;
}

int64_t rows_at_once(const DeviceDescription &description, int64_t largest_batch) {
  return description.evaluates_whole
             ? largest_batch
             : largest_microbatch(largest_batch, static_cast<int>(description.microbatches));
}

int64_t arena_bytes(const DeviceDescription &description, int optimizer_slots,
                    int64_t largest_batch) {
  return regions(description, optimizer_slots, largest_batch).total();
}

Device::Device(int index, int physical, const DeviceDescription &description, int optimizer_slots,
               int64_t largest_batch, int threads, const Seat &seat, Backend *backend)
    : index_(index), physical_(physical), threads_(threads), seat_(seat), backend_(backend),
      stream_(backend ? backend->stream() : nullptr),
      here_(!seat.world || seat.rank == seat.world->rank()), description_(description),
      rounded_rows_(rounded_rows(description, largest_batch)),
      arena_bytes_(mpar::arena_bytes(description, optimizer_slots, largest_batch)),
      state_floats_(floats_of_state(description)) {
  const Regions region = regions(description, optimizer_slots, largest_batch);
  const int64_t available = !here_    ? arena_bytes_
                            : backend ? backend->free_memory()
                                      : available_memory();
  if (arena_bytes_ > available)
    fail_to_allocate(index, arena_bytes_, available, backend);
  std::byte *arena = nullptr;
  if (backend) {
    arena = static_cast<std::byte *>(seat.world ? backend->allocate_for_messages(arena_bytes_)
                                                : backend->allocate(arena_bytes_));
  } else {
    const Mapping mapping =
        here_ ? map_zeroed(index, arena_bytes_) : reserve_addresses(index, arena_bytes_);
    arena = mapping.begin;
    mapped_bytes_ = static_cast<int64_t>(mapping.size);
  }
  parameters_ = reinterpret_cast<float *>(arena);
  own_gradients_ = whole_gradients_ = gradients_ = parameters_ + description.parameter_floats;
  fixed_ = arena + region.parameters;
  rows_ = fixed_ + region.fixed;
  shared_rows_ = rows_ + bytes_of_rows(description.row_bytes - description.shared_row_bytes);
  end_of_rows_ = rows_ + region.rows;
}

Device::Device(const Device &whole, std::byte *memory, int64_t first_row, int64_t rows)
    : index_(whole.index_), physical_(whole.physical_), threads_(1), seat_(whole.seat_),
      backend_(whole.backend_), stream_(whole.stream_), here_(whole.here_), is_view_(true),
      description_(whole.description_), rounded_rows_(rows), arena_bytes_(whole.arena_bytes_),
      state_floats_(whole.state_floats_), parameters_(whole.parameters_),
      gradients_(whole.gradients_), own_gradients_(whole.gradients_),
      whole_gradients_(whole.gradients_), fixed_(whole.fixed_),
      rows_(whole.rows_ + first_row * description_.row_bytes),
      shared_rows_(rows_ + bytes_of_rows(description_.row_bytes - description_.shared_row_bytes)) {
  if (memory) {
    fixed_ = memory;
    own_gradients_ = gradients_ =
        reinterpret_cast<float *>(memory + round_up(description_.fixed_bytes, alignment));
  }
}

Device::Device(const Device &whole, int64_t first_row, std::byte *shared_rows, int64_t rows)
    : Device(whole, nullptr, 0, rows) {
  rows_ += first_row * (description_.row_bytes - description_.shared_row_bytes);
  shared_rows_ = shared_rows;
}

Device::~Device() {
  if (mapped_bytes_ > 0)
    unmap({reinterpret_cast<std::byte *>(parameters_), static_cast<size_t>(mapped_bytes_)});
  if (backend_ && !is_view_)
    backend_->release(parameters_);
}

void Device::write(void *to, const void *from, int64_t bytes) const {
  if (bytes == 0)
    return;
  if (backend_)
    return backend_->write(to, from, bytes);
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void Device::read(void *to, const void *from, int64_t bytes) const {
  if (bytes == 0)
    return;
  if (backend_)
    return backend_->read(to, from, bytes);
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void Device::zero(void *memory, int64_t bytes) const {
  if (bytes == 0)
    return;
  if (backend_)
    return backend_->zero(memory, bytes);
  std::memset(memory, 0, static_cast<size_t>(bytes));
}

Range share_of_floats(int64_t count, int64_t share, int64_t shares) {
  const int64_t lines = (count + floats_of_a_line - 1) / floats_of_a_line;
  return {std::min(count, lines * share / shares * floats_of_a_line),
          std::min(count, lines * (share + 1) / shares * floats_of_a_line)};
}

Range Device::share_of(Range group) const {
  const Range mine = updated();
  const int64_t begin = std::max(group.begin, mine.begin);
  const Range share = share_of(std::max<int64_t>(0, std::min(group.end, mine.end) - begin));
  return {begin + share.begin, begin + share.end};
}

int64_t Device::thread_bytes() const {
  return add_sizes(
      round_up(description_.fixed_bytes, alignment),
      round_up(multiply_sizes(description_.parameter_floats, sizeof(float)), alignment));
}

Machine::Machine(const std::string &devices, int threads,
                 const std::vector<DeviceDescription> &descriptions, int optimizer_slots,
                 int64_t largest_batch, bool apart)
    : Machine(choose_cores(devices, static_cast<int>(descriptions.size()), apart), threads,
              descriptions, optimizer_slots, largest_batch, apart, {},
              map_devices(devices, static_cast<int>(descriptions.size())).gpus) {}

Machine::Machine(std::vector<int> cores, int threads,
                 const std::vector<DeviceDescription> &descriptions, int optimizer_slots,
                 int64_t largest_batch, bool apart, const std::vector<Seat> &seats,
                 const std::vector<int> &gpus)
    : cores_(std::move(cores)), threads_(threads) {
  if (threads < 1 || threads > largest_thread_count)
    fail("threads: " + std::to_string(threads) + " is not in 1 to " +
         std::to_string(largest_thread_count));
  const bool pinned = std::any_of(cores_.begin(), cores_.end(),
                                  [](int core) { return core != DeviceMap::calling_thread; });
  if (pinned && threads > 1)
    fail("threads: " + std::to_string(threads) + " for devices with workers, which are one each");
  // Memory is taken as it is written, so what earlier devices will write counts against what is
  // left.
  int64_t available = available_memory();
  std::map<Backend *, int64_t> left; // by GPU
  auto seat_of = [&](size_t index) { return seats.empty() ? Seat{} : seats[index]; };
  auto is_gpu = [&](size_t index) { return !gpus.empty() && gpus[index] != DeviceMap::no_gpu; };
  auto is_here = [&](size_t index) {
    const Seat seat = seat_of(index);
    return !seat.world || seat.rank == seat.world->rank();
  };
  auto gpu_of = [&](size_t index) {
    return is_gpu(index) && is_here(index) ? &gpu(gpus[index]) : nullptr;
  };
  for (size_t index = 0; index < descriptions.size(); ++index) {
    has_gpus_ |= is_gpu(index);
    if (!is_here(index))
      continue;
    const int64_t bytes = mpar::arena_bytes(descriptions[index], optimizer_slots, largest_batch);
    Backend *const backend = gpu_of(index);
    int64_t &here =
        backend ? left.try_emplace(backend, backend->free_memory()).first->second : available;
    if (bytes > here)
      fail_to_allocate(static_cast<int>(index), bytes, here, backend);
    here -= bytes;
  }
  // Those of one process and core, or GPU, share memory.
  constexpr int most_cores = 1 << 16, most_gpus = 1 << 10;
  constexpr int first_gpu = 1 << 30;
  for (size_t index = 0; index < descriptions.size(); ++index)
    devices_.push_back(std::make_unique<Device>(
        static_cast<int>(index),
        is_gpu(index)    ? first_gpu + seat_of(index).rank * most_gpus + gpus[index]
        : apart          ? static_cast<int>(index)
        : cores_.empty() ? 0
                         : seat_of(index).rank * most_cores + cores_[index],
        descriptions[index], optimizer_slots, largest_batch, threads, seat_of(index),
        gpu_of(index)));
  if (threads > 1) {
    if (cores_.empty() && !has_gpus_)
      make_shares(largest_batch);
#pragma omp parallel num_threads(threads)
    flush_denormals();
  }
}

Machine::Memory::Memory(int device, int64_t bytes) {
  const Mapping mapping = map_zeroed(device, bytes);
  begin_ = mapping.begin;
  size_ = static_cast<int64_t>(mapping.size);
}

Machine::Memory::Memory(Memory &&other) noexcept
    : begin_(std::exchange(other.begin_, nullptr)), size_(other.size_) {}

Machine::Memory::~Memory() {
  if (begin_)
    unmap({begin_, static_cast<size_t>(size_)});
}

void Machine::make_slots(const Schedule &schedule, int64_t largest_batch) {
  const int64_t rows = largest_microbatch(largest_batch, schedule.microbatches);
  const int64_t part_rows = schedule.part_rows > 0 ? schedule.part_rows : rows;
  parts_a_microbatch_ = (rows + part_rows - 1) / part_rows;
  for (const std::unique_ptr<Device> &device : devices_) {
    Devices &views = slots_.emplace_back();
    std::byte *const shared =
        device->rows<std::byte>(0) + bytes_of_slots(device->description(), rows);
    for (int64_t slot = 0; slot < device->description().slots; ++slot)
      for (int64_t first = 0; first < rows; first += part_rows)
        views.push_back(std::make_unique<Device>(
            *device, slot * rows + first, shared + first * device->description().shared_row_bytes,
            std::min(part_rows, rows - first)));
  }
}

void Machine::use_threads(int threads) {
  if (threads == used_threads_)
    return;
  used_threads_ = threads;
  for (const std::unique_ptr<Device> &device : devices_)
    device->use_threads(threads);
  for (const Devices &views : slots_)
    for (const std::unique_ptr<Device> &view : views)
      view->use_threads(threads);
}

void Machine::make_shares(int64_t largest_batch) {
  int64_t floats = 0;
  for (const std::unique_ptr<Device> &device : devices_)
    floats += device->description().parameter_floats;
  // The same on all: the least that one of them has, whatever the schedule.
  int64_t room = INT64_MAX;
  for (const std::unique_ptr<Device> &device : devices_)
    room = std::min(room, rounded_rows(device->description(), largest_batch));
  if (floats > most_copied_floats || largest_batch < 2 || room < threads_)
    return;
  rows_of_a_share_ = room / threads_;
  // Where rows are many, what belongs to a thread begins with a cache line of its own.
  if (rows_of_a_share_ >= floats_of_a_line)
    rows_of_a_share_ = rows_of_a_share_ / floats_of_a_line * floats_of_a_line;
  rows_of_a_share_ = std::min(rows_of_a_share_, most_rows_of_a_share);
  for (int thread = 0; thread < threads_; ++thread) {
    Devices &share = thread == 0 ? first_share_ : shares_.emplace_back();
    for (const std::unique_ptr<Device> &device : devices_) {
      std::byte *memory = nullptr;
      if (thread > 0 && device->thread_bytes() > 0)
        memory = memories_.emplace_back(device->index(), device->thread_bytes()).begin();
      share.push_back(
          std::make_unique<Device>(*device, memory, thread * rows_of_a_share_, rows_of_a_share_));
    }
  }
}

void copy_between_devices(Device &from, const void *source, Device &to, void *buffer,
                          int64_t bytes) {
  if (!from.here() && !to.here())
    return;
  if (from.here() != to.here() && (from.backend() || to.backend()))
    return send_between_gpus(from, source, to, buffer, bytes);
  if (from.backend() || to.backend())
    return copy_with_gpus(from, source, to, buffer, bytes);
  if (from.here() && to.here()) {
    std::memcpy(buffer, source, bytes);
    return;
  }
  const Seat &seat = to.seat();
  const int channel = World::channel(from.seat().number, seat.number, seat.devices);
  if (to.here())
    seat.world->receive(from.seat().rank, channel, buffer, bytes);
  else
    seat.world->send(seat.rank, channel, source, bytes);
}

void flush_denormals() {
#if defined(__SSE2__)
  _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
  _MM_SET_DENORMALS_ZERO_MODE(_MM_DENORMALS_ZERO_ON);
#elif defined(__aarch64__)
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  __asm__ volatile("msr fpcr, %0" : : "r"(control | (uint64_t(1) << 24)));
#endif
}

} // namespace mpar
