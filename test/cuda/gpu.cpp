#include "gpu.h"

namespace mpar::test {

Gpu &Gpu::get() {
  static Gpu gpu;
  return gpu;
}

} // namespace mpar::test
