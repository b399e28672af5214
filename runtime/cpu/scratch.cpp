// Memory that kernels work in, one piece a thread.
#include "scratch.h"

#include "mpar/errors.h"

#include <cstdlib>
#include <memory>
#include <string>

namespace mpar {

float *scratch(int64_t count, const char *what) {
  struct Free {
    void operator()(float *floats) const { std::free(floats); }
  };
  thread_local std::unique_ptr<float[], Free> floats;
  thread_local int64_t capacity = 0;
  if (count > capacity) {
    floats.reset();
    capacity = 0;
    const size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    floats.reset(static_cast<float *>(std::aligned_alloc(64, bytes)));
    if (!floats)
      fail(std::string(what) + ": cannot allocate " + std::to_string(bytes) + " bytes to work in");
    capacity = count;
  }
  return floats.get();
}

} // namespace mpar
