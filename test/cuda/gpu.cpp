#include "gpu.h"

namespace mpar {
namespace test {

Gpu &Gpu::get() {
  static Gpu gpu;
  return gpu;
}

Gpu::Gpu() {
  using cuda::check;
  check(cudaStreamCreateWithFlags(&queue.stream, cudaStreamNonBlocking), "cudaStreamCreate");
  check(cudaStreamCreateWithFlags(&queue.copies, cudaStreamNonBlocking), "cudaStreamCreate");
  check(cublasLtCreate(&queue.blas), "cublasLtCreate");
  queue.workspace_bytes = cuda::workspace_size;
  check(cudaMalloc(&queue.workspace, queue.workspace_bytes), "cudaMalloc");
  check(cudaMalloc(&queue.step, sizeof *queue.step), "cudaMalloc");
  check(cudaMalloc(&queue.scaling, sizeof *queue.scaling), "cudaMalloc");
  check(cudaMalloc(&queue.finding, sizeof *queue.finding), "cudaMalloc");
  check(cudaMemsetAsync(queue.finding, 0, sizeof *queue.finding, queue.stream), "cudaMemset");
  queue.multiprocessors = 4;
}

} // namespace test

namespace cuda {
// Where a backend is linked that knows its devices, it does not know these.
__attribute__((weak)) Queue &queue_of(const Device &) { return test::Gpu::get().queue; }
} // namespace cuda
} // namespace mpar
