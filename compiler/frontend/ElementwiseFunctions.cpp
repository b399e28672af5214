//===- ElementwiseFunctions.cpp - Functions of single elements --------------===//

#include "frontend/Functions.h"

#include <cmath>

using namespace mlir;

namespace mparc {

using Numbers = ArrayRef<double>;

/// A function of real numbers.
template <typename Op> static Value buildReal(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0);
  if (!x)
    return Poison();
  return call.graph().unary<Op>(*x);
}

/// A function that leaves integers integers.
template <typename Op> static Value buildNumeric(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  if (!x)
    return Poison();
  return call.graph().unary<Op>(call.graph().cast(*x, promote(x->element(), call.session.i32())));
}

static Value buildDetach(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  if (!x)
    return Poison();
  return call.graph().unary<mp::DetachOp>(*x);
}

static Value buildRelu(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0);
  if (!x)
    return Poison();
  return call.graph().unary<mp::ReluOp>(*x);
}

static Value buildLeakyRelu(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0);
  std::optional<double> slope = call.number(1, 0.01);
  if (!x || !slope)
    return Poison();
  return call.graph().create<mp::LeakyReluOp>(x->dims, x->element(), x->value, APFloat(*slope));
}

static Value buildGelu(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0);
  std::optional<std::string> form = call.text(1, "none");
  if (!x || !form)
    return Poison();
  if (*form == "none")
    return call.graph().unary<mp::GeluOp>(*x);
  if (*form == "tanh")
    return call.graph().unary<mp::GeluTanhOp>(*x);
  call.session.error(call.where(1),
                     call.what(1) + " is \"none\" or \"tanh\", got \"" + *form + "\"");
  return Poison();
}

template <typename Op> static Value buildBinary(FunctionCall &call) {
  for (unsigned index : {0, 1}) {
    const Value &value = call.values[index];
    if (!std::holds_alternative<Tensor>(value) && !std::holds_alternative<Number>(value)) {
      call.tensor(index);
      return Poison();
    }
  }
  Type least = std::is_same_v<Op, mp::PowOp> || std::is_same_v<Op, mp::BinaryCrossEntropyOp>
                   ? call.session.f32()
                   : call.session.i32();
  Value a = call.values[0], b = call.values[1];
  // Sizes known only when running are numbers, but not to be computed here.
  for (Value *value : {&a, &b})
    if (auto *number = std::get_if<Number>(value); number && number->hasBatch())
      *value = call.graph().constant(*number, call.session.dims({}), call.session.f32());
  if (!std::holds_alternative<Tensor>(a) && !std::holds_alternative<Tensor>(b)) {
    std::optional<Tensor> first = call.tensor(0);
    a = *first;
  }
  if (!call.graph().unify(a, b, least))
    return Poison();
  return call.graph().binary<Op>(std::get<Tensor>(a), std::get<Tensor>(b));
}

static Value buildClamp(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  if (!x)
    return Poison();
  std::optional<double> low = call.number(1, -INFINITY), high = call.number(2, INFINITY);
  if (!low || !high)
    return Poison();
  if (!(*low <= *high)) {
    call.error("the lower bound of `clamp` is above the upper one");
    return Poison();
  }
  Tensor clamped = call.graph().cast(*x, call.session.f32());
  Tensor result = call.graph().create<mp::ClampOp>(clamped.dims, clamped.element(), clamped.value,
                                                   APFloat(*low), APFloat(*high));
  bool areIntegers = x->element().isInteger(32);
  for (unsigned index : {1, 2})
    if (auto *number = std::get_if<Number>(&call.values[index]))
      areIntegers &= number->isInteger();
  return areIntegers ? call.graph().cast(result, x->element()) : result;
}

