//===- AttentionFunctions.cpp - Attention -----------------------------------===//

#include "frontend/Functions.h"

#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;

namespace mparc {

static std::string describeAll(const Tensor &q, const Tensor &k, const Tensor &v) {
  return describe(q) + ", " + describe(k) + " and " + describe(v);
}

static Value refuse(FunctionCall &call, ArrayRef<Tensor> operands, const llvm::Twine &why) {
  Report &report = call.error("`attention` of " +
                              describeAll(operands[0], operands[1], operands[2]) + ": " + why);
  llvm::SmallPtrSet<const Origin *, 4> noted; // attention is often of one tensor three times
  for (const Tensor &operand : operands)
    if (operand.origin && noted.insert(operand.origin).second)
      report.note(operand.origin->where, operand.origin->what + " gives " + describe(operand));
  return Poison();
}

/// What is wrong with the shapes of queries, keys and values, or nothing.
static std::string findMisfit(ArrayRef<mp::DimensionAttr> q, ArrayRef<mp::DimensionAttr> k,
                              ArrayRef<mp::DimensionAttr> v) {
  size_t rank = q.size();
  if (rank < 2 || k.size() != rank || v.size() != rank)
    return "queries, keys and values have one rank, of at least 2";
  auto differ = [](const char *what, mp::DimensionAttr a, mp::DimensionAttr b) {
    return std::string(what) + ", " + a.str() + " and " + b.str() + ", differ";
  };
  if (!haveSameSize(q[rank - 1], k[rank - 1]))
    return differ("the lengths of queries and keys", q[rank - 1], k[rank - 1]);
  if (!haveSameSize(k[rank - 2], v[rank - 2]))
    return differ("the numbers of keys and values", k[rank - 2], v[rank - 2]);
  for (size_t index = 0; index + 3 < rank; ++index)
    for (mp::DimensionAttr other : {k[index], v[index]})
      if (!haveSameSize(q[index], other))
        return differ("dimensions before the heads", q[index], other);
  if (rank == 2)
    return {};
  mp::DimensionAttr heads = q[rank - 3], shared = k[rank - 3];
  if (!haveSameSize(shared, v[rank - 3]))
    return differ("the heads of keys and values", shared, v[rank - 3]);
  if (haveSameSize(heads, shared))
    return {};
  if (heads.hasBatch() || shared.hasBatch() || heads.getSize() % shared.getSize() != 0)
    return heads.str() + " heads of queries do not divide evenly among " + shared.str() +
           " of keys";
  return {};
}

/// What is rounded before it is multiplied, as of a matrix product: what `@precision` says, else
/// the type of two bytes that all operands have; nothing in f32.
static TypeAttr findRounding(FunctionCall &call, ArrayRef<Tensor> operands) {
  Type element = call.graph().precision;
  if (!element) {
    Type first = operands.front().element();
    element = llvm::all_of(operands, [&](const Tensor &each) { return each.element() == first; })
                  ? first
                  : call.session.f32();
  }
  return isLowPrecision(element) ? TypeAttr::get(element) : TypeAttr();
}

static Value buildAttention(FunctionCall &call) {
  std::optional<Tensor> q = call.tensor(0), k = call.tensor(1), v = call.tensor(2);
  std::optional<bool> causal = call.boolean(3, false);
  if (!q || !k || !v || !causal)
    return Poison();
  TypeAttr rounding = findRounding(call, {*q, *k, *v});
  for (Tensor *operand : {&*q, &*k, &*v})
    *operand = call.graph().cast(*operand, call.session.f32());
  std::string misfit = findMisfit(q->dimensions(), k->dimensions(), v->dimensions());
  if (!misfit.empty())
    return refuse(call, {*q, *k, *v}, misfit);
  for (const Tensor &operand : {*q, *k, *v})
    for (mp::DimensionAttr dimension : operand.dimensions().take_back(2))
      if (dimension.hasBatch()) {
        call.error("`attention` combines the rows of `" + dimension.str() +
                   "` with one another: " + describe(operand));
        return Poison();
      }
  GraphBuilder &graph = call.graph();
  Dimensions dimensions(q->dimensions().drop_back());
  mp::DimensionsAttr sums = call.session.dims(dimensions);
  dimensions.push_back(v->dimensions().back());
  mp::DimensionsAttr result = graph.checked(dimensions, describeAll(*q, *k, *v));
  if (!result)
    return Poison();
  Type element = q->element();
  Type types[] = {mp::getTensorType(&call.session.context, result.getDimensions(), element),
                  mp::getTensorType(&call.session.context, sums.getDimensions(), element)};
  return graph.createSeveral<mp::AttentionOp>(result, types, q->value, k->value, v->value, *causal,
                                              rounding);
}

void addAttentionFunctions(FunctionTable &table) {
  add(table, "attention", "q, k, v, causal?", buildAttention);
}

} // namespace mparc
