// Pooling, a plane at a time: a row of positions against one element of the window after the other,
// so that what is done for one position goes on for all of the row side by side.
#include "mpar/pool.h"

#include "backend.h"

#include "multiversion.h"
#include "parallel.h"
#include "scratch.h"

#include <algorithm>
#include <limits>

namespace mpar {

Shape Pooling::positions() const {
  Shape counts;
  for (; counts.rank < extents.rank; ++counts.rank) {
    const int i = counts.rank;
    const int64_t room = extents[i] + 2 * padding[i] - kernel[i];
    counts[i] = room / stride[i] + 1;
    if (ceil && room % stride[i] != 0 && counts[i] * stride[i] < extents[i] + padding[i])
      ++counts[i];
  }
  return counts;
}

namespace {

/// Elements below which a second thread costs more than it takes over.
constexpr int64_t smallest_shared = int64_t(1) << 15;

/// One dimension of a window, and its part that lies within x at one position.
struct Extent {
  int64_t size, kernel, stride, padding, positions;

  int64_t start(int64_t position) const { return position * stride - padding; }
  int64_t first(int64_t position) const { return std::max<int64_t>(0, start(position)); }
  int64_t end(int64_t position) const { return std::min(size, start(position) + kernel); }
  /// Elements of a window that a mean counts.
  float counted(CountPadding count, int64_t position) const {
    const int64_t within = end(position) - first(position);
    const int64_t padded = std::min(size + padding, start(position) + kernel) - start(position);
    return static_cast<float>(count == CountPadding::yes ? padded : within);
  }
  /// Positions at which element `offset` of the window lies within x.
  int64_t first_position(int64_t offset) const {
    return std::min(positions, std::max<int64_t>(0, (padding - offset + stride - 1) / stride));
  }
  int64_t end_position(int64_t offset) const {
    const int64_t room = size + padding - offset;
    return room <= 0 ? 0 : std::min(positions, (room + stride - 1) / stride);
  }
};

/// Three dimensions, those that are missing of size 1.
struct Window {
  explicit Window(const Pooling &pooling) {
    const Shape counts = pooling.positions();
    const int missing = 3 - pooling.extents.rank;
    for (int i = 0; i < 3; ++i) {
      const int at = i - missing;
      extents[i] = at < 0 ? Extent{1, 1, 1, 0, 1}
                          : Extent{pooling.extents[at], pooling.kernel[at], pooling.stride[at],
                                   pooling.padding[at], counts[at]};
    }
    size = pooling.extents.count();
    positions = counts.count();
  }

  /// Calls body(depth, row, number of the first position) for each row of positions.
  template <typename Body> MPAR_INLINE void for_each_row(const Body &body) const {
    int64_t number = 0;
    for (int64_t depth = 0; depth < extents[0].positions; ++depth)
      for (int64_t row = 0; row < extents[1].positions; ++row, number += extents[2].positions)
        body(depth, row, number);
  }
  /// Calls body(begin of a row of x, offset within a row, first and last position) for each element
  /// of the windows of one row of positions that lies within x at any of them.
  template <typename Body>
  MPAR_INLINE void for_each_element(int64_t depth, int64_t row, const Body &body) const {
    for (int64_t z = extents[0].first(depth); z < extents[0].end(depth); ++z)
      for (int64_t y = extents[1].first(row); y < extents[1].end(row); ++y)
        for (int64_t offset = 0; offset < extents[2].kernel; ++offset)
          body((z * extents[1].size + y) * extents[2].size, offset - extents[2].padding,
               extents[2].first_position(offset), extents[2].end_position(offset));
  }
  /// The number of elements that the means of one row of positions are of, but for its columns'.
  float rows_counted(CountPadding count, int64_t depth, int64_t row) const {
    return extents[0].counted(count, depth) * extents[1].counted(count, row);
  }

