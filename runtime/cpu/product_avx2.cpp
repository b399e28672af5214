// Matrix products with AVX2 and FMA: tiles of 6 rows by 16 columns, 12 of the 16 registers for
// their sums.
#include "product.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

namespace mpar::avx2 {
namespace {

struct Vector {
  static constexpr int lanes = 8;
  static constexpr int tile_rows = 6;
  using Value = __m256;
  using Mask = __m256i;

  static Mask first(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Value zero() { return _mm256_setzero_ps(); }
  static Value broadcast(float value) { return _mm256_set1_ps(value); }
  static Value load(const float *from) { return _mm256_loadu_ps(from); }
  static Value load(const float *from, Mask mask) { return _mm256_maskload_ps(from, mask); }
  static void store(float *to, Value value) { _mm256_storeu_ps(to, value); }
  static void store(float *to, Mask mask, Value value) { _mm256_maskstore_ps(to, mask, value); }
  static Value add(Value a, Value b) { return _mm256_add_ps(a, b); }
  static Value multiply(Value a, Value b) { return _mm256_mul_ps(a, b); }
  static Value multiply_add(Value a, Value b, Value c) { return _mm256_fmadd_ps(a, b, c); }
  /// max(value, 0); the second operand, which is what the instruction gives for a NaN, is the
  /// value.
  static Value rectify(Value value) { return _mm256_max_ps(_mm256_setzero_ps(), value); }
  /// The value where `gate` is above zero, else zero.
  static Value where_positive(Value gate, Value value) {
    return _mm256_and_ps(_mm256_cmp_ps(gate, _mm256_setzero_ps(), _CMP_GT_OQ), value);
  }

  /// The sums of lanes i and i + 8.
  static __m256 halves(const Value (&value)[2]) { return _mm256_add_ps(value[0], value[1]); }

  /// Of two rows `step` apart: a keeps its blocks of `step` lanes at even places and takes b's even
  /// ones at odd places; b the other way round.
  static void exchange(int step, Value &a, Value &b) {
    Value even, odd;
    if (step == 1) {
      even = _mm256_blend_ps(a, _mm256_shuffle_ps(b, b, 0xa0), 0xaa);
      odd = _mm256_blend_ps(_mm256_shuffle_ps(a, a, 0xf5), b, 0xaa);
    } else if (step == 2) {
      even = _mm256_shuffle_ps(a, b, 0x44);
      odd = _mm256_shuffle_ps(a, b, 0xee);
    } else {
      even = _mm256_permute2f128_ps(a, b, 0x20);
      odd = _mm256_permute2f128_ps(a, b, 0x31);
    }
    a = even;
    b = odd;
  }
};

} // namespace
} // namespace mpar::avx2

namespace mpar::avx2 {
#include "product.inc"

#include "product_row.inc"

namespace {
const ProductKernels table{multiply, rows_times_vector, vector_times_rows, outer_product};
} // namespace
const ProductKernels *const kernels = &table;
} // namespace mpar::avx2

#else
namespace mpar::avx2 {
const ProductKernels *const kernels = nullptr;
} // namespace mpar::avx2
#endif
