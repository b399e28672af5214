// Logical devices, what each is physically, and the one arena each has.
#pragma once

#include "mpar/schedule.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mpar {

class Backend;
class World;

/// What one logical device needs, known when the program was compiled.
///
/// Its arena is, in this order: parameters, gradients, `optimizer_slots` times the optimiser's
/// state, each of `parameter_floats` floats and contiguous, so that a step of the optimiser is one
/// pass; then the activations: `fixed_bytes`, and `row_bytes` for each row of the microbatches that
/// are there at once, at least one of them; the output of a batch that is evaluated microbatch by
/// microbatch lies behind the first, where training has others. The last `shared_row_bytes` of
/// `row_bytes` are there once, behind the others of all microbatches: what lies there lives no
/// longer than one stage of one of them. Rows are rounded up to a multiple
/// of `row_unit`, and each of the three regions is padded to 256 bytes.
struct DeviceDescription {
  int64_t parameter_floats; // all parameters of the device, each padded to 16 floats
  int64_t trained_floats;   // a prefix: those that the loss depends on, which the optimiser updates
  int64_t fixed_bytes;      // activations whose size does not depend on the batch
  int64_t row_bytes;        // activations, bytes a row
  int64_t row_unit = 64;    // such that what so many rows have begins at multiples of 256 bytes
  /// Of the trained parameters, a suffix: those that weight decay leaves alone.
  int64_t undecayed_floats = 0;
  /// Microbatches that have values there at once where workers carry out a step, and how many a
  /// batch has.
  int64_t slots = 1;
  int64_t microbatches = 1;
  /// Whether evaluation and prediction work on all rows of a batch at once although training does
  /// not: then the arena has room for them.
  bool evaluates_whole = false;
  /// Where they do not: the bytes of a row of the output, if it is this device that has it.
  int64_t output_row_bytes = 0;
  /// Of `row_bytes`, those that all microbatches share.
  int64_t shared_row_bytes = 0;
  /// Where replicas share out the optimiser's state: how many do, and which of them this one is.
  int shards = 1;
  int shard = 0;
};

/// Whether bytes that a stage of the microbatches touches are there once for all of these.
bool is_shared(const DeviceDescription &device, const MemoryAccess &access);

/// Elements [begin, end).
struct Range {
  int64_t begin;
  int64_t end;
};

/// Of `count` floats in shares of nearly equal size, one; each but the last ends with a whole cache
/// line.
Range share_of_floats(int64_t count, int64_t share, int64_t shares);

/// Where a device is, of a run of several processes.
struct Seat {
  World *world = nullptr; // null: there is one process
  int rank = 0;           // whose device it is
  int number = 0;         // among the devices of all replicas
  int devices = 0;        // all of them
};

/// One logical device and its arena. Not thread-safe: a device is worked by one thread at a time.
class Device {
public:
  /// Allocates the arena, zeroed and aligned to 256 bytes. Fails (see errors.h) where memory does
  /// not suffice. `threads`: how many the kernels may use, at least 1. Of another process's device
  /// there is no arena, only its addresses, where nothing can be read or written. `backend`: the
  /// GPU whose memory the arena is; null: the processor's. It must outlive the device.
  Device(int index, int physical, const DeviceDescription &description, int optimizer_slots,
         int64_t largest_batch, int threads = 1, const Seat &seat = {}, Backend *backend = nullptr);
  /// The device as one of several threads sees it that share out the rows of a batch: parameters
  /// and optimiser's state are those of `whole`; gradients and activations of constant size are the
  /// thread's own, in `memory` (`thread_bytes()` of `whole`, zeroed; null: those of `whole`); of
  /// the activations a row it has `rows` rows, `first_row` after where those of `whole` begin.
  /// Its kernels use the calling thread alone. `whole` and `memory` must outlive it.
  Device(const Device &whole, std::byte *memory, int64_t first_row, int64_t rows);
  /// The device as a part of a microbatch sees it: it has `rows` rows, `first_row` after where
  /// those of the first microbatch begin, and at `shared_rows` of the activations that all
  /// microbatches share. `whole` must outlive it.
  Device(const Device &whole, int64_t first_row, std::byte *shared_rows, int64_t rows);
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;
  ~Device();