static Value buildWhere(FunctionCall &call) {
  std::optional<Tensor> condition = call.tensor(0);
  if (!condition)
    return Poison();
  if (!condition->element().isInteger(1)) {
    call.session.error(call.where(0),
                       call.what(0) + " must be a bool tensor, got " + describe(*condition));
    return Poison();
  }
  Value a = call.values[1], b = call.values[2];
  Type least = call.session.boolean();
  for (unsigned index : {1, 2}) {
    if (std::holds_alternative<Tensor>(call.values[index]))
      continue;
    std::optional<Tensor> number = call.tensor(index);
    if (!number)
      return Poison();
    least = promote(least, number->element());
  }
  if (!std::holds_alternative<Tensor>(a) && !std::holds_alternative<Tensor>(b))
    a = *call.tensor(1);
  GraphBuilder &graph = call.graph();
  if (!graph.unify(a, b, least))
    return Poison();
  mp::DimensionsAttr dims = graph.broadcastShape(*condition, std::get<Tensor>(a));
  if (!dims)
    return Poison();
  Tensor yes = graph.broadcast(std::get<Tensor>(a), dims);
  Tensor no = graph.broadcast(std::get<Tensor>(b), dims);
  Tensor mask = graph.broadcast(*condition, dims);
  Tensor result = graph.create<mp::SelectOp>(dims, yes.element(), mask.value, yes.value, no.value);
  result.origin = yes.origin ? yes.origin : no.origin;
  return result;
}

static Value buildCast(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  auto *name = call.actuals[1].expr ? llvm::dyn_cast<ast::NameExpr>(call.actuals[1].expr) : nullptr;
  if (!name) {
    call.session.error(call.where(1), call.what(1) + " must be an element type: f32, i32 or bool");
    return Poison();
  }
  Type element = call.evaluator.elementType(name->name);
  if (!x || !element)
    return Poison();
  return call.graph().cast(*x, element);
}

void addElementwiseFunctions(FunctionTable &table) {
  add(table, "relu", "x", buildRelu, [](Numbers x) { return std::max(x[0], 0.0); });
  add(table, "leaky_relu", "x, slope?", buildLeakyRelu);
  add(table, "gelu", "x, approximate?", buildGelu);
  add(table, "silu", "x", buildReal<mp::SiluOp>);
  add(table, "sigmoid", "x", buildReal<mp::SigmoidOp>,
      [](Numbers x) { return 1 / (1 + std::exp(-x[0])); });
  add(table, "tanh", "x", buildReal<mp::TanhOp>, [](Numbers x) { return std::tanh(x[0]); });
  add(table, "exp", "x", buildReal<mp::ExpOp>, [](Numbers x) { return std::exp(x[0]); });
  add(table, "log", "x", buildReal<mp::LogOp>, [](Numbers x) { return std::log(x[0]); });
  add(table, "sqrt", "x", buildReal<mp::SqrtOp>, [](Numbers x) { return std::sqrt(x[0]); });
  add(table, "rsqrt", "x", buildReal<mp::RsqrtOp>, [](Numbers x) { return 1 / std::sqrt(x[0]); });
  add(table, "abs", "x", buildNumeric<mp::AbsOp>, [](Numbers x) { return std::fabs(x[0]); });
  add(table, "sin", "x", buildReal<mp::SinOp>, [](Numbers x) { return std::sin(x[0]); });
  add(table, "cos", "x", buildReal<mp::CosOp>, [](Numbers x) { return std::cos(x[0]); });
  add(table, "detach", "x", buildDetach, [](Numbers x) { return x[0]; });
  add(table, "pow", "x, p", buildBinary<mp::PowOp>, [](Numbers x) { return std::pow(x[0], x[1]); });
  add(table, "minimum", "a, b", buildBinary<mp::MinimumOp>,
      [](Numbers x) { return std::min(x[0], x[1]); });
  add(table, "maximum", "a, b", buildBinary<mp::MaximumOp>,
      [](Numbers x) { return std::max(x[0], x[1]); });
  add(table, "clamp", "x, lo?, hi?", buildClamp);
  add(table, "where", "c, a, b", buildWhere);
  add(table, "cast", "x, type:t", buildCast);
  add(table, "binary_cross_entropy", "probability, target", buildBinary<mp::BinaryCrossEntropyOp>);
}

} // namespace mparc
