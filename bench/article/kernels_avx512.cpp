// The products by hand for AVX-512, for the sizes of small models: operands in row-major order as
// the training step has them, no packing but for the weights of a forward product, epilogues on the
// registers.
//
// All three products are one loop: rows of C by broadcast, columns of C by vector,
//
//   C[m, n] = sum over k of A[m, k] * B[k, n]
//
//   forward          y  = x * transpose(w)   A = x,             B = transpose(w), packed once a
//   step input gradient   dx = dy * w             A = dy,            B = w as it lies weight
//   gradient  dw = transpose(dy) * x  A = dy, read down, B = x as it lies
//
// Each element is a sum over blocks of `depth_block` in ascending k, each block a chain of fused
// multiply-adds from zero: its value depends neither on the tile it falls into nor on the other
// rows.
#include "kernels.h"

#include <immintrin.h>

namespace yardstick {
namespace {

/// Rows and vectors of 16 columns of the register tile: 24 accumulators, 2 vectors of B, 1
/// broadcast of 32 registers.
constexpr int tile_rows = 12;
constexpr int tile_vectors = 2;
constexpr int tile_columns = 16 * tile_vectors;

/// Rows of B that a tile walks before it adds its sums to C: 256 rows of 32 columns fill a first
/// cache of 32 KiB.
constexpr int depth_block = 256;

/// Rows of C done with all columns before the next: 120 rows of A and of C stay in the second
/// cache.
constexpr int row_block = 120;

/// The epilogues, done while the sums are in registers.
enum class Epilogue {
  none,
  bias,      ///< add a row of n values
  bias_relu, ///< add a row of n values, then max(., 0)
  relu_mask, ///< zero where `gate`, of C's shape, is not above zero: the gradient of ReLU from its
             ///< result
};

/// C[rows, columns], operands by address and strides in elements; A's element (m, k) lies at m *
/// a_row + k * a_depth.
struct Product {
  const float *a;
  std::ptrdiff_t a_row, a_depth;
  const float
      *b; ///< B in row-major order with `b_row` elements a row, or in panels, see pack_transposed()
  std::ptrdiff_t b_row;
  std::ptrdiff_t b_panel; ///< elements from a panel of `tile_columns` columns to the next;
                          ///< tile_columns if not packed
  float *c;
  std::ptrdiff_t c_row;
  int rows, columns, depth;
  const float *extra = nullptr; ///< bias[columns], or the gate with C's layout
  bool accumulate = false;      ///< add to C instead of overwriting it
};

template <int Rows, int Vectors, Epilogue E>
inline void tile(const float *a, std::ptrdiff_t a_row, std::ptrdiff_t a_depth, const float *b,
                 std::ptrdiff_t b_row, int depth, float *c, std::ptrdiff_t c_row,
                 const float *extra, __mmask16 last, bool add, bool finish) {
  __m512 sum[Rows][Vectors];
  const auto mask = [&](int v) { return v + 1 == Vectors ? last : __mmask16(0xffff); };
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = _mm512_setzero_ps();
  for (int k = 0; k < depth; ++k) {
    __m512 column[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      column[v] = _mm512_maskz_loadu_ps(mask(v), b + k * b_row + 16 * v);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const __m512 value = _mm512_set1_ps(a[r * a_row + k * a_depth]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v)
        sum[r][v] = _mm512_fmadd_ps(value, column[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      __m512 result = sum[r][v];
      if (add)
        result = _mm512_add_ps(_mm512_maskz_loadu_ps(mask(v), c + r * c_row + 16 * v), result);
      if (E != Epilogue::none && finish) {
        if (E == Epilogue::relu_mask) {
          const __m512 gate = _mm512_maskz_loadu_ps(mask(v), extra + r * c_row + 16 * v);
          result = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(gate, _mm512_setzero_ps(), _CMP_GT_OQ),
                                       result);
        } else {
          result = _mm512_add_ps(result, _mm512_maskz_loadu_ps(mask(v), extra + 16 * v));
          if (E == Epilogue::bias_relu)
            result = _mm512_max_ps(result, _mm512_setzero_ps());
        }
      }
      _mm512_mask_storeu_ps(c + r * c_row + 16 * v, mask(v), result);
    }
}

template <int Vectors, Epilogue E>
inline void row_of_tiles(int rows, const float *a, std::ptrdiff_t a_row, std::ptrdiff_t a_depth,
                         const float *b, std::ptrdiff_t b_row, int depth, float *c,
                         std::ptrdiff_t c_row, const float *extra, __mmask16 last, bool add,
                         bool finish) {
  switch (rows) {
#define CASE(n)                                                                                    \
  case n:                                                                                          \
    return tile<n, Vectors, E>(a, a_row, a_depth, b, b_row, depth, c, c_row, extra, last, add,     \
                               finish)
    CASE(1);
    CASE(2);
    CASE(3);
    CASE(4);
    CASE(5);
    CASE(6);
    CASE(7);
    CASE(8);
    CASE(9);
    CASE(10);
    CASE(11);
    CASE(12);
#undef CASE
  }
}

/// C = A * B with the epilogue. For a block of rows, columns outermost: a panel of B stays in the
/// first cache meanwhile.
template <Epilogue E> inline void multiply(const Product &p) {
  for (int m0 = 0; m0 < p.rows; m0 += row_block) {
    const int block_rows = p.rows - m0 < row_block ? p.rows - m0 : row_block;
    // Rows in nearly equal tiles: 32 are 11 + 11 + 10 and not 12 + 12 + 8, for a tile's speed falls
    // with its rows.
    const int tiles = (block_rows + tile_rows - 1) / tile_rows;
    for (int k = 0; k < p.depth; k += depth_block) {
      const int depth = p.depth - k < depth_block ? p.depth - k : depth_block;
      const bool add = k > 0 || p.accumulate, finish = k + depth == p.depth;
      for (int n = 0; n < p.columns; n += tile_columns) {
        const int width = p.columns - n < tile_columns ? p.columns - n : tile_columns;
        const __mmask16 last = __mmask16(0xffffu >> (15 - (width - 1) % 16));
        const float *b = p.b + n / tile_columns * p.b_panel + k * p.b_row;
        for (int t = 0, m = m0; t < tiles; ++t) {
          const int rows = block_rows / tiles + (t < block_rows % tiles);
          const float *a = p.a + m * p.a_row + k * p.a_depth;
          float *c = p.c + m * p.c_row + n;
          const float *extra = p.extra + (E == Epilogue::relu_mask ? m * p.c_row + n
                                          : E == Epilogue::none    ? 0
                                                                   : n);
          if (width > 16)
            row_of_tiles<2, E>(rows, a, p.a_row, p.a_depth, b, p.b_row, depth, c, p.c_row, extra,
                               last, add, finish);
          else
            row_of_tiles<1, E>(rows, a, p.a_row, p.a_depth, b, p.b_row, depth, c, p.c_row, extra,
                               last, add, finish);
          m += rows;
        }
      }
    }
  }
}

/// A mask of the first `count` of 16 lanes; all of them from 16 on.
inline __mmask16 first_lanes(int count) {
  return count >= 16 ? 0xffff : __mmask16((1u << count) - 1);
}

/// Transposes 16 x 16 values: pairs of rows swap single values, then pairs, then quarters and
/// halves.
inline void transpose(__m512 (&row)[16]) {
  __m512 t[16];
  const auto low_pairs = [](__m512 x, __m512 y) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(x), _mm512_castps_pd(y)));
  };
  const auto high_pairs = [](__m512 x, __m512 y) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(x), _mm512_castps_pd(y)));
  };
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(row[i], row[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(row[i], row[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    row[i] = low_pairs(t[i], t[i + 2]);
    row[i + 1] = high_pairs(t[i], t[i + 2]);
    row[i + 2] = low_pairs(t[i + 1], t[i + 3]);
    row[i + 3] = high_pairs(t[i + 1], t[i + 3]);
  }
  // From here lane q of row[4g + j] holds column 4q + j of rows 4g … 4g + 3.
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    t[j] = _mm512_shuffle_f32x4(row[j], row[j + 4], 0x88);
    t[j + 4] = _mm512_shuffle_f32x4(row[j], row[j + 4], 0xdd);
    t[j + 8] = _mm512_shuffle_f32x4(row[j + 8], row[j + 12], 0x88);
    t[j + 12] = _mm512_shuffle_f32x4(row[j + 8], row[j + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    row[j] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0x88);
    row[j + 4] = _mm512_shuffle_f32x4(t[j + 4], t[j + 12], 0x88);
    row[j + 8] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0xdd);
    row[j + 12] = _mm512_shuffle_f32x4(t[j + 4], t[j + 12], 0xdd);
  }
}

/// The sums of eight vectors' lanes.
inline __m256 sum_lanes(const __m512 (&v)[8]) {
  const auto halves = [](__m512 x) {
    return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  };
  const __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(halves(v[0]), halves(v[1])),
                                  _mm256_hadd_ps(halves(v[2]), halves(v[3])));
  const __m256 b = _mm256_hadd_ps(_mm256_hadd_ps(halves(v[4]), halves(v[5])),
                                  _mm256_hadd_ps(halves(v[6]), halves(v[7])));
  return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}

