// Reductions over any dimensions.
//
// The order of a sum is fixed by the sizes. Floats are added in double and rounded once: along the
// last dimension each thread of a block adds every so many elements, then the threads' sums by
// halves; along another, eight threads of a column likewise. What is long is cut into chunks of a
// fixed length first.
#include "block.h"
#include "kernels.h"
#include "launch.h"
#include "scratch.h"

#include <limits>

namespace mpar::cuda {
namespace {

constexpr int64_t row_chunk = 65536;  // elements that one block reduces
constexpr int64_t column_chunk = 512; // rows that one block reduces, at least
constexpr int columns = 32;
constexpr int lanes = 8; // threads of a column

// What is made of elements: `Partial` from `Element`s, merged in fixed order.
struct FloatSum {
  using Element = float;
  using Partial = double;
  __host__ __device__ static Partial start() { return 0; }
  __device__ Partial operator()(Partial a, Partial b) const { return a + b; }
};
struct FloatMaximum {
  using Element = float;
  using Partial = float;
  __host__ __device__ static Partial start() { return -INFINITY; }
  __device__ Partial operator()(Partial a, Partial b) const { return Maximum()(a, b); }
};
struct FloatMinimum {
  using Element = float;
  using Partial = float;
  __host__ __device__ static Partial start() { return INFINITY; }
  __device__ Partial operator()(Partial a, Partial b) const { return Minimum()(a, b); }
};
/// Beyond 32 bits it wraps.
struct IntegerSum {
  using Element = int32_t;
  using Partial = unsigned;
  __host__ __device__ static Partial start() { return 0; }
  __device__ Partial operator()(Partial a, Partial b) const { return a + b; }
};
struct IntegerMaximum {
  using Element = int32_t;
  using Partial = int32_t;
  __host__ __device__ static Partial start() { return INT32_MIN; }
  __device__ Partial operator()(Partial a, Partial b) const { return Maximum()(a, b); }
};
struct IntegerMinimum {
  using Element = int32_t;
  using Partial = int32_t;
  __host__ __device__ static Partial start() { return INT32_MAX; }
  __device__ Partial operator()(Partial a, Partial b) const { return Minimum()(a, b); }
};

template <typename Rule, typename T> __device__ typename Rule::Partial partial_of(const T &x) {
  return static_cast<typename Rule::Partial>(x);
}
template <typename Rule> __device__ typename Rule::Partial partial_of(const bfloat16 &x) {
  return static_cast<float>(x);
}
template <typename Rule> __device__ typename Rule::Partial partial_of(const float16 &x) {
  return static_cast<float>(x);
}

/// What is done with a result. `divisor`: 1 for all but the mean.
struct Finish {
  float divisor;
  bool add;

  __device__ void write(double value, float *y) const {
    const float rounded = static_cast<float>(value);
    const float result = divisor == 1 ? rounded : rounded / divisor;
    *y = add ? *y + result : result;
  }
  __device__ void write(float value, float *y) const { *y = add ? *y + value : value; }
  __device__ void write(unsigned value, int32_t *y) const {
    *y = static_cast<int32_t>(add ? static_cast<unsigned>(*y) + value : value);
  }
  __device__ void write(int32_t value, int32_t *y) const { *y = value; }
};

/// Chunk blockIdx.y of rows of `extent` contiguous elements, to `partials` [rows, chunks] or, where
/// these are null, to y. T: Element, or Partial where chunks are merged.
template <typename Rule, typename T>
__global__ void reduce_rows(int64_t rows, int64_t extent, int64_t chunk, const T *x,
                            typename Rule::Partial *partials, Finish finish,
                            typename Rule::Element *y) {
  using Partial = typename Rule::Partial;
  const int64_t begin = blockIdx.y * chunk;
  const int64_t end = extent - begin < chunk ? extent : begin + chunk;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T *from = x + row * extent;
    Partial sum = Rule::start();
    for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x)
      sum = Rule()(sum, partial_of<Rule>(from[i]));
    sum = merge_block(sum, Rule::start(), Rule());
    if (threadIdx.x == 0) {
      if (partials)
        partials[row * gridDim.y + blockIdx.y] = sum;
      else
        finish.write(sum, y + row);
    }
  }
}

