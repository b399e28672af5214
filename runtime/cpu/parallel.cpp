// The threads of loops that are compiled in the user's program.
#include "parallel.h"

#include "mpar/map.h"

namespace mpar::detail {

void parallel_for(Device &device, int64_t count, int64_t grain,
                  void (*body)(const void *context, int64_t begin, int64_t end),
                  const void *context) {
  parallel_parts(device, count, grain,
                 [&](int64_t begin, int64_t end) { body(context, begin, end); });
}

} // namespace mpar::detail
