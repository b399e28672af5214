// Element-wise loops over emitted functors, with NumPy broadcasting by strides.
#pragma once

#include "mpar/device.h"
#include "mpar/shape.h"

namespace mpar {

/// y[i] = function(x0[i], x1[i], …) for i in [0, count): all contiguous. `y` may be one of the
/// operands.
template <typename Function, typename Y, typename... X>
void map(Device &device, int64_t count, Function function, Y *y, const X *...x);

/// An operand read with its own step along each dimension of the result: 0 where it is broadcast.
template <typename T> struct Strided {
  const T *data;
  Strides strides;
  using Value = T;
};
template <typename T> Strided<T> strided(const T *data, Strides strides) { return {data, strides}; }

/// An operand that is its index: Σ position · stride, as int32 (`iota` broadcast along some
/// dimensions) or int64
/// (`Index64`: the element's number in the whole batch, what dropout is keyed by).
struct Index {
  Strides strides;
  using Value = int32_t;
};
struct Index64 {
  Strides strides;
  int64_t first = 0; // where the rows at hand begin, in elements
  using Value = int64_t;
};

/// y, contiguous with extents `shape`, from operands that are each `Strided`, `Index` or `Index64`.
/// `y` may be an operand that is read in the very order it is written.
template <typename Function, typename Y, typename... Operands>
void map(Device &device, const Shape &shape, Function function, Y *y, const Operands &...operands);

} // namespace mpar

#include "mpar/map.inc"
