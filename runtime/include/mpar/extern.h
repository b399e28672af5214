// What C++ functions of the user's own work on, where a model declares them as operations.
#pragma once

#include "mpar/device.h"
#include "mpar/shape.h"

// The qualifiers of CUDA say nothing to a compiler of C++: headers for both read the same.
#ifndef __CUDACC__
#ifndef __host__
#define __host__
#endif
#ifndef __device__
#define __device__
#endif
#ifndef __forceinline__
#define __forceinline__ inline
#endif
#endif

namespace mpar {

/// A tensor that a function reads (T const) or fills: its elements lie one after another, the last
/// dimension fastest. T: float, int32_t or bool. The memory is the device's, and the function's
/// only until it returns.
template <typename T> struct View {
  T *data = nullptr; // null: this result is not wanted
  Shape extents;

  int rank() const { return extents.rank; }
  int64_t extent(int dimension) const { return extents[dimension]; }
  /// All elements; 1 of a scalar.
  int64_t count() const { return extents.count(); }
};

} // namespace mpar
