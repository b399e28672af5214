// What an operation of a group becomes on one of its devices.
#pragma once

#include "passes/SplitRules.h"

#include "llvm/ADT/DenseMap.h"

namespace mparc::mp {

/// Which piece of an operation is being made: on the group's device number `index`, of operands and
/// results that lie so.
struct PieceContext {
  const Group &group;
  int64_t index;
  llvm::ArrayRef<Layout> operands, results;
};

/// The symbol of a parameter's piece on a device.
std::string pieceName(llvm::StringRef parameter, int64_t device);

/// The operation on pieces: its results, of `types`, on the device of the context.
llvm::SmallVector<mlir::Value> expandPiece(mlir::Operation *op, llvm::ArrayRef<mlir::Value> inputs,
                                           llvm::ArrayRef<mlir::Type> types,
                                           const PieceContext &context, mlir::OpBuilder &builder);

/// Makes a copy of an operation the one on a device: its operands, types, device and name.
void finishCopy(mlir::Operation *op, mlir::Operation *copy, llvm::ArrayRef<mlir::Value> inputs,
                llvm::ArrayRef<mlir::Type> types, int64_t device);

/// What a broadcast needs of its operand so that its result lies so.
Layout unbroadcast(BroadcastOp broadcast, const Layout &result);

/// Largest elements and sums of exponentials along dimensions, by what they are of.
using Statistics =
    llvm::DenseMap<std::pair<mlir::Value, int64_t>, std::pair<mlir::Value, mlir::Value>>;

/// An operation whose operand `operand` is cut along a dimension that it needs whole, as operations
/// that do not, in its place: maxima, sums and element-wise ones. Its uses read what they give.
/// None where there is no such way.
llvm::SmallVector<mlir::Operation *> decompose(mlir::Operation *op, unsigned operand,
                                               const Cut &cut, Statistics &statistics);

/// The same of normalizations along a dimension that is cut: means over all of it, of few numbers a
/// row, instead of gathering what is normalized. None where that would move more bytes, as where
/// rows are short.
llvm::SmallVector<mlir::Operation *> decomposeNorm(mlir::Operation *op, unsigned operand,
                                                   const Cut &cut);

/// Replaces a parameter by its pieces.
void splitParameter(ParameterOp parameter, const Group &group, const Layout &layout);

} // namespace mparc::mp
