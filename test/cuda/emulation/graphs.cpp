// Streams that are captured, and graphs that are launched: nodes in any order that their edges
// leave.
#include "emulation.h"

#include <algorithm>

namespace emulation {
namespace {

std::vector<std::shared_ptr<Capture>> &captures() {
  static auto *all = new std::vector<std::shared_ptr<Capture>>;
  return *all;
}

/// How far a launch of a graph is.
struct Run {
  Graph graph;
  std::vector<bool> done;
  std::vector<Operation> operations; // by node, of those that are issued
  size_t left;
  bool external;
};

std::vector<size_t> ready_nodes(Run &run) {
  std::vector<size_t> ready;
  for (size_t node = 0; node < run.graph.nodes.size(); ++node) {
    const std::vector<size_t> &after = run.graph.nodes[node].after;
    if (!run.done[node] &&
        std::all_of(after.begin(), after.end(), [&](size_t other) { return run.done[other]; }) &&
        (!run.operations[node].ready || run.operations[node].ready()))
      ready.push_back(node);
  }
  return ready;
}

bool step(Run &run) {
  const std::vector<size_t> ready = ready_nodes(run);
  if (ready.empty())
    return false;
  const size_t node = ready[random_numbers()() % ready.size()];
  if (run.operations[node].step)
    run.operations[node].step();
  else
    run.graph.nodes[node].work();
  run.done[node] = true;
  return --run.left == 0;
}

void leave_capture(const std::shared_ptr<Capture> &capture) {
  for (Stream *stream : capture->streams) {
    stream->capture = nullptr;
    stream->last.clear();
  }
  captures().erase(std::remove(captures().begin(), captures().end(), capture), captures().end());
}

} // namespace

bool is_capturing() { return !captures().empty(); }

void invalidate_captures() {
  for (const std::shared_ptr<Capture> &capture : captures())
    capture->invalid = true;
}

void capture_node(Stream *stream, std::function<void()> work, std::function<Operation()> issue) {
  std::vector<Node> &nodes = stream->capture->graph.nodes;
  nodes.push_back({std::move(work), stream->last, std::move(issue)});
  stream->last = {nodes.size() - 1};
}

void add_external(Stream *stream, std::function<Operation()> issue) {
  if (stream->capture)
    capture_node(stream, nullptr, std::move(issue));
  else
    stream->operations.push_back(issue());
}

bool capture_wait(Stream *stream, Event *event, cudaError_t *result) {
  const std::shared_ptr<Capture> capture = event->capture;
  if (!capture && !stream->capture)
    return false;
  const bool over =
      capture && std::find(captures().begin(), captures().end(), capture) == captures().end();
  if (!capture || over) {
    // It was recorded outside of the capture.
    if (!stream->capture)
      *result = failed(cudaErrorInvalidValue);
    else {
      stream->capture->invalid = true;
      *result = failed(cudaErrorStreamCaptureIsolation);
    }
    return true;
  }
  if (stream->capture && stream->capture != capture) {
    stream->capture->invalid = capture->invalid = true;
    *result = failed(cudaErrorStreamCaptureMerge);
    return true;
  }
  stream->capture = capture;
  capture->streams.insert(stream);
  for (const size_t node : event->nodes)
    if (std::find(stream->last.begin(), stream->last.end(), node) == stream->last.end())
      stream->last.push_back(node);
  return true;
}

} // namespace emulation

using namespace emulation;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaStreamBeginCapture"))
    return error;
  if (!stream || stream_of(stream)->capture)
    return failed(cudaErrorStreamCaptureUnsupported);
  auto capture = std::make_shared<Capture>();
  capture->origin = stream;
  capture->streams.insert(stream);
  stream->capture = capture;
  stream->last.clear();
  captures().push_back(capture);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  const std::lock_guard lock(mutex());
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = stream_of(stream)->capture;
  if (!capture || capture->origin != stream)
    return failed(cudaErrorStreamCaptureUnmatched);
  // What other streams have done must come before the last of this one.
  std::vector<bool> joined(capture->graph.nodes.size());
  std::vector<size_t> left = stream->last;
  while (!left.empty()) {
    const size_t node = left.back();
    left.pop_back();
    if (joined[node])
      continue;
    joined[node] = true;
    const std::vector<size_t> &after = capture->graph.nodes[node].after;
    left.insert(left.end(), after.begin(), after.end());
  }
  const bool all = std::all_of(joined.begin(), joined.end(), [](bool one) { return one; });
  leave_capture(capture);
  if (capture->invalid)
    return failed(cudaErrorStreamCaptureInvalidated);
  if (!all)
    return failed(cudaErrorStreamCaptureUnjoined);
  *graph = new Graph(capture->graph);
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
  const std::lock_guard lock(mutex());
  const Capture *capture = stream_of(stream)->capture.get();
  *status = !capture           ? cudaStreamCaptureStatusNone
            : capture->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaGraphInstantiate"))
    return error;
  *exec = new GraphExec{*graph};
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaGraphLaunch"))
    return error;
  Stream *launching = stream_of(stream);
  if (launching->capture)
    give_up("a graph that is launched in a capture is not emulated");
  if (exec->graph.nodes.empty())
    return cudaSuccess;
  const size_t nodes = exec->graph.nodes.size();
  auto run = std::make_shared<Run>(
      Run{exec->graph, std::vector<bool>(nodes), std::vector<Operation>(nodes), nodes, false});
  // In the order in which they were captured.
  for (size_t node = 0; node < nodes; ++node)
    if (exec->graph.nodes[node].issue) {
      run->operations[node] = exec->graph.nodes[node].issue();
      run->external = true;
    }
  launching->operations.push_back(
      {[run] { return !ready_nodes(*run).empty(); }, [run] { return step(*run); }, run->external});
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const std::lock_guard lock(mutex());
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const std::lock_guard lock(mutex());
  delete exec;
  return cudaSuccess;
}
