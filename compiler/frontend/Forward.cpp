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
  llvm::SaveAndRestore inside(graph->instance, &callee);
  // A statement's annotation does not reach into the layers that it calls.
  llvm::SaveAndRestore place(graph->device, std::optional<int64_t>());
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
  llvm::SaveAndRestore precision(graph->precision);
  if (Type said = marks.precision ? marks.precision : callee.precision)
    graph->precision = said;
  llvm::SaveAndRestore part(graph->recomputedPart);
  if ((marks.recompute || callee.recompute) && !graph->recomputedPart)
    graph->recomputedPart = ++graph->recomputedParts;
  if (!body.run(forward.body) && !session.isStopped())
    session.error(forward.keyword.range, "`forward` ends without `return`");
  Value result = body.checkResult();
  if (auto *tensor = std::get_if<Tensor>(&result); tensor && callee.statement)
    tensor->origin = &callee.origin;
  return result;
}

/// The result under the names of the signature, or a stand-in of the declared shape where it has
/// another.
Value Evaluator::checkResult() {
  const ast::Forward &forward = *instance->declaration->forward;
  if (forward.results.size() != 1) {
    session.unsupported(forward.results[1].range, "a second result is");
    return Poison();
  }
  const ast::TypeExpr &type = forward.results.front();
  Type element = elementType(type.element);
  mp::DimensionsAttr dims = element ? typeDimensions(type) : mp::DimensionsAttr();
  if (!dims || !frame->result)
    return Poison();
  auto *tensor = std::get_if<Tensor>(&*frame->result);
  if (!tensor)
    return Poison();
  if (tensor->element() != element || !haveSameSizes(tensor->dimensions(), dims.getDimensions())) {
    Report &report =
        session.error(graph->where(), "`" + instance->name() + "` is declared to return " +
                                          describe(element, dims.getDimensions()) +
                                          ", but this is " + describe(*tensor));
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
  llvm::SaveAndRestore precision(graph->precision);
  Marks marks{graph->device, false, graph->precision};
  applyAnnotations(stmt.annotations, marks);
  graph->device = marks.device;
  graph->precision = marks.precision;
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
  case ast::Stmt::Kind::Expression: {
    const ast::Expr &expr = *llvm::cast<ast::ExpressionStmt>(stmt).expression;
    auto *call = llvm::dyn_cast<ast::CallExpr>(&expr);
    auto *callee = call ? llvm::dyn_cast<ast::NameExpr>(call->callee.get()) : nullptr;
    if (callee && callee->name.text == "update")
      session.unsupported(callee->range, "`update` is");
    else if (!isPoison(evaluate(expr)))
      session.error(stmt.range, "the value is not used; bind it, as in `h = …;`");
    return false;
  }
  case ast::Stmt::Kind::Param:
    // Refused by the parser.
    return false;
  }
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
  frame->result = Poison();
  if (stmt.values.size() != 1 || llvm::isa<ast::TupleExpr>(*stmt.values.front())) {
    session.unsupported(stmt.values.back()->range, "a second result is");
    return true;
  }
  const ast::Expr &expr = *stmt.values.front();
  frame->result = evaluate(expr);
  if (auto *number = std::get_if<Number>(&*frame->result))
    if (!number->hasBatch()) {
      graph->at(expr.range);
      frame->result = graph->constant(number->doubleValue(), session.dims({}));
    }
  if (!isPoison(*frame->result) && !std::holds_alternative<Tensor>(*frame->result))
    session.error(expr.range, "`forward` returns a tensor, got " + describe(*frame->result));
  graph->at(expr.range);
  return true;
}

void Evaluator::runBinding(const ast::BindingStmt &stmt) {
  if (stmt.targets.size() != 1) {
    session.unsupported(stmt.targets[1].range, "binding several results is");
    for (const ast::Target &target : stmt.targets)
      bind(target.name, Poison());
    return;
  }
  const ast::Target &target = stmt.targets.front();
  if (!target.indices.empty()) {
    session.error(target.range, "only layers form arrays, in the body of a layer");
    return;
  }
  Value value = evaluate(*stmt.value);
  if (std::holds_alternative<Instance *>(value) || std::holds_alternative<ArrayRefValue>(value)) {
    session.error(stmt.value->range, "a layer is no value; call it, as in `" +
                                         session.text(stmt.value->range) + "(x)`");
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
