//===- Assert.cpp - What a layer demands of its arguments -------------------===//
//
// `assert(condition, "message");` in the body of a layer or in `forward`. The error stands where
// the layer is made or called, for that is where something else has to be written.
//
//===----------------------------------------------------------------------===//

#include "frontend/Evaluator.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace mparc {

/// How a value reads in a sentence: without what `describe` says of its kind.
static std::string shown(const Value &value) {
  if (auto *number = std::get_if<Number>(&value))
    return number->str();
  if (auto *truth = std::get_if<bool>(&value))
    return *truth ? "true" : "false";
  if (auto *text = std::get_if<std::string>(&value))
    return *text;
  const std::vector<Value> *elements = asList(value);
  if (!elements)
    return describe(value);
  std::string list = "[";
  for (const Value &element : *elements)
    list += (&element == &elements->front() ? "" : ", ") + shown(element);
  return list + "]";
}

/// The text of the message, in which `{name}` stands for the value of a name.
std::optional<std::string> Evaluator::fillIn(const ast::Expr &message) {
  Value value = evaluateConstant(message);
  if (isPoison(value))
    return std::nullopt;
  auto *whole = std::get_if<std::string>(&value);
  if (!whole) {
    session.error(message.range, "`message` of `assert` is a string, got " + describe(value));
    return std::nullopt;
  }
  std::string text;
  llvm::StringRef rest = *whole;
  while (true) {
    auto [before, after] = rest.split('{');
    text += before;
    if (before.size() == rest.size())
      return text;
    auto [name, behind] = after.split('}');
    bool isName = !name.empty() && name.size() < after.size() && !llvm::isDigit(name.front()) &&
                  llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
    if (!isName) {
      text += '{';
      rest = after;
      continue;
    }
    std::optional<Value> named = lookup(name, message.range);
    if (!named || std::holds_alternative<Tensor>(*named)) {
      session.error(message.range, "`" + name + "` in braces is " +
                                       (named ? "a tensor, which is not known when compiling"
                                              : "no name that is known here"));
      return std::nullopt;
    }
    text += shown(*named);
    rest = behind;
  }
}

std::optional<bool> Evaluator::runAssert(const ast::ExpressionStmt &stmt) {
  auto *call = llvm::dyn_cast<ast::CallExpr>(stmt.expression.get());
  auto *callee = call ? llvm::dyn_cast<ast::NameExpr>(call->callee.get()) : nullptr;
  if (!callee || callee->name.text != "assert" || lookup("assert", callee->range))
    return std::nullopt;
  CallSite site;
  site.callee = "assert";
  site.calleeRange = callee->range;
  site.arguments = call->arguments;
  site.range = call->range;
  llvm::SmallVector<Formal> formals{{"condition", true, {}}, {"message", true, {}}};
  llvm::SmallVector<Actual> actuals;
  if (!bindArguments(session, site, formals, actuals))
    return true;
  std::optional<bool> holds = condition(*actuals[0].expr);
  llvm::SaveAndRestore mode(wantsConstants, true);
  std::optional<std::string> message = fillIn(*actuals[1].expr);
  if (!holds || *holds || !message)
    return true;
  if (session.sites.empty() || session.library.isStandard(call->range))
    session.error(call->range, *message);
  else
    session.error(session.sites.back(), *message).note(call->range, "demanded here");
  // What follows was written for arguments that fit.
  instance->isBroken = true;
  return false;
}

} // namespace mparc
