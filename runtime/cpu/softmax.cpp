// Softmax, its logarithm, and the position of the largest element, along the middle of [outer,
// extent, inner].
#include "mpar/reduce.h"

#include "backend.h"

#include "mpar/elementary.h"

#include "fold_lanes.h"
#include "multiversion.h"
#include "parallel.h"

#include <cmath>
#include <limits>

namespace mpar {
namespace {

constexpr int64_t softmax_grain = 4096; // elements a thread takes at least
constexpr int64_t lanes = 32;
constexpr int64_t block = 1024; // elements whose sum is taken in float
constexpr int64_t columns = 64; // lines along the middle that are worked on side by side

MPAR_INLINE float larger(float a, float b) { return b > a || b != b ? b : a; }

// The largest element is taken off first, so that no exponential overflows. Sums are those of
// reduce.h: along the last dimension in blocks of 1,024 elements and 32 partial sums, along another
// in double, both in ascending order.

/// One line of contiguous elements: their largest, and the sum of the exponentials less it, which
/// go to `y` if it is not null.
MPAR_INLINE float sum_exponentials(int64_t count, const float *x, float *y, float &largest) {
  const float top = largest = fold_lanes<lanes>(
      count, -std::numeric_limits<float>::infinity(),
      [&](float most, int64_t i) { return larger(most, x[i]); },
      [](float a, float b) { return larger(a, b); });
  double sum = 0;
  for (int64_t begin = 0; begin < count; begin += block) {
    const int64_t end = std::min(count, begin + block);
    float partial[lanes] = {};
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      float e[lanes];
      for (int64_t lane = 0; lane < lanes; ++lane)
        e[lane] = exponential(x[i + lane] - top);
      for (int64_t lane = 0; lane < lanes; ++lane)
        partial[lane] += e[lane];
      if (y)
        for (int64_t lane = 0; lane < lanes; ++lane)
          y[i + lane] = e[lane];
    }
    for (int64_t lane = 0; i + lane < end; ++lane) {
      const float e = exponential(x[i + lane] - top);
      partial[lane] += e;
      if (y)
        y[i + lane] = e;
    }
    for (int64_t half = lanes / 2; half > 0; half /= 2)
      for (int64_t lane = 0; lane < half; ++lane)
        partial[lane] += partial[lane + half];
    sum += partial[0];
  }
  return static_cast<float>(sum);
}

/// The same of up to `columns` lines side by side, whose elements lie `stride` apart.
MPAR_INLINE void sum_columns(int64_t extent, int64_t stride, int64_t width, const float *x,
                             float *y, float *largest, double *sum) {
  for (int64_t j = 0; j < width; ++j) {
    largest[j] = x[j];
    sum[j] = 0;
  }
  for (int64_t i = 1; i < extent; ++i)
    for (int64_t j = 0; j < width; ++j)
      largest[j] = larger(largest[j], x[i * stride + j]);
  for (int64_t i = 0; i < extent; ++i) {
    float e[columns];
    for (int64_t j = 0; j < width; ++j)
      e[j] = exponential(x[i * stride + j] - largest[j]);
    for (int64_t j = 0; j < width; ++j)
      sum[j] += static_cast<double>(e[j]);
    if (y)
      for (int64_t j = 0; j < width; ++j)
        y[i * stride + j] = e[j];
  }
}

struct Lines {
  int64_t extent, inner;
  const float *x;
  float *y;
};

// Lines [begin, end) along the last dimension, or tiles [begin, end) of the outer · ⌈inner /
// columns⌉ along another.

MPAR_MULTIVERSION void softmax_lines(const Lines &lines, int64_t begin, int64_t end) {
  for (int64_t line = begin; line < end; ++line) {
    float *y = lines.y + line * lines.extent;
    float largest;
    const float divisor = sum_exponentials(lines.extent, lines.x + line * lines.extent, y, largest);
    MPAR_INDEPENDENT
    for (int64_t i = 0; i < lines.extent; ++i)
      y[i] /= divisor;
  }
}

MPAR_MULTIVERSION void log_softmax_lines(const Lines &lines, int64_t begin, int64_t end) {
  for (int64_t line = begin; line < end; ++line) {
    const float *x = lines.x + line * lines.extent;
    float *y = lines.y + line * lines.extent;
    float largest;
    const float log_sum = std::log(sum_exponentials(lines.extent, x, nullptr, largest));
    MPAR_INDEPENDENT
    for (int64_t i = 0; i < lines.extent; ++i)
      y[i] = x[i] - largest - log_sum;
  }
}

MPAR_MULTIVERSION void softmax_tiles(const Lines &lines, int64_t begin, int64_t end) {
  const int64_t tiles = (lines.inner + columns - 1) / columns;
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t column = tile % tiles * columns;
    const int64_t at = tile / tiles * lines.extent * lines.inner + column;
    const int64_t width = std::min(columns, lines.inner - column);
    float *y = lines.y + at;
    float largest[columns];
    double sum[columns];
    sum_columns(lines.extent, lines.inner, width, lines.x + at, y, largest, sum);
    for (int64_t i = 0; i < lines.extent; ++i) {
      MPAR_INDEPENDENT
      for (int64_t j = 0; j < width; ++j)
        y[i * lines.inner + j] /= static_cast<float>(sum[j]);
    }
  }
}

