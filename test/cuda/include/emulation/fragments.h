// A warp's matrix instructions, whose operands lie with its lanes as PTX says. Of a matrix of 8 × 8
// numbers lane l has row l / 4, columns 2 · (l % 4) and the next.
#pragma once

#include "emulation/device.h"

#include <cstdint>
#include <cstring>

namespace emulation {

/// ldmatrix.x4: lane l gives row l % 8 of matrix l / 8.
void load_matrices(uint32_t (&to)[4], const void *row, bool transposed);

/// What all lanes bring, by lane; both numbers of 32 bits.
struct Pairs {
  uint32_t values[32][2];
};
inline Pairs exchange_pair(uint32_t first, uint32_t second) {
  const uint64_t *all = exchange(0xffffffffu, uint64_t(first) | uint64_t(second) << 32);
  Pairs pairs;
  std::memcpy(&pairs, all, sizeof pairs);
  return pairs;
}

/// mma.m16n8k16: d += a · b, products added one after the other. `read`(register, half): a number.
template <typename Read>
void multiply_fragments(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                        const Read &read) {
  const Pairs left = exchange_pair(a[0], a[1]), right = exchange_pair(a[2], a[3]);
  const Pairs b = exchange_pair(b0, b1);
  const int group = lane() / 4, column = lane() % 4 * 2;
  for (int k = 0; k < 16; ++k) {
    const int owner = k % 8 / 2, half = k % 2;
    const Pairs &columns = k < 8 ? left : right;
    for (int i = 0; i < 4; ++i) {
      const uint32_t of_a = columns.values[group * 4 + owner][i / 2];
      const uint32_t of_b = b.values[(column + i % 2) * 4 + owner][k / 8];
      d[i] += read(of_a, half) * read(of_b, half);
    }
  }
}

} // namespace emulation
