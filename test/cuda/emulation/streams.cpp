// Streams, events, copies and launches: what is asked for is kept in queues and carried out late.
#include "emulation.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <thread>

namespace emulation {
namespace {

struct Streams {
  std::set<Stream *> all;
  std::vector<Stream *> defaults; // by device
  std::set<Event *> events;
  std::map<const void *, int> shared; // dynamic shared memory that a kernel may have
};
Streams &streams() {
  static auto *all = new Streams; // never freed: other objects free theirs when the process ends
  return *all;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What calls that wait return in a capture: they end it.
cudaError_t refuse_in_capture() {
  if (!is_capturing())
    return cudaSuccess;
  invalidate_captures();
  return failed(cudaErrorStreamCaptureUnsupported);
}

bool is_empty(const Stream *stream) { return stream->operations.empty(); }

bool is_event(Event *event) { return streams().events.count(event) != 0; }

cudaError_t create_stream(const char *call, cudaStream_t *stream, unsigned flags) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected(call))
    return error;
  // Others wait for the default stream, in ways that are not emulated.
  if (flags != cudaStreamNonBlocking)
    give_up("streams that are not cudaStreamNonBlocking are not emulated");
  auto *made = new Stream;
  made->device = current_device();
  streams().all.insert(made);
  *stream = made;
  return cudaSuccess;
}

/// Adds a copy, as memory of that kind makes it.
cudaError_t add_copy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                     Stream *stream) {
  if (bytes == 0)
    return cudaSuccess;
  const Where source = where_is(from, bytes), target = where_is(to, bytes);
  const bool from_device = source == Where::device, to_device = target == Where::device;
  if ((kind == cudaMemcpyHostToDevice && (from_device || !to_device)) ||
      (kind == cudaMemcpyDeviceToHost && (!from_device || to_device)) ||
      (kind == cudaMemcpyDeviceToDevice && !(from_device && to_device)) ||
      (kind == cudaMemcpyHostToHost && (from_device || to_device)))
    return failed(cudaErrorInvalidValue);
  const bool pageable = source == Where::pageable || target == Where::pageable;
  if (pageable && stream->capture)
    give_up("a captured copy from or to pageable memory, which may be gone when it is replayed");
  if (source == Where::pageable) {
    // Copied into a buffer of the driver's when the call returns.
    std::vector<unsigned char> staged(bytes);
    std::memcpy(staged.data(), from, bytes);
    return add_operation(stream, [to, staged = std::move(staged)] {
      std::memcpy(to, staged.data(), staged.size());
    });
  }
  const cudaError_t error =
      add_operation(stream, [to, from, bytes] { std::memmove(to, from, bytes); });
  // Done when the call returns.
  if (error == cudaSuccess && target == Where::pageable)
    carry_out([stream] { return is_empty(stream); });
  return error;
}

} // namespace

bool is_stream(const Stream *stream) {
  return streams().all.count(const_cast<Stream *>(stream)) != 0;
}

Stream *stream_of(cudaStream_t stream) {
  if (stream) {
    if (!is_stream(stream))
      give_up("a stream that there is not is used");
    return stream;
  }
  std::vector<Stream *> &defaults = streams().defaults;
  while (defaults.size() <= static_cast<size_t>(current_device())) {
    defaults.push_back(new Stream);
    defaults.back()->device = static_cast<int>(defaults.size()) - 1;
    streams().all.insert(defaults.back());
  }
  return defaults[current_device()];
}

cudaError_t add_operation(Stream *stream, std::function<void()> work) {
  if (stream->capture) {
    capture_node(stream, std::move(work));
    return cudaSuccess;
  }
  stream->operations.push_back({nullptr, [work = std::move(work)] {
                                  work();
                                  return true;
                                }});
  return cudaSuccess;
}

/// Whether nothing is carried out any more.
static bool hangs() {
  static const char *const after = std::getenv("MPAR_EMULATED_HANG");
  static long left = after ? std::atol(after) : 0;
  return after && left-- <= 0;
}

void carry_out(const std::function<bool()> &done) {
  static bool running = false;
  if (running)
    give_up("a host function waits for a stream");
  running = true;
  const OpenMemory open;
  while (!done()) {
    std::vector<Stream *> ready;
    bool left = false, external = false;
    for (Stream *stream : streams().all) {
      left |= !is_empty(stream);
      external |= !is_empty(stream) && stream->operations.front().external;
      if (!is_empty(stream) &&
          (!stream->operations.front().ready || stream->operations.front().ready()))
        ready.push_back(stream);
    }
    if (ready.empty() && external) { // another process is to do its part
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      continue;
    }
    if (ready.empty()) {
      if (left)
        give_up("streams wait for one another for ever");
      break;
    }
    if (hangs()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    Stream *stream = ready[random_numbers()() % ready.size()];
    if (stream->operations.front().step())
      stream->operations.pop_front();
  }
  running = false;
}

cudaError_t set_attribute(const void *kernel, cudaFuncAttribute attribute, int value) {
  const std::lock_guard lock(mutex());
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
    return cudaSuccess;
  if (value > 227 << 10)
    return failed(cudaErrorInvalidValue);
  streams().shared[kernel] = value;
  return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t &config, const void *kernel,
                   std::function<void()> thread) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaLaunchKernel"))
    return error;
  const dim3 grid = config.gridDim, block = config.blockDim;
  const uint64_t threads = uint64_t(block.x) * block.y * block.z;
  const auto found = streams().shared.find(kernel);
  const int most = found == streams().shared.end() ? 48 << 10 : found->second;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535 || threads == 0 || threads > 1024 || block.z > 64 ||
      config.dynamicSmemBytes > static_cast<size_t>(most))
    return failed(cudaErrorInvalidConfiguration);
  Stream *stream = stream_of(config.stream);
  if (stream->device != current_device())
    return failed(cudaErrorInvalidResourceHandle);
  return add_operation(stream, [config, thread = std::move(thread)] { run_grid(config, thread); });
}

} // namespace emulation

