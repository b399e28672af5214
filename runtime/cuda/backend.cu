// Memory, streams, events and graphs of one GPU.
#include "cuda_backend.h"

#include "mpar/cuda.h"
#include "mpar/errors.h"

#include <cstring>
#include <utility>

namespace mpar::cuda {
namespace {

/// The oldest GPUs that the kernels are compiled for: Ampere.
constexpr int least_capability = 8;

class CudaEvent final : public Event {
public:
  explicit CudaEvent(unsigned flags) {
    check(cudaEventCreateWithFlags(&event_, flags), "cudaEventCreateWithFlags");
  }
  CudaEvent(const CudaEvent &) = delete;
  CudaEvent &operator=(const CudaEvent &) = delete;
  ~CudaEvent() override { static_cast<void>(cudaEventDestroy(event_)); }
  cudaEvent_t get() const { return event_; }

private:
  cudaEvent_t event_ = nullptr;
};

cudaEvent_t event_of(const Event &event) { return static_cast<const CudaEvent &>(event).get(); }

class Graph final : public Recording {
public:
  Graph(const CudaBackend &backend, cudaGraph_t graph, cudaStream_t stream)
      : backend_(backend), stream_(stream) {
    const cudaError_t status = cudaGraphInstantiate(&graph_, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    check(status, "cudaGraphInstantiate");
  }
  Graph(const Graph &) = delete;
  Graph &operator=(const Graph &) = delete;
  ~Graph() override { static_cast<void>(cudaGraphExecDestroy(graph_)); }
  void launch() override {
    backend_.use();
    check(cudaGraphLaunch(graph_, stream_), "cudaGraphLaunch");
  }

private:
  const CudaBackend &backend_;
  cudaStream_t stream_;
  cudaGraphExec_t graph_ = nullptr;
};

int attribute(cudaDeviceAttr what, int number) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, what, number), "cudaDeviceGetAttribute");
  return value;
}

/// Lets two GPUs read each other's memory where the machine can: copies between them then need no
/// detour.
void open_to_peers(int number) {
  int count = 0;
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  for (int other = 0; other < count; ++other) {
    int can = 0;
    if (other == number)
      continue;
    check(cudaDeviceCanAccessPeer(&can, number, other), "cudaDeviceCanAccessPeer");
    if (!can)
      continue;
    const cudaError_t status = cudaDeviceEnablePeerAccess(other, 0);
    if (status == cudaErrorPeerAccessAlreadyEnabled)
      static_cast<void>(cudaGetLastError());
    else
      check(status, "cudaDeviceEnablePeerAccess");
  }
}

template <typename T> __global__ void add_elements(int64_t count, const T *more, T *sum) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
    sum[i] += more[i];
}

template <typename T>
void launch_add(const Queue &queue, int64_t count, const T *more, T *sum, cudaStream_t stream) {
  constexpr int threads = 256;
  launch("add", add_elements<T>, dim3(blocks_for(queue, count, threads)), dim3(threads), 0, stream,
         count, more, sum);
}

__global__ void set_mark(int32_t *mark) { *mark = 1; }

/// Over an emulation, where what is issued comes late anyway, it takes no time.
__global__ void spin([[maybe_unused]] int microseconds) {
#ifndef MPAR_CUDA_EMULATION
  const auto now = [] {
    unsigned long long nanoseconds;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(nanoseconds));
    return nanoseconds;
  };
  const unsigned long long begin = now();
  while (now() - begin < 1000ull * static_cast<unsigned>(microseconds))
    __nanosleep(1000);
#endif
}

size_t size(int64_t bytes) { return static_cast<size_t>(bytes); }

} // namespace

CudaBackend::CudaBackend(int number) {
  queue_.device = number;
  const int major = attribute(cudaDevAttrComputeCapabilityMajor, number);
  const int minor = attribute(cudaDevAttrComputeCapabilityMinor, number);
  if (major < least_capability)
    fail("cuda:" + std::to_string(number) + " has compute capability " + std::to_string(major) +
         "." + std::to_string(minor) + "; this program needs " + std::to_string(least_capability) +
         ".0 or newer");
  queue_.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, number);
  try {
    use();
    free_when_opened_ = free_memory();
    open_to_peers(number);
    for (cudaStream_t *stream : {&queue_.stream, &queue_.copies, &marks_, &ahead_})
      check(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cublasLtCreate(&queue_.blas), "cublasLtCreate");
    queue_.workspace = allocate(static_cast<int64_t>(workspace_size));
    queue_.workspace_bytes = workspace_size;
    block_ = static_cast<StepBlock *>(allocate(sizeof(StepBlock)));
    queue_.step = &block_->state;
    queue_.scaling = &block_->begun;
    queue_.next_scaling = &block_->finished;
    told_ = static_cast<StepBlock *>(allocate_pinned(sizeof(StepBlock)));
    // Where the host can look without a copy, each time that it has waited.
    queue_.finding = static_cast<Finding *>(allocate_pinned(sizeof(Finding)));
    std::memset(static_cast<void *>(queue_.finding), 0, sizeof(Finding));
    told_event_ = make_event();
  } catch (...) {
    close();
    throw;
  }
}

