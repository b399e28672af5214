//===- Calls.cpp - Calls of functions and layers ----------------------------===//

#include "frontend/Functions.h"

#include <cctype>
#include <cmath>
#include <limits>

using namespace mlir;

namespace mparc {

Value Evaluator::pipe(const ast::PipeExpr &expr) {
  Value value = evaluate(*expr.source);
  SourceRange range = expr.source->range;
  for (const ast::ExprPtr &stage : expr.stages) {
    Value piped = std::move(value);
    if (auto *withArguments = llvm::dyn_cast<ast::CallExpr>(stage.get()))
      value = call(*withArguments->callee, withArguments->arguments, &piped, range, stage->range);
    else
      value = call(*stage, {}, &piped, range, stage->range);
    range = stage->range;
  }
  return value;
}

/// For the errors in the arguments of a call that is wrong itself.
void Evaluator::evaluateArguments(const CallSite &site) {
  for (const ast::Argument &argument : site.arguments)
    if (!llvm::isa<ast::ListExpr, ast::TupleExpr, ast::NameExpr>(*argument.value))
      evaluate(*argument.value);
}

Value Evaluator::call(const ast::Expr &callee, llvm::ArrayRef<ast::Argument> arguments,
                      const Value *piped, SourceRange pipedRange, SourceRange range) {
  CallSite site;
  site.calleeRange = callee.range;
  site.piped = piped;
  site.pipedRange = pipedRange;
  site.arguments = arguments;
  site.range = range;
  std::optional<Value> target;
  if (auto *name = llvm::dyn_cast<ast::NameExpr>(&callee)) {
    llvm::StringRef text = name->name.text;
    site.callee = text;
    const Function *function = findFunction(text);
    target = lookup(text, callee.range);
    bool isCallable = target && (std::holds_alternative<Instance *>(*target) || isPoison(*target));
    // A local may be called like the function it is the result of.
    if (function && !isCallable)
      return callFunction(*function, site);
    if (ExternOp *external = isCallable ? nullptr : session.externs.find(text))
      return callExtern(*external, site);
    if (!target) {
      if (text == "assert")
        session.error(callee.range, "`assert` gives no value; it is a statement, as in "
                                    "`assert(n > 0, \"n is {n}\");`");
      else if (text == "update")
        session.error(callee.range, "`update` gives no value; it is a statement of `forward`, as "
                                    "in `update(mean, m);`");
      else if (frame && session.library.find(text))
        session.error(callee.range, "`" + text +
                                        "` is a layer; make it in the body of the layer, `name = " +
                                        text + "(…);`, and call `name`");
      else if (session.library.find(text))
        session.error(callee.range, "a layer has no place in an expression");
      else
        reportUnknown(name->name, frame || std::islower(text.front()) ? "function" : "layer");
      evaluateArguments(site);
      return Poison();
    }
  } else {
    target = evaluate(callee);
  }
  if (auto *layer = std::get_if<Instance *>(&*target)) {
    if (!graph) {
      session.error(range, "a layer is called in `forward` only");
      return Poison();
    }
    site.callee = (*layer)->name();
    return callLayer(**layer, site);
  }
  evaluateArguments(site);
  if (isPoison(*target))
    return Poison();
  if (auto *array = std::get_if<ArrayRefValue>(&*target))
    session.error(callee.range, "`" + array->array->name +
                                    "` is an array of layers; call one of "
                                    "them, as in `" +
                                    array->array->name + "[0](x)`");
  else
    session.error(callee.range, "expected a layer or a function, got " + describe(*target));
  return Poison();
}

Value Evaluator::callFunction(const Function &function, const CallSite &site) {
  llvm::SmallVector<Formal> formals;
  for (const Function::Parameter &parameter : function.parameters)
    formals.push_back({parameter.name, parameter.isRequired, {}});
  FunctionCall call(*this, function, site);
  if (!bindArguments(session, site, formals, call.actuals)) {
    evaluateArguments(site);
    return Poison();
  }
  bool isFine = true, allNumbers = true;
  for (auto [parameter, actual] : llvm::zip(function.parameters, call.actuals)) {
    call.values.push_back(None());
    if (!actual || parameter.kind != Function::Kind::Plain)
      continue;
    // Where a list may stand for a number, the function looks at it itself.
    if (actual.expr && llvm::isa<ast::ListExpr>(actual.expr)) {
      allNumbers = false;
      continue;
    }
    call.values.back() = evaluate(actual);
    isFine &= !isPoison(call.values.back());
    allNumbers &= std::holds_alternative<Number>(call.values.back()) &&
                  !std::get<Number>(call.values.back()).hasBatch();
  }
  if (!isFine)
    return Poison();
  if (allNumbers && function.onNumbers) {
    llvm::SmallVector<double> numbers;
    for (const Value &value : call.values)
      numbers.push_back(
          std::holds_alternative<None>(value) ? 0 : std::get<Number>(value).doubleValue());
    double result = function.onNumbers(numbers);
    if (result == result) {
      // The least and the largest of integers, and their absolute value, are integers.
      bool areIntegers = llvm::all_of(call.values, [](const Value &value) {
        auto *number = std::get_if<Number>(&value);
        return number && number->isInteger();
      });
      if (areIntegers && (function.name == "minimum" || function.name == "maximum" ||
                          function.name == "abs" || function.name == "clamp"))
        for (const Value &value : call.values) {
          int64_t integer = *std::get<Number>(value).integerValue();
          if (integer != std::numeric_limits<int64_t>::min() &&
              std::fabs(static_cast<double>(integer)) == std::fabs(result))
            return Number::integer(result < 0 ? -std::abs(integer) : std::abs(integer));
        }
      return Number::real(result);
    }
    session.error(site.range, "`" + function.name + "` of that number is not a number");
    return Poison();
  }
  if (function.isConstant)
    return function.build(call);
  if (!graph) {
    session.error(site.range, "`" + function.name + "` takes tensors; those are in `forward` only");
    return Poison();
  }
  graph->at(site.range);
  Value result = function.build(call);
  // A shape that is carried on was decided where the operand's was.
  if (auto *tensor = std::get_if<Tensor>(&result)) {
    tensor->origin = nullptr;
    for (const Value &value : call.values)
      if (auto *operand = std::get_if<Tensor>(&value); operand && !tensor->origin)
        if (haveSameSizes(operand->dimensions(), tensor->dimensions()))
          tensor->origin = operand->origin;
    if (!tensor->origin)
      tensor->origin = session.makeOrigin(site.range, "`" + function.name.str() + "`");
  }
  return result;
}

} // namespace mparc
