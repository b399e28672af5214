//===- Forward.cpp - Calls of layers and the statements of forward ----------===//

#include "frontend/Evaluator.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace mparc {

Value Evaluator::callLayer(Instance &callee, const CallSite &site) {
  callee.isUsed = true;
  const ast::Forward *forward = callee.declaration->forward.get();
  if (callee.isBroken || !forward) {
    evaluateArguments(site);
    return Poison();
  }
  llvm::SmallVector<Formal> formals;
  for (const ast::Parameter &input : forward->inputs)
    formals.push_back({input.name.text, true, input.range});
  llvm::SmallVector<Actual> actuals;
  CallSite call = site;
  call.declared = forward->signature;
  if (!bindArguments(session, call, formals, actuals)) {
    evaluateArguments(site);
    return Poison();
  }
  llvm::SmallVector<Tensor> inputs;
  llvm::SmallVector<SourceRange> ranges;
  for (auto [formal, actual] : llvm::zip(formals, actuals)) {
    Value value = evaluate(actual);
    if (auto *tensor = std::get_if<Tensor>(&value)) {
      inputs.push_back(*tensor);
      ranges.push_back(actual.range);
    } else if (!isPoison(value)) {
      session.error(actual.range, "`" + formal.name + "` of `" + callee.name() +
                                      "` must be a tensor, got " + describe(value));
    }
  }
  if (inputs.size() != formals.size())
    return Poison();
  return callForward(callee, inputs, ranges, site.range);
}

Value Evaluator::callForward(Instance &callee, ArrayRef<Tensor> inputs,
                             ArrayRef<SourceRange> ranges, SourceRange site) {
  const ast::Forward &forward = *callee.declaration->forward;
  if (!session.countCall(site))
    return Poison();
  llvm::SaveAndRestore inside(graph->instance, &callee);
  // A statement's annotation does not reach into the layers that it calls.
  llvm::SaveAndRestore place(graph->device, std::optional<Devices>());
  llvm::SaveAndRestore cuts(graph->split, std::optional<SplitMark>());
  session.sites.push_back(site);
  auto leave = llvm::make_scope_exit([&] { session.sites.pop_back(); });
  Frame inner;
  Evaluator body(session, &callee, &inner, graph);
  graph->at(site);
  bool isFine = true;
  for (auto [declared, tensor, range] : llvm::zip(forward.inputs, inputs, ranges)) {
    std::optional<Tensor> input = body.bindInput(declared, tensor, range);
    isFine &= input.has_value();
    if (input)
      inner.bound.insert(input->value);
    inner.locals[declared.name.text] = {input ? Value(*input) : Value(Poison()),
                                        declared.name.range};
  }
  // Without its inputs a body only repeats what is wrong with them.
  if (!isFine)
    return Poison();
  Marks marks;
  body.applyAnnotations(forward.annotations, marks);
  graph->device = marks.device;
  graph->split = marks.split;
  llvm::SaveAndRestore precision(graph->precision);
  if (Type said = marks.precision ? marks.precision : callee.precision)
    graph->precision = said;
  llvm::SaveAndRestore eachPart(graph->eachPart);
  graph->eachPart |= marks.eachPart || callee.eachPart;
  llvm::SaveAndRestore part(graph->recomputedPart);
  if ((marks.recompute || callee.recompute) && !graph->recomputedPart)
    graph->recomputedPart = ++graph->recomputedParts;
  if (!body.run(forward.body) && !session.isStopped())
    session.error(forward.keyword.range, "`forward` ends without `return`");
  // What it gives was decided where the layer was made.
  auto ofCallee = [&](Value value) {
    if (auto *tensor = std::get_if<Tensor>(&value); tensor && callee.made.isValid())
      tensor->origin = &callee.origin;
    return value;
  };
  Value result = body.checkResults();
  const std::vector<Value> *results = asTuple(result);
  if (!results)
    return ofCallee(result);
  std::vector<Value> values;
  for (const Value &each : *results)
    values.push_back(ofCallee(each));
  return makeTuple(std::move(values));
}

