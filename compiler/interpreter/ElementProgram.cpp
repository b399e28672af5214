// Compiles element-wise operations to instructions.
#include "interpreter/ElementProgram.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

static std::optional<Opcode> getOpcode(Operation *op) {
  return TypeSwitch<Operation *, std::optional<Opcode>>(op)
      .Case([](NegOp) { return Opcode::neg; })
      .Case([](ReluOp) { return Opcode::relu; })
      .Case([](GeluOp) { return Opcode::gelu; })
      .Case([](GeluTanhOp) { return Opcode::geluTanh; })
      .Case([](GeluDerivativeOp) { return Opcode::geluDerivative; })
      .Case([](GeluTanhDerivativeOp) { return Opcode::geluTanhDerivative; })
      .Case([](SiluOp) { return Opcode::silu; })
      .Case([](SiluDerivativeOp) { return Opcode::siluDerivative; })
      .Case([](SigmoidOp) { return Opcode::sigmoid; })
      .Case([](TanhOp) { return Opcode::tanh; })
      .Case([](ExpOp) { return Opcode::exp; })
      .Case([](LogOp) { return Opcode::log; })
      .Case([](SqrtOp) { return Opcode::sqrt; })
      .Case([](RsqrtOp) { return Opcode::rsqrt; })
      .Case([](AbsOp) { return Opcode::abs; })
      .Case([](SignOp) { return Opcode::sign; })
      .Case([](SinOp) { return Opcode::sin; })
      .Case([](CosOp) { return Opcode::cos; })
      .Case([](DetachOp) { return Opcode::cast; })
      .Case([](NotOp) { return Opcode::logicalNot; })
      .Case([](AddOp) { return Opcode::add; })
      .Case([](SubOp) { return Opcode::sub; })
      .Case([](MulOp) { return Opcode::mul; })
      .Case([](DivOp) { return Opcode::div; })
      .Case([](RemainderOp) { return Opcode::remainder; })
      .Case([](PowOp) { return Opcode::pow; })
      .Case([](MinimumOp) { return Opcode::minimum; })
      .Case([](MaximumOp) { return Opcode::maximum; })
      .Case([](BinaryCrossEntropyOp) { return Opcode::binaryCrossEntropy; })
      .Case([](BinaryCrossEntropyDerivativeOp) { return Opcode::binaryCrossEntropyDerivative; })
      .Case([](AndOp) { return Opcode::logicalAnd; })
      .Case([](OrOp) { return Opcode::logicalOr; })
      .Case([](CompareOp) { return Opcode::compare; })
      .Case([](LeakyReluOp) { return Opcode::leakyRelu; })
      .Case([](ClampOp) { return Opcode::clamp; })
      .Case([](SelectOp) { return Opcode::select; })
      .Case([](CastOp) { return Opcode::cast; })
      .Case([](ConstantOp) { return Opcode::constant; })
      .Case([](ExtentOp) { return Opcode::extent; })
      .Case([](DropoutMaskOp) { return Opcode::dropoutMask; })
      .Case([](IotaOp) { return Opcode::index; })
      .Case([](IndexOp) { return Opcode::index; })
      .Default([](Operation *) { return std::nullopt; });
}

static double getNumber(TypedAttr value) {
  if (auto real = dyn_cast<FloatAttr>(value))
    return real.getValueAsDouble();
  // A bool is an integer of one bit, whose set bit is no sign.
  APInt integer = cast<IntegerAttr>(value).getValue();
  return static_cast<double>(integer.getBitWidth() == 1 ? integer.getZExtValue()
                                                        : integer.getSExtValue());
}

FailureOr<int> ElementProgram::append(Operation *op, function_ref<int(Value)> cellOf) {
  if (auto call = dyn_cast<CallScalarOp>(op))
    return op->emitError("`") << call.getFunction() << "` is C++ of `" << call.getHeader()
                              << "`, which is compiled and not interpreted";
  std::optional<Opcode> opcode = getOpcode(op);
  if (!opcode)
    return op->emitError("cannot interpret ") << op->getName() << " element by element";
  Instruction instruction{*opcode};
  instruction.resultKind = getElementKind(op->getResult(0).getType());
  instruction.kind = op->getNumOperands() ? getElementKind(op->getOperands().back().getType())
                                          : instruction.resultKind;
  for (auto [index, operand] : llvm::enumerate(op->getOperands()))
    instruction.operands[index] = cellOf(operand);
  TypeSwitch<Operation *>(op)
      .Case([&](CompareOp compare) {
        instruction.integers[0] = static_cast<int64_t>(compare.getKind());
      })
      .Case([&](LeakyReluOp leaky) { instruction.numbers[0] = leaky.getSlope().convertToDouble(); })
      .Case([&](ClampOp clamp) {
        instruction.numbers[0] = clamp.getLow().convertToDouble();
        instruction.numbers[1] = clamp.getHigh().convertToDouble();
      })
      .Case([&](ConstantOp constant) { instruction.numbers[0] = getNumber(constant.getValue()); })
      .Case([&](ExtentOp extent) {
        instruction.integers[0] = extent.getScale();
        instruction.integers[1] = extent.getOffset();
        instruction.numbers[0] = extent.getOfPart();
      })
      .Case([&](DropoutMaskOp mask) {
        instruction.numbers[0] = mask.getP().convertToDouble();
        instruction.key = getDropoutKey(mask);
        instruction.integers[0] = masks_++;
      })
      .Case<IotaOp, IndexOp>(
          [&](auto position) { instruction.integers[0] = position.getDimension(); });
  instructions_.push_back(instruction);
  return cells() - 1;
}

FailureOr<ElementProgram> ElementProgram::compile(Operation *op) {
  ElementProgram program;
  auto map = dyn_cast<MapOp>(op);
  program.operands_ = static_cast<int>(op->getNumOperands());
  if (!map) {
    int next = 0;
    auto result = program.append(op, [&](Value) { return next++; });
    if (failed(result))
      return failure();
    program.result_ = *result;
    return program;
  }
  llvm::DenseMap<Value, int> cellOf;
  for (BlockArgument argument : map.getBody().getArguments())
    cellOf[argument] = static_cast<int>(argument.getArgNumber());
  for (Operation &each : map.getBody().front()) {
    if (auto yield = dyn_cast<YieldOp>(each)) {
      program.result_ = cellOf.at(yield.getValue());
      break;
    }
    auto cell = program.append(&each, [&](Value value) { return cellOf.at(value); });
    if (failed(cell))
      return failure();
    cellOf[each.getResult(0)] = *cell;
  }
  return program;
}

} // namespace mparc::interpreter