CudaBackend::~CudaBackend() { close(); }

void CudaBackend::close() noexcept {
  told_event_.reset();
  queue_.plans.reset();
  for (void *memory : {scratch_, message_room_, queue_.workspace, static_cast<void *>(block_)})
    release(memory);
  release_pinned(told_);
  release_pinned(queue_.finding);
  if (queue_.blas)
    static_cast<void>(cublasLtDestroy(queue_.blas));
  for (cudaStream_t stream : {queue_.stream, queue_.copies, marks_, ahead_})
    if (stream)
      static_cast<void>(cudaStreamDestroy(stream));
}

void CudaBackend::use() const {
  static thread_local int current = -1;
  if (current == queue_.device)
    return;
  check(cudaSetDevice(queue_.device), "cudaSetDevice");
  current = queue_.device;
}

//===- Memory
//---------------------------------------------------------------------------------------===//

int64_t CudaBackend::free_memory() const {
  use();
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return static_cast<int64_t>(free);
}

void *CudaBackend::allocate(int64_t bytes) {
  if (bytes == 0)
    return nullptr;
  use();
  void *memory = nullptr;
  check(cudaMalloc(&memory, size(bytes)), "cudaMalloc");
  zero(memory, bytes);
  return memory;
}

void CudaBackend::release(void *memory) noexcept {
  if (of_nccl_.erase(memory) > 0)
    release_of_nccl(memory);
  else if (memory)
    static_cast<void>(cudaFree(memory));
}

void *CudaBackend::allocate_pinned(int64_t bytes) {
  if (bytes == 0)
    return nullptr;
  use();
  void *memory = nullptr;
  check(cudaHostAlloc(&memory, size(bytes), cudaHostAllocPortable | cudaHostAllocMapped),
        "cudaHostAlloc");
  return memory;
}

void CudaBackend::release_pinned(void *memory) noexcept {
  if (memory)
    static_cast<void>(cudaFreeHost(memory));
}

void CudaBackend::zero(void *memory, int64_t bytes) {
  use();
  check(cudaMemsetAsync(memory, 0, size(bytes), queue_.stream), "cudaMemsetAsync");
}

void CudaBackend::copy_from_pinned(void *to, const void *pinned, int64_t bytes, Lane lane) {
  use();
  check(cudaMemcpyAsync(to, pinned, size(bytes), cudaMemcpyHostToDevice, stream_of(lane)),
        "cudaMemcpyAsync");
}

void CudaBackend::write(void *to, const void *from, int64_t bytes) {
  use();
  wait_for(queue_.copies);
  check(cudaMemcpyAsync(to, from, size(bytes), cudaMemcpyHostToDevice, queue_.stream),
        "cudaMemcpyAsync");
  wait_for(queue_.stream);
  if (IssueObserver *const observer = issue_observer())
    observer->is_over(*this);
}

void CudaBackend::read(void *to, const void *from, int64_t bytes) {
  use();
  wait_for(queue_.copies);
  check(cudaMemcpyAsync(to, from, size(bytes), cudaMemcpyDeviceToHost, queue_.stream),
        "cudaMemcpyAsync");
  wait_for(queue_.stream);
  look_for_findings();
  if (IssueObserver *const observer = issue_observer())
    observer->is_over(*this);
}

void CudaBackend::copy(void *to, const Backend &of, const void *from, int64_t bytes, Lane lane) {
  use();
  if (IssueObserver *const observer = issue_observer())
    observer->copies(*this, lane, to, from, bytes);
  const int other = static_cast<const CudaBackend &>(of).queue_.device;
  if (other == queue_.device)
    check(cudaMemcpyAsync(to, from, size(bytes), cudaMemcpyDeviceToDevice, stream_of(lane)),
          "cudaMemcpyAsync");
  else
    check(cudaMemcpyPeerAsync(to, queue_.device, from, other, size(bytes), stream_of(lane)),
          "cudaMemcpyPeerAsync");
}

void *CudaBackend::scratch() {
  if (!scratch_)
    scratch_ = allocate(scratch_bytes);
  return scratch_;
}

