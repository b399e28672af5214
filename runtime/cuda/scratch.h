// The queue's workspace, taken piece by piece by one call of a kernel function.
#pragma once

#include "launch.h"

#include <cstdint>

namespace mpar::cuda {

/// Pieces stay valid until the next call on the queue takes any.
class Scratch {
public:
  /// `what` it is for: a name for messages.
  Scratch(const Queue &queue, const char *what) : queue_(queue), what_(what) {}

  /// `count` elements, aligned to 256 bytes. Fails where the workspace is too small.
  template <typename T> T *take(int64_t count) {
    const int64_t bytes = (count * static_cast<int64_t>(sizeof(T)) + 255) / 256 * 256;
    if (used_ + bytes > static_cast<int64_t>(queue_.workspace_bytes))
      fail_workspace(queue_, used_ + bytes, what_);
    T *piece = reinterpret_cast<T *>(static_cast<char *>(queue_.workspace) + used_);
    used_ += bytes;
    return piece;
  }
  int64_t left() const { return static_cast<int64_t>(queue_.workspace_bytes) - used_; }

private:
  const Queue &queue_;
  const char *what_;
  int64_t used_ = 0;
};

} // namespace mpar::cuda
