//===- Update.cpp - The statement that sets a buffer ------------------------===//
//
// As in PyTorch, what reads a buffer after it was set gets the new value, and no gradient flows
// through it. Memory changes at the end of a training step; in evaluation nothing does.
//
//===----------------------------------------------------------------------===//

#include "frontend/Evaluator.h"

using namespace mlir;

namespace mparc {

/// The buffer an expression names; null, with an error, where it names none.
ParameterInfo *Evaluator::findBuffer(const ast::Expr &expr) {
  ParameterInfo *parameter = nullptr;
  Value value = Poison();
  if (auto *name = llvm::dyn_cast<ast::NameExpr>(&expr))
    parameter = instance->parameters.lookup(name->name.text);
  if (auto *member = llvm::dyn_cast<ast::MemberExpr>(&expr)) {
    value = evaluate(*member->base);
    if (auto *layer = std::get_if<Instance *>(&value))
      parameter = (*layer)->isBroken ? nullptr : (*layer)->parameters.lookup(member->member.text);
  }
  if (parameter && parameter->isBuffer())
    return parameter;
  if (parameter) {
    session
        .error(expr.range, "`update` sets a buffer; `" + session.text(expr.range) +
                               "` is a parameter, which the optimizer trains")
        .note(parameter->declaration->name.range, "declared here");
    return nullptr;
  }
  value = evaluate(expr);
  if (!isPoison(value))
    session.error(expr.range, "`update` sets a buffer, declared with `buffer` in the body of a "
                              "layer; this is " +
                                  describe(value));
  return nullptr;
}

/// Whether a tensor of dimensions `from` can be repeated to those of `to`.
static bool repeatsTo(ArrayRef<mp::DimensionAttr> from, ArrayRef<mp::DimensionAttr> to) {
  if (from.size() > to.size())
    return false;
  return llvm::all_of(llvm::zip(from, to.take_back(from.size())), [](auto pair) {
    auto [own, wanted] = pair;
    return haveSameSize(own, wanted) || (!own.hasBatch() && own.getStaticSize() == 1);
  });
}

void Evaluator::update(const ast::CallExpr &call) {
  CallSite site;
  site.callee = "update";
  site.calleeRange = call.callee->range;
  site.arguments = call.arguments;
  site.range = call.range;
  llvm::SmallVector<Formal> formals{{"buffer", true, {}}, {"value", true, {}}};
  llvm::SmallVector<Actual> actuals;
  if (!bindArguments(session, site, formals, actuals)) {
    evaluateArguments(site);
    return;
  }
  ParameterInfo *buffer = findBuffer(*actuals[0].expr);
  Value value = evaluate(*actuals[1].expr);
  if (!buffer || isPoison(value))
    return;
  graph->at(actuals[1].range);
  Type element = buffer->type.getElementType();
  auto dims = cast<mp::DimensionsAttr>(buffer->type.getEncoding());
  auto *number = std::get_if<Number>(&value);
  if (auto *truth = std::get_if<bool>(&value))
    value = graph->cast(graph->constant(*truth, dims), element);
  else if (number && (element.isF32() ||
                      (element.isInteger(32) && number->isInteger() && !number->hasBatch())))
    value = graph->constant(*number, dims, element);
  auto *tensor = std::get_if<Tensor>(&value);
  if (!tensor || promote(tensor->element(), element) != element ||
      !repeatsTo(tensor->dimensions(), dims.getDimensions())) {
    Report &report = session.error(
        actuals[1].range, "`" + session.text(actuals[0].range) + "` is " +
                              describe(element, dims.getDimensions()) + ", got " + describe(value));
    report.note(buffer->declaration->range, "declared here");
    if (tensor && tensor->origin)
      report.note(tensor->origin->where, tensor->origin->what + " gives " + describe(*tensor));
    return;
  }
  auto [first, isNew] = frame->updated.try_emplace(buffer, call.range);
  if (!isNew) {
    session
        .error(call.range,
               "`" + session.text(actuals[0].range) + "` is set twice; a step sets a buffer once")
        .note(first->second, "first set here");
    return;
  }
  Tensor whole = graph->broadcast(graph->cast(*tensor, element), dims);
  if (graph->training)
    graph->assign(*buffer, whole);
}

} // namespace mparc
