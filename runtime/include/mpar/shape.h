// Sizes and strides of at most eight dimensions, as the runtime's loops take them. Depends on
// nothing.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace mpar {

/// The most dimensions a tensor has.
constexpr int max_rank = 8;

/// Extents of a tensor, outermost first, or the step in elements along each of its dimensions.
struct Shape {
  int rank = 0;
  int64_t at[max_rank] = {};

  Shape() = default;
  Shape(std::initializer_list<int64_t> extents) {
    for (int64_t extent : extents)
      at[rank++] = extent;
  }
  int64_t operator[](int dimension) const { return at[dimension]; }
  int64_t &operator[](int dimension) { return at[dimension]; }

  /// The number of elements; 1 for a scalar.
  int64_t count() const {
    int64_t elements = 1;
    for (int dimension = 0; dimension < rank; ++dimension)
      elements *= at[dimension];
    return elements;
  }
};

using Strides = Shape;

} // namespace mpar
