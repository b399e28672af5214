// What of the devices' memory turns touch: the lists of the program's description, which the
// compiler wrote for those who check it.
#include "touches.h"

#include "mpar/errors.h"
#include "mpar/replicas.h"

#include <algorithm>
#include <string>

namespace mpar {
namespace {

using When = StageDescription::When;
using Region = MemoryAccess::Region;

/// Where a region of a device begins, but those of activations.
std::byte *region_of(const Device &device, Region region) {
  if (region == Region::parameters)
    return reinterpret_cast<std::byte *>(device.parameters());
  if (region == Region::gradients)
    return reinterpret_cast<std::byte *>(device.gradients());
  return device.fixed<std::byte>(0);
}

} // namespace

/// `all` without `taken`.
ByteIntervals subtract(const ByteIntervals &all, const ByteIntervals &taken) {
  ByteIntervals left = all;
  for (const auto &[begin, end] : taken) {
    ByteIntervals next;
    for (const auto &[from, to] : left) {
      if (from < std::min(to, begin))
        next.push_back({from, std::min(to, begin)});
      if (std::max(from, end) < to)
        next.push_back({std::max(from, end), to});
    }
    left = std::move(next);
  }
  return left;
}

void Touches::add_own(size_t number, std::vector<Touch> &touches) const {
  const Turn &turn = all_.turns[number];
  const auto stages = static_cast<int>(schedule_.stages.size());
  const int stage = turn.stage % stages, replica = turn.stage / stages;
  Machine &machine = *machines_[static_cast<size_t>(replica)];
  const bool during = schedule_.stages[stage].when == When::during;
  for (const auto *list : {&schedule_.reads, &schedule_.writes})
    for (const MemoryAccess &access : *list) {
      if (access.stage != stage)
        continue;
      const size_t where = number_of(replica, access.device);
      const Device &device = machine.device(access.device);
      const bool writes = list == &schedule_.writes;
      if (access.region != Region::rows) {
        std::byte *base = region_of(device, access.region);
        touches.push_back({number, where, base + access.begin, base + access.end, writes, -1});
      } else if (!during) {
        std::byte *const begin = device.rows<std::byte>(access.begin);
        touches.push_back({number, where, begin,
                           begin + device.bytes_of_rows(access.end - access.begin), writes, -1});
      } else {
        for (int64_t part = 0; part < machine.parts_a_microbatch(); ++part) {
          const Device &view = machine.slot(access.device, turn.microbatch, part);
          std::byte *const begin = view.rows<std::byte>(access.begin);
          const bool shared = is_shared(device.description(), access);
          touches.push_back(
              {number, where, begin, begin + view.bytes_of_rows(access.end - access.begin), writes,
               shared ? -1 : static_cast<int>(turn.microbatch % device.description().slots)});
        }
      }
    }
}

void Touches::add_shared(size_t number, std::vector<Touch> &touches) const {
  constexpr int64_t each = sizeof(float);
  const auto stages = static_cast<int>(schedule_.stages.size());
  const int stage = all_.turns[number].stage % stages, own = all_.turns[number].stage / stages;
  for (const CollectiveAccess &access : schedule_.collectives) {
    if (access.stage != stage)
      continue;
    auto add = [&](int replica, Range share, bool writes) {
      const Device &device = machines_[static_cast<size_t>(replica)]->device(access.device);
      std::byte *base = region_of(device, access.region);
      const Range bytes{std::max(access.begin, share.begin * each),
                        std::min(access.end, share.end * each)};
      if (bytes.begin < bytes.end)
        touches.push_back({number, number_of(replica, access.device), base + bytes.begin,
                           base + bytes.end, writes, -1});
    };
    auto share_of = [&](int replica) -> Range {
      const DeviceDescription &device = machines_.front()->device(access.device).description();
      if (access.region != Region::fixed)
        return share_of_floats(device.trained_floats, replica, replicas());
      const Range range = share_of_floats((access.end - access.begin) / each, replica, replicas());
      return {access.begin / each + range.begin, access.begin / each + range.end};
    };
    for (int replica = 0; replica < replicas(); ++replica)
      if (!access.gathers) {
        add(replica, share_of(own), false);
      } else if (replica != own) {
        add(replica, share_of(replica), false);
        add(own, share_of(replica), true);
      }
    if (!access.gathers)
      add(own, share_of(own), true);
  }
}

std::vector<Touch> Touches::of(size_t turn) const {
  std::vector<Touch> touches;
  add_own(turn, touches);
  add_shared(turn, touches);
  return touches;
}

void prove_ordered(const Schedule &all, const std::vector<std::vector<Touch>> &touches,
                   const std::function<bool(const Touch &earlier, const Touch &later)> &ordered) {
  const auto describe = [&](const Touch &touch) {
    return describe_turn(all, all.turns[touch.turn]);
  };
  for (size_t device = 0; device < touches.size(); ++device) {
    const std::string where = " on device " + std::to_string(device);
    for (size_t later = 0; later < touches[device].size(); ++later)
      for (size_t earlier = 0; earlier < later; ++earlier) {
        const Touch &one = touches[device][earlier], &other = touches[device][later];
        if (one.turn == other.turn || ordered(one, other))
          continue;
        if (one.meets(other))
          fail(describe(other) + (other.writes ? " writes what " : " reads what ") + describe(one) +
               (one.writes ? " writes" : " reads") + where +
               ", and nothing orders one after the other");
        if (one.slot >= 0 && one.slot == other.slot &&
            all.turns[one.turn].microbatch != all.turns[other.turn].microbatch)
          fail(describe(other) + " takes over memory" + where + " that " + describe(one) +
               " still has, and nothing orders one after the other");
      }
  }
}

std::vector<std::vector<Dying>> find_dying(const Schedule &schedule, int devices) {
  std::vector<std::vector<Dying>> all(schedule.stages.size());
  for (int device = 0; device < devices; ++device) {
    auto of = [&](const std::vector<MemoryAccess> &list, size_t stage) {
      ByteIntervals found;
      for (const MemoryAccess &access : list)
        if (access.stage == static_cast<int>(stage) && access.device == device &&
            access.region == Region::rows)
          found.push_back({access.begin, access.end});
      return found;
    };
    ByteIntervals live; // read by later stages, from the last one back
    for (size_t stage = schedule.stages.size(); stage-- > 0;) {
      if (schedule.stages[stage].when != When::during)
        continue;
      const ByteIntervals reads = of(schedule.reads, stage), writes = of(schedule.writes, stage);
      ByteIntervals touched = reads;
      touched.insert(touched.end(), writes.begin(), writes.end());
      if (ByteIntervals dead = subtract(touched, live); !dead.empty())
        all[stage].push_back({device, std::move(dead)});
      live = subtract(live, writes);
      live.insert(live.end(), reads.begin(), reads.end());
    }
  }
  return all;
}

} // namespace mpar
