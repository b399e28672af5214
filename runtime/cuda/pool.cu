// Pooling, a thread an element of the result.
#include "kernels.h"
#include "launch.h"
#include "scratch.h"
#include "window.h"

#include "mpar/errors.h"

namespace mpar::cuda {
namespace {

constexpr int threads = 256;

Window window_of(const Pooling &pooling) {
  Shape dilation;
  for (; dilation.rank < pooling.extents.rank; ++dilation.rank)
    dilation[dilation.rank] = 1;
  return Window(pooling.extents, pooling.kernel, pooling.stride, pooling.padding, dilation,
                pooling.positions());
}

/// The elements of one dimension under a window: [begin, end), and how many a mean counts.
struct Span {
  int64_t begin, end;
  float counted;

  __device__ Span(const Extent &extent, int64_t position, CountPadding count) {
    const int64_t start = extent.at(position, 0), stop = start + extent.kernel;
    begin = start < 0 ? 0 : start;
    end = stop < extent.size ? stop : extent.size;
    const int64_t padded_end =
        stop < extent.size + extent.padding ? stop : extent.size + extent.padding;
    counted = static_cast<float>(count == CountPadding::yes ? padded_end - start : end - begin);
  }
};

__global__ void find_maxima(Window window, int64_t planes, const float *x, float *y,
                            int32_t *positions) {
  const Extent(&extents)[3] = window.extents;
  const int64_t each = window.positions();
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < planes * each;
       i += int64_t(gridDim.x) * blockDim.x) {
    const Coordinates at = position_at(window, i % each);
    const Span depth(extents[0], at.z, CountPadding::no), rows(extents[1], at.y, CountPadding::no),
        columns(extents[2], at.x, CountPadding::no);
    const float *plane = x + i / each * window.size();
    float largest = -INFINITY;
    int64_t where = (depth.begin * extents[1].size + rows.begin) * extents[2].size + columns.begin;
    for (int64_t z = depth.begin; z < depth.end; ++z)
      for (int64_t row = rows.begin; row < rows.end; ++row)
        for (int64_t column = columns.begin; column < columns.end; ++column) {
          const int64_t number = (z * extents[1].size + row) * extents[2].size + column;
          const float value = plane[number];
          if (value > largest || value != value) {
            largest = value;
            where = number;
          }
        }
    y[i] = largest;
    positions[i] = static_cast<int32_t>(where);
  }
}

// An element's gradient is the sum over the windows whose largest it is, in their order: the first
// of these makes it, and walks the windows up to the last.

__global__ void clear_ends(int64_t count, int windows, int *first, int *last, float *dx) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x) {
    first[i] = windows;
    last[i] = -1;
    dx[i] = 0;
  }
}

__global__ void find_ends(int64_t planes, int64_t windows, int64_t size, const int32_t *positions,
                          int *first, int *last) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < planes * windows;
       i += int64_t(gridDim.x) * blockDim.x) {
    const int64_t element = i / windows * size + positions[i];
    atomicMin(first + element, static_cast<int>(i % windows));
    atomicMax(last + element, static_cast<int>(i % windows));
  }
}

__global__ void add_windows(int64_t planes, int64_t windows, int64_t size, const float *gradient,
                            const int32_t *positions, const int *first, const int *last,
                            float *dx) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < planes * windows;
       i += int64_t(gridDim.x) * blockDim.x) {
    const int64_t begin = i / windows * windows, element = i / windows * size + positions[i];
    if (first[element] != static_cast<int>(i % windows))
      continue;
    float sum = 0;
    for (int64_t window = i; window <= begin + last[element]; ++window)
      if (positions[window] == positions[i])
        sum += gradient[window];
    dx[element] = sum;
  }
}

__global__ void find_means(Window window, CountPadding count, int64_t planes, const float *x,
                           float *y) {
  const Extent(&extents)[3] = window.extents;
  const int64_t each = window.positions();
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < planes * each;
       i += int64_t(gridDim.x) * blockDim.x) {
    const Coordinates at = position_at(window, i % each);
    const Span depth(extents[0], at.z, count), rows(extents[1], at.y, count),
        columns(extents[2], at.x, count);
    const float *plane = x + i / each * window.size();
    float sum = 0;
    for (int64_t z = depth.begin; z < depth.end; ++z)
      for (int64_t row = rows.begin; row < rows.end; ++row)
        for (int64_t column = columns.begin; column < columns.end; ++column)
          sum += plane[(z * extents[1].size + row) * extents[2].size + column];
    y[i] = sum / (depth.counted * rows.counted * columns.counted);
  }
}

