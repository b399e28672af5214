// Softmax, its logarithm, the cross-entropy of classes, and the position of the largest element.
//
// A line's largest element and the sum of its exponentials are found in one pass: a larger element
// rescales the sum so far.
#include "backend.h"
#include "block.h"
#include "finding.h"
#include "kernels.h"
#include "launch.h"

#include <cmath>
#include <type_traits>

#include "mpar/elementary.h"

namespace mpar::cuda {
namespace {

constexpr int column_threads = 128;

/// The largest of some elements, and the sum of their exponentials less it.
struct Softened {
  float largest = -INFINITY;
  float sum = 0;

  /// What is minus infinity adds nothing, whatever the largest; a NaN makes the sum one.
  __device__ void add(float x) {
    if (x > largest) {
      sum = sum * exponential(largest - x) + 1;
      largest = x;
    } else if (x != -INFINITY) {
      sum += exponential(x - largest);
    }
  }
  __device__ void add(const Softened &other) {
    const float most = other.largest > largest ? other.largest : largest;
    if (most != -INFINITY)
      sum = (largest == most ? sum : sum * exponential(largest - most)) +
            (other.largest == most ? other.sum : other.sum * exponential(other.largest - most));
    else
      sum += other.sum; // zeros or NaN
    largest = most;
  }
  /// Where the largest is infinite no element is a probability.
  __device__ float divisor() const { return std::isinf(largest) ? NAN : sum; }
};

__device__ Softened merge_lanes(Softened mine) {
  for (int half = 16; half > 0; half /= 2) {
    // The lower lane's first, in both lanes, so that both get the same bits.
    const Softened other{__shfl_xor_sync(whole_warp, mine.largest, half),
                         __shfl_xor_sync(whole_warp, mine.sum, half)};
    const bool lower = (threadIdx.x & static_cast<unsigned>(half)) == 0;
    Softened first = lower ? mine : other;
    first.add(lower ? other : mine);
    mine = first;
  }
  return mine;
}

/// Of a line of contiguous elements, by a block of threads, all of which have the result.
template <typename T> __device__ Softened soften(int64_t extent, const T *x) {
  __shared__ Softened warps[32];
  Softened mine;
  for (int64_t i = threadIdx.x; i < extent; i += blockDim.x)
    mine.add(static_cast<float>(x[i]));
  mine = merge_lanes(mine);
  if (blockDim.x == 32)
    return mine;
  __syncthreads(); // those before have read
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = mine;
  __syncthreads();
  return merge_lanes(threadIdx.x % 32 < blockDim.x / 32 ? warps[threadIdx.x % 32] : Softened());
}

template <bool logarithm> __device__ float finish(float x, float largest, float of_sum) {
  return logarithm ? x - largest - of_sum : exponential(x - largest) / of_sum;
}

template <bool logarithm>
__global__ void soften_lines(int64_t lines, int64_t extent, const float *x, float *y) {
  for (int64_t line = blockIdx.x; line < lines; line += gridDim.x) {
    const Softened whole = soften(extent, x + line * extent);
    const float of_sum = logarithm ? logf(whole.divisor()) : whole.divisor();
    __syncthreads(); // y may be x
    for (int64_t i = threadIdx.x; i < extent; i += blockDim.x)
      y[line * extent + i] = finish<logarithm>(x[line * extent + i], whole.largest, of_sum);
  }
}

/// Along the middle of [outer, extent, inner], a thread a line.
template <bool logarithm>
__global__ void soften_columns(int64_t lines, int64_t extent, int64_t inner, const float *x,
                               float *y) {
  for (int64_t line = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; line < lines;
       line += int64_t(gridDim.x) * blockDim.x) {
    const int64_t first = line / inner * extent * inner + line % inner;
    Softened whole;
    for (int64_t i = 0; i < extent; ++i)
      whole.add(x[first + i * inner]);
    const float of_sum = logarithm ? logf(whole.divisor()) : whole.divisor();
    for (int64_t i = 0; i < extent; ++i)
      y[first + i * inner] = finish<logarithm>(x[first + i * inner], whole.largest, of_sum);
  }
}

template <bool logarithm>
void run(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x, float *y) {
  const Queue &queue = queue_of(device);
  if (inner == 1)
    launch("softmax", soften_lines<logarithm>, blocks_for(queue, outer, 1), threads_for_row(extent),
           0, queue.stream, outer, extent, x, y);
  else
    launch("softmax", soften_columns<logarithm>, blocks_for(queue, outer * inner, column_threads),
           column_threads, 0, queue.stream, outer * inner, extent, inner, x, y);
}

__device__ bool is_class(int32_t target, int64_t classes) {
  return target >= 0 && target < classes;
}

template <typename T>
__global__ void losses(int64_t count, int64_t classes, const T *x, const int32_t *target,
                       Finding *finding, float *y) {
  for (int64_t i = blockIdx.x; i < count; i += gridDim.x) {
    const Softened whole = soften(classes, x + i * classes);
    if (threadIdx.x > 0)
      continue;
    if (!is_class(target[i], classes)) {
      find(finding, Finding::Kind::target, target[i], classes, nullptr);
      y[i] = 0;
      continue;
    }
    y[i] = logf(whole.divisor()) + (whole.largest - static_cast<float>(x[i * classes + target[i]]));
  }
}

template <typename T>
__global__ void loss_gradients(int64_t count, int64_t classes, const T *x, const int32_t *target,
                               const float *g, Finding *finding, T *dx) {
  for (int64_t i = blockIdx.x; i < count; i += gridDim.x) {
    const Softened whole = soften(classes, x + i * classes);
    const float sum = whole.divisor();
    const float factor = g[i] / sum;
    const int32_t right = target[i];
    const bool known = is_class(right, classes);
    if (!known && threadIdx.x == 0)
      find(finding, Finding::Kind::target, right, classes, nullptr);
    __syncthreads(); // dx may be x
    for (int64_t c = threadIdx.x; c < classes; c += blockDim.x) {
      const float e = exponential(static_cast<float>(x[i * classes + c]) - whole.largest);
      const float value = c == right ? (e / sum - 1) * g[i] : e * factor;
      dx[i * classes + c] = static_cast<T>(known ? value : 0);
    }
  }
}

/// Larger for larger values, largest for NaN, and among equal ones for the first.
__device__ unsigned long long rank_of(float value, int64_t position) {
  const auto bits = static_cast<unsigned>(__float_as_int(value + 0.0f)); // of both zeros one
  const unsigned ordered = value != value              ? 0xffffffffu
                           : (bits & 0x80000000u) != 0 ? ~bits
                                                       : bits | 0x80000000u;
  return (static_cast<unsigned long long>(ordered) << 32) |
         (0xffffffffu - static_cast<unsigned>(position));
}
__device__ unsigned long long rank_of(int32_t value, int64_t position) {
  return (static_cast<unsigned long long>(static_cast<unsigned>(value) ^ 0x80000000u) << 32) |
         (0xffffffffu - static_cast<unsigned>(position));
}
struct Higher {
  __device__ unsigned long long operator()(unsigned long long a, unsigned long long b) const {
    return a > b ? a : b;
  }
};
__device__ int32_t position_of(unsigned long long rank) {
  return static_cast<int32_t>(0xffffffffu - static_cast<unsigned>(rank));
}

template <typename T>
__global__ void largest_of_lines(int64_t lines, int64_t extent, const T *x, int32_t *y) {
  for (int64_t line = blockIdx.x; line < lines; line += gridDim.x) {
    unsigned long long most = 0;
    for (int64_t i = threadIdx.x; i < extent; i += blockDim.x)
      most = Higher()(most, rank_of(x[line * extent + i], i));
    most = merge_block(most, 0ull, Higher());
    if (threadIdx.x == 0)
      y[line] = position_of(most);
  }
}

template <typename T>
__global__ void largest_of_columns(int64_t lines, int64_t extent, int64_t inner, const T *x,
                                   int32_t *y) {
  for (int64_t line = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; line < lines;
       line += int64_t(gridDim.x) * blockDim.x) {
    const int64_t first = line / inner * extent * inner + line % inner;
    unsigned long long most = 0;
    for (int64_t i = 0; i < extent; ++i)
      most = Higher()(most, rank_of(x[first + i * inner], i));
    y[line] = position_of(most);
  }
}

} // namespace

void softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
             float *y) {
  run<false>(device, outer, extent, inner, x, y);
}

