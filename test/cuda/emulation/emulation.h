// What the parts of the emulation share.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <vector>

namespace emulation {

/// Ends the process: what a real GPU would leave undefined has happened.
[[noreturn]] void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Everything is under one lock; held while calls are made and while streams are carried out.
std::recursive_mutex &mutex();
std::mt19937 &random_numbers();

/// The error that a call is to return for MPAR_EMULATED_FAILURE, or success.
cudaError_t injected(const char *call);
/// Keeps an error for cudaGetLastError; returns it.
cudaError_t failed(cudaError_t error);

int device_count();
int current_device();

/// Runs all threads of a grid.
void run_grid(const cudaLaunchConfig_t &config, const std::function<void()> &thread);

// Memory.
/// What each GPU has.
size_t device_bytes();
/// Lets GPUs' memory be touched as long as it lives.
class OpenMemory {
public:
  OpenMemory();
  OpenMemory(const OpenMemory &) = delete;
  OpenMemory &operator=(const OpenMemory &) = delete;
  ~OpenMemory();
};
enum class Where { device, pinned, pageable };
/// Where `bytes` from `memory` on lie, and of which device; gives up where they are partly outside
/// of an allocation.
Where where_is(const void *memory, size_t bytes, int *device = nullptr);

// Streams.
/// Something a stream does. `ready`: whether it can begin; `step` does a part, true with the last;
/// `external`: another process may have it wait.
struct Operation {
  std::function<bool()> ready;
  std::function<bool()> step;
  bool external = false;
};
struct Capture;
struct Stream {
  int device = 0;
  std::deque<Operation> operations;
  std::shared_ptr<Capture> capture; // that it takes part in
  std::vector<size_t> last;         // the nodes that its next one follows
};
struct Event {
  int device = 0;
  bool timed = true;                // otherwise nobody may ask when
  uint64_t recorded = 0;            // so many times
  uint64_t finished = 0;            // of those
  double seconds = 0;               // when it last was
  std::shared_ptr<Capture> capture; // in which it was last recorded
  std::vector<size_t> nodes;
};
/// Of null, the device's default stream.
Stream *stream_of(cudaStream_t stream);
bool is_stream(const Stream *stream);
/// Adds an operation to a stream, or a node to what it captures.
cudaError_t add_operation(Stream *stream, std::function<void()> work);
/// The same of what issue() gives when it is issued: now, or each time that the graph is launched.
void add_external(Stream *stream, std::function<Operation()> issue);
/// Carries out operations of any stream, in random order, until done() is true.
void carry_out(const std::function<bool()> &done);

// Graphs.
struct Node {
  std::function<void()> work;
  std::vector<size_t> after;
  std::function<Operation()> issue; // in place of `work`
};
struct Graph {
  std::vector<Node> nodes;
};
struct GraphExec {
  Graph graph;
};
struct Capture {
  Graph graph;
  Stream *origin = nullptr;
  std::set<Stream *> streams;
  bool invalid = false;
};
/// Whether any stream is capturing, so that calls that wait are refused.
bool is_capturing();
void invalidate_captures();
void capture_node(Stream *stream, std::function<void()> work,
                  std::function<Operation()> issue = nullptr);
/// In a capture, what cudaStreamWaitEvent does. False: neither the stream nor the event is in one.
bool capture_wait(Stream *stream, Event *event, cudaError_t *result);

} // namespace emulation
