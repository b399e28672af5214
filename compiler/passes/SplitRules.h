// How primitives carry cuts and partial sums from operands to results: one table for all.
#pragma once

#include "dialect/Groups.h"

namespace mparc::mp {

/// Along one axis of a group: what an operation is given of its operands, and so gives of its
/// results.
struct Strategy {
  llvm::SmallVector<State, 4> operands, results;
};

/// The operation on pieces: operand number `operand` is cut so; nothing where the operation needs
/// that dimension whole.
std::optional<Strategy> followCut(mlir::Operation *op, unsigned operand, const Cut &cut);

/// The operation on terms of a sum (or maximum, minimum): where it may be done to each term of the
/// operands that `isPartial` names, and the others are whole, its result is such a term.
std::optional<Strategy> followPartial(mlir::Operation *op, ReductionKind reduction,
                                      llvm::ArrayRef<bool> isPartial);

/// The operation on pieces whose result, the only one, is cut so: by dividing its operands, which
/// costs nothing where they are whole.
std::optional<Strategy> leadToCut(mlir::Operation *op, const Cut &cut);

/// Gives the copy of an operation for a piece the attributes that go with its sizes: `local` is a
/// copy whose operands and result types are the piece's already.
void fitAttributes(mlir::Operation *whole, mlir::Operation *local);

} // namespace mparc::mp