/// Chunk blockIdx.y of [outer, extent, inner] along the middle, to `partials` [outer, chunks,
/// inner] or, where these are null, to y [outer, inner].
template <typename Rule, typename T>
__global__ void reduce_columns(int64_t tiles, int64_t extent, int64_t inner, int64_t chunk,
                               const T *x, typename Rule::Partial *partials, Finish finish,
                               typename Rule::Element *y) {
  using Partial = typename Rule::Partial;
  __shared__ Partial shared[lanes][columns];
  const int64_t tiles_each = (inner + columns - 1) / columns;
  const int64_t begin = blockIdx.y * chunk;
  const int64_t end = extent - begin < chunk ? extent : begin + chunk;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t outer = tile / tiles_each;
    const int64_t column = tile % tiles_each * columns + threadIdx.x;
    Partial sum = Rule::start();
    if (column < inner)
      for (int64_t i = begin + threadIdx.y; i < end; i += lanes)
        sum = Rule()(sum, partial_of<Rule>(x[(outer * extent + i) * inner + column]));
    __syncthreads();
    shared[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || column >= inner)
      continue;
    for (int lane = 1; lane < lanes; ++lane)
      sum = Rule()(sum, shared[lane][threadIdx.x]);
    if (partials)
      partials[(outer * gridDim.y + blockIdx.y) * inner + column] = sum;
    else
      finish.write(sum, y + outer * inner + column);
  }
}

template <typename Rule, typename T>
void reduce_pass(const Queue &queue, int64_t outer, int64_t extent, int64_t inner, int64_t chunk,
                 const T *x, typename Rule::Partial *partials, const Finish &finish,
                 typename Rule::Element *y) {
  const auto chunks = static_cast<unsigned>((extent + chunk - 1) / chunk);
  if (inner == 1) {
    launch("reduce", reduce_rows<Rule, T>, dim3(blocks_for(queue, outer, 1), chunks),
           threads_for_row(chunk), 0, queue.stream, outer, extent, chunk, x, partials, finish, y);
    return;
  }
  const int64_t tiles = outer * ((inner + columns - 1) / columns);
  launch("reduce", reduce_columns<Rule, T>, dim3(blocks_for(queue, tiles, 1), chunks),
         dim3(columns, lanes), 0, queue.stream, tiles, extent, inner, chunk, x, partials, finish,
         y);
}

/// Reduces the middle of [outer, extent, inner]. T: Element, or what becomes one exactly.
template <typename Rule, typename T>
void reduce_middle(const Queue &queue, Scratch &scratch, int64_t outer, int64_t extent,
                   int64_t inner, const T *x, const Finish &finish, typename Rule::Element *y) {
  if (outer * inner == 0)
    return;
  // Where results are many, they fill the GPU without chunks.
  constexpr int64_t many = 8192;
  int64_t chunk = inner == 1 ? row_chunk : column_chunk;
  if (extent <= chunk || (outer * inner >= many && inner == 1) || extent == 0) {
    reduce_pass<Rule>(queue, outer, extent, inner, std::max<int64_t>(1, extent), x,
                      static_cast<typename Rule::Partial *>(nullptr), finish, y);
    return;
  }
  constexpr int64_t most_chunks = 1024;
  const int64_t room =
      scratch.left() / static_cast<int64_t>(sizeof(typename Rule::Partial)) / (outer * inner);
  const int64_t chunks_wanted = std::min(most_chunks, std::max<int64_t>(1, room - 1));
  chunk = std::max(chunk, (extent + chunks_wanted - 1) / chunks_wanted);
  const int64_t chunks = (extent + chunk - 1) / chunk;
  auto *partials = scratch.take<typename Rule::Partial>(outer * chunks * inner);
  reduce_pass<Rule>(queue, outer, extent, inner, chunk, x, partials, finish, y);
  reduce_pass<Rule, typename Rule::Partial>(queue, outer, chunks, inner, chunks, partials, nullptr,
                                            finish, y);
}