  int index() const { return index_; }
  /// Devices of the same physical number share memory and thread: transfers between them copy
  /// nothing.
  int physical() const { return physical_; }
  /// Whether the device is this process's own.
  bool here() const { return here_; }
  const Seat &seat() const { return seat_; }
  /// The GPU that it is; null: a processor.
  Backend *backend() const { return backend_; }
  /// What a GPU's kernels are launched on, a cudaStream_t; null: a processor.
  void *stream() const { return stream_; }
  /// Copies between memory of the host and this device's, after all the device has been given to do
  /// so far; waits for it.
  void write(void *to, const void *from, int64_t bytes) const;
  void read(void *to, const void *from, int64_t bytes) const;
  /// Fills with zeros before what is done later.
  void zero(void *memory, int64_t bytes) const;
  /// Threads that the kernels of this device may use.
  int threads() const { return threads_; }
  /// Lets the kernels use `threads` from now on, at least 1.
  void use_threads(int threads) { threads_ = threads; }
  /// Of `count` trained floats those that an optimiser's step on this device is to update: all, or
  /// of what a thread sees its share.
  Range share_of(int64_t count) const { return share_of_floats(count, share_, shares_); }
  /// The same of the trained floats in `group`: of what this device's replica has to update.
  Range share_of(Range group) const;
  /// The trained floats whose optimiser's state is here: all, or this replica's share.
  Range updated() const {
    return share_of_floats(description_.trained_floats, description_.shard, description_.shards);
  }
  /// Of what a thread sees: updates are of share number `share` of `shares`, by the gradients of
  /// the whole device.
  void take_share(int share, int shares) {
    share_ = share;
    shares_ = shares;
    gradients_ = whole_gradients_;
  }
  /// Of what a thread sees: gradients are its own.
  void take_rows() { gradients_ = own_gradients_; }
  const float *own_gradients() const { return own_gradients_; }
  const DeviceDescription &description() const { return description_; }

  float *parameters() const { return parameters_; }
  float *gradients() const { return gradients_; }
  /// The optimiser's state number `slot` (0: momentum or first moment; 1: second moment), as if it
  /// were there for all parameters: of those in `updated()` it is.
  float *state(int slot) const {
    return parameters_ + 2 * description_.parameter_floats + slot * state_floats_ -
           (description_.shards > 1 ? updated().begin : 0);
  }
  /// The floats from the parameters to the end of the optimiser's state of so many slots.
  int64_t training_floats(int optimizer_slots) const {
    return 2 * description_.parameter_floats + optimizer_slots * state_floats_;
  }

  /// The bytes the arena takes, all regions together.
  int64_t arena_bytes() const { return arena_bytes_; }
  /// The bytes that each further thread which shares out rows takes for itself.
  int64_t thread_bytes() const;

  /// An activation: `fixed` bytes into the region of constant size.
  template <typename T> T *fixed(int64_t offset) const {
    return reinterpret_cast<T *>(fixed_ + offset);
  }
  /// An activation: `offset` bytes a row into the region that grows with the batch.
  template <typename T> T *rows(int64_t offset) const {
    const int64_t kept = description_.row_bytes - description_.shared_row_bytes;
    return reinterpret_cast<T *>(offset < kept ? rows_ + bytes_of_rows(offset)
                                               : shared_rows_ + bytes_of_rows(offset - kept));
  }
  /// What `row_bytes` a row of that region take.
  int64_t bytes_of_rows(int64_t row_bytes) const { return row_bytes * rounded_rows_; }
  /// Where the region that grows with the batch ends, of a device as a whole.
  std::byte *end_of_rows() const { return end_of_rows_; }
  /// Where the output of a batch lies that is evaluated microbatch by microbatch: behind the values
  /// of one. Of a device as a whole.
  std::byte *output() const { return rows<std::byte>(description_.row_bytes); }

private:
  int index_;
  int physical_;
  int threads_;
  Seat seat_;
  Backend *backend_ = nullptr;
  void *stream_ = nullptr;
  bool here_ = true;
  bool is_view_ = false; // of another's arena
  int share_ = 0;
  int shares_ = 1;
  DeviceDescription description_;
  int64_t rounded_rows_;
  int64_t arena_bytes_;
  int64_t state_floats_;        // of one slot of the optimiser's state
  int64_t mapped_bytes_ = 0;    // whole pages; 0: the arena is another's
  float *parameters_ = nullptr; // where the arena begins
  float *gradients_ = nullptr;
  float *own_gradients_ = nullptr;
  float *whole_gradients_ = nullptr;
  std::byte *fixed_ = nullptr;
  std::byte *rows_ = nullptr;
  std::byte *shared_rows_ = nullptr;
  std::byte *end_of_rows_ = nullptr;
};