/// The first position whose window may reach element i.
__device__ int64_t first_position(const Extent &extent, int64_t i) {
  const int64_t from = i + extent.padding - extent.kernel + 1;
  return from <= 0 ? 0 : (from + extent.stride - 1) / extent.stride;
}
__device__ int64_t end_position(const Extent &extent, int64_t i) {
  const int64_t end = (i + extent.padding) / extent.stride + 1;
  return end < extent.positions ? end : extent.positions;
}

__global__ void share_means(Window window, CountPadding count, int64_t planes,
                            const float *gradient, float *dx) {
  const Extent(&extents)[3] = window.extents;
  const int64_t size = window.size();
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < planes * size;
       i += int64_t(gridDim.x) * blockDim.x) {
    const Coordinates at = element_at(window, i % size);
    const float *plane = gradient + i / size * window.positions();
    float sum = 0;
    for (int64_t z = first_position(extents[0], at.z); z < end_position(extents[0], at.z); ++z)
      for (int64_t y = first_position(extents[1], at.y); y < end_position(extents[1], at.y); ++y)
        for (int64_t x = first_position(extents[2], at.x); x < end_position(extents[2], at.x);
             ++x) {
          const float counted = Span(extents[0], z, count).counted *
                                Span(extents[1], y, count).counted *
                                Span(extents[2], x, count).counted;
          sum += plane[(z * extents[1].positions + y) * extents[2].positions + x] / counted;
        }
    dx[i] = sum;
  }
}

} // namespace

void max_pool(Device &device, int64_t planes, const Pooling &pooling, const float *x, float *y,
              int32_t *positions) {
  const Queue &queue = queue_of(device);
  const Window window = window_of(pooling);
  launch("max_pool", find_maxima, blocks_for(queue, planes * window.positions(), threads), threads,
         0, queue.stream, window, planes, x, y, positions);
}

void max_pool_gradient(Device &device, int64_t planes, int64_t windows, int64_t size,
                       const float *gradient, const int32_t *positions, float *dx) {
  const Queue &queue = queue_of(device);
  // As many planes at a time as there is memory to work in.
  constexpr int64_t slack = 1024;
  const int64_t room = (static_cast<int64_t>(queue.workspace_bytes) - slack) /
                       (2 * static_cast<int64_t>(sizeof(int)) * size);
  if (room < 1)
    fail_workspace(queue, 2 * static_cast<int64_t>(sizeof(int)) * size, "the gradient of a pool");
  for (int64_t plane = 0; plane < planes; plane += room) {
    const int64_t count = std::min(room, planes - plane);
    Scratch scratch(queue, "the gradient of a pool");
    int *first = scratch.take<int>(count * size);
    int *last = scratch.take<int>(count * size);
    float *to = dx + plane * size;
    const int32_t *at = positions + plane * windows;
    launch("max_pool_gradient", clear_ends, blocks_for(queue, count * size, threads), threads, 0,
           queue.stream, count * size, static_cast<int>(windows), first, last, to);
    launch("max_pool_gradient", find_ends, blocks_for(queue, count * windows, threads), threads, 0,
           queue.stream, count, windows, size, at, first, last);
    launch("max_pool_gradient", add_windows, blocks_for(queue, count * windows, threads), threads,
           0, queue.stream, count, windows, size, gradient + plane * windows, at, first, last, to);
  }
}

void avg_pool(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
              const float *x, float *y) {
  const Queue &queue = queue_of(device);
  const Window window = window_of(pooling);
  launch("avg_pool", find_means, blocks_for(queue, planes * window.positions(), threads), threads,
         0, queue.stream, window, count, planes, x, y);
}

void avg_pool_gradient(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
                       const float *gradient, float *dx) {
  const Queue &queue = queue_of(device);
  const Window window = window_of(pooling);
  launch("avg_pool_gradient", share_means, blocks_for(queue, planes * window.size(), threads),
         threads, 0, queue.stream, window, count, planes, gradient, dx);
}

} // namespace mpar::cuda
