// Threads inside a kernel: OpenMP's, as oneDNN's products use the same pool.
#pragma once

#include "mpar/device.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace mpar {

/// Calls body(begin, end) on disjoint parts of [0, count), one a thread of the device; each part
/// but the last is a multiple of `grain` long. Where `count` is below two grains, one call on the
/// calling thread.
template <typename Body>
void parallel_parts(const Device &device, int64_t count, int64_t grain, const Body &body) {
  const int64_t parts = std::min<int64_t>(device.threads(), count / grain);
  if (parts <= 1) {
    body(int64_t(0), count);
    return;
  }
  const int64_t grains = (count + grain - 1) / grain;
#pragma omp parallel num_threads(static_cast<int>(parts))
  {
    const int64_t part = omp_get_thread_num();
    const int64_t team = omp_get_num_threads();
    const int64_t begin = std::min(count, grains * part / team * grain);
    const int64_t end = std::min(count, grains * (part + 1) / team * grain);
    if (begin < end)
      body(begin, end);
  }
}

} // namespace mpar