void log_softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
                 float *y) {
  run<true>(device, outer, extent, inner, x, y);
}

void cross_entropy(Device &device, int64_t count, int64_t classes, Real type, const void *x,
                   const int32_t *target, float *y) {
  visit(type, [&](auto *numbers) {
    using T = std::remove_pointer_t<decltype(numbers)>;
    const Queue &queue = queue_of(device);
    launch("cross_entropy", losses<T>, blocks_for(queue, count, 1), threads_for_row(classes), 0,
           queue.stream, count, classes, static_cast<const T *>(x), target, queue.finding, y);
  });
}

void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, Real type,
                            const void *x, const int32_t *target, const float *g, void *dx) {
  visit(type, [&](auto *numbers) {
    using T = std::remove_pointer_t<decltype(numbers)>;
    const Queue &queue = queue_of(device);
    launch("cross_entropy_gradient", loss_gradients<T>, blocks_for(queue, count, 1),
           threads_for_row(classes), 0, queue.stream, count, classes, static_cast<const T *>(x),
           target, g, queue.finding, static_cast<T *>(dx));
  });
}

template <typename T>
void argmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const T *x, int32_t *y) {
  const Queue &queue = queue_of(device);
  if (inner == 1)
    launch("argmax", largest_of_lines<T>, blocks_for(queue, outer, 1), threads_for_row(extent), 0,
           queue.stream, outer, extent, x, y);
  else
    launch("argmax", largest_of_columns<T>, blocks_for(queue, outer * inner, column_threads),
           column_threads, 0, queue.stream, outer * inner, extent, inner, x, y);
}

template void argmax(Device &, int64_t, int64_t, int64_t, const float *, int32_t *);
template void argmax(Device &, int64_t, int64_t, int64_t, const int32_t *, int32_t *);

} // namespace mpar::cuda
