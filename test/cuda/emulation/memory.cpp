// The memory of GPUs and pinned memory of the host.
//
// Each GPU has a range of addresses that nobody may touch but while streams are carried out. An
// allocation ends with a page, after which one stays closed: what goes beyond it faults.
#include "emulation.h"

#include <sys/mman.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

namespace emulation {
namespace {

constexpr size_t page = 4096;
constexpr size_t huge_page = size_t(2) << 20;
constexpr size_t alignment = 256;

struct Allocation {
  size_t bytes;
  unsigned char *pages; // where they begin
  size_t mapped;
  void *reservation; // what was mapped, closed pages on both sides included
  size_t reserved;
  int device; // -1: pinned
};

struct Memory {
  std::map<const unsigned char *, Allocation> allocations;
  std::vector<size_t> used; // by device
  int opened = 0;
};
Memory &memory() {
  static auto *all = new Memory; // never freed: other objects free theirs when the process ends
  return *all;
}

size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

cudaError_t add_allocation(void **result, size_t bytes, int device) {
  *result = nullptr;
  if (bytes == 0)
    return cudaSuccess;
  Memory &all = memory();
  const size_t mapped = round_up(round_up(bytes, alignment), page);
  if (device >= 0) {
    all.used.resize(static_cast<size_t>(device_count()));
    if (all.used[device] + mapped > device_bytes())
      return failed(cudaErrorMemoryAllocation);
  }
  // What is large begins with a huge page: opening and closing it is then soon done.
  const size_t unit = mapped >= 2 * huge_page ? huge_page : page;
  const size_t reserved = mapped + 2 * unit;
  void *pages =
      mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED)
    return failed(cudaErrorMemoryAllocation);
  unsigned char *begin =
      static_cast<unsigned char *>(pages) + (unit - reinterpret_cast<uintptr_t>(pages) % unit);
  mprotect(begin, mapped, PROT_READ | PROT_WRITE);
  if (unit == huge_page)
    madvise(begin, mapped, MADV_HUGEPAGE); // a wish
  std::memset(begin, 0xff, mapped);
  if (device >= 0) {
    all.used[device] += mapped;
    if (all.opened == 0)
      mprotect(begin, mapped, PROT_NONE);
  }
  unsigned char *first = begin + (mapped - round_up(bytes, alignment));
  all.allocations[first] = {bytes, begin, mapped, pages, reserved, device};
  *result = first;
  return cudaSuccess;
}

cudaError_t remove_allocation(void *address, bool pinned) {
  if (!address)
    return cudaSuccess;
  Memory &all = memory();
  const auto found = all.allocations.find(static_cast<unsigned char *>(address));
  if (found == all.allocations.end() || (found->second.device < 0) != pinned)
    return failed(cudaErrorInvalidValue);
  // As on a GPU: what is under way is finished first.
  carry_out([] { return false; });
  const Allocation &allocation = found->second;
  if (!pinned)
    all.used[allocation.device] -= allocation.mapped;
  munmap(allocation.reservation, allocation.reserved);
  all.allocations.erase(found);
  return cudaSuccess;
}

void protect(int protection) {
  for (const auto &[begin, allocation] : memory().allocations)
    if (allocation.device >= 0)
      mprotect(allocation.pages, allocation.mapped, protection);
}

} // namespace

size_t device_bytes() {
  const char *bytes = std::getenv("MPAR_EMULATED_GPU_BYTES");
  return bytes ? std::strtoull(bytes, nullptr, 10) : size_t(4) << 30;
}

void give_up(const char *format, ...) {
  std::fflush(stdout);
  std::fputs("CUDA emulation: ", stderr);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}

OpenMemory::OpenMemory() {
  if (memory().opened++ == 0)
    protect(PROT_READ | PROT_WRITE);
}
OpenMemory::~OpenMemory() {
  if (--memory().opened == 0)
    protect(PROT_NONE);
}

Where where_is(const void *address, size_t bytes, int *device) {
  const auto *begin = static_cast<const unsigned char *>(address);
  const auto &allocations = memory().allocations;
  auto next = allocations.upper_bound(begin);
  if (next == allocations.begin())
    return Where::pageable;
  const auto &[first, allocation] = *--next;
  if (begin >= first + round_up(allocation.bytes, alignment))
    return Where::pageable;
  if (begin + bytes > first + allocation.bytes)
    give_up("%zu bytes go beyond an allocation of %zu bytes", bytes, allocation.bytes);
  if (device)
    *device = allocation.device;
  return allocation.device < 0 ? Where::pinned : Where::device;
}

cudaError_t allocate(void **result, size_t bytes) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaMalloc"))
    return error;
  if (device_count() == 0)
    return failed(cudaErrorNoDevice);
  if (is_capturing()) {
    invalidate_captures();
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  return add_allocation(result, bytes, current_device());
}

cudaError_t allocate_host(void **result, size_t bytes, const char *call) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected(call))
    return error;
  if (device_count() == 0)
    return failed(cudaErrorNoDevice);
  return add_allocation(result, bytes, -1);
}

cudaError_t host_device_pointer(void **on_device, void *on_host) {
  const std::lock_guard lock(mutex());
  if (where_is(on_host, 1) != Where::pinned)
    return failed(cudaErrorInvalidValue);
  *on_device = on_host;
  return cudaSuccess;
}

} // namespace emulation

using namespace emulation;

cudaError_t cudaFree(void *address) {
  const std::lock_guard lock(mutex());
  return remove_allocation(address, false);
}

cudaError_t cudaFreeHost(void *address) {
  const std::lock_guard lock(mutex());
  return remove_allocation(address, true);
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaMemGetInfo"))
    return error;
  if (device_count() == 0)
    return failed(cudaErrorNoDevice);
  memory().used.resize(static_cast<size_t>(device_count()));
  *total = device_bytes();
  *free = device_bytes() - memory().used[current_device()];
  return cudaSuccess;
}
