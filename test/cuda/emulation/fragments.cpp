// Loads of matrices from shared memory.
#include "emulation/fragments.h"

#include "emulation.h"

#include <cstdint>

namespace emulation {

void load_matrices(uint32_t (&to)[4], const void *row, bool transposed) {
  const auto address = reinterpret_cast<uintptr_t>(row);
  const auto *shared = static_cast<const unsigned char *>(dynamic_shared_memory());
  if (address % 16 != 0)
    give_up("ldmatrix: a row at %p, which is not aligned to 16 bytes", row);
  if (address < reinterpret_cast<uintptr_t>(shared) ||
      address + 16 > reinterpret_cast<uintptr_t>(shared + shared_memory_bytes()))
    give_up("ldmatrix: a row at %p, which is outside of the block's shared memory", row);
  const uint64_t *rows = exchange_value(0xffffffffu, static_cast<uint64_t>(address));
  const int group = lane() / 4, pair = lane() % 4 * 2;
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint16_t numbers[2];
    for (int i = 0; i < 2; ++i) {
      const int from = transposed ? pair + i : group, column = transposed ? group : pair + i;
      const auto *line = reinterpret_cast<const uint16_t *>(rows[matrix * 8 + from]);
      numbers[i] = line[column];
    }
    to[matrix] = uint32_t(numbers[0]) | uint32_t(numbers[1]) << 16;
  }
  // A row may be written again once all have read.
  exchange(0xffffffffu, 0);
}

} // namespace emulation