/// dx for `Vectors` vectors of columns from i on; `last` masks the last one.
template <int Vectors>
inline void input_gradient_columns(const float *w, const float *dy, const float *gate, int out,
                                   int in, float *dx, __mmask16 last) {
  __m512 sum[Vectors];
  const auto mask = [&](int v) { return v + 1 == Vectors ? last : __mmask16(0xffff); };
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v)
    sum[v] = _mm512_setzero_ps();
  for (int o = 0; o < out; ++o) {
    const __m512 value = _mm512_set1_ps(dy[o]);
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v)
      sum[v] = _mm512_fmadd_ps(
          value, _mm512_maskz_loadu_ps(mask(v), w + std::size_t(o) * in + 16 * v), sum[v]);
  }
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) {
    const __mmask16 open = _mm512_cmp_ps_mask(_mm512_maskz_loadu_ps(mask(v), gate + 16 * v),
                                              _mm512_setzero_ps(), _CMP_GT_OQ);
    _mm512_mask_storeu_ps(dx + 16 * v, mask(v), _mm512_maskz_mov_ps(open, sum[v]));
  }
}

/// y for one row: memory bounds it, so it reads w as it lies, eight rows of it at a time.
void forward_row(const float *w, const float *x, const float *bias, int out, int in, bool relu,
                 float *y) {
  for (int o = 0; o < out; o += 8) {
    const int rows = out - o < 8 ? out - o : 8;
    __m512 sum[8];
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r)
      sum[r] = _mm512_setzero_ps();
    int i = 0;
    for (; i + 16 <= in; i += 16) {
      const __m512 input = _mm512_loadu_ps(x + i);
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r)
        sum[r] = _mm512_fmadd_ps(_mm512_loadu_ps(w + std::size_t(o + (r < rows ? r : 0)) * in + i),
                                 input, sum[r]);
    }
    if (i < in) {
      const __mmask16 mask = first_lanes(in - i);
      const __m512 input = _mm512_maskz_loadu_ps(mask, x + i);
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r)
        sum[r] = _mm512_fmadd_ps(
            _mm512_maskz_loadu_ps(mask, w + std::size_t(o + (r < rows ? r : 0)) * in + i), input,
            sum[r]);
    }
    const __mmask8 mask = __mmask8(first_lanes(rows));
    __m256 result = _mm256_add_ps(sum_lanes(sum), _mm256_maskz_loadu_ps(mask, bias + o));
    if (relu)
      result = _mm256_max_ps(result, _mm256_setzero_ps());
    _mm256_mask_storeu_ps(y + o, mask, result);
  }
}

