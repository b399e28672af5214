// Verifiers of the operations that take positions from another tensor; the rules' letters are those
// of MpIndexing.td.
#include "dialect/MpDialect.h"

using namespace mlir;
using namespace mparc::mp;

static bool sameSizes(ArrayRef<DimensionAttr> a, ArrayRef<DimensionAttr> b) {
  return a.size() == b.size() && llvm::all_of(llvm::zip(a, b), [](auto pair) {
           auto [x, y] = pair;
           return x.hasBatch() == y.hasBatch() && x.getStaticSize() == y.getStaticSize() &&
                  x.getRowPiece() == y.getRowPiece();
         });
}

static Type elementOf(Value value) { return getElementTypeOrSelf(value.getType()); }

/// (G1)–(G3).
static LogicalResult verifyRows(Operation *op, Value table, Value ids, Value rows) {
  if (!elementOf(ids).isInteger(32))
    return op->emitOpError("expected ids of i32, got ") << elementOf(ids);
  ArrayRef<DimensionAttr> ofTable = getDimensions(table.getType());
  if (ofTable.empty() || ofTable.front().hasBatch())
    return op->emitOpError("expected a table with a first dimension of constant size");
  SmallVector<DimensionAttr> expected(getDimensions(ids.getType()));
  llvm::append_range(expected, ofTable.drop_front());
  if (!sameSizes(expected, getDimensions(rows.getType())) || elementOf(rows) != elementOf(table))
    return op->emitOpError("expected rows of the table in the ids' dimensions, got ")
           << rows.getType();
  return success();
}

LogicalResult GatherOp::verify() { return verifyRows(*this, getTable(), getIds(), getResult()); }

LogicalResult ScatterAddOp::verify() {
  if (!elementOf(getRows()).isF32())
    return emitOpError("expected rows of f32, got ") << elementOf(getRows());
  return verifyRows(*this, getResult(), getIds(), getRows());
}

LogicalResult CheckIndexOp::verify() {
  if (!elementOf(getIds()).isInteger(32))
    return emitOpError("expected indices of i32, got ") << elementOf(getIds());
  return success();
}

/// (X1) and (X2), and that `losses` has the target's dimensions.
static LogicalResult verifyClasses(Operation *op, Value x, Value target, Value losses) {
  ArrayRef<DimensionAttr> dimensions = getDimensions(x.getType());
  if (!isa<FloatType>(elementOf(x)) || dimensions.empty() || dimensions.back().hasBatch())
    return op->emitOpError("expected reals with a last dimension of constant size, got ")
           << x.getType();
  if (!elementOf(target).isInteger(32) ||
      !sameSizes(getDimensions(target.getType()), dimensions.drop_back()))
    return op->emitOpError("expected a target of i32 without the last dimension, got ")
           << target.getType();
  if (!elementOf(losses).isF32() ||
      !sameSizes(getDimensions(losses.getType()), dimensions.drop_back()))
    return op->emitOpError("expected an f32 for each target, got ") << losses.getType();
  return success();
}

LogicalResult CrossEntropyOp::verify() {
  return verifyClasses(*this, getX(), getTarget(), getResult());
}

LogicalResult CrossEntropyGradientOp::verify() {
  if (!haveSameShape(getX().getType(), getResult().getType()) ||
      (elementOf(getResult()) != elementOf(getX()) && !elementOf(getResult()).isF32()))
    return emitOpError("expected a result of the type of x or of f32");
  return verifyClasses(*this, getX(), getTarget(), getG());
}
