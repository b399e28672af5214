//===- Operators.cpp - Arithmetic, comparison and logic ---------------------===//

#include "frontend/Evaluator.h"

using namespace mlir;

namespace mparc {

using ast::BinaryOperator;

static bool isLogic(BinaryOperator op) {
  return op == BinaryOperator::And || op == BinaryOperator::Or;
}

static bool isOperand(const Value &value) {
  return std::holds_alternative<Number>(value) || std::holds_alternative<bool>(value) ||
         std::holds_alternative<Tensor>(value);
}

Value Evaluator::unary(const ast::UnaryExpr &expr) {
  Value operand = evaluate(*expr.operand);
  if (isPoison(operand))
    return operand;
  auto *tensor = std::get_if<Tensor>(&operand);
  if (tensor)
    graph->at(expr.range);
  if (expr.op == ast::UnaryOperator::Not) {
    if (auto *truth = std::get_if<bool>(&operand))
      return !*truth;
    if (tensor && tensor->element().isInteger(1)) {
      Tensor result = graph->unary<mp::NotOp>(*tensor);
      result.origin = tensor->origin;
      return result;
    }
    session.error(expr.range, "`!` takes a bool, got " + describe(operand));
    return Poison();
  }
  if (auto *number = std::get_if<Number>(&operand)) {
    std::string why;
    if (std::optional<Number> result = number->negated(why))
      return *result;
    session.error(expr.range, why);
    return Poison();
  }
  if (tensor) {
    Tensor result =
        graph->unary<mp::NegOp>(graph->cast(*tensor, promote(tensor->element(), session.i32())));
    result.origin = tensor->origin;
    return result;
  }
  session.error(expr.range, "`-` takes a number, got " + describe(operand));
  return Poison();
}

Value Evaluator::binary(const ast::BinaryExpr &expr) {
  // Chains lean left and may be long: walked, not recursed into.
  llvm::SmallVector<const ast::BinaryExpr *> chain{&expr};
  while (auto *left = llvm::dyn_cast<ast::BinaryExpr>(chain.back()->left.get()))
    chain.push_back(left);
  Value value = evaluate(*chain.back()->left);
  for (const ast::BinaryExpr *link : llvm::reverse(chain)) {
    // What a constant decides, the other side may be wrong for: `n == 0 || m % n == 0`.
    if (auto *truth = std::get_if<bool>(&value); truth && isLogic(link->op))
      if (*truth == (link->op == BinaryOperator::Or))
        continue;
    Value right = evaluate(*link->right);
    value = combine(link->op, std::move(value), std::move(right), link->range);
  }
  return value;
}

Value Evaluator::combine(BinaryOperator op, Value left, Value right, SourceRange where) {
  if (isPoison(left) || isPoison(right))
    return Poison();
  if (std::holds_alternative<Tensor>(left) || std::holds_alternative<Tensor>(right))
    return combineTensors(op, std::move(left), std::move(right), where);
  if (isComparison(op))
    return compareConstants(op, left, right, where);
  auto mismatch = [&](llvm::StringRef wanted) -> Value {
    session.error(where, "`" + ast::spelling(op) + "` takes " + wanted + ", got " + describe(left) +
                             " and " + describe(right));
    return Poison();
  };
  if (isLogic(op)) {
    auto *a = std::get_if<bool>(&left), *b = std::get_if<bool>(&right);
    if (!a || !b)
      return mismatch("bools");
    return op == BinaryOperator::And ? *a && *b : *a || *b;
  }
  auto *a = std::get_if<Number>(&left), *b = std::get_if<Number>(&right);
  if (!a || !b)
    return mismatch("numbers");
  std::string why;
  if (std::optional<Number> result = Number::apply(op, *a, *b, &session.context, why))
    return *result;
  session.error(where, why);
  return Poison();
}

Value Evaluator::compareConstants(BinaryOperator op, const Value &left, const Value &right,
                                  SourceRange where) {
  bool isEquality = op == BinaryOperator::Equal || op == BinaryOperator::NotEqual;
  auto *a = std::get_if<Number>(&left), *b = std::get_if<Number>(&right);
  if (a && b && !a->hasBatch() && !b->hasBatch()) {
    int order = Number::compare(*a, *b);
    switch (op) {
    case BinaryOperator::Equal:
      return order == 0;
    case BinaryOperator::NotEqual:
      return order != 0;
    case BinaryOperator::Less:
      return order == -1;
    case BinaryOperator::LessEqual:
      return order == -1 || order == 0;
    case BinaryOperator::Greater:
      return order == 1;
    default:
      return order == 1 || order == 0;
    }
  }
  bool areAlike = left.index() == right.index() &&
                  (std::holds_alternative<bool>(left) || std::holds_alternative<std::string>(left));
  if (isEquality && areAlike) {
    bool isEqual = std::holds_alternative<bool>(left)
                       ? std::get<bool>(left) == std::get<bool>(right)
                       : std::get<std::string>(left) == std::get<std::string>(right);
    return isEqual == (op == BinaryOperator::Equal);
  }
  session.error(where, "`" + ast::spelling(op) + "` cannot compare " + describe(left) + " and " +
                           describe(right));
  return Poison();
}

static mp::ComparisonKind comparison(BinaryOperator op) {
  switch (op) {
  case BinaryOperator::Equal:
    return mp::ComparisonKind::eq;
  case BinaryOperator::NotEqual:
    return mp::ComparisonKind::ne;
  case BinaryOperator::Less:
    return mp::ComparisonKind::lt;
  case BinaryOperator::LessEqual:
    return mp::ComparisonKind::le;
  case BinaryOperator::Greater:
    return mp::ComparisonKind::gt;
  default:
    return mp::ComparisonKind::ge;
  }
}

Value Evaluator::combineTensors(BinaryOperator op, Value left, Value right, SourceRange where) {
  graph->at(where);
  auto isBool = [](const Value &value) {
    auto *tensor = std::get_if<Tensor>(&value);
    return std::holds_alternative<bool>(value) || (tensor && tensor->element().isInteger(1));
  };
  bool areFine = isLogic(op) ? isBool(left) && isBool(right) : isOperand(left) && isOperand(right);
  if (!areFine) {
    session.error(where, "`" + ast::spelling(op) + "` takes " +
                             (isLogic(op) ? "bools" : "numbers and tensors") + ", got " +
                             describe(left) + " and " + describe(right));
    return Poison();
  }
  Type least = isLogic(op)                    ? session.boolean()
               : op == BinaryOperator::Divide ? session.f32()
                                              : session.i32();
  Value operands[2] = {left, right};
  if (!graph->unify(left, right, least))
    return Poison();
  Tensor a = std::get<Tensor>(left), b = std::get<Tensor>(right);
  Tensor result;
  switch (op) {
  case BinaryOperator::Or:
    result = graph->binary<mp::OrOp>(a, b);
    break;
  case BinaryOperator::And:
    result = graph->binary<mp::AndOp>(a, b);
    break;
  case BinaryOperator::Add:
    result = graph->binary<mp::AddOp>(a, b);
    break;
  case BinaryOperator::Subtract:
    result = graph->binary<mp::SubOp>(a, b);
    break;
  case BinaryOperator::Multiply:
    result = graph->binary<mp::MulOp>(a, b);
    break;
  case BinaryOperator::Divide:
    result = graph->binary<mp::DivOp>(a, b);
    break;
  case BinaryOperator::Remainder:
    result = graph->binary<mp::RemainderOp>(a, b);
    break;
  default:
    result =
        graph->create<mp::CompareOp>(a.dims, session.boolean(), comparison(op), a.value, b.value);
    break;
  }
  for (const Value &operand : operands)
    if (auto *tensor = std::get_if<Tensor>(&operand); tensor && !result.origin)
      if (haveSameSizes(tensor->dimensions(), result.dimensions()))
        result.origin = tensor->origin;
  return result;
}

} // namespace mparc
