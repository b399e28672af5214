// A warp's matrix instructions on numbers of two bytes, as PTX has them ("Matrix fragments for
// mma.m16n8k16" in NVIDIA's manual of PTX), and conversion to such numbers.
//
// Of a matrix of 8 × 8 numbers lane l has those of row l / 4, columns 2 · (l % 4) and the next, in
// one register, the first in its lower half.
#pragma once

#include "mpar/low_precision.h"

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

// A loop whose registers' numbers must be known when it is compiled.
#ifdef MPAR_CUDA_EMULATION
#define MPAR_UNROLL
#else
#define MPAR_UNROLL _Pragma("unroll")
#endif

namespace mpar::cuda {

#ifdef MPAR_CUDA_EMULATION

template <typename T> uint32_t pack(float low, float high) {
  return uint32_t(T(low).bits) | uint32_t(T(high).bits) << 16;
}

template <typename T>
void multiply_add(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulation::multiply_fragments(d, a, b0, b1, [](uint32_t both, int half) {
    T number;
    number.bits = static_cast<uint16_t>(both >> (16 * half));
    return static_cast<float>(number);
  });
}

inline void load_matrices(uint32_t (&to)[4], const void *row) {
  emulation::load_matrices(to, row, false);
}
inline void load_transposed(uint32_t (&to)[4], const void *row) {
  emulation::load_matrices(to, row, true);
}

#else

/// Both numbers rounded to nearest, ties to even.
template <typename T> __device__ inline uint32_t pack(float low, float high) {
  uint32_t both;
  if constexpr (std::is_same_v<T, bfloat16>)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}

/// d += a · b for a warp, summed in float: a [16, 16] are the matrices of rows 0 to 7 and 8 to 15
/// of its first eight columns, then of its last; b [16, 8] that of its first eight rows and that
/// of its last, each transposed; d [16, 8] has its lane's two numbers of row l / 4, then of row
/// l / 4 + 8.
template <typename T>
__device__ inline void multiply_add(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                    uint32_t b1) {
  if constexpr (std::is_same_v<T, bfloat16>)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Four matrices from shared memory: lane l gives row l % 8 of number l / 8, aligned to 16 bytes.
__device__ inline void load_matrices(uint32_t (&to)[4], const void *row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}
/// The same, each matrix transposed.
__device__ inline void load_transposed(uint32_t (&to)[4], const void *row) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

#endif

} // namespace mpar::cuda
