// A training step as stages and turns, and the threads that work them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mpar {

class Device;
class Machine;
class World;
struct Fetch;

/// Some of a step's work on one device, or a transfer to it: one function of an emitted model.
struct StageDescription {
  enum class When { before, during, after }; // the microbatches, or for each of them
  int device;
  When when;
  const char *name = "";   // of the function: "forward_on_0"
  const char *place = "";  // where in the source it begins: "autoencoder.mp:3"; empty: nowhere
  int from = -1;           // of a transfer: the sender
  int64_t row_bytes = 0;   // of a transfer: bytes that it moves, a row,
  int64_t fixed_bytes = 0; // and however many rows there are
};

/// Bytes of a device's arena that a stage reads, of what other stages have written, or writes.
struct MemoryAccess {
  enum class Region { parameters, gradients, fixed, rows };
  int stage;
  int device;
  Region region;
  int64_t begin, end;  // bytes into the region; of `rows`, a row
  bool once = false;   // of what a microbatch has without rows: only so many bytes, once
  bool partly = false; // only a piece of the rows lies there: not all of it is written
};

/// Bytes of which each replica adds up a share over all replicas, or fetches the others' shares; of
/// parameters and gradients the shares are those of the device, of others of the bytes themselves.
struct CollectiveAccess {
  int stage;
  int device;
  MemoryAccess::Region region;
  int64_t begin, end;
  bool gathers;
};

/// A stage's work on one microbatch (0 for what is done once), and what it waits for: on each of
/// some devices so many turns, of those in its own order, to have finished.
struct Turn {
  struct Wait {
    int device;
    int64_t turns;
  };
  int stage;
  int microbatch;
  std::vector<Wait> waits;
};

/// What a stage that replicas carry out together waits for: on the device of that number in each of
/// the other replicas so many turns to have finished.
struct PeerWait {
  int stage;
  int device;
  int64_t turns;
};

/// How a step goes where devices are worked by threads of their own: the compiler has proved that
/// it can be carried out, and that nothing in it races.
struct Schedule {
  int microbatches = 1;
  int64_t part_rows = 0; // a microbatch is worked through so many rows at a time; 0: all at once
  std::vector<StageDescription> stages;
  std::vector<Turn> turns; // in one order of all devices
  std::vector<MemoryAccess> reads, writes;
  std::vector<PeerWait> peer_waits = {};
  std::vector<CollectiveAccess> collectives = {};
  int replicas = 1; // of all: see replicate
};

/// The schedule of all replicas of a program of so many devices: every turn of one replica is
/// followed by the same turn of the next. Stage s of replica r is number r · stages + s.
Schedule replicate(const Schedule &schedule, int replicas, int devices);

/// A turn as an emitted program lists it, with one of the things it waits for; a turn that waits
/// for several is listed as often.
struct TurnEntry {
  int stage;
  int microbatch;
  int device = -1; // none
  int64_t turns = 0;
};

/// The turns of a list of entries.
std::vector<Turn> make_turns(const TurnEntry *begin, const TurnEntry *end);

/// The rows of a microbatch: `rows` are divided into contiguous parts, the first few a row longer.
struct RowRange {
  int64_t first;
  int64_t count;
};
RowRange rows_of_microbatch(int64_t rows, int microbatch, int microbatches);

/// The most rows of a microbatch of a batch of at most `rows`.
inline int64_t largest_microbatch(int64_t rows, int microbatches) {
  return (rows + microbatches - 1) / microbatches;
}

/// Is told of turns as they are carried out. `begin` and `end` are called on the thread of the
/// turn's device, one after the other for one device, at once for several; what one throws ends the
/// step as if the turn had.
class TurnObserver {
public:
  virtual ~TurnObserver() = default;
  /// Before the first turn of a step on so many rows, on the thread that calls `run`.
  virtual void begin_step(int64_t rows) = 0;
  /// Before the work of the turn of that index in the schedule, when its waits are over.
  virtual void begin(size_t turn) = 0;
  /// After its work, before others can know of it.
  virtual void end(size_t turn) = 0;
  /// Before a device sends what that turn, of another rank's device, reads of it; on the thread of
  /// the device that sends.
  virtual void begin_sending(size_t /*turn*/, int /*device*/) {}
};

/// "forward_on_0 of microbatch 2 (autoencoder.mp:3)".
std::string describe_turn(const Schedule &schedule, const Turn &turn);

/// Fails, as a turn of the schedule waits for what does not come before it.
[[noreturn]] void fail_to_wait(const Schedule &schedule, const Turn &turn, const Turn::Wait &wait);

