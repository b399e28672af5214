// Tiles of heads as numbers of two bytes, and a warp's products of them.
//
// A warp has 16 rows of a product. Its sums lie in registers as multiply_add leaves them: of each
// eight columns a lane has columns 2 · (lane % 4) and the next of rows lane / 4 and lane / 4 + 8.
#pragma once

#include "attention_problem.h"
#include "tensor_core.h"

#include <cstdint>

namespace mpar::cuda {

/// Of a block: eight warps, each of which has 16 rows of the tile that the block owns.
constexpr int rounded_threads = 256;
constexpr int owned_rows = 128;

__device__ inline int lane_of_warp() { return static_cast<int>(threadIdx.x) % 32; }
__device__ inline int first_row_of_warp() { return static_cast<int>(threadIdx.x) / 32 * 16; }

/// The rows of a head in global memory.
struct HeadRows {
  const float *data;
  int64_t step, count;
  int columns;
  bool aligned; // four floats at a time
};

/// Rows in shared memory. They lie 16 bytes apart from where eight of them would share banks, and
/// end in zeros where heads are less deep.
template <int depth> struct RoundedTile {
  uint16_t *data;
  static constexpr int step = depth + 8;
  static constexpr int bytes(int rows) { return rows * step * int(sizeof(uint16_t)); }
  __device__ uint16_t *at(int row, int column) const { return data + row * step + column; }
};

/// Four columns of a row; zeros outside.
__device__ inline float4 read_four(const HeadRows &from, int64_t row, int column) {
  float4 four = make_float4(0, 0, 0, 0);
  if (row >= from.count || column >= from.columns)
    return four;
  const float *data = from.data + row * from.step + column;
  if (from.aligned)
    return *reinterpret_cast<const float4 *>(data);
  four.x = data[0];
  four.y = column + 1 < from.columns ? data[1] : 0;
  four.z = column + 2 < from.columns ? data[2] : 0;
  four.w = column + 3 < from.columns ? data[3] : 0;
  return four;
}

template <typename T, int depth>
__device__ void write_four(const RoundedTile<depth> &to, int row, int column, float4 four) {
  *reinterpret_cast<uint2 *>(to.at(row, column)) =
      make_uint2(pack<T>(four.x, four.y), pack<T>(four.z, four.w));
}

/// Rows [first, first + owned_rows). By all threads of the block.
template <typename T, int depth>
__device__ void load_owned(const RoundedTile<depth> &to, const HeadRows &from, int64_t first) {
  for (int i = static_cast<int>(threadIdx.x); i < owned_rows * depth / 4; i += rounded_threads) {
    const int row = i / (depth / 4), column = i % (depth / 4) * 4;
    write_four<T>(to, row, column, read_four(from, first + row, column));
  }
}

/// Rows on their way into a tile: read while the block works on those before, and written where
/// these lay.
template <int depth, int rows> class Passage {
public:
  __device__ void read(const HeadRows &from, int64_t first) {
    MPAR_UNROLL
    for (int i = 0; i < count; ++i)
      fours_[i] = read_four(from, first + row(i), column(i));
  }
  template <typename T> __device__ void write(const RoundedTile<depth> &to) const {
    MPAR_UNROLL
    for (int i = 0; i < count; ++i)
      write_four<T>(to, row(i), column(i), fours_[i]);
  }

private:
  static constexpr int count = rows * depth / 4 / rounded_threads;
  static_assert(count * 4 * rounded_threads == rows * depth);
  static __device__ int index(int i) { return i * rounded_threads + static_cast<int>(threadIdx.x); }
  static __device__ int row(int i) { return index(i) / (depth / 4); }
  static __device__ int column(int i) { return index(i) % (depth / 4) * 4; }

  float4 fours_[count];
};

/// `x`, or the nearer end of [least, most].
__device__ inline int clipped(int64_t x, int least, int most) {
  return x < least ? least : x > most ? most : static_cast<int>(x);
}

template <int columns> using WarpSums = float[columns / 8][4];

template <int columns> __device__ void clear(float (&sums)[columns][4]) {
  MPAR_UNROLL
  for (int n = 0; n < columns; ++n) {
    MPAR_UNROLL
    for (int i = 0; i < 4; ++i)
      sums[n][i] = 0;
  }
}

/// sums = the warp's rows of a · bᵀ.
template <typename T, int depth, int blocks>
__device__ void multiply_rows(const RoundedTile<depth> &a, const RoundedTile<depth> &b,
                              float (&sums)[blocks][4]) {
  const int lane = lane_of_warp();
  clear(sums);
  MPAR_UNROLL
  for (int p = 0; p < depth; p += 16) {
    uint32_t left[4];
    load_matrices(left, a.at(first_row_of_warp() + lane % 16, p + lane / 16 * 8));
    MPAR_UNROLL
    for (int n = 0; n < blocks; n += 2) {
      uint32_t right[4];
      load_matrices(right, b.at(n * 8 + lane / 16 * 8 + lane % 8, p + lane / 8 % 2 * 8));
      multiply_add<T>(sums[n], left, right[0], right[1]);
      multiply_add<T>(sums[n + 1], left, right[2], right[3]);
    }
  }
}

/// sums += weights · b, of weights as a product left them, rounded.
template <typename T, int depth, int blocks>
__device__ void add_weighted(const float (&weights)[blocks][4], const RoundedTile<depth> &b,
                             float (&sums)[depth / 8][4]) {
  const int lane = lane_of_warp();
  MPAR_UNROLL
  for (int p = 0; p < blocks; p += 2) {
    // Sums of 16 rows by 16 columns lie as a left operand does.
    const uint32_t left[4] = {pack<T>(weights[p][0], weights[p][1]),
                              pack<T>(weights[p][2], weights[p][3]),
                              pack<T>(weights[p + 1][0], weights[p + 1][1]),
                              pack<T>(weights[p + 1][2], weights[p + 1][3])};
    MPAR_UNROLL
    for (int n = 0; n < depth / 8; n += 2) {
      uint32_t right[4];
      load_transposed(right, b.at(p * 8 + lane % 16, n * 8 + lane / 16 * 8));
      multiply_add<T>(sums[n], left, right[0], right[1]);
      multiply_add<T>(sums[n + 1], left, right[2], right[3]);
    }
  }
}

/// Rows of the warp's that are, times their factors (of row lane / 4, of row lane / 4 + 8), go to
/// rows [first, …) of `to`.
template <int blocks>
__device__ void write_rows(const float (&sums)[blocks][4], const float (&factors)[2], float *to,
                           int64_t step, int64_t first, int64_t count, int columns) {
  const int lane = lane_of_warp();
  MPAR_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int64_t row = first + first_row_of_warp() + lane / 4 + half * 8;
    if (row >= count)
      continue;
    MPAR_UNROLL
    for (int n = 0; n < blocks; ++n) {
      const int column = n * 8 + lane % 4 * 2;
      if (column < columns)
        to[row * step + column] = sums[n][half * 2] * factors[half];
      if (column + 1 < columns)
        to[row * step + column + 1] = sums[n][half * 2 + 1] * factors[half];
    }
  }
}

