// A window that moves over one to three dimensions, as kernels of convolutions and pools see it.
#pragma once

#include "mpar/shape.h"

#include <cuda_runtime.h>

#include <cstdint>

namespace mpar::cuda {

/// One dimension: of x, of the kernel, of the places where it stands.
struct Extent {
  int64_t size, kernel, stride, padding, dilation, positions;

  /// Where in x element `offset` of the window at `position` is; may be outside.
  __host__ __device__ int64_t at(int64_t position, int64_t offset) const {
    return position * stride - padding + offset * dilation;
  }
  __host__ __device__ bool holds(int64_t i) const { return i >= 0 && i < size; }
  /// Of x's element i under element `offset` of the window: the position, or -1.
  __host__ __device__ int64_t position_of(int64_t i, int64_t offset) const {
    const int64_t moved = i + padding - offset * dilation;
    return moved >= 0 && moved % stride == 0 && moved / stride < positions ? moved / stride : -1;
  }
};

/// Three dimensions; those that are missing, the first, are of one element.
struct Window {
  Extent extents[3];

  Window(const Shape &size, const Shape &kernel, const Shape &stride, const Shape &padding,
         const Shape &dilation, const Shape &positions) {
    const int missing = 3 - size.rank;
    for (int i = 0; i < 3; ++i) {
      const int at = i - missing;
      extents[i] =
          at < 0 ? Extent{1, 1, 1, 0, 1, 1} : Extent{size[at],    kernel[at],   stride[at],
                                                     padding[at], dilation[at], positions[at]};
    }
  }
  __host__ __device__ int64_t size() const {
    return extents[0].size * extents[1].size * extents[2].size;
  }
  __host__ __device__ int64_t positions() const {
    return extents[0].positions * extents[1].positions * extents[2].positions;
  }
  __host__ __device__ int64_t kernel() const {
    return extents[0].kernel * extents[1].kernel * extents[2].kernel;
  }
};

/// The three coordinates of a number.
struct Coordinates {
  int64_t z, y, x;
  __host__ __device__ static Coordinates of(int64_t number, int64_t height, int64_t width) {
    return {number / width / height, number / width % height, number % width};
  }
};

__host__ __device__ inline Coordinates position_at(const Window &window, int64_t number) {
  return Coordinates::of(number, window.extents[1].positions, window.extents[2].positions);
}
__host__ __device__ inline Coordinates element_at(const Window &window, int64_t number) {
  return Coordinates::of(number, window.extents[1].size, window.extents[2].size);
}

} // namespace mpar::cuda
