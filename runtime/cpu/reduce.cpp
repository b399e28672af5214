// Reductions over any dimensions.
//
// The order of a sum, fixed by the sizes: elements are taken in blocks of 1,024; in a block,
// element i is added to partial sum i mod 32, in ascending order, and the 32 are added by halves (i
// and i + 16, …); the blocks' sums are added in double, in ascending order, and rounded once. Sums
// over the rows of a matrix are taken in blocks of 64 rows, each added in ascending order, and the
// blocks' sums in double likewise.
#include "mpar/reduce.h"

#include "backend.h"

#include "fold_lanes.h"
#include "parallel.h"

#include <limits>
#include <vector>

namespace mpar {
namespace {

constexpr int64_t lanes = 32;
constexpr int64_t block = 1024;
constexpr int64_t block_rows = 64;
constexpr int64_t tile = 128;            // columns whose partial sums are held at once
constexpr int64_t reduce_grain = 131072; // elements that are worth a second thread

// What two elements become. A NaN stays: it compares unequal to itself and is neither above nor
// below anything.
template <Reduction reduction> MPAR_INLINE float combine(float a, float b) {
  switch (reduction) {
  case Reduction::maximum:
    return b > a || b != b ? b : a;
  case Reduction::minimum:
    return b < a || b != b ? b : a;
  default:
    return a + b;
  }
}

template <Reduction reduction> MPAR_INLINE float first_value() {
  switch (reduction) {
  case Reduction::maximum:
    return -std::numeric_limits<float>::infinity();
  case Reduction::minimum:
    return std::numeric_limits<float>::infinity();
  default:
    return 0;
  }
}

/// One block of contiguous elements.
template <Reduction reduction> MPAR_INLINE float reduce_block(const float *x, int64_t count) {
  return fold_lanes<lanes>(
      count, first_value<reduction>(),
      [&](float partial, int64_t i) { return combine<reduction>(partial, x[i]); },
      [](float a, float b) { return combine<reduction>(a, b); });
}

/// y[i] = the reduction of x[i · count] … for `rows` rows of `count` contiguous elements.
template <Reduction reduction>
MPAR_INLINE void reduce_rows(int64_t rows, int64_t count, const float *x, float divisor, bool add,
                             float *y) {
  for (int64_t row = 0; row < rows; ++row, x += count) {
    if (reduction == Reduction::maximum || reduction == Reduction::minimum) {
      y[row] = reduce_block<reduction>(x, count);
      continue;
    }
    double sum = 0;
    for (int64_t i = 0; i < count; i += block)
      sum += reduce_block<reduction>(x + i, count - i < block ? count - i : block);
    const float rounded = static_cast<float>(sum);
    const float value = reduction == Reduction::mean ? rounded / divisor : rounded;
    y[row] = add ? y[row] + value : value;
  }
}

/// y[j] = the reduction over i of x[i · stride + j], for at most `tile` columns.
template <Reduction reduction, typename T>
MPAR_INLINE void reduce_columns(int64_t rows, int64_t stride, int64_t columns, const T *x,
                                float divisor, bool add, float *y) {
  float partial[tile];
  double sum[tile];
  for (int64_t j = 0; j < columns; ++j)
    sum[j] = 0;
  for (int64_t begin = 0; begin < rows; begin += block_rows) {
    const int64_t end = begin + block_rows < rows ? begin + block_rows : rows;
    for (int64_t j = 0; j < columns; ++j)
      partial[j] = first_value<reduction>();
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = 0; j < columns; ++j)
        partial[j] = combine<reduction>(partial[j], static_cast<float>(x[i * stride + j]));
    for (int64_t j = 0; j < columns; ++j) {
      if (reduction == Reduction::maximum || reduction == Reduction::minimum)
        y[j] = begin == 0 ? partial[j] : combine<reduction>(y[j], partial[j]);
      else
        sum[j] += partial[j];
    }
  }
  if (reduction == Reduction::maximum || reduction == Reduction::minimum)
    return;
  for (int64_t j = 0; j < columns; ++j) {
    const float rounded = static_cast<float>(sum[j]);
    const float value = reduction == Reduction::mean ? rounded / divisor : rounded;
    y[j] = add ? y[j] + value : value;
  }
}

/// [outer, extent, inner] → [outer, inner]; the tiles [begin, end) of the outer · ⌈inner / tile⌉
/// there are.
template <Reduction reduction, typename T>
MPAR_INLINE void reduce_tiles(int64_t begin, int64_t end, int64_t extent, int64_t inner, const T *x,
                              float divisor, bool add, float *y) {
  const int64_t tiles = (inner + tile - 1) / tile;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t outer = i / tiles;
    const int64_t column = i % tiles * tile;
    const int64_t columns = inner - column < tile ? inner - column : tile;
    const T *from = x + outer * extent * inner + column;
    float *to = y + outer * inner + column;
    if (columns == tile) // a constant count of columns is unrolled into registers
      reduce_columns<reduction>(extent, inner, tile, from, divisor, add, to);
    else
      reduce_columns<reduction>(extent, inner, columns, from, divisor, add, to);
  }
}

