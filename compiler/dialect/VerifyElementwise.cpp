// Verifiers of the element-wise operations; the rules' letters are those of MpElementwise.td.
#include "dialect/VerifyShapes.h"

using namespace mlir;
using namespace mparc::mp;

LogicalResult mparc::mp::verifyDimensionsKnown(Operation *op) {
  SmallVector<Type, 4> types(op->getOperandTypes());
  llvm::append_range(types, op->getResultTypes());
  for (Type type : types)
    if (auto tensor = dyn_cast<RankedTensorType>(type);
        tensor && !isa_and_nonnull<DimensionsAttr>(tensor.getEncoding()))
      return op->emitOpError("expected a tensor whose dimensions are known, got ") << tensor;
  return success();
}

/// (E1) of every element-wise operation.
LogicalResult mparc::mp::verifySameShape(Operation *op) {
  if (failed(verifyDimensionsKnown(op)))
    return failure();
  for (Value operand : op->getOperands())
    if (!haveSameShape(operand.getType(), op->getResult(0).getType()))
      return op->emitOpError("expected operands of the result's shape, got ")
             << operand.getType() << " and " << op->getResult(0).getType();
  return success();
}

/// (E2) of operations on numbers: one element type throughout.
static LogicalResult verifySameElement(Operation *op) {
  Type result = getElementTypeOrSelf(op->getResult(0).getType());
  for (Value operand : op->getOperands())
    if (getElementTypeOrSelf(operand.getType()) != result)
      return op->emitOpError("expected operands of the result's element type, got ")
             << getElementTypeOrSelf(operand.getType()) << " and " << result;
  return success();
}

static bool isBool(Value value) { return getElementTypeOrSelf(value.getType()).isInteger(1); }

/// (E2) of operations on bool.
static LogicalResult verifyLogic(Operation *op) {
  if (!llvm::all_of(op->getOperands(), isBool) || !isBool(op->getResult(0)))
    return op->emitOpError("expected operands and a result of bool");
  return success();
}

#define MP_ELEMENTWISE(OP)                                                                         \
  LogicalResult OP::verify() {                                                                     \
    return failure(failed(verifySameShape(*this)) || failed(verifySameElement(*this)));            \
  }
MP_ELEMENTWISE(NegOp)
MP_ELEMENTWISE(ReluOp)
MP_ELEMENTWISE(GeluOp)
MP_ELEMENTWISE(GeluTanhOp)
MP_ELEMENTWISE(GeluDerivativeOp)
MP_ELEMENTWISE(GeluTanhDerivativeOp)
MP_ELEMENTWISE(SiluOp)
MP_ELEMENTWISE(SiluDerivativeOp)
MP_ELEMENTWISE(SigmoidOp)
MP_ELEMENTWISE(TanhOp)
MP_ELEMENTWISE(ExpOp)
MP_ELEMENTWISE(LogOp)
MP_ELEMENTWISE(SqrtOp)
MP_ELEMENTWISE(RsqrtOp)
MP_ELEMENTWISE(AbsOp)
MP_ELEMENTWISE(SignOp)
MP_ELEMENTWISE(SinOp)
MP_ELEMENTWISE(CosOp)
MP_ELEMENTWISE(DetachOp)
MP_ELEMENTWISE(AddOp)
MP_ELEMENTWISE(SubOp)
MP_ELEMENTWISE(MulOp)
MP_ELEMENTWISE(DivOp)
MP_ELEMENTWISE(RemainderOp)
MP_ELEMENTWISE(PowOp)
MP_ELEMENTWISE(MinimumOp)
MP_ELEMENTWISE(MaximumOp)
MP_ELEMENTWISE(BinaryCrossEntropyOp)
MP_ELEMENTWISE(BinaryCrossEntropyDerivativeOp)
MP_ELEMENTWISE(LeakyReluOp)
MP_ELEMENTWISE(ClampOp)
#undef MP_ELEMENTWISE

#define MP_LOGIC(OP)                                                                               \
  LogicalResult OP::verify() {                                                                     \
    return failure(failed(verifySameShape(*this)) || failed(verifyLogic(*this)));                  \
  }
MP_LOGIC(NotOp)
MP_LOGIC(AndOp)
MP_LOGIC(OrOp)
#undef MP_LOGIC

LogicalResult CompareOp::verify() {
  if (failed(verifySameShape(*this)))
    return failure();
  if (getElementTypeOrSelf(getA().getType()) != getElementTypeOrSelf(getB().getType()) ||
      !isBool(getResult()))
    return emitOpError("expected operands of one element type, and a result of bool");
  return success();
}

LogicalResult SelectOp::verify() {
  if (failed(verifySameShape(*this)))
    return failure();
  Type element = getElementTypeOrSelf(getResult().getType());
  if (!isBool(getCondition()) || getElementTypeOrSelf(getA().getType()) != element ||
      getElementTypeOrSelf(getB().getType()) != element)
    return emitOpError("expected a condition of bool, and operands of the result's element type");
  return success();
}

LogicalResult CastOp::verify() { return verifySameShape(*this); }
