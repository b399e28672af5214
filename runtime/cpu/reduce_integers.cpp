// Reductions of integers, which are exact in any order: one pass over the elements.
#include "mpar/reduce.h"

#include "backend.h"

#include <algorithm>
#include <limits>

namespace mpar {

void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
            const int32_t *x, int32_t *y, Store store) {
  if (Backend *const backend = device.backend())
    return backend->reduce(device, reduction, shape, dimensions, x, y, store);
  Strides steps; // through y; 0 along what is reduced
  steps.rank = shape.rank;
  int64_t kept = 1;
  for (int dimension = shape.rank - 1; dimension >= 0; --dimension) {
    const bool reduced = dimensions >> dimension & 1;
    steps[dimension] = reduced ? 0 : kept;
    kept *= reduced ? 1 : shape[dimension];
  }
  if (store == Store::overwrite)
    std::fill_n(y, kept,
                reduction == Reduction::maximum   ? std::numeric_limits<int32_t>::min()
                : reduction == Reduction::minimum ? std::numeric_limits<int32_t>::max()
                                                  : 0);
  int64_t position[max_rank] = {};
  for (int64_t i = 0, count = shape.count(); i < count; ++i) {
    if (reduction == Reduction::maximum)
      *y = std::max(*y, x[i]);
    else if (reduction == Reduction::minimum)
      *y = std::min(*y, x[i]);
    else // beyond 32 bits it wraps, as every sum of i32 does
      *y = static_cast<int32_t>(static_cast<uint32_t>(*y) + static_cast<uint32_t>(x[i]));
    for (int dimension = shape.rank - 1; dimension >= 0; --dimension) {
      y += steps[dimension];
      if (++position[dimension] < shape[dimension])
        break;
      y -= steps[dimension] * shape[dimension];
      position[dimension] = 0;
    }
  }
}

} // namespace mpar
