// What one operation computes from its operands; where they lie is the caller's matter.
#pragma once

#include "interpreter/ElementProgram.h"

namespace mparc::interpreter {

/// The elements of an operand.
using OperandView = llvm::function_ref<const View &(mlir::Value)>;

/// Writes all results of an operation, one view each. Scalar is float or double, and what the views
/// of reals hold. Fails with a diagnostic where the operation is none that computes, or a position
/// that it reads lies outside a tensor.
template <typename Scalar>
mlir::LogicalResult compute(mlir::Operation *op, OperandView operand, llvm::ArrayRef<View> results,
                            const Surroundings &surroundings);

} // namespace mparc::interpreter
