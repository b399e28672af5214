// What verifiers of several files ask of operands and results. Private to the dialect.
#pragma once

#include "dialect/MpDialect.h"

namespace mparc::mp {

/// Operands and results that are tensors have dimensions that are known. Says so at `op` where not.
mlir::LogicalResult verifyDimensionsKnown(mlir::Operation *op);

/// (E1): operands and the result are tensors of one shape, whose dimensions are known, or all are
/// scalars. Says so at `op` where they are not.
mlir::LogicalResult verifySameShape(mlir::Operation *op);

/// Whether dimensions are of equal sizes, whatever they are called.
bool haveSameSizes(llvm::ArrayRef<DimensionAttr> a, llvm::ArrayRef<DimensionAttr> b);

} // namespace mparc::mp
