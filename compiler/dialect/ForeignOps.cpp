// Calls of C++ functions of the user's own: verifiers, and what they are called.
#include "dialect/VerifyShapes.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mparc::mp;

/// As many operands as an expression can number.
static constexpr size_t kMostScalars = 8;

std::string CallScalarOp::getExpression() {
  std::string text = "::" + getFunction().str() + "(";
  for (size_t index = 0; index < getInputs().size(); ++index)
    text += (index ? ", $" : "$") + std::to_string(index);
  text += ")";
  if (auto element = getElement())
    text += "[" + std::to_string(*element) + "]";
  return text;
}

LogicalResult CallScalarOp::verify() {
  if (getInputs().empty() || getInputs().size() > kMostScalars)
    return emitOpError("expected one to eight operands, got ") << getInputs().size();
  return verifySameShape(*this);
}

LogicalResult CallTensorOp::verify() {
  if (getInputs().empty())
    return emitOpError("expected one operand or more");
  if (failed(verifyDimensionsKnown(*this)))
    return failure();
  std::optional<int64_t> adjoint = getAdjoint();
  if (!adjoint)
    return success();
  if (*adjoint < 0 || *adjoint + 1 >= static_cast<int64_t>(getInputs().size()))
    return emitOpError(
               "expected an operand before the last as the one whose adjoint it gives, got ")
           << *adjoint;
  Type of = getInputs()[*adjoint].getType();
  if (!haveSameShape(of, getType()) || !getElementTypeOrSelf(getType()).isF32() ||
      !getElementTypeOrSelf(of).isF32())
    return emitOpError("expected the adjoint of ") << of << ", got " << getType();
  return success();
}

llvm::StringRef mparc::mp::getForeignFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, llvm::StringRef>(op)
      .Case<CallScalarOp, CallTensorOp>([](auto call) { return call.getFunction(); })
      .Default(llvm::StringRef());
}

llvm::StringRef mparc::mp::getPlainName(Operation *op) {
  llvm::StringRef function = getForeignFunction(op);
  if (function.empty())
    return op->getName().stripDialect();
  return function.take_back(function.size() - (function.rfind(':') + 1));
}