/// The most rows of a batch of at most so many that a device works on at once, but for those of
/// several microbatches that workers carry out: what its values lie side by side for.
int64_t rows_at_once(const DeviceDescription &description, int64_t largest_batch);

/// The bytes `Device` allocates for this description: what the head of an emitted file states.
/// Fails where they do not fit in 64 bits.
int64_t arena_bytes(const DeviceDescription &description, int optimizer_slots,
                    int64_t largest_batch);

/// Which process of a run this one is.
struct Process {
  Process(int ranks = 1, int rank = 0, int local_rank = 0)
      : ranks(ranks), rank(rank), local_rank(local_rank) {}
  int ranks;      // of the run
  int rank;       // of these
  int local_rank; // of those on the same machine
};

/// What `--devices` says of a program's logical devices.
struct DeviceMap {
  static constexpr int calling_thread = -1;
  static constexpr int no_gpu = -1;
  std::vector<int> cores; // of each the core whose worker carries it out
  std::vector<int> ranks; // of each the process whose it is
  /// Of each the GPU that it is, or no_gpu; of another process's only whether it is one is known.
  std::vector<int> gpus;

  /// Whether there is one process, whose calling thread has all devices, and none is a GPU.
  bool is_plain() const;
  bool has_gpus() const;
};

/// Whether this program was built with what GPUs need.
bool is_built_for_gpus();
/// The GPUs that it can use; `why` says why none, in one line.
int count_gpus(std::string &why);

/// Reads `devices` for `count` logical devices, as a process of a run. Where it names no ranks,
/// these take the devices in contiguous blocks; so do GPUs under `auto`, where there are some, and
/// `cuda`. Of several processes each has one GPU: under `cuda` that of its number on its machine;
/// `auto` is processors. Refuses, by name, what it may not be: ranks that there are not, or without
/// a device, GPUs that this process has not, and, of several, two GPUs or ranks without one.
DeviceMap map_devices(const std::string &devices, int count, const Process &process = {});
/// Of one process: the cores; empty: all devices are the calling thread. Where `apart`, calling
/// threads too become workers, on the cores there are in turn.
std::vector<int> choose_cores(const std::string &devices, int count, bool apart = false);

/// The logical devices of one program, or of one replica of it, mapped to physical ones by
/// `--devices`.
class Machine {
public:
  /// `cores` and `gpus`: as choose_cores or a DeviceMap has them, of these devices; `seats`: where
  /// they are, in a run of several processes. Only devices of the calling thread may have several
  /// threads; where it is one process's of several, these share the work of each kernel.
  Machine(std::vector<int> cores, int threads, const std::vector<DeviceDescription> &descriptions,
          int optimizer_slots, int64_t largest_batch, bool apart = false,
          const std::vector<Seat> &seats = {}, const std::vector<int> &gpus = {});
  /// `devices`: "auto" (the GPUs there are, else "cpu"), "cpu" (all logical devices are the calling
  /// thread), "cuda" (the GPUs in contiguous blocks), "cpu:K" (a worker pinned to core K),
  /// "cuda:K", or a list of them, one a device. Other forms are refused by name. `threads`: those
  /// that share out the rows of a batch or, where they do not, the work of each kernel, 1 to 1024.
  /// Fails, naming the device and its bytes, where the arenas together need more memory than the
  /// system, or the control group the process runs in, has left. `apart`: no two devices share
  /// memory or a worker, and each has one; where `devices` names no cores, on those of this process
  /// in turn.
  Machine(const std::string &devices, int threads,
          const std::vector<DeviceDescription> &descriptions, int optimizer_slots,
          int64_t largest_batch, bool apart = false);

