// What GPUs there are, and how the runtime opens them.
#include "cuda_backend.h"

#include "mpar/cuda.h"

#include <memory>
#include <string>

namespace mpar::cuda {
namespace {

int count_devices(std::string &why) {
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    static_cast<void>(cudaGetLastError());
    why = "this machine has no CUDA driver";
    return 0;
  }
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0)
    return count;
  static_cast<void>(cudaGetLastError()); // it is said here, and not to be found later
  if (status == cudaSuccess || status == cudaErrorNoDevice)
    why = "this machine has none that CUDA can use";
  else if (status == cudaErrorInsufficientDriver)
    why = "the CUDA driver is older than this program, which was built for CUDA " +
          std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
  else
    why = std::string("CUDA says \"") + cudaGetErrorString(status) + "\"";
  return 0;
}

std::unique_ptr<Backend> open(int number) { return std::make_unique<CudaBackend>(number); }

std::string identify(int number) {
  char bus[64] = {};
  check(cudaDeviceGetPCIBusId(bus, sizeof bus, number), "cudaDeviceGetPCIBusId");
  return bus;
}

} // namespace

bool register_gpus() {
  static const GpuLibrary library = {count_devices, open, identify};
  gpu_library() = &library;
  return true;
}

} // namespace mpar::cuda
