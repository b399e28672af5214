// What the threads of a warp and of a block add up together, in an order that the number of threads
// alone decides.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace mpar::cuda {

constexpr unsigned whole_warp = 0xffffffffu;

struct Sum {
  template <typename T> __device__ T operator()(T a, T b) const { return a + b; }
};
/// The larger; NaN where either is.
struct Maximum {
  __device__ float operator()(float a, float b) const { return b > a || b != b ? b : a; }
  __device__ int32_t operator()(int32_t a, int32_t b) const { return b > a ? b : a; }
};
/// The smaller; NaN where either is.
struct Minimum {
  __device__ float operator()(float a, float b) const { return b < a || b != b ? b : a; }
  __device__ int32_t operator()(int32_t a, int32_t b) const { return b < a ? b : a; }
};

/// Of the 32 lanes' values, merged by halves; every lane has the result.
template <typename T, typename Merge> __device__ T merge_warp(T value, Merge merge) {
  for (int half = 16; half > 0; half /= 2)
    value = merge(value, __shfl_xor_sync(whole_warp, value, half));
  return value;
}

/// Of all threads' values of a one-dimensional block of whole warps; every thread has the result.
/// `start`: what changes nothing. All threads must take part.
template <typename T, typename Merge> __device__ T merge_block(T value, T start, Merge merge) {
  __shared__ T warps[32];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  value = merge_warp(value, merge);
  if (blockDim.x == 32)
    return value;
  __syncthreads(); // those before have read
  if (lane == 0)
    warps[warp] = value;
  __syncthreads();
  value = lane < blockDim.x / 32 ? warps[lane] : start;
  return merge_warp(value, merge);
}

template <typename T> __device__ T sum_block(T value) { return merge_block(value, T(0), Sum()); }

/// Threads for a row of so many elements: a power of two of warps, each thread a few elements.
inline int threads_for_row(int64_t elements) {
  int threads = 32;
  while (threads < 512 && elements > int64_t(threads) * 8)
    threads *= 2;
  return threads;
}

} // namespace mpar::cuda
