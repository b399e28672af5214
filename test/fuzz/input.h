// The bytes of a fuzzer as a file, in memory, for readers that take a path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace fuzz {

/// Puts the bytes into the process's one such file and returns its path.
inline std::string file_of(const uint8_t *data, size_t size) {
  static const int descriptor = memfd_create("input", 0);
  if (descriptor < 0 || ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, data, size, 0) != static_cast<ssize_t>(size))
    std::abort();
  return "/proc/self/fd/" + std::to_string(descriptor);
}

/// An error must be one line that names the file.
inline void check_message(const std::string &message) {
  if (message.find('\n') != std::string::npos ||
      message.find("/proc/self/fd/") == std::string::npos)
    std::abort();
}

} // namespace fuzz