  Extent extents[3];
  int64_t size, positions; // of a plane of x and of y
};

MPAR_MULTIVERSION void pool_maxima(const Window &window, int64_t planes, const float *x, float *y,
                                   int32_t *positions) {
  const Extent &columns = window.extents[2];
  const int64_t stride = columns.stride;
  for (int64_t plane = 0; plane < planes; ++plane) {
    window.for_each_row([&](int64_t depth, int64_t row, int64_t number) {
      float *const largest = y + number;
      int32_t *const where = positions + number;
      const int64_t corner =
          (window.extents[0].first(depth) * window.extents[1].size + window.extents[1].first(row)) *
          columns.size;
      for (int64_t i = 0; i < columns.positions; ++i) {
        largest[i] = -std::numeric_limits<float>::infinity();
        where[i] = static_cast<int32_t>(corner + columns.first(i));
      }
      window.for_each_element(
          depth, row, [&](int64_t begin, int64_t offset, int64_t from, int64_t to) {
            const int32_t first = static_cast<int32_t>(begin + offset);
            MPAR_INDEPENDENT
            for (int64_t i = from; i < to; ++i) {
              const float value = x[begin + offset + i * stride];
              const bool wins = value > largest[i] || value != value;
              largest[i] = wins ? value : largest[i];
              where[i] = wins ? static_cast<int32_t>(first + i * stride) : where[i];
            }
          });
    });
    x += window.size;
    y += window.positions;
    positions += window.positions;
  }
}

MPAR_MULTIVERSION void pool_means(const Window &window, CountPadding count, int64_t planes,
                                  const float *counted, const float *x, float *y) {
  const Extent &columns = window.extents[2];
  const int64_t stride = columns.stride;
  for (int64_t plane = 0; plane < planes; ++plane) {
    window.for_each_row([&](int64_t depth, int64_t row, int64_t number) {
      float *const sum = y + number;
      for (int64_t i = 0; i < columns.positions; ++i)
        sum[i] = 0;
      window.for_each_element(depth, row,
                              [&](int64_t begin, int64_t offset, int64_t from, int64_t to) {
                                MPAR_INDEPENDENT
                                for (int64_t i = from; i < to; ++i)
                                  sum[i] += x[begin + offset + i * stride];
                              });
      const float rows = window.rows_counted(count, depth, row);
      MPAR_INDEPENDENT
      for (int64_t i = 0; i < columns.positions; ++i)
        sum[i] /= rows * counted[i];
    });
    x += window.size;
    y += window.positions;
  }
}

MPAR_MULTIVERSION void share_means(const Window &window, CountPadding count, int64_t planes,
                                   const float *counted, float *share, const float *gradient,
                                   float *dx) {
  const Extent &columns = window.extents[2];
  const int64_t stride = columns.stride;
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t i = 0; i < window.size; ++i)
      dx[i] = 0;
    window.for_each_row([&](int64_t depth, int64_t row, int64_t number) {
      const float rows = window.rows_counted(count, depth, row);
      MPAR_INDEPENDENT
      for (int64_t i = 0; i < columns.positions; ++i)
        share[i] = gradient[number + i] / (rows * counted[i]);
      window.for_each_element(depth, row,
                              [&](int64_t begin, int64_t offset, int64_t from, int64_t to) {
                                MPAR_INDEPENDENT
                                for (int64_t i = from; i < to; ++i)
                                  dx[begin + offset + i * stride] += share[i];
                              });
    });
    gradient += window.positions;
    dx += window.size;
  }
}

/// What the columns of a row of positions contribute to their means' divisors, and as many floats
/// more, in the thread's scratch.
float *count_columns(const Window &window, CountPadding count) {
  const Extent &columns = window.extents[2];
  float *const counted = scratch(2 * columns.positions, "pooling");
  for (int64_t i = 0; i < columns.positions; ++i)
    counted[i] = columns.counted(count, i);
  return counted;
}

int64_t grain_of(int64_t elements) {
  return std::max<int64_t>(1, smallest_shared / std::max<int64_t>(1, elements));
}

} // namespace

void max_pool(Device &device, int64_t planes, const Pooling &pooling, const float *x, float *y,
              int32_t *positions) {
  if (Backend *const backend = device.backend())
    return backend->max_pool(device, planes, pooling, x, y, positions);
  const Window window(pooling);
  parallel_parts(device, planes, grain_of(window.size), [&](int64_t begin, int64_t end) {
    pool_maxima(window, end - begin, x + begin * window.size, y + begin * window.positions,
                positions + begin * window.positions);
  });
}

void max_pool_gradient(Device &device, int64_t planes, int64_t windows, int64_t size,
                       const float *gradient, const int32_t *positions, float *dx) {
  if (Backend *const backend = device.backend())
    return backend->max_pool_gradient(device, planes, windows, size, gradient, positions, dx);
  parallel_parts(device, planes, grain_of(size), [&](int64_t begin, int64_t end) {
    std::fill(dx + begin * size, dx + end * size, 0.0f);
    for (int64_t plane = begin; plane < end; ++plane)
      for (int64_t i = plane * windows; i < (plane + 1) * windows; ++i)
        dx[plane * size + positions[i]] += gradient[i];
  });
}

void avg_pool(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
              const float *x, float *y) {
  if (Backend *const backend = device.backend())
    return backend->avg_pool(device, planes, pooling, count, x, y);
  const Window window(pooling);
  parallel_parts(device, planes, grain_of(window.size), [&](int64_t begin, int64_t end) {
    pool_means(window, count, end - begin, count_columns(window, count), x + begin * window.size,
               y + begin * window.positions);
  });
}

void avg_pool_gradient(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
                       const float *gradient, float *dx) {
  if (Backend *const backend = device.backend())
    return backend->avg_pool_gradient(device, planes, pooling, count, gradient, dx);
  const Window window(pooling);
  parallel_parts(device, planes, grain_of(window.size), [&](int64_t begin, int64_t end) {
    float *const counted = count_columns(window, count);
    share_means(window, count, end - begin, counted, counted + window.extents[2].positions,
                gradient + begin * window.positions, dx + begin * window.size);
  });
}

} // namespace mpar