/// dx of one row.
void input_gradient_row(const float *w, const float *dy, const float *gate, int out, int in,
                        float *dx) {
  int i = 0;
  for (; in - i >= 128; i += 128)
    input_gradient_columns<8>(w + i, dy, gate + i, out, in, dx + i, 0xffff);
  for (; in - i >= 64; i += 64)
    input_gradient_columns<4>(w + i, dy, gate + i, out, in, dx + i, 0xffff);
  for (; i < in; i += 16)
    input_gradient_columns<1>(w + i, dy, gate + i, out, in, dx + i, first_lanes(in - i));
}

/// dw of one row: dy[o] * x[i].
void weight_gradient_row(const float *dy, const float *x, int out, int in, float *dw) {
  for (int o = 0; o < out; ++o) {
    const __m512 value = _mm512_set1_ps(dy[o]);
    float *row = dw + std::size_t(o) * in;
    int i = 0;
    for (; i + 16 <= in; i += 16)
      _mm512_storeu_ps(row + i, _mm512_mul_ps(value, _mm512_loadu_ps(x + i)));
    if (i < in) {
      const __mmask16 mask = first_lanes(in - i);
      _mm512_mask_storeu_ps(row + i, mask,
                            _mm512_mul_ps(value, _mm512_maskz_loadu_ps(mask, x + i)));
    }
  }
}

