// Tensors that several devices have pieces of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mpar {

/// A box of a tensor, which is seen as one of `sizes`: in each of these the positions [from, to).
/// The cut of a dimension is a size of its own: of [3 * heads * dim, width] cut by `heads` they are
/// {3, heads, dim * width}.
struct Box {
  std::vector<int64_t> sizes;
  std::vector<int64_t> from;
  std::vector<int64_t> to;

  /// The elements in it.
  int64_t count() const;
};

/// Elements that lie side by side in a tensor and in a piece of it: where they begin in each, and
/// how many there are.
struct Stretch {
  int64_t whole;
  int64_t piece;
  int64_t count;
};

/// The stretches of a box, in ascending order; the piece has its elements side by side, in the
/// tensor's order.
std::vector<Stretch> find_stretches(const Box &box);
/// Copies the elements of the box from the whole tensor to the piece. `element_bytes`: of one
/// element.
void copy_to_piece(const Box &box, int64_t element_bytes, const void *whole, void *piece);

} // namespace mpar