using namespace emulation;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
  return create_stream("cudaStreamCreateWithFlags", stream, flags);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int /*priority*/) {
  return create_stream("cudaStreamCreateWithPriority", stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (!stream || !is_stream(stream))
    return failed(cudaErrorInvalidResourceHandle);
  carry_out([stream] { return is_empty(stream); });
  streams().all.erase(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaStreamSynchronize"))
    return error;
  if (const cudaError_t error = refuse_in_capture())
    return error;
  Stream *waited = stream_of(stream);
  carry_out([waited] { return is_empty(waited); });
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = refuse_in_capture())
    return error;
  // Time goes by: something is carried out.
  int left = 1;
  carry_out([&left] { return left-- == 0; });
  return is_empty(stream_of(stream)) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaDeviceSynchronize"))
    return error;
  if (const cudaError_t error = refuse_in_capture())
    return error;
  carry_out([] { return false; });
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaStreamWaitEvent"))
    return error;
  if (!is_event(event))
    return failed(cudaErrorInvalidResourceHandle);
  Stream *waiting = stream_of(stream);
  cudaError_t result = cudaSuccess;
  if (capture_wait(waiting, event, &result))
    return result;
  const uint64_t record = event->recorded;
  waiting->operations.push_back(
      {[event, record] { return event->finished >= record; }, [] { return true; }});
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data) {
  const std::lock_guard lock(mutex());
  return add_operation(stream_of(stream), [function, data] { function(data); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaEventCreateWithFlags"))
    return error;
  *event = new Event;
  (*event)->device = current_device();
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  streams().events.insert(*event);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(mutex());
  if (!is_event(event))
    return failed(cudaErrorInvalidResourceHandle);
  // Streams may still be to record it or wait for it.
  carry_out([] { return false; });
  streams().events.erase(event);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaEventRecord"))
    return error;
  Stream *recording = stream_of(stream);
  if (!is_event(event) || event->device != recording->device)
    return failed(cudaErrorInvalidResourceHandle);
  event->capture = recording->capture;
  if (recording->capture) {
    event->nodes = recording->last;
    return cudaSuccess;
  }
  const uint64_t record = ++event->recorded;
  recording->operations.push_back({nullptr, [event, record] {
                                     event->finished = record;
                                     event->seconds = now();
                                     return true;
                                   }});
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaEventSynchronize"))
    return error;
  if (!is_event(event))
    return failed(cudaErrorInvalidResourceHandle);
  if (event->capture)
    return failed(cudaErrorCapturedEvent);
  if (const cudaError_t error = refuse_in_capture())
    return error;
  carry_out([event] { return event->finished >= event->recorded; });
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(mutex());
  if (!is_event(event))
    return failed(cudaErrorInvalidResourceHandle);
  if (event->capture)
    return failed(cudaErrorCapturedEvent);
  int left = 1;
  carry_out([&left] { return left-- == 0; });
  return event->finished >= event->recorded ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaEventElapsedTime"))
    return error;
  if (!is_event(start) || !is_event(end) || start->recorded == 0 || end->recorded == 0 ||
      !start->timed || !end->timed)
    return failed(cudaErrorInvalidResourceHandle);
  if (start->finished < start->recorded || end->finished < end->recorded)
    return cudaErrorNotReady;
  *milliseconds = static_cast<float>((end->seconds - start->seconds) * 1e3);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaMemcpyAsync"))
    return error;
  return add_copy(to, from, bytes, kind, stream_of(stream));
}

cudaError_t cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device,
                                size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaMemcpyPeerAsync"))
    return error;
  int source = -1, target = -1;
  if (bytes > 0 && (where_is(from, bytes, &source) != Where::device ||
                    where_is(to, bytes, &target) != Where::device || source != from_device ||
                    target != to_device))
    return failed(cudaErrorInvalidValue);
  return add_copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(stream));
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaMemcpy"))
    return error;
  if (const cudaError_t error = refuse_in_capture())
    return error;
  Stream *stream = stream_of(nullptr);
  const cudaError_t error = add_copy(to, from, bytes, kind, stream);
  carry_out([stream] { return is_empty(stream); });
  return error;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaMemsetAsync"))
    return error;
  if (bytes == 0)
    return cudaSuccess;
  if (where_is(to, bytes) == Where::pageable)
    return failed(cudaErrorInvalidValue);
  return add_operation(stream_of(stream), [=] { std::memset(to, value, bytes); });
}

cudaError_t cudaMemset(void *to, int value, size_t bytes) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = refuse_in_capture())
    return error;
  // As on a GPU: it need not be done when the call returns.
  return cudaMemsetAsync(to, value, bytes, nullptr);
}
