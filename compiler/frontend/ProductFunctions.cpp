//===- ProductFunctions.cpp - Matrix products -------------------------------===//

#include "frontend/Functions.h"

using namespace mlir;

namespace mparc {

namespace {
/// An operand of a product: `tensor`, of which the last two dimensions are swapped if `transpose`.
struct Operand {
  Tensor tensor;
  bool transpose = false;

  ArrayRef<mp::DimensionAttr> leading() const { return tensor.dimensions().drop_back(2); }
  mp::DimensionAttr row() const { return tensor.dimensions().take_back(2)[transpose ? 1 : 0]; }
  mp::DimensionAttr column() const { return tensor.dimensions().take_back(2)[transpose ? 0 : 1]; }
};
} // namespace

/// A transposed operand is read as it lies: the product transposes.
static Operand lookThrough(Session &session, Tensor x) {
  auto permute = x.value.getDefiningOp<mp::PermuteOp>();
  if (!permute || x.rank() < 2)
    return {x};
  ArrayRef<int64_t> permutation = permute.getPermutation();
  int64_t rank = x.rank();
  for (int64_t index = 0; index < rank - 2; ++index)
    if (permutation[index] != index)
      return {x};
  if (permutation[rank - 1] != rank - 2)
    return {x};
  Dimensions dimensions(x.dimensions());
  std::swap(dimensions[rank - 1], dimensions[rank - 2]);
  return {{permute.getInput(), session.dims(dimensions), x.origin}, true};
}

static Value refuseProduct(FunctionCall &call, const Tensor &a, const Tensor &b,
                           const llvm::Twine &why) {
  Report &report = call.error("cannot multiply " + describe(a) + " by " + describe(b) + why);
  for (const Tensor &operand : {a, b})
    if (operand.origin)
      report.note(operand.origin->where, operand.origin->what + " gives " + describe(operand));
  return Poison();
}

static Tensor product(GraphBuilder &graph, const Operand &a, const Operand &b,
                      mp::DimensionsAttr dims) {
  return graph.create<mp::MatmulOp>(dims, graph.session.f32(), a.tensor.value, b.tensor.value,
                                    a.transpose, b.transpose);
}

/// An operand in the element type of a product; what is transposed is rounded before that, so that
/// the product can read it as it lies.
static Tensor rounded(GraphBuilder &graph, Tensor x, Type element) {
  if (x.element() == element)
    return x;
  auto permute = x.value.getDefiningOp<mp::PermuteOp>();
  if (!permute) {
    Tensor result = graph.cast(x, element);
    mp::nameAfter(result.value, x.value, "_" + describe(element));
    return result;
  }
  auto inner =
      cast<mp::DimensionsAttr>(cast<RankedTensorType>(permute.getInput().getType()).getEncoding());
  Tensor source = rounded(graph, {permute.getInput(), inner, x.origin}, element);
  Tensor result = graph.permute(source, permute.getPermutation());
  return {result.value, x.dims, x.origin};
}

static Value buildMatmul(FunctionCall &call) {
  std::optional<Tensor> first = call.tensor(0), second = call.tensor(1);
  if (!first || !second)
    return Poison();
  GraphBuilder &graph = call.graph();
  // Operands of one low precision are multiplied as they are; the result is always f32.
  Type element = graph.precision;
  if (!element)
    element = first->element() == second->element() && isLowPrecision(first->element())
                  ? first->element()
                  : call.session.f32();
  first = rounded(graph, *first, element);
  second = rounded(graph, *second, element);
  Session &session = call.session;
  if (first->rank() == 0 || second->rank() == 0)
    return refuseProduct(call, *first, *second, ": a scalar is no matrix");

  // A vector is a row on the left and a column on the right; what it adds is dropped at the end.
  auto one = mp::getDimension(&session.context, "", 1);
  bool isRow = first->rank() == 1, isColumn = second->rank() == 1;
  Operand a = lookThrough(session, *first), b = lookThrough(session, *second);
  if (isRow)
    a = {graph.reshape(*first, session.dims({one, first->dimensions()[0]}))};
  if (isColumn)
    b = {graph.reshape(*second, session.dims({second->dimensions()[0], one}))};
  if (!haveSameSize(a.column(), b.row()))
    return refuseProduct(call, *first, *second,
                         ": " + a.column().str() + " and " + b.row().str() + " do not agree");

  // The dimensions of the result; leading ones broadcast.
  Dimensions result;
  auto leadingOf = [&](const Operand &operand) {
    return Tensor{operand.tensor.value, session.dims(operand.leading()), nullptr};
  };
  std::string both = describe(*first) + " by " + describe(*second);
  if (haveSameSizes(a.leading(), b.leading()) || b.leading().empty())
    result.assign(a.leading().begin(), a.leading().end());
  else if (mp::DimensionsAttr common = graph.broadcastShape(leadingOf(a), leadingOf(b)))
    result.assign(common.getDimensions().begin(), common.getDimensions().end());
  else
    return Poison();
  Dimensions leading = result;
  mp::DimensionAttr row = a.row(), column = b.column();
  result.append({row, column});
  mp::DimensionsAttr dims = graph.checked(result, both);
  if (!dims)
    return Poison();

  Tensor c;
  if (b.leading().empty() && !a.leading().empty()) {
    // One matrix for all: the leading dimensions are rows like any.
    if (a.transpose)
      a = {*first};
    SmallVector<mp::FactorAttr> rows;
    for (mp::DimensionAttr dimension : a.tensor.dimensions().drop_back(1))
      llvm::append_range(rows, dimension.getFactors());
    auto merged = mp::DimensionAttr::get(&session.context, "", rows);
    a = {graph.reshape(a.tensor, session.dims({merged, a.column()}))};
    c = graph.reshape(product(graph, a, b, session.dims({merged, b.column()})), dims);
  } else {
    for (Operand *operand : {&a, &b}) {
      Dimensions full = leading;
      llvm::append_range(full, operand->tensor.dimensions().take_back(2));
      operand->tensor = graph.broadcast(operand->tensor, session.dims(full));
    }
    c = product(graph, a, b, dims);
  }
  if (!isRow && !isColumn)
    return c;
  Dimensions kept(leading);
  if (!isRow)
    kept.push_back(row);
  if (!isColumn)
    kept.push_back(column);
  return graph.reshape(c, session.dims(kept));
}

void addProductFunctions(FunctionTable &table) { add(table, "matmul", "a, b", buildMatmul); }

} // namespace mparc
