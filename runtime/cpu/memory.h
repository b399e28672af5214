// The memory of this machine: how much there is, and pieces of it.
#pragma once

#include "mpar/errors.h"

#include <cstddef>
#include <cstdint>

namespace mpar {

/// Sums and products of sizes; fails where one does not fit.
inline int64_t add_sizes(int64_t a, int64_t b) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum))
    fail("an arena does not fit in 64-bit sizes");
  return sum;
}

inline int64_t multiply_sizes(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product))
    fail("an arena does not fit in 64-bit sizes");
  return product;
}

inline int64_t round_up(int64_t value, int64_t multiple) {
  return add_sizes(value, multiple - 1) / multiple * multiple;
}

/// The memory that this process may still take, in bytes. A kernel that overcommits grants any
/// request and kills the process when it writes; so the request is held against this first.
int64_t available_memory();

struct Mapping {
  std::byte *begin = nullptr;
  size_t size = 0;
};

/// Addresses without memory behind them, `bytes` of them, for device number `index`. Fails, with
/// the device in its message, where there are none.
Mapping reserve_addresses(int index, int64_t bytes);
/// Zeroed memory, aligned to a page; what is worth it on huge pages where the system has them, for
/// a step of an optimiser walks four streams at once, which miss in the translation buffer and
/// collide in the cache otherwise. Fails as above.
Mapping map_zeroed(int index, int64_t bytes);
void unmap(const Mapping &mapping);

} // namespace mpar
