// Connections between all ranks of a run.
#pragma once

#include "mpar/world.h"

#include <utility>
#include <vector>

namespace mpar {

/// A file descriptor that is closed at the end.
class Socket {
public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket &&other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket &operator=(Socket &&other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket();
  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

private:
  int descriptor_ = -1;
};

/// Whether a connection is with itself: where nobody listens at a port yet, the system may choose
/// that very port to connect from.
bool is_own_peer(const Socket &connection);

/// Small messages go at once; reads and writes do not block.
void make_immediate(const Socket &socket);

/// Connects this rank with all others: they meet at rank 0, which listens at the launch's address
/// and tells each where the others listen. By rank; none for the own one. Fails, saying who is
/// missing, where they are not all there within `timeout` seconds.
std::vector<Socket> connect_ranks(const Launch &launch, double timeout);

} // namespace mpar