static std::string countOfResults(size_t count) {
  return std::to_string(count) + (count == 1 ? " result" : " results");
}

/// As many results as the signature says, each checked.
Value Evaluator::checkResults() {
  const ast::Forward &forward = *instance->declaration->forward;
  if (!frame->results)
    return Poison();
  std::vector<Frame::Result> &results = *frame->results;
  size_t declared = forward.results.size();
  bool isPoisoned = results.size() == 1 && isPoison(results.front().value);
  if (!isPoisoned && results.size() != declared) {
    SourceRange first = forward.results.front().range;
    session
        .error(frame->returned, "`" + instance->name() + "` is declared to return " +
                                    countOfResults(declared) + ", but this returns " +
                                    llvm::Twine(results.size()))
        .note(join(first, forward.results.back().range), "the results are declared here");
    isPoisoned = true;
  }
  if (isPoisoned)
    results.assign(declared, {Poison(), frame->returned});
  std::vector<Value> values;
  for (auto [result, type] : llvm::zip(results, forward.results))
    values.push_back(checkResult(result, type));
  return values.size() == 1 ? values.front() : makeTuple(std::move(values));
}

/// The result under the names of the signature, or a stand-in of the declared shape where it has
/// another.
Value Evaluator::checkResult(const Frame::Result &result, const ast::TypeExpr &type) {
  if (isAnyTensor(type))
    return std::holds_alternative<Tensor>(result.value) ? result.value : Value(Poison());
  Type element = elementType(type.element);
  mp::DimensionsAttr dims = element ? typeDimensions(type) : mp::DimensionsAttr();
  auto *tensor = std::get_if<Tensor>(&result.value);
  if (!dims || !tensor)
    return Poison();
  graph->at(result.where);
  if (tensor->element() != element || !haveSameSizes(tensor->dimensions(), dims.getDimensions())) {
    Report &report =
        session.error(result.where, "`" + instance->name() + "` is declared to return " +
                                        describe(element, dims.getDimensions()) + ", but this is " +
                                        describe(*tensor));
    report.note(type.range, "the result is declared here");
    if (tensor->origin)
      report.note(tensor->origin->where, tensor->origin->what + " gives " + describe(*tensor));
    return graph->placeholder(dims, element);
  }
  Dimensions named;
  for (auto [own, declared] : llvm::zip(tensor->dimensions(), dims.getDimensions()))
    named.push_back(isNamed(declared) ? declared : own);
  return Tensor{tensor->value, session.dims(named), tensor->origin};
}

//===----------------------------------------------------------------------===//
// Statements; each says whether it ended the forward
//===----------------------------------------------------------------------===//

bool Evaluator::run(const ast::Block &block) {
  for (const ast::StmtPtr &stmt : block.statements)
    if (session.isStopped() || runAnnotated(*stmt))
      return true;
  return false;
}

bool Evaluator::runAnnotated(const ast::Stmt &stmt) {
  if (stmt.annotations.empty())
    return run(stmt);
  llvm::SaveAndRestore place(graph->device);
  llvm::SaveAndRestore cuts(graph->split);
  llvm::SaveAndRestore precision(graph->precision);
  Marks marks{graph->device, false, graph->precision, graph->split};
  applyAnnotations(stmt.annotations, marks);
  graph->device = marks.device;
  graph->split = marks.split;
  graph->precision = marks.precision;
  llvm::SaveAndRestore eachPart(graph->eachPart);
  graph->eachPart |= marks.eachPart;
  if (!marks.recompute || graph->recomputedPart)
    return run(stmt);
  // Each turn of a loop is a part of its own: recomputing all of it at once would save nothing.
  if (llvm::isa<ast::ForStmt>(stmt)) {
    llvm::SaveAndRestore turns(frame->recomputedLoop, &stmt);
    return run(stmt);
  }
  llvm::SaveAndRestore part(graph->recomputedPart, ++graph->recomputedParts);
  return run(stmt);
}

