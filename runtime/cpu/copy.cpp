// Copies between strides, and fills.
#include "mpar/low_precision.h"

#include "backend.h"
#include "mpar/reduce.h"

#include "parallel.h"

#include <algorithm>
#include <cstring>

namespace mpar {
namespace {

constexpr int64_t side = 16; // of the squares in which two dimensions are exchanged

/// Rows and columns of a copy whose source and target walk different dimensions contiguously,
/// square by square, so that a cache line is used whole on both sides.
template <typename T>
void copy_plane(int64_t rows, int64_t columns, const T *x, int64_t x_row, int64_t x_column, T *y,
                int64_t y_row, int64_t y_column) {
  if (x_column == 1 && y_column == 1) {
    for (int64_t i = 0; i < rows; ++i)
      std::memcpy(y + i * y_row, x + i * x_row, columns * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < rows; i += side)
    for (int64_t j = 0; j < columns; j += side)
      for (int64_t row = i; row < std::min(rows, i + side); ++row)
        for (int64_t column = j; column < std::min(columns, j + side); ++column)
          y[row * y_row + column * y_column] = x[row * x_row + column * x_column];
}

} // namespace

template <typename T>
void copy(Device &device, const Shape &shape, const T *x, const Strides &x_strides, T *y,
          const Strides &y_strides) {
  if (Backend *const backend = device.backend())
    return backend->copy(device, shape, x, x_strides, y, y_strides);
  // Dimensions of one element dropped, neighbours that both sides walk as one merged.
  Shape extents;
  Strides from;
  Strides to;
  for (int dimension = 0; dimension < shape.rank; ++dimension) {
    const int64_t extent = shape[dimension];
    if (extent == 0)
      return;
    if (extent == 1)
      continue;
    const int last = extents.rank - 1;
    if (last >= 0 && from[last] == x_strides[dimension] * extent &&
        to[last] == y_strides[dimension] * extent) {
      extents[last] *= extent;
      from[last] = x_strides[dimension];
      to[last] = y_strides[dimension];
    } else {
      extents[extents.rank] = extent;
      from[extents.rank] = x_strides[dimension];
      to[extents.rank++] = y_strides[dimension];
    }
  }

  // The plane: the last dimension, and the one that the other side walks most finely; the rest is
  // an outer loop.
  const int rank = extents.rank;
  if (rank == 0) {
    *y = *x;
    return;
  }
  if (rank == 1) {
    copy_plane(1, extents[0], x, 0, from[0], y, 0, to[0]);
    return;
  }
  const int column = rank - 1;
  int row = rank - 2;
  for (int dimension = rank - 2; dimension >= 0; --dimension)
    if (std::min(from[dimension], to[dimension]) < std::min(from[row], to[row]))
      row = dimension;
  int64_t position[max_rank] = {};
  while (true) {
    copy_plane(extents[row], extents[column], x, from[row], from[column], y, to[row], to[column]);
    int dimension = rank - 2;
    for (; dimension >= 0; --dimension) {
      if (dimension == row)
        continue;
      x += from[dimension];
      y += to[dimension];
      if (++position[dimension] < extents[dimension])
        break;
      x -= from[dimension] * extents[dimension];
      y -= to[dimension] * extents[dimension];
      position[dimension] = 0;
    }
    if (dimension < 0)
      return;
  }
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
  if (Backend *const backend = device.backend())
    return backend->fill(device, count, value, y);
  std::fill(y, y + count, value);
}

template void fill(Device &, int64_t, float, float *);
template void fill(Device &, int64_t, int32_t, int32_t *);
template void fill(Device &, int64_t, bool, bool *);

} // namespace mpar