/// What one rank carries out: a turn of a device of its own; or, of another rank's, its part, which
/// is to send what it has of what that turn reads, right after the turn of its own that gives it.
struct RankTurn {
  size_t turn; // of the schedule
  int device;  // of this rank, on whose behalf
  bool sends;
  /// Turns of other devices of this rank that must have finished.
  std::vector<Turn::Wait> waits;
  /// What was sent to these devices of other ranks, for so many of their first turns, must have
  /// gone: the turn may write where it lies.
  std::vector<Turn::Wait> sent;
};

/// What a rank carries out of a schedule, in the schedule's order; `ranks`: by device. All ranks
/// walk the one order, and a turn has no other part than its sources and its own device: so the
/// first turn that has not finished has only such before it that have, on all ranks that have a
/// part in it, and can go on, even if no message were kept anywhere under way. Waits for turns of
/// other ranks are those for their messages; what such waits imply about devices of this rank is
/// among `waits`. Fails where a turn waits for what does not come before it.
std::vector<RankTurn> turns_of_rank(const Schedule &schedule, const std::vector<int> &ranks,
                                    int rank);

/// The devices, of so many, that have what a turn of a stage reads, its own apart: of a transfer
/// the sender, of a collective the same device of the other replicas.
std::vector<int> sources_of(const Schedule &schedule, int stage, int devices);

/// How long a worker waits, in seconds, before it is taken for stalled: longer than a turn of a
/// large model takes.
constexpr double default_timeout = 300;

/// Threads, each pinned to a core of its own, that carry out the turns of their devices in order.
/// The thread that calls `run` is one of them.
class Workers {
public:
  /// `cores`: of each logical device, the core that works it; devices of one core share a thread.
  /// `apart`: they do not, though cores may have several then. Fails where the machine has no such
  /// core for this process. `schedule` must outlive the workers.
  Workers(const std::vector<int> &cores, const Schedule &schedule, bool apart = false);
  /// Those of this process's devices, where several processes share out all: `ranks` says whose
  /// each device is. A core of DeviceMap::calling_thread is one thread, pinned nowhere, or, where
  /// they are `apart`, one for each such device.
  Workers(const std::vector<int> &cores, const Schedule &schedule, World &world,
          const std::vector<int> &ranks, bool apart = false);
  /// Those of devices some of which are GPUs: the calling thread issues the turns in their one
  /// order, each on its device's GPU after what it waits for there, and carries out itself those of
  /// processors. `devices` are by number; where all are GPUs and `recorded`, a step is recorded
  /// once for each number of rows and carried out as a whole from then on.
  /// `world`: the processes that share out the devices, or null; then these are GPUs, each on its
  /// own process's, and what goes between processes goes by the world's communicator.
  Workers(const std::vector<const Device *> &devices, const Schedule &schedule, bool recorded,
          World *world = nullptr);
  Workers(const Workers &) = delete;
  Workers &operator=(const Workers &) = delete;
  ~Workers();

  using Work = void (*)(void *context, int stage, int microbatch);
  /// Carries out one step: calls work(context, stage, microbatch) for every turn, on the thread of
  /// its device. What one throws ends the step on all threads and is thrown on. `rows` of the batch
  /// are what observers are told.
  void run(Work work, void *context, int64_t rows = 0);
  /// What GPUs are to be brought at the beginning of the next step, in this order.
  void fetch_first(const std::vector<Fetch> &fetches);
  /// Where devices are GPUs: what the calling thread does once, when the next step has been issued
  /// and before it waits for it. Not while streams are checked.
  void do_meanwhile(const std::function<void()> &work);
  /// Calls work(context, item) for every item, each on the thread of its device, those of one
  /// thread one after the other in their order; returns when all are done. An item of another
  /// process's device is the calling thread's, and all are where there are GPUs. What one throws is
  /// thrown on.
  void run_on_devices(const std::vector<int> &devices, void (*work)(void *context, size_t item),
                      void *context);
  /// How long one of them may wait, in seconds, and what is done after that: `stalled` is called,
  /// once, with one line that says who waits for what and where that stands. It must not return,
  /// since a thread that hangs can neither be joined nor be made to throw; by default it prints the
  /// line on standard error and ends the process with status 1.
  void set_timeout(double seconds, std::function<void(const std::string &line)> stalled = {});
  /// Tells `observer` of all turns from the next step on, until it is to be ignored.
  void observe(TurnObserver &observer);
  void ignore(TurnObserver &observer);
  /// Where devices are GPUs: holds all steps to come, which are then not recorded, to what
  /// `schedule`, that of one replica, claims, by the events that order them; see StreamChecker.
  /// `machines`: of each replica.
  void check_streams(const std::vector<Machine *> &machines, const Schedule &schedule);
  /// To be called where something a step counts on has changed beside its rows and what backends
  /// are told of it: steps are recorded anew.
  void forget_recordings();

  class Runner;

private:
  class Threads;
  std::unique_ptr<Runner> runner_;
};

} // namespace mpar
