// The element-wise functors that maps call: their text, and what a call has to hand them.
#pragma once

#include "dialect/MpDialect.h"

#include <string>
#include <vector>

namespace mparc::emit {

/// `scale · rows + offset`, of all rows of the batch or of the part at hand.
struct Extent {
  int64_t scale, offset;
  bool ofPart;
  friend bool operator==(const Extent &a, const Extent &b) {
    return a.scale == b.scale && a.offset == b.offset && a.ofPart == b.ofPart;
  }
};

/// What the body of a map needs beside the operands' elements. Extents and keys are fields of the
/// functor, in this order: counts, then seed, step and keys; positions are further arguments.
struct FunctorNeeds {
  std::vector<Extent> extents; // each once
  std::vector<mp::DropoutMaskOp> masks;
  std::vector<int64_t> positions; // dimensions, each once
  /// For each way in which masks number their elements, the first mask that does.
  std::vector<mp::DropoutMaskOp> numberings;
};
FunctorNeeds getFunctorNeeds(mp::MapOp map);

/// What stands between the braces of the functor's struct: equal for maps that do the same.
std::string printFunctorBody(mp::MapOp map);
/// What the functor of maps that do the same computes, as a name: `ReluGradient`,
/// `SquaredDifference`.
std::string describeFunctor(llvm::ArrayRef<mp::MapOp> same);
/// What an operation in a functor gives, as the name of a variable: `difference`, `tanh_value`.
std::string describeOperation(mlir::Operation *op);

/// `float`, `int32_t` or `bool`.
std::string elementTypeName(mlir::Type element);

} // namespace mparc::emit
