// NCCL as ranks on GPUs use it, as far as one process can: it is loaded, and, where there is a GPU,
// a rank of one exchanges messages with itself, issued and as a recorded step.
#include "launch.h"
#include "nccl_library.h"

#include "mpar/errors.h"

#include <cstdio>
#include <string>
#include <vector>

using namespace mpar::cuda;

namespace {

constexpr size_t count = 1 << 20;

ncclComm_t communicator = nullptr;

void settle(ncclResult_t result, const char *call) {
  while (result == ncclInProgress && communicator)
    if (nccl().get_async_error(communicator, &result) != ncclSuccess)
      break;
  if (result != ncclSuccess)
    mpar::fail(std::string(call) + " failed: " + nccl().error_string(result) + ": " +
               nccl().last_error(communicator));
}

void exchange(const float *from, float *to, cudaStream_t stream) {
  settle(nccl().group_start(), "ncclGroupStart");
  settle(nccl().send(from, count * sizeof(float), ncclUint8, 0, communicator, stream), "ncclSend");
  settle(nccl().receive(to, count * sizeof(float), ncclUint8, 0, communicator, stream), "ncclRecv");
  settle(nccl().group_end(), "ncclGroupEnd");
}

/// Whether all of `memory` is `value`.
bool holds(const float *memory, float value, cudaStream_t stream) {
  std::vector<float> read(count);
  check(cudaMemcpyAsync(read.data(), memory, count * sizeof(float), cudaMemcpyDeviceToHost, stream),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  for (const float each : read)
    if (each != value)
      return false;
  return true;
}

void run_on_gpu() {
  ncclUniqueId id;
  settle(nccl().get_unique_id(&id), "ncclGetUniqueId");
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  settle(nccl().init_rank(&communicator, 1, id, 0, &config), "ncclCommInitRankConfig");
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  void *allocated = nullptr;
  settle(nccl().allocate(&allocated, 2 * count * sizeof(float)), "ncclMemAlloc");
  auto *const memory = static_cast<float *>(allocated);
  void *handle = nullptr;
  settle(nccl().register_memory(communicator, memory, 2 * count * sizeof(float), &handle),
         "ncclCommRegister");

  std::vector<float> values(count, 1);
  const auto write = [&] {
    check(cudaMemcpyAsync(memory, values.data(), count * sizeof(float), cudaMemcpyHostToDevice,
                          stream),
          "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  };
  write();
  exchange(memory, memory + count, stream);
  if (!holds(memory + count, 1, stream))
    mpar::fail("a message that was issued brought something else");

  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  exchange(memory, memory + count, stream);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t recorded = nullptr;
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  check(cudaGraphInstantiate(&recorded, graph, 0), "cudaGraphInstantiate");
  for (int time = 2; time < 5; ++time) {
    values.assign(count, static_cast<float>(time));
    write();
    check(cudaGraphLaunch(recorded, stream), "cudaGraphLaunch");
    if (!holds(memory + count, static_cast<float>(time), stream))
      mpar::fail("a message that was recorded brought something else");
  }
  check(cudaGraphExecDestroy(recorded), "cudaGraphExecDestroy");
  check(cudaGraphDestroy(graph), "cudaGraphDestroy");
  if (handle)
    settle(nccl().deregister_memory(communicator, handle), "ncclCommDeregister");
  settle(nccl().finalize(communicator), "ncclCommFinalize");
  static_cast<void>(nccl().destroy(communicator));
  settle(nccl().release(memory), "ncclMemFree");
  check(cudaStreamDestroy(stream), "cudaStreamDestroy");
}

} // namespace

int main() {
  try {
    int version = 0, gpus = 0;
    nccl().get_version(&version);
    const bool there = cudaGetDeviceCount(&gpus) == cudaSuccess && gpus > 0;
    if (there)
      run_on_gpu();
    std::printf("NCCL %d: %s\n", version,
                there ? "messages issued and recorded" : "loaded; no GPU to try it on");
    return 0;
  } catch (const mpar::Error &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
