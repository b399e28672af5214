//===- ReductionFunctions.cpp - Sums, means, softmax and their like ---------===//

#include "frontend/Functions.h"

using namespace mlir;

namespace mparc {

/// How many elements a reduction takes in, as a number that may have the batch as a factor.
static Number countOf(FunctionCall &call, const Tensor &x, ArrayRef<int64_t> dimensions) {
  int64_t count = 1;
  mp::DimensionAttr batch;
  for (int64_t index : dimensions) {
    mp::DimensionAttr dimension = x.dimensions()[index];
    count *= dimension.getStaticSize();
    if (dimension.hasBatch())
      batch = dimension;
  }
  return Number::integer(count, batch);
}

template <mp::ReductionKind kind> static Value buildReduction(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  if (!x)
    return Poison();
  auto dimensions = call.dimensions(1, *x);
  std::optional<bool> keep = call.boolean(2, false);
  if (!dimensions || !keep)
    return Poison();
  GraphBuilder &graph = call.graph();
  Type element = x->element();
  if (kind == mp::ReductionKind::mean && !element.isF32()) {
    call.session.error(call.where(0),
                       "the mean of " + describe(*x) + " is not defined; use `cast(x, f32)`");
    return Poison();
  }
  // Of truth values the sum is how many are true.
  return graph.reduce(kind, graph.cast(*x, promote(element, call.session.i32())), *dimensions,
                      *keep);
}

static Value buildVariance(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0);
  if (!x)
    return Poison();
  auto dimensions = call.dimensions(1, *x);
  std::optional<bool> keep = call.boolean(2, false), unbiased = call.boolean(3, true);
  if (!dimensions || !keep || !unbiased)
    return Poison();
  GraphBuilder &graph = call.graph();
  Number count = countOf(call, *x, *dimensions);
  if (*unbiased && !count.hasBatch() && *count.integerValue() < 2) {
    call.error("the variance of one element is not defined");
    return Poison();
  }
  Tensor mean = graph.reduce(mp::ReductionKind::mean, *x, *dimensions, true);
  Tensor deviation = graph.binary<mp::SubOp>(*x, graph.broadcast(mean, x->dims));
  Tensor sum = graph.reduce(mp::ReductionKind::sum, graph.binary<mp::MulOp>(deviation, deviation),
                            *dimensions, *keep);
  Tensor divisor;
  if (count.hasBatch())
    divisor = graph.broadcast(graph.create<mp::ExtentOp>(call.session.dims({}), call.session.f32(),
                                                         *count.integerValue(),
                                                         int64_t(*unbiased ? -1 : 0)),
                              sum.dims);
  else
    divisor = graph.constant(static_cast<double>(*count.integerValue() - *unbiased), sum.dims);
  return graph.binary<mp::DivOp>(sum, divisor);
}

/// Whether an operation along a dimension would mix rows of the batch; reported if so.
static bool mixesRows(FunctionCall &call, const Tensor &x, int64_t dimension) {
  if (!x.dimensions()[dimension].hasBatch())
    return false;
  call.error("`" + call.function.name + "` combines the rows of `" +
             x.dimensions()[dimension].str() + "` with one another: " + describe(x));
  return true;
}

template <typename Op> static Value buildAlong(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0);
  std::optional<int64_t> dimension = x ? call.dimension(1, *x) : std::nullopt;
  if (!dimension || mixesRows(call, *x, *dimension))
    return Poison();
  return call.graph().create<Op>(x->dims, x->element(), x->value, *dimension);
}

static Value buildArgmax(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  if (x)
    x = call.graph().cast(*x, promote(x->element(), call.session.i32()));
  std::optional<int64_t> dimension = x ? call.dimension(1, *x) : std::nullopt;
  if (!dimension || mixesRows(call, *x, *dimension))
    return Poison();
  Dimensions kept(x->dimensions());
  kept.erase(kept.begin() + *dimension);
  return call.graph().create<mp::ArgmaxOp>(call.session.dims(kept), call.session.i32(), x->value,
                                           *dimension);
}

void addReductionFunctions(FunctionTable &table) {
  using Kind = mp::ReductionKind;
  add(table, "sum", "x, dim?:d, keepdim?", buildReduction<Kind::sum>);
  add(table, "mean", "x, dim?:d, keepdim?", buildReduction<Kind::mean>);
  add(table, "max", "x, dim?:d, keepdim?", buildReduction<Kind::maximum>);
  add(table, "min", "x, dim?:d, keepdim?", buildReduction<Kind::minimum>);
  add(table, "var", "x, dim?:d, keepdim?, unbiased?", buildVariance);
  add(table, "argmax", "x, dim?:d", buildArgmax);
  add(table, "softmax", "x, dim?:d", buildAlong<mp::SoftmaxOp>);
  add(table, "log_softmax", "x, dim?:d", buildAlong<mp::LogSoftmaxOp>);
}

} // namespace mparc
