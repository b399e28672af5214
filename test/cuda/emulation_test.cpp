// That the emulation shows what it is there to show.
#include "gpu.h"

#include <cstdlib>

namespace mpar {
namespace {

using cuda::launch;
using test::Gpu;
using test::OnGpu;

__global__ void add_one(int64_t count, float *x) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count)
    x[i] += 1;
}

__global__ void sum_neighbours(const float *x, float *y, bool wait) {
  __shared__ float shared[64];
  shared[threadIdx.x] = x[threadIdx.x];
  if (wait)
    __syncthreads();
  y[threadIdx.x] = shared[threadIdx.x] + shared[63 - threadIdx.x];
}

__global__ void sum_warps(const int *x, int *y) {
  int value = x[threadIdx.x];
  for (int half = 16; half > 0; half /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, half);
  y[threadIdx.x] = value;
}

struct Streams {
  cudaStream_t first, second;
  Streams() {
    cuda::check(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking), "cudaStreamCreate");
    cuda::check(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~Streams() {
    cudaStreamDestroy(first);
    cudaStreamDestroy(second);
  }
};

TEST(Emulation, CarriesNothingOutBeforeSomethingWaits) {
  Gpu &gpu = Gpu::get();
  float *pinned = nullptr;
  cuda::check(cudaMallocHost(&pinned, 4), "cudaMallocHost");
  *pinned = 5;
  launch("add_one", add_one, 1, 32, 0, gpu.queue.stream, 1, pinned);
  EXPECT_EQ(*pinned, 5);
  gpu.synchronize();
  EXPECT_EQ(*pinned, 6);
  cudaFreeHost(pinned);
}

TEST(Emulation, ShowsWhereThreadsDoNotWait) {
  const std::vector<float> x = test::random_values(64);
  std::vector<float> expected(64);
  for (int i = 0; i < 64; ++i)
    expected[i] = x[i] + x[63 - i];
  const OnGpu<float> on_gpu(x), y(64);
  launch("sum_neighbours", sum_neighbours, 1, 64, 0, Gpu::get().queue.stream, on_gpu, y, true);
  EXPECT_EQ(y.read(), expected);
  const std::vector<float> other = test::random_values(64, 2);
  const OnGpu<float> changed(other);
  launch("sum_neighbours", sum_neighbours, 1, 64, 0, Gpu::get().queue.stream, changed, y, false);
  for (int i = 0; i < 64; ++i)
    expected[i] = other[i] + other[63 - i];
  EXPECT_NE(y.read(), expected);
}

TEST(Emulation, ShufflesWithinWarps) {
  std::vector<int> x(96);
  for (int i = 0; i < 96; ++i)
    x[i] = i;
  const OnGpu<int> on_gpu(x), y(96);
  launch("sum_warps", sum_warps, 1, 96, 0, Gpu::get().queue.stream, on_gpu, y);
  const std::vector<int> sums = y.read();
  for (int i = 0; i < 96; ++i)
    EXPECT_EQ(sums[i], 31 * 16 + i / 32 * 1024);
}

TEST(Emulation, ShowsWhereStreamsDoNotWait) {
  Streams streams;
  cudaEvent_t event;
  cuda::check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  int wrong = 0, wrong_waiting = 0;
  for (int round = 0; round < 40; ++round) {
    const bool waits = round % 2 == 0;
    const OnGpu<float> x(std::vector<float>{1});
    Gpu::get().synchronize();
    float result = 0;
    launch("add_one", add_one, 1, 32, 0, streams.first, 1, x);
    cuda::check(cudaEventRecord(event, streams.first), "cudaEventRecord");
    if (waits)
      cuda::check(cudaStreamWaitEvent(streams.second, event, 0), "cudaStreamWaitEvent");
    cuda::check(cudaMemcpyAsync(&result, x, 4, cudaMemcpyDeviceToHost, streams.second), "copy");
    cuda::check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    (waits ? wrong_waiting : wrong) += result != 2;
  }
  EXPECT_EQ(wrong_waiting, 0);
  EXPECT_GT(wrong, 0);
  cudaEventDestroy(event);
}

TEST(Emulation, BeginsMemoryWithNaN) {
  for (const float value : OnGpu<float>(5).read())
    EXPECT_TRUE(std::isnan(value));
}

TEST(EmulationDeathTest, KeepsTheHostOffTheGpusMemory) {
  const OnGpu<float> x(4);
  EXPECT_DEATH(*const_cast<volatile float *>(x.data()) = 1, "");
  EXPECT_DEATH(
      { cudaMemcpyAsync(x, x + 1, 16, cudaMemcpyDeviceToDevice, Gpu::get().queue.stream); },
      "16 bytes go beyond an allocation");
}

TEST(Emulation, ReplaysWhatStreamsHaveCaptured) {
  Streams streams;
  cudaEvent_t forked, joined;
  cuda::check(cudaEventCreateWithFlags(&forked, cudaEventDisableTiming), "cudaEventCreate");
  cuda::check(cudaEventCreateWithFlags(&joined, cudaEventDisableTiming), "cudaEventCreate");
  const OnGpu<float> x(std::vector<float>{1, 10, 100});
  Gpu::get().synchronize();
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  cuda::check(cudaStreamBeginCapture(streams.first, cudaStreamCaptureModeThreadLocal), "capture");
  launch("add_one", add_one, 1, 32, 0, streams.first, 1, x);
  cudaEventRecord(forked, streams.first);
  cudaStreamWaitEvent(streams.second, forked, 0);
  cudaMemcpyAsync(x + 1, x, 4, cudaMemcpyDeviceToDevice, streams.second);
  launch("add_one", add_one, 1, 32, 0, streams.first, 1, x + 2);
  EXPECT_EQ(cudaStreamSynchronize(streams.first), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(streams.first, &graph), cudaErrorStreamCaptureInvalidated);
  static_cast<void>(cudaGetLastError());

  cuda::check(cudaStreamBeginCapture(streams.first, cudaStreamCaptureModeThreadLocal), "capture");
  launch("add_one", add_one, 1, 32, 0, streams.first, 1, x);
  cudaEventRecord(forked, streams.first);
  cudaStreamWaitEvent(streams.second, forked, 0);
  cudaMemcpyAsync(x + 1, x, 4, cudaMemcpyDeviceToDevice, streams.second);
  EXPECT_EQ(cudaStreamEndCapture(streams.first, &graph), cudaErrorStreamCaptureUnjoined);
  static_cast<void>(cudaGetLastError());

  cuda::check(cudaStreamBeginCapture(streams.first, cudaStreamCaptureModeThreadLocal), "capture");
  launch("add_one", add_one, 1, 32, 0, streams.first, 1, x);
  cudaEventRecord(forked, streams.first);
  cudaStreamWaitEvent(streams.second, forked, 0);
  cudaMemcpyAsync(x + 1, x, 4, cudaMemcpyDeviceToDevice, streams.second);
  cudaEventRecord(joined, streams.second);
  launch("add_one", add_one, 1, 32, 0, streams.first, 1, x + 2);
  cudaStreamWaitEvent(streams.first, joined, 0);
  launch("add_one", add_one, 1, 32, 0, streams.first, 1, x + 1);
  cuda::check(cudaStreamEndCapture(streams.first, &graph), "cudaStreamEndCapture");
  cuda::check(cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
  EXPECT_EQ(x.read(), (std::vector<float>{1, 10, 100}));
  for (int i = 0; i < 5; ++i)
    cuda::check(cudaGraphLaunch(exec, streams.first), "cudaGraphLaunch");
  cuda::check(cudaStreamSynchronize(streams.first), "cudaStreamSynchronize");
  EXPECT_EQ(x.read(), (std::vector<float>{6, 7, 105}));
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaEventDestroy(forked);
  cudaEventDestroy(joined);
}

TEST(Errors, SayWhichCallFailedWhereAndWhatHelps) {
  const auto text_of = [](const auto &work) -> std::string {
    try {
      work();
    } catch (const std::exception &error) {
      return error.what();
    }
    return "";
  };
  const auto expect_contains = [](const std::string &text, const std::string &part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  setenv("MPAR_EMULATED_FAILURE", "cudaLaunchKernel:1:719", 1);
  const int line = __LINE__ + 2;
  expect_contains(
      text_of([] { cuda::launch("add_one", add_one, dim3(1), dim3(1), 0, nullptr, 0, nullptr); }),
      "add_one failed (emulation_test.cpp:" + std::to_string(line) + "): ");
  unsetenv("MPAR_EMULATED_FAILURE");
  expect_contains(text_of([] { cuda::check(CUBLAS_STATUS_EXECUTION_FAILED, "cublasLtMatmul"); }),
                  "; an earlier kernel may have failed: run under compute-sanitizer");
  expect_contains(text_of([] { cuda::check(CUBLAS_STATUS_ALLOC_FAILED, "cublasLtMatmul"); }),
                  "bytes are free; a smaller batch or more microbatches take less");
  expect_contains(text_of([] { cuda::check(CUBLAS_STATUS_INVALID_VALUE, "cublasLtMatmul"); }),
                  "; CUBLASLT_LOG_LEVEL=1 has it say more");
}

TEST(Emulation, FailsWhereItIsTold) {
  setenv("MPAR_EMULATED_FAILURE", "cudaMalloc:2:2", 1);
  void *first = nullptr, *second = nullptr;
  EXPECT_EQ(cudaMalloc(&first, 8), cudaSuccess);
  try {
    cuda::check(cudaMalloc(&second, 8), "cudaMalloc");
    FAIL();
  } catch (const std::exception &error) {
    EXPECT_NE(std::string(error.what()).find("cudaMalloc failed (emulation_test.cpp:"),
              std::string::npos);
    EXPECT_NE(std::string(error.what()).find("out of memory (cudaErrorMemoryAllocation); "),
              std::string::npos);
    EXPECT_NE(std::string(error.what()).find("bytes are free; a smaller batch"), std::string::npos);
  }
  unsetenv("MPAR_EMULATED_FAILURE");
  cudaFree(first);
  setenv("MPAR_EMULATED_GPUS", "0", 1);
  int count = 3;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  unsetenv("MPAR_EMULATED_GPUS");
  static_cast<void>(cudaGetLastError());
}

} // namespace
} // namespace mpar
