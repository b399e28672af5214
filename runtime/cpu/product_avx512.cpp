// Matrix products with AVX-512: tiles of 12 rows by 32 columns, 24 of the 32 registers for their
// sums.
#include "product.h"

#if defined(__AVX512F__)
// GCC 12 takes the undefined operand of its own intrinsics for a variable of ours.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

namespace mpar::avx512 {
namespace {

struct Vector {
  static constexpr int lanes = 16;
  static constexpr int tile_rows = 12;
  using Value = __m512;
  using Mask = __mmask16;

  static Mask first(int64_t count) { return static_cast<Mask>((1u << count) - 1); }
  static Value zero() { return _mm512_setzero_ps(); }
  static Value broadcast(float value) { return _mm512_set1_ps(value); }
  static Value load(const float *from) { return _mm512_loadu_ps(from); }
  static Value load(const float *from, Mask mask) { return _mm512_maskz_loadu_ps(mask, from); }
  static void store(float *to, Value value) { _mm512_storeu_ps(to, value); }
  static void store(float *to, Mask mask, Value value) { _mm512_mask_storeu_ps(to, mask, value); }
  static Value add(Value a, Value b) { return _mm512_add_ps(a, b); }
  static Value multiply(Value a, Value b) { return _mm512_mul_ps(a, b); }
  static Value multiply_add(Value a, Value b, Value c) { return _mm512_fmadd_ps(a, b, c); }
  /// max(value, 0); the second operand, which is what the instruction gives for a NaN, is the
  /// value.
  static Value rectify(Value value) { return _mm512_max_ps(_mm512_setzero_ps(), value); }
  /// The value where `gate` is above zero, else zero.
  static Value where_positive(Value gate, Value value) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(gate, _mm512_setzero_ps(), _CMP_GT_OQ), value);
  }

  /// The sums of lanes i and i + 8.
  static __m256 halves(const Value (&value)[1]) {
    const __m256d upper = _mm512_extractf64x4_pd(_mm512_castps_pd(value[0]), 1);
    return _mm256_add_ps(_mm512_castps512_ps256(value[0]), _mm256_castpd_ps(upper));
  }

  /// Of two rows `step` apart: a keeps its blocks of `step` lanes at even places and takes b's even
  /// ones at odd places; b the other way round.
  static void exchange(int step, Value &a, Value &b) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i bit = _mm512_set1_epi32(step);
    const __m512i is_odd = _mm512_and_epi32(lane, bit);
    // An index with bit 4 set reads from b.
    const __m512i from_b = _mm512_set1_epi32(16);
    const __mmask16 odd = _mm512_test_epi32_mask(is_odd, is_odd);
    const __m512i low = _mm512_mask_add_epi32(lane, odd, _mm512_sub_epi32(lane, bit), from_b);
    const __m512i high = _mm512_mask_add_epi32(_mm512_add_epi32(lane, bit), odd, lane, from_b);
    const Value even = _mm512_permutex2var_ps(a, low, b);
    b = _mm512_permutex2var_ps(a, high, b);
    a = even;
  }
};

} // namespace
} // namespace mpar::avx512

namespace mpar::avx512 {
#include "product.inc"

#include "product_row.inc"

namespace {
const ProductKernels table{multiply, rows_times_vector, vector_times_rows, outer_product};
} // namespace
const ProductKernels *const kernels = &table;
} // namespace mpar::avx512

#else
namespace mpar::avx512 {
const ProductKernels *const kernels = nullptr;
} // namespace mpar::avx512
#endif
