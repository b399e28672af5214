// Holds a run to what its schedule claims: nothing is read or written that nothing orders.
#pragma once

#include "mpar/device.h"
#include "mpar/schedule.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace mpar {

struct Dying;

/// Checks the turns of workers, each device of which must have one of its own (`Machine` and
/// `Workers` are to be made with `apart`).
///
/// When it is made, it proves by vector clocks over the waits that of any two turns that touch the
/// same bytes, one of them writing, one is ordered before the other, and that a microbatch takes
/// over memory only after all that another did there. While turns are carried out, it delays them
/// at random, looks whether what a turn counts on has truly been finished, fills activations that
/// nothing reads any more with signalling NaN, and refuses a turn that would read such.
///
/// Each of several ranks does so for the memory of its own devices, and proves besides that it
/// keeps that order itself, knowing of others only what it hears by messages; see prove_rank.
class TurnChecker final : public TurnObserver {
public:
  /// `machines`: of each replica; `schedule`: of one of them. Fails, naming both turns and their
  /// places in the source, where nothing orders two. What is given must outlive the checker.
  TurnChecker(std::vector<Machine *> machines, const Schedule &schedule);
  ~TurnChecker() override;

  void begin_step(int64_t rows) override;
  void begin(size_t turn) override;
  void end(size_t turn) override;
  void begin_sending(size_t turn, int device) override;

private:
  void make_clocks();
  void prove();
  void find_dying();
  /// Holds up a device for a while, or does not.
  void delay(int device);
  /// Fails where a turn is to read, on devices of this rank, what nothing has written.
  void look_for_poison(size_t turn) const;
  /// Whether a turn has surely finished when another one begins.
  bool ordered(size_t earlier, size_t later) const;
  int device_of(size_t turn) const;
  /// Of a turn, the replica, and the stage in the schedule of one.
  int replica_of(size_t turn) const;
  int stage_of(size_t turn) const;
  int replicas() const { return static_cast<int>(machines_.size()); }
  int devices_each() const { return machines_.front()->count(); }
  size_t all_devices() const { return machines_.size() * static_cast<size_t>(devices_each()); }
  /// Of a replica's device, its number among those of all.
  size_t number_of(int replica, int device) const {
    return static_cast<size_t>(replica) * static_cast<size_t>(devices_each()) +
           static_cast<size_t>(device);
  }
  /// By that number.
  const Device &device(size_t number) const;
  /// The turn of a stage, for the same microbatch.
  size_t turn_of(int stage, int microbatch) const;
  std::string describe(size_t turn) const { return describe_turn(all_, all_.turns[turn]); }
  /// Rows of a part of a microbatch in this step.
  int64_t rows_of_part(size_t turn, int64_t part) const;

  std::vector<Machine *> machines_;
  const Schedule &schedule_;                 // of one replica
  Schedule all_;                             // of all
  std::vector<int64_t> numbers_;             // by turn: which of its device's it is
  std::vector<std::vector<int64_t>> clocks_; // by turn and device: turns surely finished before it
  std::vector<std::vector<Dying>> dying_;    // by stage of one replica
  std::vector<std::mt19937> delays_;         // by device
  std::unique_ptr<std::atomic<int64_t>[]> finished_; // by device, in this step
  int64_t rows_ = 0;
};

} // namespace mpar
