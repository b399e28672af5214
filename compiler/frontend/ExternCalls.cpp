//===- ExternCalls.cpp - Calls of C++ functions of the user's ---------------===//

#include "frontend/Evaluator.h"

#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;

namespace mparc {

/// Whether the function works on each row of the batch by itself: where a tensor has the batch, it
/// is one of the leading dimensions that the declaration leaves open.
static bool isRowWise(const ast::ExternDecl &declaration, ArrayRef<Tensor> inputs, Tensor result) {
  auto isOpen = [](const ast::TypeExpr &type, const Tensor &tensor) {
    auto batch = llvm::find_if(tensor.dimensions(),
                               [](mp::DimensionAttr dimension) { return dimension.hasBatch(); });
    if (batch == tensor.dimensions().end())
      return true;
    bool isLeading =
        !type.dimensions.empty() && llvm::isa<ast::EllipsisExpr>(*type.dimensions.front());
    int64_t leading = tensor.rank() - static_cast<int64_t>(type.dimensions.size()) + 1;
    return isLeading && batch - tensor.dimensions().begin() < leading;
  };
  for (auto [declared, input] : llvm::zip(declaration.inputs, inputs))
    if (!isOpen(declared.type, input))
      return false;
  return isOpen(declaration.results.front(), result);
}

Value Evaluator::callExtern(ExternOp &op, const CallSite &given) {
  const ast::ExternDecl &declaration = *op.declaration;
  CallSite site = given;
  site.declared = declaration.range;
  llvm::SmallVector<Formal> formals;
  for (const ast::Parameter &input : declaration.inputs)
    formals.push_back({input.name.text, true, input.range});
  llvm::SmallVector<Actual> actuals;
  if (op.isBroken || !bindArguments(session, site, formals, actuals)) {
    evaluateArguments(site);
    return Poison();
  }
  if (!graph) {
    session.error(site.range, "`" + site.callee + "` takes tensors; those are in `forward` only");
    return Poison();
  }
  Frame inner;
  Evaluator signature(session, &op.instance, &inner, graph);
  llvm::SmallVector<Tensor> inputs;
  bool isFine = true;
  for (auto [input, actual] : llvm::zip(declaration.inputs, actuals)) {
    Value value = evaluate(actual);
    graph->at(site.range);
    auto *number = std::get_if<Number>(&value);
    if (number && input.type.dimensions.empty())
      if (Type element = elementType(input.type.element);
          element.isF32() || (element.isInteger(32) && number->isInteger()))
        value = graph->constant(*number, session.dims({}), element);
    auto *tensor = std::get_if<Tensor>(&value);
    std::optional<Tensor> bound;
    if (tensor)
      bound = signature.bindInput(input, *tensor, actual.range);
    else if (!isPoison(value))
      session.error(actual.range, "`" + input.name.text + "` of `" + site.callee +
                                      "` must be a tensor, got " + describe(value));
    isFine &= bound.has_value();
    if (bound)
      inputs.push_back(*bound);
  }
  if (!isFine)
    return Poison();
  const ast::TypeExpr &type = declaration.results.front();
  mp::DimensionsAttr dims = signature.typeDimensions(type);
  if (!dims)
    return Poison();
  graph->at(site.range);
  if (op.isElementWise)
    for (Tensor &input : inputs)
      input = graph->broadcast(input, dims);
  auto values = llvm::map_to_vector(inputs, [](const Tensor &input) { return input.value; });
  auto text = [&](llvm::StringRef name) { return StringAttr::get(&session.context, name); };
  StringAttr gradient = declaration.gradient.empty() ? StringAttr() : text(declaration.gradient);
  Type element = elementType(type.element);
  Tensor result =
      op.isElementWise
          ? graph->create<mp::CallScalarOp>(dims, element, values, text(declaration.function),
                                            text(op.header), gradient, IntegerAttr())
          : graph->create<mp::CallTensorOp>(dims, element, values, text(declaration.function),
                                            text(op.header), gradient, IntegerAttr(),
                                            isRowWise(declaration, inputs, {{}, dims, nullptr})
                                                ? UnitAttr::get(&session.context)
                                                : UnitAttr());
  result.origin = session.makeOrigin(site.range, "`" + site.callee.str() + "`");
  return result;
}

} // namespace mparc
