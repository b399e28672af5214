//===- Parameters.cpp - Tensors that are trained, and how they begin --------===//

#include "frontend/Instantiate.h"

#include <cmath>

using namespace mlir;

namespace mparc {

namespace {
struct InitializerForm {
  llvm::StringLiteral name;
  mp::InitializerKind kind;
  llvm::SmallVector<llvm::StringRef, 2> parameters;
  /// What may be left out, after these.
  llvm::StringRef option = {};
};
} // namespace

static llvm::ArrayRef<InitializerForm> initializers() {
  using Kind = mp::InitializerKind;
  static const InitializerForm forms[] = {
      {"zeros", Kind::zeros, {}},
      {"ones", Kind::ones, {}},
      {"constant", Kind::constant, {"c"}},
      {"uniform", Kind::uniform, {"lo", "hi"}},
      {"normal", Kind::normal, {"mean", "std"}, "zero_row"},
      {"xavier_uniform", Kind::xavier_uniform, {"fan_in", "fan_out"}},
      {"kaiming_uniform", Kind::kaiming_uniform, {"fan"}},
  };
  return forms;
}

void Instantiator::addParameter(Body &body, const ast::ParamStmt &stmt) {
  Evaluator &evaluator = body.evaluator;
  Instance &instance = *evaluator.instance;
  if (instance.isLoss) {
    session.error(stmt.range,
                  stmt.isBuffer ? "a loss has no state; its buffers would be no part of the model"
                                : "a loss has nothing to train; its parameters would be no part of "
                                  "the model");
    instance.isBroken = true;
    return;
  }
  // A parameter in parentheses may have the name; nothing else may.
  SourceRange first;
  if (ParameterInfo *known = instance.parameters.lookup(stmt.name.text))
    first = known->declaration->name.range;
  auto named = instance.names.find(stmt.name.text);
  bool isShared = llvm::any_of(instance.declaration->parameters, [&](const ast::Parameter &each) {
    return each.name.text == stmt.name.text;
  });
  if (named != instance.names.end() && !isShared)
    first = named->second.where;
  if (first.isValid()) {
    session.error(stmt.name.range, "`" + stmt.name.text + "` is already bound")
        .note(first, "first bound here");
    return;
  }
  Type element = evaluator.elementType(stmt.type);
  bool isWhole = element && (element.isInteger(32) || element.isInteger(1));
  if (element && !element.isF32() && !(stmt.isBuffer && isWhole)) {
    session.error(stmt.type.element.range,
                  llvm::Twine(stmt.isBuffer ? "a buffer is f32, i32 or bool, not "
                                            : "a parameter is trained, so it is f32, not ") +
                      stmt.type.element.text);
    element = {};
  }
  mp::DimensionsAttr dims =
      isAnyTensor(stmt.type) ? mp::DimensionsAttr() : evaluator.typeDimensions(stmt.type);
  session.parameters.push_back(std::make_unique<ParameterInfo>());
  ParameterInfo &parameter = *session.parameters.back();
  parameter.declaration = &stmt;
  parameter.owner = &instance;
  parameter.origin = {stmt.range, ("`" + stmt.name.text + "`").str()};
  initialize(body, parameter, stmt);
  if (stmt.isBuffer && element && !element.isF32())
    checkWholeStart(parameter, element);
  if (dims)
    checkZeroRow(parameter, dims);
  if (!element || !dims) {
    session.parameters.pop_back();
    // A tensor of unknown shape: the name stands for nothing.
    instance.names[stmt.name.text] = {Poison(), stmt.name.range};
    return;
  }
  if (auto tied = instance.ties.find(stmt.name.text); tied != instance.ties.end())
    if (!tie(parameter, dims, tied->second)) {
      session.parameters.pop_back();
      instance.names[stmt.name.text] = {Poison(), stmt.name.range};
      return;
    }
  parameter.type = mp::getTensorType(&session.context, dims.getDimensions(), element);
  instance.parameters[stmt.name.text] = &parameter;
}

/// A row that begins at zero is one of the tensor's.
void Instantiator::checkZeroRow(const ParameterInfo &parameter, const mp::DimensionsAttr &dims) {
  if (parameter.initializer != mp::InitializerKind::normal || parameter.arguments.size() < 3)
    return;
  int64_t rows = dims.getDimensions().empty() ? 0 : dims.getDimensions().front().getSize();
  if (parameter.arguments[2] >= static_cast<double>(rows))
    session.error(parameter.declaration->initializer->range,
                  "row " + llvm::Twine(static_cast<int64_t>(parameter.arguments[2])) +
                      " is not in a table of " + llvm::Twine(rows) + " rows");
}

/// Buffers of integers and truth values begin with numbers that are such.
void Instantiator::checkWholeStart(const ParameterInfo &parameter, Type element) {
  using Kind = mp::InitializerKind;
  const ast::ParamStmt &stmt = *parameter.declaration;
  double value = parameter.arguments.empty() ? 0 : parameter.arguments.front();
  bool isBool = element.isInteger(1);
  bool fits = isBool ? value == 0 || value == 1
                     : value == std::floor(value) && std::fabs(value) <= 2147483647.0;
  bool isDrawn = parameter.initializer != Kind::zeros && parameter.initializer != Kind::ones &&
                 parameter.initializer != Kind::constant;
  if (isDrawn || !fits)
    session.error(stmt.initializer ? stmt.initializer->range : stmt.range,
                  llvm::Twine("a buffer of ") + (isBool ? "bool" : "i32") +
                      " begins as `zeros()`, `ones()` or `constant(c)` of " +
                      (isBool ? "0 or 1" : "an integer"));
}

void Instantiator::initialize(Body &body, ParameterInfo &parameter, const ast::ParamStmt &stmt) {
  std::string what = "`" + stmt.name.text.str() + "`";
  if (!stmt.initializer) {
    session.error(stmt.range, what + " needs an initializer, as in `= zeros()`");
    return;
  }
  const ast::Expr *callee = stmt.initializer.get();
  auto *call = llvm::dyn_cast<ast::CallExpr>(callee);
  if (call)
    callee = call->callee.get();
  auto *name = llvm::dyn_cast<ast::NameExpr>(callee);
  const InitializerForm *form = nullptr;
  llvm::SmallVector<llvm::StringRef> known;
  for (const InitializerForm &each : initializers()) {
    known.push_back(each.name);
    if (name && each.name == name->name.text)
      form = &each;
  }
  if (!form) {
    session.error(stmt.initializer->range,
                  name ? "unknown initializer `" + name->name.text + "`" +
                             didYouMean(name->name.text, known)
                       : llvm::Twine("expected an initializer, as in `zeros()` or "
                                     "`uniform(-0.1, 0.1)`"));
    return;
  }
  CallSite site;
  site.callee = form->name;
  site.calleeRange = callee->range;
  site.range = stmt.initializer->range;
  if (call)
    site.arguments = call->arguments;
  llvm::SmallVector<Formal> formals;
  for (llvm::StringRef each : form->parameters)
    formals.push_back({each, true, {}});
  if (!form->option.empty())
    formals.push_back({form->option, false, {}});
  llvm::SmallVector<Actual> actuals;
  if (!bindArguments(session, site, formals, actuals))
    return;
  for (auto [formal, actual] : llvm::zip(formals, actuals)) {
    if (!actual)
      continue;
    std::string of = "`" + formal.name.str() + "` of `" + form->name.str() + "`";
    std::optional<Number> number =
        body.evaluator.toNumber(body.evaluator.evaluateConstant(*actual.expr), actual.range, of);
    if (!number)
      return;
    double value = number->doubleValue();
    bool mustBePositive = llvm::StringRef(formal.name).starts_with("fan");
    if (!std::isfinite(value) || (mustBePositive && !(value > 0)) ||
        (formal.name == "std" && value < 0)) {
      session.error(actual.range, of + " must be " +
                                      (mustBePositive         ? "positive"
                                       : formal.name == "std" ? "at least 0"
                                                              : "finite") +
                                      ", got " + number->str());
      return;
    }
    if (formal.name == "zero_row" && (!number->integerValue() || value < 0)) {
      session.error(actual.range, of + " is the number of a row, got " + number->str());
      return;
    }
    parameter.arguments.push_back(value);
  }
  if (form->kind == mp::InitializerKind::uniform && parameter.arguments[0] > parameter.arguments[1])
    session.error(site.range, "the lower bound of `uniform` is above the upper one");
  parameter.initializer = form->kind;
}

} // namespace mparc
