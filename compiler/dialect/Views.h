// What attention sees of its operands and results: tensors of their own, or heads where a
// projection left them.
#pragma once

#include "dialect/MpDialect.h"

namespace mparc::mp {

/// The dimensions attention sees of `tensor`: those of its view number `index`, or its own where
/// there are no views.
llvm::ArrayRef<DimensionAttr>
getSeenDimensions(mlir::Value tensor, std::optional<mlir::ArrayAttr> views, unsigned index);

/// Of each dimension of a tensor, how many elements a step along it goes on; of the batch's, those
/// of a row. Nothing where the batch is not in the outermost dimension, as steps would depend on
/// it.
std::optional<llvm::SmallVector<int64_t>> getSteps(llvm::ArrayRef<DimensionAttr> dimensions);

/// (A6): whether attention's kernels can walk a view by one step each from element to element, row
/// to row, head to head, and across all that comes before the heads.
bool isWalkable(ViewAttr view);

/// (A6) and (A7) of a view of `tensor`; the message is the operation's.
mlir::LogicalResult verifyView(mlir::Operation *op, ViewAttr view, mlir::Value tensor);

/// (A8): that these views cover each element of `result` once.
mlir::LogicalResult verifyCover(mlir::Operation *op, llvm::ArrayRef<ViewAttr> views,
                                mlir::Value result);

} // namespace mparc::mp
