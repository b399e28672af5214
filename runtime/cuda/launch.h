// What every kernel of the CUDA backend is launched with, and how each call of CUDA's is checked.
#pragma once

#include "step_state.h"

#include "mpar/device.h"
#include "mpar/loss_scaling.h"

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace mpar::cuda {

class Plans; // of matrix products, see matmul.cu

/// What a kernel has found wrong, on the GPU: the first of the kernels that do so writes it, and
/// the host looks when it waits (`refuse`). All zeros: nothing.
struct Finding {
  enum class Kind : int32_t { nothing, id, target };
  Kind kind;
  int32_t value;     // the id or target that is outside of what it counts
  int64_t count;     // of that
  const char *table; // on the host: what is counted; for `id`
};

/// One physical GPU as kernels see it. Work on `stream` happens in the order it is issued; so
/// memory to work in is shared by all kernels there.
struct Queue {
  cudaStream_t stream = nullptr; // of all computation
  cudaStream_t copies = nullptr; // of transfers to this GPU
  cublasLtHandle_t blas = nullptr;
  void *workspace = nullptr; // of kernels and cuBLASLt on `stream`; `workspace_bytes` of them
  size_t workspace_bytes = 0;
  int multiprocessors = 0;
  int device = 0;            // CUDA's number
  bool tf32 = false;         // whether f32 products may round their operands to TF32
  StepState *step = nullptr; // on the GPU: of the step at hand
  // On the GPU: the loss's scaling as the step begins, and as `unscale` leaves it.
  const LossScaling *scaling = nullptr;
  LossScaling *next_scaling = nullptr;
  Finding *finding = nullptr;   // on the GPU, zeroed when it was allocated
  std::shared_ptr<Plans> plans; // made by the first product
};

/// The bytes of workspace that every queue has: fixed, for the order of some sums, and cuBLASLt's
/// choice of a kernel, follow from it.
constexpr size_t workspace_size = size_t(64) << 20;

/// The queue of the GPU that a logical device is on.
Queue &queue_of(const Device &device);

/// Fails (see errors.h) where `status` says so, with the call, its place, CUDA's words, and a hint
/// where one helps.
void check(cudaError_t status, const char *call, const char *file = __builtin_FILE(),
           int line = __builtin_LINE());
/// The same of cuBLAS, a hint always.
void check(cublasStatus_t status, const char *call, const char *file = __builtin_FILE(),
           int line = __builtin_LINE());

/// A kernel's name, and the place that names it: for an error's text.
struct KernelName {
  // NOLINTNEXTLINE(google-explicit-constructor): so that the place is that of the launch
  KernelName(const char *name, const char *file = __builtin_FILE(), int line = __builtin_LINE())
      : name(name), file(file), line(line) {}
  const char *name;
  const char *file;
  int line;
};

/// Issues kernel<<<grid, block, shared_bytes, stream>>>(arguments…); nothing where the grid is
/// empty.
template <typename... Parameters, typename... Arguments>
void launch(const KernelName &name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            size_t shared_bytes, cudaStream_t stream, const Arguments &...arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0)
    return;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name.name,
        name.file, name.line);
}

/// Lets a kernel have more than 48 KiB of dynamic shared memory.
template <typename... Parameters>
void allow_shared(void (*kernel)(Parameters...), size_t shared_bytes) {
  check(cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared_bytes)),
        "cudaFuncSetAttribute");
}

/// The queue's workspace as `count` elements. Fails, naming `what` they are for, where it is too
/// small.
template <typename T> T *workspace(const Queue &queue, int64_t count, const char *what);

/// The dynamic shared memory of the block that runs.
template <typename T> __device__ inline T *dynamic_shared() {
#ifdef MPAR_CUDA_EMULATION
  return static_cast<T *>(emulation::dynamic_shared_memory());
#else
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<T *>(memory);
#endif
}

/// Blocks of `threads` that a loop over `count` elements, each thread taking `each` at a time, is
/// worth: no more than fill the GPU a few times over.
inline unsigned blocks_for(const Queue &queue, int64_t count, int threads, int each = 1) {
  const int64_t wanted = (count + int64_t(threads) * each - 1) / (int64_t(threads) * each);
  const int64_t most = int64_t(queue.multiprocessors) * 16;
  return static_cast<unsigned>(wanted < most ? wanted : most);
}

/// Fails with what kernels have found since the last call, for which it waits; clears it.
void refuse(Queue &queue);

[[noreturn]] void fail_workspace(const Queue &queue, int64_t bytes, const char *what);

template <typename T> T *workspace(const Queue &queue, int64_t count, const char *what) {
  if (count > static_cast<int64_t>(queue.workspace_bytes / sizeof(T)))
    fail_workspace(queue, count * static_cast<int64_t>(sizeof(T)), what);
  return static_cast<T *>(queue.workspace);
}

} // namespace mpar::cuda