struct Part {
  Reduction reduction;
  int64_t extent;
  int64_t inner;
  const float *x;
  float divisor;
  bool add;
  float *y;
};

MPAR_MULTIVERSION void run_rows(const Part &p, int64_t begin, int64_t end) {
  const float *x = p.x + begin * p.extent;
  float *y = p.y + begin;
  switch (p.reduction) {
  case Reduction::sum:
    return reduce_rows<Reduction::sum>(end - begin, p.extent, x, p.divisor, p.add, y);
  case Reduction::mean:
    return reduce_rows<Reduction::mean>(end - begin, p.extent, x, p.divisor, p.add, y);
  case Reduction::maximum:
    return reduce_rows<Reduction::maximum>(end - begin, p.extent, x, p.divisor, p.add, y);
  case Reduction::minimum:
    return reduce_rows<Reduction::minimum>(end - begin, p.extent, x, p.divisor, p.add, y);
  }
}

MPAR_MULTIVERSION void run_tiles(const Part &p, int64_t begin, int64_t end) {
  switch (p.reduction) {
  case Reduction::sum:
    return reduce_tiles<Reduction::sum>(begin, end, p.extent, p.inner, p.x, p.divisor, p.add, p.y);
  case Reduction::mean:
    return reduce_tiles<Reduction::mean>(begin, end, p.extent, p.inner, p.x, p.divisor, p.add, p.y);
  case Reduction::maximum:
    return reduce_tiles<Reduction::maximum>(begin, end, p.extent, p.inner, p.x, p.divisor, p.add,
                                            p.y);
  case Reduction::minimum:
    return reduce_tiles<Reduction::minimum>(begin, end, p.extent, p.inner, p.x, p.divisor, p.add,
                                            p.y);
  }
}

MPAR_MULTIVERSION void sum_tiles(int64_t begin, int64_t end, int64_t rows, int64_t columns,
                                 const bfloat16 *x, bool add, float *y) {
  reduce_tiles<Reduction::sum>(begin, end, rows, columns, x, 1, add, y);
}

MPAR_MULTIVERSION void sum_tiles(int64_t begin, int64_t end, int64_t rows, int64_t columns,
                                 const float16 *x, bool add, float *y) {
  reduce_tiles<Reduction::sum>(begin, end, rows, columns, x, 1, add, y);
}

int64_t tiles_a_grain(int64_t extent, int64_t inner) {
  return std::max<int64_t>(1, reduce_grain / (extent * std::min(inner, tile)));
}

