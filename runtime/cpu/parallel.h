// Threads inside a kernel: OpenMP's, as oneDNN's products use the same pool.
#pragma once

#include "mpar/device.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>
#if defined(__SANITIZE_THREAD__)
#include <thread>
#include <vector>
#endif

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
  const auto run = [&](int64_t part, int64_t team) {
    const int64_t begin = std::min(count, grains * part / team * grain);
    const int64_t end = std::min(count, grains * (part + 1) / team * grain);
    if (begin < end)
      body(begin, end);
  };
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer does not see how OpenMP's threads wait for one another; these it does.
  std::vector<std::thread> threads;
  for (int64_t part = 1; part < parts; ++part)
    threads.emplace_back(run, part, parts);
  run(0, parts);
  for (std::thread &thread : threads)
    thread.join();
#else
#pragma omp parallel num_threads(static_cast<int>(parts))
  run(omp_get_thread_num(), omp_get_num_threads());
#endif
}

/// Sets the number of OpenMP's threads for a call of oneDNN, and sets it back.
class ThreadCount {
public:
  explicit ThreadCount(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  ThreadCount(const ThreadCount &) = delete;
  ThreadCount &operator=(const ThreadCount &) = delete;
  ~ThreadCount() { omp_set_num_threads(before_); }

private:
  int before_;
};

} // namespace mpar