  int count() const { return static_cast<int>(devices_.size()); }
  Device &device(int index) { return *devices_[index]; }
  const Device &device(int index) const { return *devices_[index]; }
  int threads() const { return threads_; }
  /// Lets the kernels of all devices, and of what microbatches see of them, use so many of these.
  void use_threads(int threads);
  /// Whether a device is a GPU. Then all issue whole microbatches, and the calling thread has those
  /// that are none.
  bool has_gpus() const { return has_gpus_; }
  /// Of each device the core of its worker; empty: there are none.
  const std::vector<int> &cores() const { return cores_; }

  /// Divides the rows of each device's arena among microbatches, for workers.
  void make_slots(const Schedule &schedule, int64_t largest_batch);
  /// A device as one part of a microbatch sees it; see Device. Parts are those of at most
  /// `part_rows` rows of the schedule.
  Device &slot(int index, int microbatch, int64_t part) {
    const Devices &all = slots_[index];
    const int64_t number = microbatch * parts_a_microbatch_ + part;
    return *all[number % static_cast<int64_t>(all.size())];
  }
  int64_t parts_a_microbatch() const { return parts_a_microbatch_; }

  /// Threads that may share out the rows of a batch, each with gradients of its own: all of them,
  /// or 1 where the copies of the gradients would be large or the batch has one row.
  int sharing_threads() const { return static_cast<int>(shares_.size()) + 1; }
  /// The rows that one of them works on at a time, at most.
  int64_t rows_of_a_share() const { return rows_of_a_share_; }
  /// A device as thread `thread` in [0, sharing_threads()) sees it; see Device.
  Device &share(int thread, int index) {
    return thread == 0 ? *first_share_[index] : *shares_[thread - 1][index];
  }

private:
  using Devices = std::vector<std::unique_ptr<Device>>;
  class Memory {
  public:
    Memory(int device, int64_t bytes);
    Memory(Memory &&other) noexcept;
    Memory &operator=(Memory &&) = delete;
    ~Memory();
    std::byte *begin() const { return begin_; }

  private:
    std::byte *begin_;
    int64_t size_;
  };
  void make_shares(int64_t largest_batch);

  Devices devices_;
  std::vector<Memory> memories_; // of shares
  Devices first_share_;
  std::vector<Devices> shares_; // of the other threads
  int64_t rows_of_a_share_ = 0;
  std::vector<Devices> slots_; // by device: of a microbatch and part, then the next
  int64_t parts_a_microbatch_ = 1;
  std::vector<int> cores_;
  int threads_;
  int used_threads_ = 0; // not known
  bool has_gpus_ = false;
};

/// Makes `count` elements at `source` on `from` readable on `to`: where both share memory, the very
/// pointer (the memory plan keeps the source alive as long as the copy); else a copy into `buffer`,
/// which lies on `to`. Between processes both call it: one sends, the other receives, and others do
/// nothing.
template <typename T>
const T *transfer(Device &from, const T *source, Device &to, T *buffer, int64_t count);

/// The part of `transfer` that copies or sends, between devices that do not share memory.
void copy_between_devices(Device &from, const void *source, Device &to, void *buffer,
                          int64_t bytes);

/// Whether a result replaces what lies at its place or is added to it. A sum over the rows of a
/// batch that is worked through in parts is replaced by the first part's and added to by the
/// others.
enum class Store { overwrite, add };

/// Flushes denormals to zero on the calling thread (FTZ and DAZ): moments of dead units become
/// denormal under Adam and would slow the optimiser many times over.
void flush_denormals();

} // namespace mpar

#include "mpar/transfer.inc"
