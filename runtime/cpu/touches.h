// What of the devices' memory the turns of a schedule touch, by address, for those who check it.
#pragma once

#include "mpar/device.h"
#include "mpar/schedule.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace mpar {

/// Bytes of an arena that a turn touches.
struct Touch {
  size_t turn;
  size_t device; // its number among those of all replicas
  const std::byte *begin, *end;
  bool writes;
  int slot; // that its microbatch has; -1: it is no activation of one

  bool meets(const Touch &other) const {
    return (writes || other.writes) && begin < other.end && other.begin < end;
  }
};

/// Fails, naming both turns of `all` and their places in the source, where two of those that touch
/// a device's memory touch the same bytes, one of them writing, or the memory of one microbatch
/// after another, and `ordered(earlier, later)` is false. `touches`: by device, in the order of
/// turns.
void prove_ordered(const Schedule &all, const std::vector<std::vector<Touch>> &touches,
                   const std::function<bool(const Touch &earlier, const Touch &later)> &ordered);

/// Bytes a row, from and to.
using ByteIntervals = std::vector<std::pair<int64_t, int64_t>>;

/// `all` without `taken`.
ByteIntervals subtract(const ByteIntervals &all, const ByteIntervals &taken);

/// Of a device's activations those that no later stage of a microbatch reads.
struct Dying {
  int device;
  ByteIntervals intervals;
};

/// By stage of one replica, of so many devices.
std::vector<std::vector<Dying>> find_dying(const Schedule &schedule, int devices);

/// Where a number of two bytes, or of four, that nothing may read begins: signalling NaN as f32
/// and, in its upper half, as bf16.
constexpr uint32_t poison = 0x7fa5a5a5;

/// The touches of a program's turns, by its description's lists. What it is made of must outlive
/// it.
class Touches {
public:
  /// `machines`: of each replica; `schedule`: of one of them; `all`: of all.
  Touches(const std::vector<Machine *> &machines, const Schedule &schedule, const Schedule &all)
      : machines_(machines), schedule_(schedule), all_(all) {}

  std::vector<Touch> of(size_t turn) const;
  const Schedule &schedule() const { return all_; }

private:
  void add_own(size_t turn, std::vector<Touch> &touches) const;
  void add_shared(size_t turn, std::vector<Touch> &touches) const;
  int replicas() const { return static_cast<int>(machines_.size()); }
  size_t number_of(int replica, int device) const {
    return static_cast<size_t>(replica) * static_cast<size_t>(machines_.front()->count()) +
           static_cast<size_t>(device);
  }

  const std::vector<Machine *> &machines_;
  const Schedule &schedule_, &all_;
};

} // namespace mpar
