// What a program that nvcc builds brings along: the GPUs of the machine. Part of mpar.h there.
#pragma once

#include <cstdint>

namespace mpar {

class Device;

namespace cuda {

/// Has the runtime know of GPUs. Programs find them where this has been called before their main.
bool register_gpus();

namespace {
[[maybe_unused]] const bool gpus_are_registered = register_gpus();
}

/// What kernels of emitted code are launched with.
struct MapTarget {
  void *stream; // a cudaStream_t
  int multiprocessors;
  const int64_t *step; // on the GPU: the number of the step at hand
};
/// That of a device that is a GPU, which becomes the calling thread's current one.
MapTarget map_target(const Device &device);
/// Fails where a launch, which has returned that cudaError_t, has failed.
void check_map(int status);

} // namespace cuda
} // namespace mpar