bool Evaluator::run(const ast::Stmt &stmt) {
  switch (stmt.kind()) {
  case ast::Stmt::Kind::Binding:
    runBinding(llvm::cast<ast::BindingStmt>(stmt));
    return false;
  case ast::Stmt::Kind::Return:
    return runReturn(llvm::cast<ast::ReturnStmt>(stmt));
  case ast::Stmt::Kind::If:
    return runIf(llvm::cast<ast::IfStmt>(stmt));
  case ast::Stmt::Kind::For:
    return runFor(llvm::cast<ast::ForStmt>(stmt));
  case ast::Stmt::Kind::Group:
    return run(llvm::cast<ast::GroupStmt>(stmt).body);
  case ast::Stmt::Kind::Expression:
    return runExpression(llvm::cast<ast::ExpressionStmt>(stmt));
  case ast::Stmt::Kind::Param:
    // Refused by the parser.
    return false;
  }
  return false;
}

bool Evaluator::runExpression(const ast::ExpressionStmt &stmt) {
  if (std::optional<bool> holds = runAssert(stmt)) {
    // Where it does not, the forward gives nothing, and nothing more is said of it.
    if (!*holds)
      frame->results = {{Poison(), stmt.range}};
    return !*holds;
  }
  const ast::Expr &expr = *stmt.expression;
  auto *call = llvm::dyn_cast<ast::CallExpr>(&expr);
  auto *callee = call ? llvm::dyn_cast<ast::NameExpr>(call->callee.get()) : nullptr;
  if (callee && callee->name.text == "update" && !lookup("update", callee->range))
    update(*call);
  else if (!isPoison(evaluate(expr)))
    session.error(stmt.range, "the value is not used; bind it, as in `h = …;`");
  return false;
}

bool Evaluator::runIf(const ast::IfStmt &stmt) {
  llvm::SaveAndRestore depth(frame->conditional, frame->conditional + 1);
  for (const ast::IfBranch &branch : stmt.branches) {
    std::optional<bool> taken = condition(*branch.condition);
    if (!taken)
      return false;
    if (*taken)
      return run(branch.body);
  }
  return stmt.otherwise && run(*stmt.otherwise);
}

bool Evaluator::runFor(const ast::ForStmt &stmt) {
  std::optional<int64_t> first = integer(*stmt.first, "the first of a range");
  std::optional<int64_t> last = integer(*stmt.last, "the end of a range");
  if (!first || !last)
    return false;
  llvm::StringRef variable = stmt.variable.text;
  if (auto local = frame->locals.find(variable); local != frame->locals.end()) {
    session.error(stmt.variable.range, "`" + variable + "` is already bound")
        .note(local->second.where, "first bound here");
    return false;
  }
  llvm::SaveAndRestore depth(frame->conditional, frame->conditional + 1);
  bool ended = false;
  for (int64_t turn = *first; turn < *last && !ended; ++turn) {
    if (!session.countIteration(stmt.range))
      break;
    frame->locals[variable] = {Number::integer(turn), stmt.variable.range, true};
    llvm::SaveAndRestore part(graph->recomputedPart);
    if (frame->recomputedLoop == &stmt)
      graph->recomputedPart = ++graph->recomputedParts;
    ended = run(stmt.body);
  }
  frame->locals.erase(variable);
  return ended;
}

bool Evaluator::runReturn(const ast::ReturnStmt &stmt) {
  llvm::SmallVector<const ast::Expr *> exprs;
  for (const ast::ExprPtr &expr : stmt.values)
    exprs.push_back(expr.get());
  if (exprs.size() == 1)
    if (auto *tuple = llvm::dyn_cast<ast::TupleExpr>(exprs.front())) {
      exprs.clear();
      for (const ast::ExprPtr &element : tuple->elements)
        exprs.push_back(element.get());
    }
  std::vector<Frame::Result> results;
  for (const ast::Expr *expr : exprs) {
    Value value = evaluate(*expr);
    // What a call gives may be handed on whole.
    if (const std::vector<Value> *values = asTuple(value); values && exprs.size() == 1)
      for (const Value &each : *values)
        results.push_back({each, expr->range});
    else
      results.push_back({std::move(value), expr->range});
  }
  for (Frame::Result &result : results) {
    graph->at(result.where);
    if (auto *number = std::get_if<Number>(&result.value); number && !number->hasBatch())
      result.value = graph->constant(number->doubleValue(), session.dims({}));
    if (!isPoison(result.value) && !std::holds_alternative<Tensor>(result.value))
      session.error(result.where, "`forward` returns a tensor, got " + describe(result.value));
  }
  frame->returned = join(exprs.front()->range, exprs.back()->range);
  frame->results = std::move(results);
  return true;
}

