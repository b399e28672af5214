// Layer and RMS normalization, a block of threads a row. A row stays in the cache for its passes.
#include "block.h"
#include "kernels.h"
#include "launch.h"
#include "scratch.h"

namespace mpar::cuda {
namespace {

constexpr int64_t most_blocks = 256; // that sum over rows
constexpr int column_threads = 128;
constexpr int64_t shared_floats = 12288; // 48 KiB

/// `mean` null: none is taken off.
struct Forward {
  int64_t rows, size;
  float eps;
  const float *x, *weight, *bias;
  float *y, *mean, *scale;
};

__global__ void normalize_rows(Forward f) {
  const auto count = static_cast<float>(f.size);
  for (int64_t row = blockIdx.x; row < f.rows; row += gridDim.x) {
    const float *x = f.x + row * f.size;
    float *y = f.y + row * f.size;
    float mean = 0;
    if (f.mean) {
      float sum = 0;
      for (int64_t i = threadIdx.x; i < f.size; i += blockDim.x)
        sum += x[i];
      mean = sum_block(sum) / count;
    }
    float squares = 0;
    for (int64_t i = threadIdx.x; i < f.size; i += blockDim.x)
      squares += (x[i] - mean) * (x[i] - mean);
    const float scale = 1 / sqrtf(sum_block(squares) / count + f.eps);
    if (threadIdx.x == 0) {
      if (f.mean)
        f.mean[row] = mean;
      f.scale[row] = scale;
    }
    for (int64_t i = threadIdx.x; i < f.size; i += blockDim.x) {
      float value = (x[i] - mean) * scale;
      if (f.weight)
        value *= f.weight[i];
      if (f.bias)
        value += f.bias[i];
      y[i] = value;
    }
  }
}

struct Backward {
  int64_t rows, size;
  const float *gradient, *x, *mean, *scale, *weight;
  float *dx;
  float *partial; // [blocks, 2, size]: each block's sums of dweight and dbias
  int64_t rows_a_block;
  bool in_shared; // whether a block has room for its sums in shared memory
};

/// With n = (x - mean) · scale and w = gradient · weight: dx = scale · (w - mean(w) - n · mean(w ·
/// n)), without the term in the middle where no mean was taken off. A thread has its columns' sums
/// over the block's rows.
__global__ void differentiate_rows(Backward b) {
  const auto count = static_cast<float>(b.size);
  float *const partial = b.partial + int64_t(blockIdx.x) * 2 * b.size;
  float *const sums = b.in_shared ? dynamic_shared<float>() : partial;
  for (int64_t i = threadIdx.x; i < b.size; i += blockDim.x)
    sums[i] = sums[b.size + i] = 0;
  const int64_t begin = int64_t(blockIdx.x) * b.rows_a_block;
  const int64_t end = b.rows - begin < b.rows_a_block ? b.rows : begin + b.rows_a_block;
  for (int64_t row = begin; row < end; ++row) {
    const float *x = b.x + row * b.size;
    const float *gradient = b.gradient + row * b.size;
    const float scale = b.scale[row];
    const float mean = b.mean ? b.mean[row] : 0;
    float along = 0, across = 0;
    for (int64_t i = threadIdx.x; i < b.size; i += blockDim.x) {
      const float w = b.weight ? gradient[i] * b.weight[i] : gradient[i];
      along += w;
      across += w * ((x[i] - mean) * scale);
    }
    const float shift = b.mean ? sum_block(along) / count : 0;
    const float slope = sum_block(across) / count;
    for (int64_t i = threadIdx.x; i < b.size; i += blockDim.x) {
      const float g = gradient[i];
      const float w = b.weight ? g * b.weight[i] : g;
      const float n = (x[i] - mean) * scale;
      sums[i] += g * n;
      sums[b.size + i] += g;
      b.dx[row * b.size + i] = scale * ((w - shift) - n * slope);
    }
  }
  if (b.in_shared)
    for (int64_t i = threadIdx.x; i < b.size; i += blockDim.x) {
      partial[i] = sums[i];
      partial[b.size + i] = sums[b.size + i];
    }
}

/// y = the blocks' sums, in double and in ascending order.
__global__ void add_blocks(int64_t blocks, int64_t size, const float *partial, bool add,
                           float *dweight, float *dbias) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < 2 * size;
       i += int64_t(gridDim.x) * blockDim.x) {
    float *y = i < size ? dweight + i : dbias ? dbias + (i - size) : nullptr;
    if (!y)
      continue;
    double sum = 0;
    for (int64_t block = 0; block < blocks; ++block)
      sum += partial[block * 2 * size + i];
    const auto value = static_cast<float>(sum);
    *y = add ? *y + value : value;
  }
}

void run(Device &device, const Forward &forward) {
  const Queue &queue = queue_of(device);
  launch("a normalization", normalize_rows, blocks_for(queue, forward.rows, 1),
         threads_for_row(forward.size), 0, queue.stream, forward);
}

void run(Device &device, Backward backward, float *dweight, float *dbias, Store store) {
  const Queue &queue = queue_of(device);
  Scratch scratch(queue, "the gradient of a normalization");
  const int64_t room = scratch.left() / (2 * backward.size * int64_t(sizeof(float)));
  const int64_t wanted = std::max<int64_t>(1, std::min(std::min(room, most_blocks), backward.rows));
  backward.rows_a_block = std::max<int64_t>(1, (backward.rows + wanted - 1) / wanted);
  const int64_t blocks = (backward.rows + backward.rows_a_block - 1) / backward.rows_a_block;
  backward.partial = scratch.take<float>(blocks * 2 * backward.size);
  backward.in_shared = 2 * backward.size <= shared_floats;
  const size_t shared = backward.in_shared ? 2 * backward.size * sizeof(float) : 0;
  launch("the gradient of a normalization", differentiate_rows, static_cast<unsigned>(blocks),
         threads_for_row(backward.size), shared, queue.stream, backward);
  launch("the gradient of a normalization", add_blocks,
         blocks_for(queue, 2 * backward.size, column_threads), column_threads, 0, queue.stream,
         blocks, backward.size, backward.partial, store == Store::add, dweight, dbias);
}

} // namespace

void layer_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                const float *weight, const float *bias, float *y, float *mean, float *scale) {
  run(device, {rows, size, eps, x, weight, bias, y, mean, scale});
}

void rms_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
              const float *weight, float *y, float *scale) {
  run(device, {rows, size, eps, x, weight, nullptr, y, nullptr, scale});
}

void layer_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                         const float *x, const float *mean, const float *scale, const float *weight,
                         float *dx, float *dweight, float *dbias, Store store) {
  run(device, {rows, size, gradient, x, mean, scale, weight, dx, nullptr, 0, false}, dweight, dbias,
      store);
}

void rms_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                       const float *x, const float *scale, const float *weight, float *dx,
                       float *dweight, Store store) {
  run(device, {rows, size, gradient, x, nullptr, scale, weight, dx, nullptr, 0, false}, dweight,
      nullptr, store);
}

} // namespace mpar::cuda