MPAR_MULTIVERSION void log_softmax_tiles(const Lines &lines, int64_t begin, int64_t end) {
  const int64_t tiles = (lines.inner + columns - 1) / columns;
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t column = tile % tiles * columns;
    const int64_t at = tile / tiles * lines.extent * lines.inner + column;
    const int64_t width = std::min(columns, lines.inner - column);
    const float *x = lines.x + at;
    float *y = lines.y + at;
    float largest[columns], log_sum[columns];
    double sum[columns];
    sum_columns(lines.extent, lines.inner, width, x, nullptr, largest, sum);
    for (int64_t j = 0; j < width; ++j)
      log_sum[j] = static_cast<float>(std::log(sum[j]));
    for (int64_t i = 0; i < lines.extent; ++i) {
      MPAR_INDEPENDENT
      for (int64_t j = 0; j < width; ++j)
        y[i * lines.inner + j] = x[i * lines.inner + j] - largest[j] - log_sum[j];
    }
  }
}

template <typename OfLines, typename OfTiles>
void run(Device &device, int64_t outer, const Lines &lines, const OfLines &of_lines,
         const OfTiles &of_tiles) {
  if (outer * lines.inner == 0) // no rows
    return;
  if (lines.inner == 1) {
    parallel_parts(device, outer, std::max<int64_t>(1, softmax_grain / lines.extent),
                   [&](int64_t begin, int64_t end) { of_lines(lines, begin, end); });
    return;
  }
  const int64_t tiles = outer * ((lines.inner + columns - 1) / columns);
  parallel_parts(
      device, tiles,
      std::max<int64_t>(1, softmax_grain / (lines.extent * std::min(columns, lines.inner))),
      [&](int64_t begin, int64_t end) { of_tiles(lines, begin, end); });
}

/// Calls line(first, inner) for the first element of every line along the middle.
template <typename Line>
void for_each_line(const Device &device, int64_t outer, int64_t extent, int64_t inner,
                   const Line &line) {
  parallel_parts(device, outer * inner, std::max<int64_t>(1, softmax_grain / extent),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i)
                     line(i / inner * extent * inner + i % inner);
                 });
}

} // namespace

void softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
             float *y) {
  if (Backend *const backend = device.backend())
    return backend->softmax(device, outer, extent, inner, x, y);
  run(device, outer, {extent, inner, x, y}, softmax_lines, softmax_tiles);
}

void log_softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
                 float *y) {
  if (Backend *const backend = device.backend())
    return backend->log_softmax(device, outer, extent, inner, x, y);
  run(device, outer, {extent, inner, x, y}, log_softmax_lines, log_softmax_tiles);
}

template <typename T>
void argmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const T *x, int32_t *y) {
  if (Backend *const backend = device.backend())
    return backend->argmax(device, outer, extent, inner, x, y);
  for_each_line(device, outer, extent, inner, [&](int64_t first) {
    const T *from = x + first;
    int64_t position = 0;
    T largest = from[0];
    for (int64_t i = 1; i < extent && largest == largest; ++i) {
      const T value = from[i * inner];
      if (value > largest || value != value) {
        largest = value;
        position = i;
      }
    }
    y[first / (extent * inner) * inner + first % inner] = static_cast<int32_t>(position);
  });
}

template void argmax(Device &, int64_t, int64_t, int64_t, const float *, int32_t *);
template void argmax(Device &, int64_t, int64_t, int64_t, const int32_t *, int32_t *);

} // namespace mpar
