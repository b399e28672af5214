// The norm of all gradients, what clips it, and the scaling of a loss.
//
// The order of the sum of squares is fixed by the size: blocks of 4,096 elements, in a block 64
// partial sums added by halves; the blocks' sums in double.
#include "block.h"
#include "kernels.h"
#include "launch.h"

#include <cmath>

namespace mpar::cuda {
namespace {

constexpr int lanes = 64;
constexpr int64_t block = 4096;

/// sums[b] of the blocks there are; a block of threads each.
__global__ void sum_squares(int64_t count, const float *x, float *sums) {
  __shared__ float partial[lanes];
  for (int64_t b = blockIdx.x; b * block < count; b += gridDim.x) {
    const int64_t end = count - b * block < block ? count : (b + 1) * block;
    float sum = 0;
    for (int64_t i = b * block + threadIdx.x; i < end; i += lanes)
      sum = fmaf(x[i], x[i], sum);
    __syncthreads();
    partial[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
      sum = partial[threadIdx.x] + partial[threadIdx.x + 32];
      for (int half = 16; half > 0; half /= 2)
        sum += __shfl_down_sync(whole_warp, sum, half);
      if (threadIdx.x == 0)
        sums[b] = sum;
    }
  }
}

/// One block adds: each thread every 512th of the blocks' sums, ascending, then the threads' by
/// halves.
__global__ void add_squares(int64_t blocks, const float *sums, const float *before, float *y) {
  double total = 0;
  for (int64_t b = threadIdx.x; b < blocks; b += blockDim.x)
    total += sums[b];
  const auto rounded = static_cast<float>(sum_block(total));
  if (threadIdx.x == 0)
    *y = before ? *before + rounded : rounded;
}

/// As `clip` of optimizer.h.
__device__ float clip_of(float clip_norm, float norm) {
  const float reciprocal = 1 / (norm + 1e-6f);
  const float scale = reciprocal * clip_norm;
  return scale > 1 ? 1 : scale;
}

__global__ void write_clip(float clip_norm, const float *squared, float *y) {
  *y = clip_of(clip_norm, sqrtf(*squared));
}

__global__ void write_scale(const LossScaling *scaling, float *y) { *y = scaling->scale; }

/// As `unscale` of loss_scaling.h.
__global__ void unscale_gradients(float clip_norm, const LossScaling *scaling, LossScaling *next,
                                  const float *squared, float *y) {
  LossScaling now = *scaling;
  now.gradient_scale = now.scale;
  if (!std::isfinite(*squared)) {
    *y = NAN;
    now.scale *= static_cast<float>(LossScaling::backoff);
    now.good_steps = 0;
    ++now.skipped_steps;
  } else {
    const auto inverse = static_cast<float>(1 / static_cast<double>(now.scale));
    const float clipped = clip_norm > 0 ? clip_of(clip_norm, sqrtf(*squared) * inverse) : 1.0f;
    *y = clipped * inverse;
    if (++now.good_steps >= LossScaling::interval) {
      const float grown = now.scale * static_cast<float>(LossScaling::growth);
      now.scale = std::isfinite(grown) ? grown : now.scale;
      now.good_steps = 0;
    }
  }
  *next = now;
}

} // namespace

void squared_norm(Device &device, int64_t count, const float *x, const float *sum, float *y) {
  const Queue &queue = queue_of(device);
  const int64_t blocks = (count + block - 1) / block;
  float *sums = workspace<float>(queue, blocks, "a norm of gradients");
  launch("squared_norm", sum_squares, blocks_for(queue, blocks, 1), lanes, 0, queue.stream, count,
         x, sums);
  launch("squared_norm", add_squares, 1, 512, 0, queue.stream, blocks, sums, sum, y);
}

void clip_scale(Device &device, const OptimizerSettings &settings, const float *squared, float *y) {
  launch("clip_scale", write_clip, 1, 1, 0, queue_of(device).stream,
         static_cast<float>(settings.clip_norm), squared, y);
}

void loss_scale(Device &device, const LossScaling & /*scaling*/, float *y) {
  const Queue &queue = queue_of(device);
  launch("loss_scale", write_scale, 1, 1, 0, queue.stream, queue.scaling, y);
}

void unscale(Device &device, const OptimizerSettings &settings, LossScaling & /*scaling*/,
             const float *squared, float *y) {
  const Queue &queue = queue_of(device);
  launch("unscale", unscale_gradients, 1, 1, 0, queue.stream,
         static_cast<float>(settings.clip_norm), queue.scaling, queue.next_scaling, squared, y);
}

} // namespace mpar::cuda