/// Reduces the middle of [outer, extent, inner].
void reduce_middle(Device &device, Reduction reduction, int64_t outer, int64_t extent,
                   int64_t inner, const float *x, float divisor, bool add, float *y) {
  const Part part{reduction, extent, inner, x, divisor, add, y};
  if (inner == 1) {
    const int64_t rows_a_grain = std::max<int64_t>(1, reduce_grain / extent);
    parallel_parts(device, outer, rows_a_grain,
                   [&](int64_t begin, int64_t end) { run_rows(part, begin, end); });
    return;
  }
  const int64_t tiles = outer * ((inner + tile - 1) / tile);
  parallel_parts(device, tiles, tiles_a_grain(extent, inner),
                 [&](int64_t begin, int64_t end) { run_tiles(part, begin, end); });
}

} // namespace

void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
            const float *x, float *y, Store store) {
  if (shape.count() == 0) { // no rows
    int64_t kept = 1;
    for (int dimension = 0; dimension < shape.rank; ++dimension)
      kept *= dimensions >> dimension & 1 ? 1 : shape[dimension];
    const float none = reduction == Reduction::maximum   ? first_value<Reduction::maximum>()
                       : reduction == Reduction::minimum ? first_value<Reduction::minimum>()
                                                         : 0;
    if (store == Store::overwrite)
      fill(device, kept, none, y);
    return;
  }
  if (Backend *const backend = device.backend())
    return backend->reduce(device, reduction, shape, dimensions, x, y, store);
  // Neighbouring dimensions that are both reduced or both kept become one.
  Shape merged;
  bool is_reduced[max_rank];
  int64_t reduced_count = 1;
  for (int dimension = 0; dimension < shape.rank; ++dimension) {
    const bool reduced = dimensions >> dimension & 1;
    if (reduced)
      reduced_count *= shape[dimension];
    if (shape[dimension] == 1)
      continue;
    if (merged.rank == 0 || is_reduced[merged.rank - 1] != reduced) {
      is_reduced[merged.rank] = reduced;
      merged[merged.rank++] = 1;
    }
    merged[merged.rank - 1] *= shape[dimension];
  }
  int groups = 0;
  for (int dimension = 0; dimension < merged.rank; ++dimension)
    groups += is_reduced[dimension];
  if (groups == 0) {
    for (int64_t i = 0, count = shape.count(); i < count; ++i)
      y[i] = store == Store::add ? y[i] + x[i] : x[i];
    return;
  }

  // Groups of reduced dimensions one by one from the innermost, which leaves ever less; the
  // division is the last's.
  std::vector<float> temporaries[2];
  for (int dimension = merged.rank - 1; dimension >= 0; --dimension) {
    if (!is_reduced[dimension])
      continue;
    const bool last = --groups == 0;
    int64_t outer = 1;
    int64_t inner = 1;
    for (int other = 0; other < dimension; ++other)
      outer *= merged[other];
    for (int other = dimension + 1; other < merged.rank; ++other)
      inner *= merged[other];
    float *to = y;
    if (!last) {
      temporaries[groups % 2].resize(outer * inner);
      to = temporaries[groups % 2].data();
    }
    const Reduction step = reduction == Reduction::mean && !last ? Reduction::sum : reduction;
    reduce_middle(device, step, outer, merged[dimension], inner, x,
                  static_cast<float>(reduced_count), last && store == Store::add, to);
    x = to;
    merged[dimension] = 1;
  }
}

template <typename T>
void sum_rows(Device &device, int64_t rows, int64_t columns, const T *x, float *y, Store store) {
  if (columns == 0)
    return;
  if (rows == 0) {
    if (store == Store::overwrite)
      fill(device, columns, 0.0f, y);
    return;
  }
  if (Backend *const backend = device.backend())
    return backend->sum_rows(device, rows, columns, x, y, store);
  parallel_parts(device, (columns + tile - 1) / tile, tiles_a_grain(rows, columns),
                 [&](int64_t begin, int64_t end) {
                   sum_tiles(begin, end, rows, columns, x, store == Store::add, y);
                 });
}
template void sum_rows(Device &, int64_t, int64_t, const bfloat16 *, float *, Store);
template void sum_rows(Device &, int64_t, int64_t, const float16 *, float *, Store);

} // namespace mpar
