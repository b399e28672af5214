// What turns of a schedule touch of the same memory.
#pragma once

#include "mpar/device.h"
#include "mpar/schedule.h"

#include <cstddef>
#include <vector>

namespace mpar {

/// By turn of the schedule of all replicas: earlier turns that it must come after, since one of
/// both writes what the other touches. Those are left out that come before another of them for the
/// same reason, or in the same order as one, of the number that `orders` has for each turn.
std::vector<std::vector<size_t>> find_conflicts(const Schedule &schedule,
                                                const std::vector<const Device *> &devices,
                                                const std::vector<int> &orders);

} // namespace mpar
