//===- NormalizationFunctions.cpp - Normalization and dropout ---------------===//

#include "frontend/Functions.h"

#include <limits>

using namespace mlir;

namespace mparc {

namespace {
/// What layer_norm and rms_norm have in common: the last dimensions that are normalized, and the
/// affine operands, of these dimensions.
struct Normalized {
  Tensor x;
  SmallVector<int64_t> dimensions;
  std::optional<Tensor> weight, bias;
  double eps = 0;
};
} // namespace

static std::optional<Normalized> readNormalized(FunctionCall &call, bool hasBias,
                                                double defaultEps) {
  std::optional<Tensor> x = call.real(0);
  if (!x)
    return std::nullopt;
  Normalized result{*x, {}, {}, {}, defaultEps};
  // The shape: a list of sizes, one size, or nothing for the last dimension. A tensor there is the
  // weight, for those who leave the shape out.
  unsigned weight = 2, bias = 3, eps = hasBias ? 4 : 3;
  Dimensions shape;
  const ast::Expr *sizesExpr = call.actuals[1].expr;
  if (sizesExpr && (llvm::isa<ast::ListExpr>(sizesExpr) || asList(call.values[1]))) {
    std::optional<Dimensions> sizes = call.shape(1);
    if (!sizes)
      return std::nullopt;
    shape = *sizes;
  } else if (std::holds_alternative<Tensor>(call.values[1])) {
    if (!call.isGiven(weight))
      weight = 1;
    else if (hasBias && !call.isGiven(bias))
      weight = 1, bias = 2;
  } else if (call.isGiven(1)) {
    std::optional<int64_t> size = call.integer(1);
    if (!size)
      return std::nullopt;
    shape.push_back(mp::getDimension(&call.session.context, "", *size));
  }
  if (shape.empty() && x->rank() > 0)
    shape.push_back(x->dimensions().back());
  size_t rank = x->rank();
  if (shape.empty() || shape.size() > rank || llvm::is_contained(shape, mp::DimensionAttr()) ||
      !haveSameSizes(x->dimensions().take_back(shape.size()), shape)) {
    for (mp::DimensionAttr &dimension : shape)
      if (!dimension)
        dimension = mp::getDimension(&call.session.context, "-1", 1);
    call.error("`" + call.function.name + "` over " + describe(call.session.f32(), shape) +
               " does not fit the last dimensions of " + describe(*x));
    return std::nullopt;
  }
  for (size_t index = rank - shape.size(); index < rank; ++index) {
    result.dimensions.push_back(index);
    if (x->dimensions()[index].hasBatch()) {
      call.error("`" + call.function.name + "` combines the rows of `" +
                 x->dimensions()[index].str() + "` with one another: " + describe(*x));
      return std::nullopt;
    }
  }
  auto affine = [&](unsigned index, std::optional<Tensor> &tensor) {
    if (!call.isGiven(index) || std::holds_alternative<None>(call.values[index]))
      return true;
    tensor = call.real(index);
    if (!tensor)
      return false;
    if (haveSameSizes(tensor->dimensions(), shape))
      return true;
    call.session.error(call.where(index), call.what(index) + " must be " +
                                              describe(call.session.f32(), shape) + ", got " +
                                              describe(*tensor));
    return false;
  };
  std::optional<double> epsilon = call.number(eps, defaultEps);
  if (!affine(weight, result.weight) || (hasBias && !affine(bias, result.bias)) || !epsilon)
    return std::nullopt;
  result.eps = *epsilon;
  return result;
}

/// The types of what normalization makes: a result like x, and `statistics` tensors of what comes
/// before the normalized dimensions.
static SmallVector<Type> resultTypes(const Normalized &norm, unsigned statistics) {
  auto type = llvm::cast<RankedTensorType>(norm.x.value.getType());
  MLIRContext *context = type.getContext();
  Type each = mp::getTensorType(context, norm.x.dimensions().drop_back(norm.dimensions.size()),
                                norm.x.element());
  SmallVector<Type> types(1 + statistics, each);
  types.front() = mp::getTensorType(context, norm.x.dimensions(), norm.x.element());
  return types;
}

static mlir::Value valueOf(const std::optional<Tensor> &tensor) {
  return tensor ? tensor->value : mlir::Value();
}

static Value buildLayerNorm(FunctionCall &call) {
  std::optional<Normalized> norm = readNormalized(call, true, 1e-5);
  if (!norm)
    return Poison();
  return call.graph().createSeveral<mp::LayerNormOp>(
      norm->x.dims, resultTypes(*norm, 2), norm->x.value, valueOf(norm->weight),
      valueOf(norm->bias), static_cast<int64_t>(norm->dimensions.size()), llvm::APFloat(norm->eps));
}

static Value buildRmsNorm(FunctionCall &call) {
  std::optional<Normalized> norm =
      readNormalized(call, false, std::numeric_limits<float>::epsilon());
  if (!norm)
    return Poison();
  return call.graph().createSeveral<mp::RmsNormOp>(
      norm->x.dims, resultTypes(*norm, 1), norm->x.value, valueOf(norm->weight),
      static_cast<int64_t>(norm->dimensions.size()), llvm::APFloat(norm->eps));
}

static Value buildDropout(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0);
  std::optional<double> p = call.number(1, 0.5);
  if (!x || !p)
    return Poison();
  if (!(*p >= 0 && *p <= 1)) {
    call.session.error(call.where(1), call.what(1) + " is a probability, got " +
                                          std::get<Number>(call.values[1]).str());
    return Poison();
  }
  GraphBuilder &graph = call.graph();
  // Calls count whether or not they draw, so that each keeps its number.
  int64_t number = graph.instance->dropoutCalls++;
  if (!graph.training || *p == 0)
    return *x;
  if (*p == 1)
    return graph.binary<mp::MulOp>(*x, graph.constant(0.0, x->dims));
  Tensor mask =
      graph.create<mp::DropoutMaskOp>(x->dims, x->element(), APFloat(*p), graph.instance->path,
                                      number, mp::DimensionsAttr(), DenseI64ArrayAttr());
  return graph.binary<mp::MulOp>(*x, mask);
}

void addNormalizationFunctions(FunctionTable &table) {
  add(table, "layer_norm", "x, normalized_shape?, weight?, bias?, eps?", buildLayerNorm);
  add(table, "rms_norm", "x, normalized_shape?, weight?, eps?", buildRmsNorm);
  add(table, "dropout", "x, p?", buildDropout);
}

} // namespace mparc