/// The dimensions that differ: neighbours that are both reduced or both kept become one.
struct Merged {
  Shape shape;
  bool is_reduced[max_rank];
  int64_t reduced_count = 1;
  int groups = 0; // of reduced dimensions

  Merged(const Shape &of, uint32_t dimensions) {
    for (int dimension = 0; dimension < of.rank; ++dimension) {
      const bool reduced = (dimensions >> dimension & 1) != 0;
      if (reduced)
        reduced_count *= of[dimension];
      if (of[dimension] == 1)
        continue;
      if (shape.rank == 0 || is_reduced[shape.rank - 1] != reduced) {
        groups += reduced;
        is_reduced[shape.rank] = reduced;
        shape[shape.rank++] = 1;
      }
      shape[shape.rank - 1] *= of[dimension];
    }
  }
};

template <typename Rule>
void reduce_all(Device &device, const Shape &of, uint32_t dimensions,
                const typename Rule::Element *x, typename Rule::Element *y, bool mean, bool add) {
  const Queue &queue = queue_of(device);
  Scratch scratch(queue, "a reduction");
  Merged merged(of, dimensions);
  Shape &shape = merged.shape;
  const float divisor = mean ? static_cast<float>(merged.reduced_count) : 1;
  if (merged.groups == 0)
    return reduce_middle<Rule>(queue, scratch, 1, 1, of.count(), x, {1, add}, y);
  // Groups of reduced dimensions one by one from the innermost, which leaves ever less; the
  // division is the last's.
  for (int dimension = shape.rank - 1; dimension >= 0; --dimension) {
    if (!merged.is_reduced[dimension])
      continue;
    const bool last = --merged.groups == 0;
    int64_t outer = 1, inner = 1;
    for (int other = 0; other < dimension; ++other)
      outer *= shape[other];
    for (int other = dimension + 1; other < shape.rank; ++other)
      inner *= shape[other];
    auto *to = last ? y : scratch.take<typename Rule::Element>(outer * inner);
    reduce_middle<Rule>(queue, scratch, outer, shape[dimension], inner, x,
                        {last ? divisor : 1, last && add}, to);
    x = to;
    shape[dimension] = 1;
  }
}

} // namespace

void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
            const float *x, float *y, Store store) {
  const bool add = store == Store::add;
  switch (reduction) {
  case Reduction::sum:
  case Reduction::mean:
    return reduce_all<FloatSum>(device, shape, dimensions, x, y, reduction == Reduction::mean, add);
  case Reduction::maximum:
    return reduce_all<FloatMaximum>(device, shape, dimensions, x, y, false, false);
  case Reduction::minimum:
    return reduce_all<FloatMinimum>(device, shape, dimensions, x, y, false, false);
  }
}

void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
            const int32_t *x, int32_t *y, Store store) {
  switch (reduction) {
  case Reduction::sum:
  case Reduction::mean: // not of integers
    return reduce_all<IntegerSum>(device, shape, dimensions, x, y, false, store == Store::add);
  case Reduction::maximum:
    return reduce_all<IntegerMaximum>(device, shape, dimensions, x, y, false, false);
  case Reduction::minimum:
    return reduce_all<IntegerMinimum>(device, shape, dimensions, x, y, false, false);
  }
}

template <typename T>
void sum_rows(Device &device, int64_t rows, int64_t columns, const T *x, float *y, Store store) {
  const Queue &queue = queue_of(device);
  Scratch scratch(queue, "a sum over rows");
  reduce_middle<FloatSum>(queue, scratch, 1, rows, columns, x, {1, store == Store::add}, y);
}
template void sum_rows(Device &, int64_t, int64_t, const bfloat16 *, float *, Store);
template void sum_rows(Device &, int64_t, int64_t, const float16 *, float *, Store);

} // namespace mpar::cuda
