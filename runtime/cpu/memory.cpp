// What the system says of its memory, and what it gives.
#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

namespace mpar {
namespace {

/// The value in bytes of a line `name: 123 kB` of /proc/meminfo; -1 where there is none.
int64_t meminfo(const std::string &name) {
  std::ifstream file("/proc/meminfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, name.size(), name) == 0) {
      std::istringstream words(line.substr(name.size()));
      int64_t kibibytes = -1;
      words >> kibibytes;
      return kibibytes < 0 ? -1 : kibibytes * 1024;
    }
  }
  return -1;
}

int64_t number_in(const std::string &path) {
  std::ifstream file(path);
  int64_t value = -1;
  file >> value; // "max", or no such file: no limit
  return file ? value : -1;
}

[[noreturn]] void fail_to_map(int index, int64_t bytes) {
  fail("device " + std::to_string(index) + ": cannot allocate " + std::to_string(bytes) +
       " bytes: " + std::strerror(errno));
}

} // namespace

int64_t available_memory() {
  int64_t available = std::numeric_limits<int64_t>::max();
  const int64_t free = meminfo("MemAvailable:");
  if (free >= 0)
    available = free + std::max<int64_t>(0, meminfo("SwapFree:"));
  // The control group's own limit, as containers set it (version 2, then 1).
  const char *const groups[][2] = {{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
                                   {"/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                    "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};
  for (const auto &group : groups) {
    const int64_t limit = number_in(group[0]);
    const int64_t used = number_in(group[1]);
    if (limit >= 0 && used >= 0)
      available = std::min(available, std::max<int64_t>(0, limit - used));
  }
  return available;
}

Mapping reserve_addresses(int index, int64_t bytes) {
  if (bytes == 0)
    return {};
  void *memory =
      mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    fail_to_map(index, bytes);
  return {static_cast<std::byte *>(memory), static_cast<size_t>(bytes)};
}

Mapping map_zeroed(int index, int64_t bytes) {
  if (bytes == 0)
    return {};
  constexpr size_t huge_page = size_t(2) << 20;
  constexpr size_t worth_it = size_t(256) << 10;
  const bool huge = static_cast<size_t>(bytes) >= worth_it;
  const size_t wanted = huge ? round_up(bytes, huge_page) : bytes;
  const size_t size = huge ? add_sizes(wanted, huge_page) : wanted;
  void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    fail_to_map(index, bytes);
  std::byte *begin = static_cast<std::byte *>(memory);
  if (!huge)
    return {begin, size};
  // Aligned within what was mapped; the ends are given back.
  const size_t before = (huge_page - reinterpret_cast<uintptr_t>(begin) % huge_page) % huge_page;
  if (before > 0)
    munmap(begin, before);
  munmap(begin + before + wanted, huge_page - before);
  madvise(begin + before, wanted, MADV_HUGEPAGE); // a wish: without it all is well but slower
  return {begin + before, wanted};
}

void unmap(const Mapping &mapping) {
  if (mapping.begin)
    munmap(mapping.begin, mapping.size);
}

} // namespace mpar
