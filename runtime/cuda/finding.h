// How a kernel says that it has found something wrong.
#pragma once

#include "launch.h"

namespace mpar::cuda {

/// Writes what was found, where nothing has been found before. Of several threads any one does.
__device__ inline void find(Finding *finding, Finding::Kind kind, int32_t value, int64_t count,
                            const char *table) {
  static_assert(sizeof(Finding::Kind) == sizeof(int));
  if (atomicCAS(reinterpret_cast<int *>(&finding->kind), 0, static_cast<int>(kind)) != 0)
    return;
  finding->value = value;
  finding->count = count;
  finding->table = table;
}

} // namespace mpar::cuda
