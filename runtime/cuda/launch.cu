// How failures of CUDA's calls are reported, and what kernels have found wrong.
#include "launch.h"

#include "mpar/errors.h"

#include <string>

namespace mpar::cuda {
namespace {

std::string bytes_left() {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess)
    return "";
  return "; " + std::to_string(free) + " of " + std::to_string(total) + " bytes are free";
}

/// What a user can do about it, or nothing.
std::string hint_for(cudaError_t status) {
  switch (status) {
  case cudaErrorMemoryAllocation:
    return bytes_left() + "; a smaller batch or more microbatches take less";
  case cudaErrorInsufficientDriver:
  case cudaErrorSystemDriverMismatch:
  case cudaErrorUnsupportedPtxVersion:
    return "; the driver is older than the CUDA toolkit that this was built with";
  case cudaErrorNoDevice:
    return "; `--devices cpu` runs on the processor";
  case cudaErrorDevicesUnavailable:
    return "; another process has the GPU for itself: see nvidia-smi";
  case cudaErrorNoKernelImageForDevice:
    return "; built for other GPUs: build with this one's -arch";
  case cudaErrorIllegalAddress:
  case cudaErrorLaunchFailure:
    return "; an earlier kernel may have failed: run under compute-sanitizer";
  default:
    return "";
  }
}

std::string hint_for(cublasStatus_t status) {
  switch (status) {
  case CUBLAS_STATUS_ALLOC_FAILED:
    return bytes_left() + "; a smaller batch or more microbatches take less";
  case CUBLAS_STATUS_ARCH_MISMATCH:
    return "; this cuBLAS has no kernels for the GPU: a newer one may";
  case CUBLAS_STATUS_EXECUTION_FAILED:
    return "; an earlier kernel may have failed: run under compute-sanitizer";
  default:
    return "; CUBLASLT_LOG_LEVEL=1 has it say more";
  }
}

/// The last part of a path.
std::string place(const char *file, int line) {
  const std::string path = file;
  return path.substr(path.rfind('/') + 1) + ":" + std::to_string(line);
}

__global__ void clear_finding(Finding *finding) { *finding = Finding{}; }

} // namespace

void check(cudaError_t status, const char *call, const char *file, int line) {
  if (status == cudaSuccess)
    return;
  static_cast<void>(cudaGetLastError()); // what is reported is not found again
  fail(std::string(call) + " failed (" + place(file, line) + "): " + cudaGetErrorString(status) +
       " (" + cudaGetErrorName(status) + ")" + hint_for(status));
}

void check(cublasStatus_t status, const char *call, const char *file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS)
    return;
  fail(std::string(call) + " failed (" + place(file, line) +
       "): " + cublasLtGetStatusString(status) + " (" + cublasLtGetStatusName(status) + ")" +
       hint_for(status));
}

void fail_workspace(const Queue &queue, int64_t bytes, const char *what) {
  fail(std::string(what) + " needs " + std::to_string(bytes) +
       " bytes of the GPU's memory to work in, there are " + std::to_string(queue.workspace_bytes));
}

void refuse(Queue &queue) {
  Finding finding{};
  check(cudaMemcpyAsync(&finding, queue.finding, sizeof finding, cudaMemcpyDefault, queue.stream),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(queue.stream), "cudaStreamSynchronize");
  if (finding.kind == Finding::Kind::nothing)
    return;
  launch("clear_finding", clear_finding, 1, 1, 0, queue.stream, queue.finding);
  check(cudaStreamSynchronize(queue.stream), "cudaStreamSynchronize");
  if (finding.kind == Finding::Kind::id)
    fail(std::string(finding.table) + ": id " + std::to_string(finding.value) +
         " is not in a table of " + std::to_string(finding.count) + " rows");
  fail("cross_entropy: the target " + std::to_string(finding.value) +
       " is no class; expected 0 to " + std::to_string(finding.count - 1));
}

} // namespace mpar::cuda
