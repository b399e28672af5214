// What attention's kernels share, be their products those of floats or of rounded numbers.
#pragma once

#include "block.h"
#include "kernels.h"
#include "launch.h"

#include "mpar/attention.h"
#include "mpar/low_precision.h"

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace mpar::cuda {

struct AttentionProblem {
  AttentionSizes sizes;
  float scale;
  Heads<const float> q, k, v;
};

/// The problem, the gradient of the result, and what of the forward pass was kept.
struct AttentionGradientProblem {
  AttentionProblem problem;
  Heads<const float> gradient;
  const float *log_sums;
  const float *means; // Σ gradient · y of each query: what softmax's gradient takes off
};

/// The longest heads that the kernels of rounded numbers are made for.
constexpr int64_t longest_rounded = 128;

/// Attention whose products are of numbers of two bytes; heads are at most `longest_rounded` deep
/// and wide.
void attend_rounded(const Queue &queue, const AttentionProblem &problem, const Heads<float> &y,
                    float *log_sums);
void differentiate_rounded(const Queue &queue, const AttentionGradientProblem &of,
                           const Heads<float> &dq, const Heads<float> &dk, const Heads<float> &dv);

template <typename T>
__host__ __device__ inline T *head_of(const Heads<T> &heads, int64_t batch, int64_t head) {
  return heads.data + batch * heads.batch + head * heads.head;
}

__device__ inline float rounded(float x, Rounding rounding) {
  if (rounding == Rounding::bf16)
    return static_cast<float>(bfloat16(x));
  return rounding == Rounding::f16 ? static_cast<float>(float16(x)) : x;
}

inline dim3 attention_grid(const AttentionSizes &sizes, int64_t rows, int64_t tile, int64_t heads) {
  return {static_cast<unsigned>((rows + tile - 1) / tile), static_cast<unsigned>(heads),
          static_cast<unsigned>(sizes.batch)};
}

/// Lets a kernel have more of a block's shared memory than it has without asking.
template <typename... Parameters>
void allow_if_large(void (*kernel)(Parameters...), size_t shared_bytes) {
  constexpr size_t granted = size_t(48) << 10;
  if (shared_bytes > granted)
    allow_shared(kernel, shared_bytes);
}

} // namespace mpar::cuda
