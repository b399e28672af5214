// The device's side: what kernels call.
#pragma once

#include "emulation/types.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace emulation {

void *dynamic_shared_memory();
/// Of the block that runs.
size_t shared_memory_bytes();
/// Waits for the block's other threads.
void wait_for_block();
/// Waits for the warp's lanes; returns what each of the 32 brought. All lanes must take part.
const uint64_t *exchange(unsigned mask, uint64_t value);
int lane();

template <typename T> T read_lane(const uint64_t *values, int lane) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  T value;
  std::memcpy(&value, values + lane, sizeof value);
  return value;
}
template <typename T> const uint64_t *exchange_value(unsigned mask, T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return exchange(mask, bits);
}

} // namespace emulation

/// The thread that runs, and its block.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

inline void __syncthreads() { emulation::wait_for_block(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulation::exchange(mask, 0); }
inline void __threadfence() {}
inline void __threadfence_system() {}

// As on a GPU: within segments of `width` lanes; a source outside of the segment is the lane
// itself.
template <typename T> T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const uint64_t *values = emulation::exchange_value(mask, value);
  const int lane = emulation::lane();
  return emulation::read_lane<T>(values, (lane & ~(width - 1)) | (source & (width - 1)));
}
template <typename T> T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  const uint64_t *values = emulation::exchange_value(mask, value);
  const int lane = emulation::lane();
  const int source = lane ^ bits;
  return emulation::read_lane<T>(values, source < (lane & ~(width - 1)) + width ? source : lane);
}
template <typename T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const uint64_t *values = emulation::exchange_value(mask, value);
  const int lane = emulation::lane();
  const int source = lane + static_cast<int>(by);
  return emulation::read_lane<T>(values, source < (lane & ~(width - 1)) + width ? source : lane);
}
template <typename T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const uint64_t *values = emulation::exchange_value(mask, value);
  const int lane = emulation::lane();
  const int source = lane - static_cast<int>(by);
  return emulation::read_lane<T>(values, source >= (lane & ~(width - 1)) ? source : lane);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const uint64_t *values = emulation::exchange_value(mask, predicate != 0 ? 1 : 0);
  unsigned ballot = 0;
  for (int lane = 0; lane < 32; ++lane)
    ballot |= static_cast<unsigned>(values[lane]) << lane;
  return ballot;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) == 0xffffffffu;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned>(bits)); }
template <typename T> T __ldg(const T *from) { return *from; }
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline int __float_as_int(float x) {
  int bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __int_as_float(int bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// Fibers are switched only where they wait. There is none for floats, whose sums would depend on
// the order of threads.
namespace emulation {
template <typename T, typename Change> T change(T *at, const Change &change) {
  const T before = *at;
  *at = change(before);
  return before;
}
} // namespace emulation
#define MPAR_EMULATED_ATOMIC(NAME, TYPE, EXPRESSION)                                               \
  inline TYPE NAME(TYPE *at, TYPE value) {                                                         \
    return emulation::change(at, [value](TYPE before) -> TYPE { return EXPRESSION; });             \
  }
#define MPAR_EMULATED_ATOMICS(TYPE)                                                                \
  MPAR_EMULATED_ATOMIC(atomicAdd, TYPE, before + value)                                            \
  MPAR_EMULATED_ATOMIC(atomicMin, TYPE, before < value ? before : value)                           \
  MPAR_EMULATED_ATOMIC(atomicMax, TYPE, before > value ? before : value)                           \
  MPAR_EMULATED_ATOMIC(atomicExch, TYPE, (static_cast<void>(before), value))                       \
  inline TYPE atomicCAS(TYPE *at, TYPE expected, TYPE value) {                                     \
    return emulation::change(                                                                      \
        at, [=](TYPE before) -> TYPE { return before == expected ? value : before; });             \
  }
MPAR_EMULATED_ATOMICS(int)
MPAR_EMULATED_ATOMICS(unsigned)
MPAR_EMULATED_ATOMICS(unsigned long long)
#undef MPAR_EMULATED_ATOMICS
#undef MPAR_EMULATED_ATOMIC
float atomicAdd(float *at, float value) = delete;
double atomicAdd(double *at, double value) = delete;