inline bool is_aligned(const Heads<const float> &heads, int64_t columns) {
  return reinterpret_cast<uintptr_t>(heads.data) % 16 == 0 && heads.batch % 4 == 0 &&
         heads.head % 4 == 0 && heads.row % 4 == 0 && columns % 4 == 0;
}

/// Operands whose rows may be read four floats at a time.
struct Alignment {
  bool q, k, v, gradient;
};

__device__ inline HeadRows rows_of(const Heads<const float> &heads, int64_t batch, int64_t head,
                                   int64_t count, int64_t columns, bool aligned) {
  return {head_of(heads, batch, head), heads.row, count, static_cast<int>(columns), aligned};
}

/// Calls body(T(), std::integral_constant<int, depth>()) for the type that products are of and the
/// least depth that kernels are made for and both sides of heads fit in.
template <typename Body> void for_rounded(const AttentionSizes &sizes, const Body &body) {
  const int64_t longest = sizes.depth > sizes.width ? sizes.depth : sizes.width;
  const auto of_type = [&](auto number) {
    if (longest <= 32)
      body(number, std::integral_constant<int, 32>());
    else if (longest <= 64)
      body(number, std::integral_constant<int, 64>());
    else
      body(number, std::integral_constant<int, longest_rounded>());
  };
  if (sizes.rounding == Rounding::bf16)
    of_type(bfloat16());
  else
    of_type(float16());
}

constexpr float log2_of_e = 1.44269504088896341f;

} // namespace mpar::cuda