/// The sums of dy's columns, added to `sums` where `add`.
void sum_columns(const float *dy, int rows, int columns, bool add, float *sums) {
  for (int n = 0; n < columns; n += 16) {
    const __mmask16 mask = first_lanes(columns - n);
    __m512 sum = _mm512_setzero_ps();
    for (int r = 0; r < rows; ++r)
      sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, dy + std::size_t(r) * columns + n));
    if (add)
      sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, sums + n), sum);
    _mm512_mask_storeu_ps(sums + n, mask, sum);
  }
}

} // namespace

std::size_t packed_size(int out, int in) {
  return std::size_t(in) * ((out + tile_columns - 1) / tile_columns) * tile_columns;
}

/// Panel p of `packed` holds, for each input, the outputs 32p … 32p + 31 side by side, zeros past
/// the last.
void pack(const float *w, int out, int in, float *packed) {
  for (int o = 0; o < out; o += 16) {
    float *panel = packed + std::size_t(o / tile_columns) * in * tile_columns + o % tile_columns;
    for (int i = 0; i < in; i += 16) {
      const __mmask16 mask = first_lanes(in - i);
      __m512 block[16];
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r)
        block[r] = o + r < out ? _mm512_maskz_loadu_ps(mask, w + std::size_t(o + r) * in + i)
                               : _mm512_setzero_ps();
      transpose(block);
#pragma GCC unroll 16
      for (int c = 0; c < 16; ++c)
        if (i + c < in)
          _mm512_storeu_ps(panel + std::size_t(i + c) * tile_columns, block[c]);
    }
    if (out - o <= 16 && o % tile_columns == 0)
      for (int i = 0; i < in; ++i)
        _mm512_storeu_ps(panel + 16 + std::size_t(i) * tile_columns, _mm512_setzero_ps());
  }
}

void forward(const float *x, const float *w, const float *packed, const float *bias, int rows,
             int in, int out, bool relu, float *y) {
  if (rows == 1)
    return forward_row(w, x, bias, out, in, relu, y);
  const Product product{x, in,  1,    packed, tile_columns, std::ptrdiff_t(in) * tile_columns,
                        y, out, rows, out,    in,           bias};
  relu ? multiply<Epilogue::bias_relu>(product) : multiply<Epilogue::bias>(product);
}

void input_gradient(const float *dy, const float *w, const float *gate, int rows, int in, int out,
                    float *dx) {
  if (rows == 1)
    return input_gradient_row(w, dy, gate, out, in, dx);
  multiply<Epilogue::relu_mask>({dy, out, 1, w, in, tile_columns, dx, in, rows, in, out, gate});
}

void weight_gradient(const float *dy, const float *x, int rows, int in, int out, bool add,
                     float *dw, float *dbias) {
  if (rows == 1 && !add)
    weight_gradient_row(dy, x, out, in, dw);
  else
    multiply<Epilogue::none>(
        {dy, 1, out, x, in, tile_columns, dw, in, out, in, rows, nullptr, add});
  sum_columns(dy, rows, out, add, dbias);
}

} // namespace yardstick