void *CudaBackend::message_room() {
  if (!message_room_) {
    message_room_ = allocate_for_messages(message_bytes);
    wait_for(queue_.stream); // which zeroes it
  }
  return message_room_;
}

//===- Order
//----------------------------------------------------------------------------------------===//

std::unique_ptr<Event> CudaBackend::make_event() {
  use();
  return std::make_unique<CudaEvent>(cudaEventDisableTiming);
}

std::unique_ptr<Event> CudaBackend::make_timed_event() {
  use();
  return std::make_unique<CudaEvent>(cudaEventDefault);
}

double CudaBackend::microseconds_between(const Event &first, const Event &second) const {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, event_of(first), event_of(second)),
        "cudaEventElapsedTime");
  return 1e3 * double(milliseconds);
}

void CudaBackend::record(Event &event, Lane lane) {
  use();
  check(cudaEventRecord(event_of(event), stream_of(lane)), "cudaEventRecord");
  if (IssueObserver *const observer = issue_observer())
    observer->recorded(event, *this, lane);
}

void CudaBackend::wait(const Event &event, Lane lane) {
  use();
  check(cudaStreamWaitEvent(stream_of(lane), event_of(event), 0), "cudaStreamWaitEvent");
  if (IssueObserver *const observer = issue_observer())
    observer->waits(event, *this, lane);
}

bool CudaBackend::is_done(const Event &event) {
  const cudaError_t status = cudaEventQuery(event_of(event));
  if (status == cudaErrorNotReady)
    return false;
  check(status, "cudaEventQuery");
  if (IssueObserver *const observer = issue_observer())
    observer->is_over(event);
  return true;
}

void CudaBackend::mark(int32_t *pinned) {
  use();
  launch("set_mark", set_mark, dim3(1), dim3(1), 0, marks_, pinned);
}

void CudaBackend::synchronize() {
  use();
  wait_for(queue_.copies);
  wait_for(queue_.stream);
  look_for_findings();
}

void CudaBackend::delay(int microseconds, Lane lane) {
  use();
  launch("spin", spin, dim3(1), dim3(1), 0, stream_of(lane), microseconds);
}

void CudaBackend::look_for_findings() {
  if (static_cast<const volatile Finding *>(queue_.finding)->kind != Finding::Kind::nothing)
    refuse(queue_);
}

void CudaBackend::begin_recording() {
  use();
  check(cudaStreamBeginCapture(queue_.stream, cudaStreamCaptureModeRelaxed),
        "cudaStreamBeginCapture");
}

std::unique_ptr<Recording> CudaBackend::end_recording() {
  use();
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(queue_.stream, &graph), "cudaStreamEndCapture");
  return std::make_unique<Graph>(*this, graph, queue_.stream);
}

//===- The step at hand
//-----------------------------------------------------------------------------===//

void CudaBackend::begin_step(const OptimizerSettings &settings, int64_t step, int64_t updates,
                             const LossScaling &scaling) {
  StepBlock block;
  std::memset(static_cast<void *>(&block), 0, sizeof block); // so that padding compares equal
  block.state = step_state(settings, updates);
  block.state.step = step;
  block.begun = block.finished = scaling;
  if (has_told_ && std::memcmp(told_, &block, sizeof block) == 0)
    return;
  while (has_told_ && !is_done(*told_event_))
    ; // the copy of a step that is over, or about to be
  std::memcpy(static_cast<void *>(told_), &block, sizeof block);
  copy_from_pinned(block_, told_, sizeof block, Lane::compute);
  record(*told_event_, Lane::compute);
  has_told_ = true;
}

LossScaling CudaBackend::loss_scaling() {
  LossScaling scaling;
  read(&scaling, &block_->finished, sizeof scaling);
  return scaling;
}

void CudaBackend::add(int64_t count, const float *more, float *sum, Lane lane) {
  use();
  launch_add(queue_, count, more, sum, stream_of(lane));
}

void CudaBackend::add(int64_t count, const int32_t *more, int32_t *sum, Lane lane) {
  use();
  launch_add(queue_, count, more, sum, stream_of(lane));
}

//===- The library
//----------------------------------------------------------------------------------===//

Queue &queue_of(const Device &device) {
  auto &backend = static_cast<CudaBackend &>(*device.backend());
  backend.use();
  return backend.queue();
}

MapTarget map_target(const Device &device) {
  const Queue &queue = queue_of(device);
  return {queue.stream, queue.multiprocessors, &queue.step->step};
}

void check_map(int status) {
  check(static_cast<cudaError_t>(status), "cudaLaunchKernelEx of an element-wise operation");
}

} // namespace mpar::cuda
