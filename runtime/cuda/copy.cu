// Copies between strides, and fills.
#include "kernels.h"
#include "launch.h"

#include "mpar/low_precision.h"

namespace mpar::cuda {
namespace {

constexpr int threads = 256;
constexpr int side = 32; // of the squares in which two dimensions are exchanged

/// The dimensions of a copy, those of one element dropped and neighbours merged.
struct Walk {
  int rank = 0;
  int64_t extents[max_rank];
  int64_t from[max_rank];
  int64_t to[max_rank];
};

Walk merge_dimensions(const Shape &shape, const Strides &from, const Strides &to) {
  Walk walk;
  for (int dimension = 0; dimension < shape.rank; ++dimension) {
    const int64_t extent = shape[dimension];
    if (extent == 1)
      continue;
    const int last = walk.rank - 1;
    const bool merges = last >= 0 && walk.from[last] == from[dimension] * extent &&
                        walk.to[last] == to[dimension] * extent;
    const int at = merges ? last : walk.rank++;
    walk.extents[at] = merges ? walk.extents[at] * extent : extent;
    walk.from[at] = from[dimension];
    walk.to[at] = to[dimension];
  }
  return walk;
}

/// Elements of both sides, each at its place.
template <typename T> __global__ void copy_elements(Walk walk, int64_t count, const T *x, T *y) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x) {
    int64_t rest = i, from = 0, to = 0;
    for (int dimension = walk.rank - 1; dimension > 0; --dimension) {
      const int64_t position = rest % walk.extents[dimension];
      rest /= walk.extents[dimension];
      from += position * walk.from[dimension];
      to += position * walk.to[dimension];
    }
    y[to + rest * walk.to[0]] = x[from + rest * walk.from[0]];
  }
}

/// The last dimension of `walk` is walked contiguously by y, dimension `row` by x: squares of both
/// go through shared memory, so that both sides are read and written in runs.
template <typename T>
__global__ void copy_squares(Walk walk, int row, int64_t row_squares, int64_t squares, const T *x,
                             T *y) {
  __shared__ T square[side][side + 1];
  const int column = walk.rank - 1;
  for (int64_t number = blockIdx.x; number < squares; number += gridDim.x) {
    const int64_t column_squares = (walk.extents[column] + side - 1) / side;
    const int64_t first_column = number % column_squares * side;
    int64_t rest = number / column_squares;
    const int64_t first_row = rest % row_squares * side;
    rest /= row_squares;
    int64_t from = 0, to = 0;
    for (int dimension = walk.rank - 2; dimension >= 0; --dimension) {
      if (dimension == row)
        continue;
      const int64_t position = rest % walk.extents[dimension];
      rest /= walk.extents[dimension];
      from += position * walk.from[dimension];
      to += position * walk.to[dimension];
    }
    __syncthreads();
    for (int j = threadIdx.y; j < side; j += blockDim.y) {
      const int64_t at_row = first_row + threadIdx.x, at_column = first_column + j;
      if (at_row < walk.extents[row] && at_column < walk.extents[column])
        square[j][threadIdx.x] = x[from + at_row * walk.from[row] + at_column * walk.from[column]];
    }
    __syncthreads();
    for (int i = threadIdx.y; i < side; i += blockDim.y) {
      const int64_t at_row = first_row + i, at_column = first_column + threadIdx.x;
      if (at_row < walk.extents[row] && at_column < walk.extents[column])
        y[to + at_row * walk.to[row] + at_column * walk.to[column]] = square[threadIdx.x][i];
    }
  }
}

template <typename T> __global__ void fill_elements(int64_t count, T value, T *y) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x)
    y[i] = value;
}

} // namespace

template <typename T>
void copy(Device &device, const Shape &shape, const T *x, const Strides &x_strides, T *y,
          const Strides &y_strides) {
  const Queue &queue = queue_of(device);
  const int64_t count = shape.count();
  if (count == 0)
    return;
  const Walk walk = merge_dimensions(shape, x_strides, y_strides);
  if (walk.rank == 0 || (walk.rank == 1 && walk.from[0] == 1 && walk.to[0] == 1)) {
    check(cudaMemcpyAsync(y, x, count * sizeof(T), cudaMemcpyDeviceToDevice, queue.stream),
          "cudaMemcpyAsync");
    return;
  }
  const int column = walk.rank - 1;
  int row = 0;
  while (row < column && walk.from[row] != 1)
    ++row;
  if (row < column && walk.to[column] == 1 && walk.from[column] != 1 && walk.extents[row] >= 8 &&
      walk.extents[column] >= 8) {
    const int64_t row_squares = (walk.extents[row] + side - 1) / side;
    const int64_t column_squares = (walk.extents[column] + side - 1) / side;
    const int64_t squares =
        count / walk.extents[row] / walk.extents[column] * row_squares * column_squares;
    launch("copy", copy_squares<T>, blocks_for(queue, squares, 1), dim3(side, 8), 0, queue.stream,
           walk, row, row_squares, squares, x, y);
    return;
  }
  launch("copy", copy_elements<T>, blocks_for(queue, count, threads), threads, 0, queue.stream,
         walk, count, x, y);
}

template void copy(Device &, const Shape &, const float *, const Strides &, float *,
                   const Strides &);
template void copy(Device &, const Shape &, const int32_t *, const Strides &, int32_t *,
                   const Strides &);
template void copy(Device &, const Shape &, const bfloat16 *, const Strides &, bfloat16 *,
                   const Strides &);
template void copy(Device &, const Shape &, const float16 *, const Strides &, float16 *,
                   const Strides &);
template void copy(Device &, const Shape &, const bool *, const Strides &, bool *, const Strides &);

template <typename T> void fill(Device &device, int64_t count, T value, T *y) {
  const Queue &queue = queue_of(device);
  launch("fill", fill_elements<T>, blocks_for(queue, count, threads, 4), threads, 0, queue.stream,
         count, value, y);
}

template void fill(Device &, int64_t, float, float *);
template void fill(Device &, int64_t, int32_t, int32_t *);
template void fill(Device &, int64_t, bool, bool *);

} // namespace mpar::cuda