void Evaluator::runBinding(const ast::BindingStmt &stmt) {
  for (const ast::Target &target : stmt.targets)
    if (!target.indices.empty()) {
      session.error(target.range, "only layers form arrays, in the body of a layer");
      return;
    }
  Value value = evaluate(*stmt.value);
  const std::vector<Value> *values = asTuple(value);
  size_t expected = stmt.targets.size(), got = values ? values->size() : 1;
  if (!isPoison(value) && got != expected) {
    SourceRange targets = join(stmt.targets.front().range, stmt.targets.back().range);
    session.error(stmt.value->range, "expected " + countOfResults(expected) + " for `" +
                                         session.text(targets) + "`, got " + llvm::Twine(got));
    value = Poison();
    values = nullptr;
  }
  llvm::DenseMap<llvm::StringRef, SourceRange> names;
  for (auto [index, target] : llvm::enumerate(stmt.targets)) {
    // What is not wanted goes by the name `_`, as often as one likes.
    if (expected > 1 && target.name.text == "_")
      continue;
    auto [first, isNew] = names.try_emplace(target.name.text, target.range);
    if (isNew)
      bindTarget(target, values ? (*values)[index] : value, stmt.value->range);
    else
      session.error(target.range, "`" + target.name.text + "` is already bound")
          .note(first->second, "first bound here");
  }
}

void Evaluator::bindTarget(const ast::Target &target, Value value, SourceRange where) {
  if (std::holds_alternative<Instance *>(value) || std::holds_alternative<ArrayRefValue>(value)) {
    session.error(where, "a layer is no value; call it, as in `" + session.text(where) + "(x)`");
    value = Poison();
  } else if (asTuple(value)) {
    session.error(where, "one name cannot stand for " + describe(value));
    value = Poison();
  }
  if (auto *number = std::get_if<Number>(&value))
    *number = number->named(&session.context, target.name.text);
  auto *tensor = std::get_if<Tensor>(&value);
  // The operation that computes the value is called what the user calls it.
  if (tensor && frame->bound.insert(tensor->value).second)
    if (Operation *op = tensor->value.getDefiningOp(); op && !isa<mp::ReadOp>(op)) {
      Location place = op->getLoc();
      if (auto named = dyn_cast<NameLoc>(place))
        place = named.getChildLoc();
      // Inside a layer the name is the layer's: `block.3.h`.
      std::string name = target.name.text.str();
      if (instance && !instance->path.empty())
        name = instance->path + "." + name;
      op->setLoc(NameLoc::get(StringAttr::get(&session.context, name), place));
    }
  bind(target.name, std::move(value));
}

void Evaluator::bind(const Identifier &name, Value value) {
  auto refuse = [&](SourceRange first) {
    session.error(name.range, "`" + name.text + "` is already bound")
        .note(first, "first bound here");
  };
  if (auto known = instance->names.find(name.text); known != instance->names.end())
    return refuse(known->second.where);
  if (ParameterInfo *parameter = instance->parameters.lookup(name.text))
    return refuse(parameter->declaration->name.range);
  auto [local, isNew] = frame->locals.try_emplace(name.text);
  if (!isNew && (local->second.isLoopVariable || !frame->conditional))
    return refuse(local->second.where);
  local->second = {std::move(value), name.range};
}

} // namespace mparc
