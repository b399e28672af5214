// Normalizations along a dimension that is cut, by statistics that the devices share.
//
// before   y, mean, scale = layer_norm x weight w bias b          x in pieces
// after    mean = Σ x / n                                         one sum of a number a row
//          scale = 1 / √(Σ (x - mean)² / n + eps)                 another
//          y = (x - mean) · scale · w + b                         in pieces
//
// and of its gradient likewise, by the mean of g · w and that of its product with what is
// normalized.
#include "passes/SplitMaker.h"
#include "passes/SplitOperations.h"

using namespace mlir;
using namespace mparc::mp;

namespace {

class Norm {
public:
  /// Over the last `dimensions` dimensions of `x`.
  Norm(Operation *op, Maker &maker, Value x, int64_t dimensions) : maker(maker), x(x) {
    auto type = cast<RankedTensorType>(x.getType());
    before = type.getRank() - dimensions;
    rows = getTensorType(op->getContext(), getDimensions(type).take_front(before),
                         type.getElementType());
    last = getTensorType(op->getContext(), getDimensions(type).drop_front(before),
                         type.getElementType());
  }

  void forward(LayerNormOp op) {
    Value mean = meanOf(x);
    Value centered = maker.make<SubOp>(x.getType(), x, repeat(mean));
    Value variance = meanOf(maker.make<MulOp>(x.getType(), centered, centered));
    Value scale = scaleOf(variance, op.getEps().convertToDouble());
    Value y = maker.make<MulOp>(x.getType(), centered, repeat(scale));
    y = weighted(y, op.getWeight());
    if (op.getBias())
      y = maker.make<AddOp>(x.getType(), y, lay(op.getBias()));
    op.getResult().replaceAllUsesWith(y);
    op.getMean().replaceAllUsesWith(mean);
    op.getScale().replaceAllUsesWith(scale);
  }

  void forward(RmsNormOp op) {
    Value scale =
        scaleOf(meanOf(maker.make<MulOp>(x.getType(), x, x)), op.getEps().convertToDouble());
    Value y = maker.make<MulOp>(x.getType(), x, repeat(scale));
    op.getResult().replaceAllUsesWith(weighted(y, op.getWeight()));
    op.getScale().replaceAllUsesWith(scale);
  }

  /// dx = scale · (g · w - mean(g · w) - x̂ · mean(g · w · x̂)); without `mean`, the second term is
  /// none. The weight's is Σ g · x̂, the bias's Σ g, over the rows.
  template <typename Op> void backward(Op op, Value mean) {
    Type type = x.getType();
    Value centered = mean ? maker.make<SubOp>(type, x, repeat(mean)) : x;
    Value normal = maker.make<MulOp>(type, centered, repeat(op.getScale()));
    Value g = weighted(op.getGradient(), op.getWeight());
    Value slope = meanOf(maker.make<MulOp>(type, g, normal));
    Value difference = mean ? maker.make<SubOp>(type, g, repeat(meanOf(g))) : g;
    difference =
        maker.make<SubOp>(type, difference, maker.make<MulOp>(type, normal, repeat(slope)));
    op.getDx().replaceAllUsesWith(maker.make<MulOp>(type, difference, repeat(op.getScale())));
    if (!op.getDweight().use_empty())
      op.getDweight().replaceAllUsesWith(
          overRows(maker.make<MulOp>(type, op.getGradient(), normal)));
    if constexpr (std::is_same_v<Op, LayerNormGradientOp>)
      if (!op.getDbias().use_empty())
        op.getDbias().replaceAllUsesWith(overRows(op.getGradient()));
  }

private:
  SmallVector<int64_t> range(int64_t from, int64_t to) {
    return llvm::to_vector(llvm::seq<int64_t>(from, to));
  }
  int64_t rank() { return cast<RankedTensorType>(x.getType()).getRank(); }
  Value meanOf(Value value) {
    return maker.make<ReduceOp>(rows, ReductionKind::mean, value, range(before, rank()));
  }
  Value overRows(Value value) {
    return before == 0 ? value
                       : maker.make<ReduceOp>(last, ReductionKind::sum, value, range(0, before));
  }
  Value scaleOf(Value variance, double eps) {
    return maker.make<RsqrtOp>(rows, maker.make<AddOp>(rows, variance, maker.real(eps, rows)));
  }
  /// A number a row, along what is normalized.
  Value repeat(Value value) {
    SmallVector<int64_t> map(rank(), -1);
    for (int64_t index = 0; index < before; ++index)
      map[index] = index;
    return maker.make<BroadcastOp>(x.getType(), value, map);
  }
  /// A weight, along the rows.
  Value lay(Value value) {
    SmallVector<int64_t> map(rank(), -1);
    for (int64_t index = before; index < rank(); ++index)
      map[index] = index - before;
    return maker.make<BroadcastOp>(x.getType(), value, map);
  }
  Value weighted(Value value, Value weight) {
    return weight ? maker.make<MulOp>(x.getType(), value, lay(weight)) : value;
  }

  Maker &maker;
  Value x;
  int64_t before;
  RankedTensorType rows, last;
};

} // namespace

/// Gathering x moves as many numbers a row as it has; of statistics, two sums move two each.
static constexpr int64_t kFewestElements = 8;

SmallVector<Operation *> mparc::mp::decomposeNorm(Operation *op, unsigned operand, const Cut &cut) {
  if (!isa<LayerNormOp, RmsNormOp, LayerNormGradientOp, RmsNormGradientOp>(op))
    return {};
  // Of a gradient, operand 1 is what is normalized; the gradient before it is alike.
  const bool isGradient = isa<LayerNormGradientOp, RmsNormGradientOp>(op);
  if (operand > (isGradient ? 1 : 0))
    return {};
  Value x = op->getOperand(isGradient ? 1 : 0);
  auto dimensions = static_cast<int64_t>(op->getAttrOfType<IntegerAttr>("dimensions").getInt());
  ArrayRef<DimensionAttr> all = getDimensions(x.getType());
  const int64_t before = static_cast<int64_t>(all.size()) - dimensions;
  int64_t elements = 1;
  for (DimensionAttr dimension : all.drop_front(before))
    elements *= dimension.getStaticSize();
  if (cut.dimension < before || elements < kFewestElements)
    return {};
  OpBuilder builder(op);
  Maker maker(op, builder, std::nullopt);
  Norm norm(op, maker, x, dimensions);
  if (auto layer = dyn_cast<LayerNormOp>(op))
    norm.forward(layer);
  else if (auto rms = dyn_cast<RmsNormOp>(op))
    norm.forward(rms);
  else if (auto gradient = dyn_cast<LayerNormGradientOp>(op))
    norm.backward(gradient, gradient.getMean());
  else
    norm.backward(cast<RmsNormGradientOp>(op), Value());
  return std::move(maker.parts);
}
