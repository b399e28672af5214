#include "mpar/pieces.h"

#include <cstddef>
#include <cstring>

namespace mpar {

int64_t Box::count() const {
  int64_t count = 1;
  for (size_t i = 0; i < sizes.size(); ++i)
    count *= to[i] - from[i];
  return count;
}

std::vector<Stretch> find_stretches(const Box &box) {
  const int64_t count = box.count();
  if (count == 0)
    return {};
  // What is not cut at the end belongs to the stretch.
  size_t last = box.sizes.size();
  int64_t inner = 1;
  while (last > 0 && box.from[last - 1] == 0 && box.to[last - 1] == box.sizes[last - 1])
    inner *= box.sizes[--last];
  if (last == 0)
    return {{0, 0, inner}};
  --last; // the innermost that is cut
  const int64_t length = (box.to[last] - box.from[last]) * inner;
  std::vector<int64_t> at(box.from.begin(), box.from.begin() + static_cast<std::ptrdiff_t>(last));
  std::vector<Stretch> stretches;
  for (int64_t piece = 0; piece < count; piece += length) {
    int64_t whole = 0;
    for (size_t i = 0; i < last; ++i)
      whole = whole * box.sizes[i] + at[i];
    stretches.push_back({(whole * box.sizes[last] + box.from[last]) * inner, piece, length});
    for (size_t i = last; i > 0; --i) {
      if (++at[i - 1] < box.to[i - 1])
        break;
      at[i - 1] = box.from[i - 1];
    }
  }
  return stretches;
}

void copy_to_piece(const Box &box, int64_t element_bytes, const void *whole, void *piece) {
  for (const Stretch &stretch : find_stretches(box))
    std::memcpy(static_cast<std::byte *>(piece) + stretch.piece * element_bytes,
                static_cast<const std::byte *>(whole) + stretch.whole * element_bytes,
                static_cast<size_t>(stretch.count * element_bytes));
}

} // namespace mpar
