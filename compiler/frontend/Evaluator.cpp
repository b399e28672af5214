//===- Evaluator.cpp - Names, literals and paths -----------------------------===//

#include "frontend/Evaluator.h"
#include "frontend/Functions.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace mparc {

Value Evaluator::evaluateConstant(const ast::Expr &expr) {
  llvm::SaveAndRestore mode(wantsConstants, true);
  return evaluate(expr);
}

Value Evaluator::evaluate(const Actual &actual) {
  return actual.piped ? *actual.piped : evaluate(*actual.expr);
}

Value Evaluator::evaluate(const ast::Expr &expr) {
  if (session.isStopped())
    return Poison();
  using Kind = ast::Expr::Kind;
  switch (expr.kind()) {
  case Kind::Int:
    return Number::integer(llvm::cast<ast::IntExpr>(expr).value);
  case Kind::Float:
    return Number::real(llvm::cast<ast::FloatExpr>(expr).value);
  case Kind::String:
    return llvm::cast<ast::StringExpr>(expr).value;
  case Kind::Bool:
    return llvm::cast<ast::BoolExpr>(expr).value;
  case Kind::Name:
    return name(llvm::cast<ast::NameExpr>(expr));
  case Kind::Unary:
    return unary(llvm::cast<ast::UnaryExpr>(expr));
  case Kind::Binary:
    return binary(llvm::cast<ast::BinaryExpr>(expr));
  case Kind::Pipe:
    return pipe(llvm::cast<ast::PipeExpr>(expr));
  case Kind::Call: {
    auto &call = llvm::cast<ast::CallExpr>(expr);
    return this->call(*call.callee, call.arguments, nullptr, {}, call.range);
  }
  case Kind::Index:
    return index(llvm::cast<ast::IndexExpr>(expr));
  case Kind::Member:
    return member(llvm::cast<ast::MemberExpr>(expr));
  case Kind::Tuple: {
    if (!graph) {
      session.error(expr.range, "several values have no place here");
      return Poison();
    }
    std::vector<Value> values;
    for (const ast::ExprPtr &element : llvm::cast<ast::TupleExpr>(expr).elements)
      values.push_back(evaluate(*element));
    return makeTuple(std::move(values));
  }
  case Kind::List:
    return list(llvm::cast<ast::ListExpr>(expr));
  case Kind::Range:
  case Kind::Ellipsis:
    session.error(expr.range, "`...` has no place here");
    return Poison();
  }
  return Poison();
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::optional<Value> Evaluator::lookup(llvm::StringRef text, SourceRange where) {
  const Frame::Local *local = nullptr;
  if (frame)
    if (auto found = frame->locals.find(text); found != frame->locals.end())
      local = &found->second;
  // A tensor is what a name means last where a constant is wanted, first elsewhere.
  if (local && (!wantsConstants || !std::holds_alternative<Tensor>(local->value)))
    return local->value;
  ParameterInfo *parameter = nullptr;
  if (frame && graph)
    parameter = instance->parameters.lookup(text);
  if (parameter && !wantsConstants) {
    graph->at(where);
    return graph->read(*parameter);
  }
  if (instance)
    if (auto found = instance->names.find(text); found != instance->names.end())
      return found->second.value;
  if (frame)
    if (auto found = frame->dimensions.find(text); found != frame->dimensions.end())
      return found->second;
  if (frame && graph && text == "training")
    return graph->training;
  if (local)
    return local->value;
  if (parameter) {
    graph->at(where);
    return graph->read(*parameter);
  }
  return std::nullopt;
}

Value Evaluator::name(const ast::NameExpr &expr) {
  llvm::StringRef text = expr.name.text;
  if (std::optional<Value> value = lookup(text, expr.range)) {
    if (Instance **layer = std::get_if<Instance *>(&*value))
      (*layer)->isUsed = true;
    return *value;
  }
  if (text == "none")
    return None();
  if (findFunction(text) || session.externs.find(text)) {
    session.error(expr.range, "`" + text + "` is a function; call it, as in `" + text + "(x)`");
    return Poison();
  }
  if (session.library.find(text)) {
    session.error(expr.range, "`" + text + "` is a layer; make one with `name = " + text + "(…);`");
    return Poison();
  }
  reportUnknown(expr.name, "name");
  return Poison();
}

/// The statement of a forward or a body that binds a name, wherever it stands.
static const ast::BindingStmt *findBinding(llvm::ArrayRef<ast::StmtPtr> statements,
                                           llvm::StringRef name) {
  for (const ast::StmtPtr &stmt : statements) {
    const ast::BindingStmt *found = nullptr;
    if (auto *binding = llvm::dyn_cast<ast::BindingStmt>(stmt.get())) {
      // `_` among several names binds nothing.
      for (const ast::Target &target : binding->targets)
        if (target.name.text == name && (name != "_" || binding->targets.size() == 1))
          return binding;
    } else if (auto *branches = llvm::dyn_cast<ast::IfStmt>(stmt.get())) {
      for (const ast::IfBranch &branch : branches->branches)
        if (!found)
          found = findBinding(branch.body.statements, name);
      if (!found && branches->otherwise)
        found = findBinding(branches->otherwise->statements, name);
    } else if (auto *loop = llvm::dyn_cast<ast::ForStmt>(stmt.get())) {
      found = findBinding(loop->body.statements, name);
    } else if (auto *group = llvm::dyn_cast<ast::GroupStmt>(stmt.get())) {
      found = findBinding(group->body.statements, name);
    }
    if (found)
      return found;
  }
  return nullptr;
}

void Evaluator::reportUnknown(const Identifier &name, llvm::StringRef kind) {
  session.markUnknown(name.range);
  if (instance) {
    const ast::LayerDecl &declaration = *instance->declaration;
    const ast::BindingStmt *binding =
        frame ? findBinding(declaration.forward->body.statements, name.text)
              : findBinding(declaration.body, name.text);
    if (binding) {
      auto target = llvm::find_if(
          binding->targets, [&](const ast::Target &each) { return each.name.text == name.text; });
      // Nor is it bound within its own statement.
      bool isLater = binding->range.end.offset > name.range.begin.offset;
      session
          .error(name.range, "`" + name.text +
                                 (isLater ? "` is used before it is bound"
                                          : "` is bound only in a branch that is not taken"))
          .note(target->range, "bound here");
      return;
    }
  }
  // What could not be parsed may have declared it.
  if (session.library.isBroken() && (!frame || kind == "layer"))
    return;
  llvm::SmallVector<llvm::StringRef> known;
  if (frame) {
    for (const auto &local : frame->locals)
      known.push_back(local.first);
    for (const auto &dimension : frame->dimensions)
      known.push_back(dimension.first);
  }
  if (instance) {
    for (const auto &entry : instance->names)
      known.push_back(entry.first);
    if (frame)
      for (const auto &entry : instance->parameters)
        known.push_back(entry.first);
  }
  if (kind != "layer") {
    llvm::append_range(known, functionNames());
    llvm::append_range(known, session.externs.names());
  }
  if (!frame && instance)
    llvm::append_range(known, session.library.names());
  llvm::sort(known);
  session.error(name.range,
                "unknown " + kind + " `" + name.text + "`" + didYouMean(name.text, known));
}

Value Evaluator::member(const ast::MemberExpr &expr) {
  Value base = evaluate(*expr.base);
  if (isPoison(base))
    return base;
  llvm::StringRef member = expr.member.text;
  if (auto *layer = std::get_if<Instance *>(&base)) {
    Instance &owner = **layer;
    if (owner.isBroken)
      return Poison();
    if (graph)
      if (ParameterInfo *parameter = owner.parameters.lookup(member)) {
        graph->at(expr.range);
        return graph->read(*parameter);
      }
    if (auto found = owner.names.find(member); found != owner.names.end()) {
      if (auto *inner = std::get_if<Instance *>(&found->second.value))
        (*inner)->isUsed = true;
      return found->second.value;
    }
    llvm::SmallVector<llvm::StringRef> known;
    for (const auto &entry : owner.names)
      known.push_back(entry.first);
    for (const auto &entry : owner.parameters)
      known.push_back(entry.first);
    llvm::sort(known);
    session
        .error(expr.member.range,
               "`" + owner.name() + "` has no `" + member + "`" + didYouMean(member, known))
        .note(owner.declaration->name.range, "`" + owner.name() + "` is declared here");
    return Poison();
  }
  session.error(expr.base->range,
                "expected a layer before `." + member + "`, got " + describe(base));
  return Poison();
}

Value Evaluator::index(const ast::IndexExpr &expr) {
  Value base = evaluate(*expr.base);
  std::optional<int64_t> position = integer(*expr.index, "an index");
  if (isPoison(base) || !position)
    return Poison();
  if (const std::vector<Value> *elements = asList(base)) {
    auto size = static_cast<int64_t>(elements->size());
    // As in Python, negative indices count from the end.
    if (*position < -size || *position >= size) {
      session.error(expr.index->range, "`" + session.text(expr.base->range) + "` has " +
                                           llvm::Twine(size) +
                                           (size == 1 ? " element" : " elements") + ", none at " +
                                           llvm::Twine(*position));
      return Poison();
    }
    const Value &element = (*elements)[*position < 0 ? *position + size : *position];
    if (auto *layer = std::get_if<Instance *>(&element))
      (*layer)->isUsed = true;
    return element;
  }
  auto *array = std::get_if<ArrayRefValue>(&base);
  if (!array) {
    bool isTensor = std::holds_alternative<Tensor>(base);
    session.error(expr.base->range,
                  isTensor ? "a tensor is not indexed; use `slice`"
                           : "expected a list or an array of layers, got " + describe(base));
    return Poison();
  }
  ArrayRefValue element = *array;
  element.indices.push_back(*position);
  const auto &elements = element.array->elements;
  auto found = elements.lower_bound(element.indices);
  auto startsWith = [&](const std::vector<int64_t> &key) {
    return key.size() >= element.indices.size() &&
           std::equal(element.indices.begin(), element.indices.end(), key.begin());
  };
  if (found != elements.end() && startsWith(found->first)) {
    if (found->first.size() > element.indices.size())
      return element;
    found->second->isUsed = true;
    return found->second;
  }
  Report &report = session.error(
      expr.index->range, "`" + element.array->name + "` has no element " + llvm::Twine(*position));
  if (!elements.empty())
    report.note(elements.rbegin()->second->origin.where,
                "its elements are " + llvm::Twine(elements.begin()->first[array->indices.size()]) +
                    " to " + llvm::Twine(elements.rbegin()->first[array->indices.size()]));
  return Poison();
}

Value Evaluator::list(const ast::ListExpr &expr) {
  std::vector<Value> elements;
  bool isFine = true;
  for (const ast::ExprPtr &element : expr.elements) {
    Value value = evaluateConstant(*element);
    if (std::holds_alternative<Tensor>(value)) {
      session.error(element->range, "a list holds what is known when compiling, got " +
                                        describe(value) + "; tensors are joined by `concat`");
      value = Poison();
    } else if (asList(value)) {
      session.error(element->range, "a list holds no lists");
      value = Poison();
    }
    isFine &= !isPoison(value);
    elements.push_back(std::move(value));
  }
  return isFine ? makeList(std::move(elements)) : Value(Poison());
}

//===----------------------------------------------------------------------===//
// What is known when compiling
//===----------------------------------------------------------------------===//

std::optional<int64_t> Evaluator::toInteger(const Value &value, SourceRange where,
                                            const llvm::Twine &what) {
  if (isPoison(value))
    return std::nullopt;
  if (auto *number = std::get_if<Number>(&value); number && !number->hasBatch())
    if (std::optional<int64_t> integer = number->integerValue())
      return integer;
  session.error(where, what + " must be an int, got " + describe(value));
  return std::nullopt;
}

std::optional<Number> Evaluator::toNumber(const Value &value, SourceRange where,
                                          const llvm::Twine &what) {
  if (isPoison(value))
    return std::nullopt;
  if (auto *number = std::get_if<Number>(&value); number && !number->hasBatch())
    return *number;
  session.error(where, what + " must be a number, got " + describe(value));
  return std::nullopt;
}

std::optional<int64_t> Evaluator::integer(const ast::Expr &expr, const llvm::Twine &what) {
  return toInteger(evaluateConstant(expr), expr.range, what);
}

std::optional<bool> Evaluator::condition(const ast::Expr &expr) {
  Value value = evaluateConstant(expr);
  if (isPoison(value))
    return std::nullopt;
  if (auto *truth = std::get_if<bool>(&value))
    return *truth;
  if (std::holds_alternative<Tensor>(value))
    session.error(expr.range, "a condition must be known when compiling; of tensors, use `where`");
  else
    session.error(expr.range, "a condition must be a bool, got " + describe(value));
  return std::nullopt;
}

} // namespace mparc
