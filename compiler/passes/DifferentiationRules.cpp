// The rules themselves, one row a primitive. Adding a primitive: add a row here and a file in
// test/passes/gradients.
#include "passes/DifferentiationRules.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mparc::mp;

namespace {

using Build = AdjointBuilder;

Value x(Operation *op, unsigned index = 0) { return op->getOperand(index); }
Value y(Operation *op) { return op->getResult(0); }

/// Numbers of the dimensions of `value`.
SmallVector<int64_t> allDimensions(Value value) {
  return llvm::to_vector(llvm::seq<int64_t>(0, getDimensions(value.getType()).size()));
}

Value clampRule(Operation *op, unsigned, Value g, Build &b) {
  auto clamp = cast<ClampOp>(op);
  Value low = b.constant(clamp.getLow().convertToDouble(), x(op));
  Value high = b.constant(clamp.getHigh().convertToDouble(), x(op));
  Value above = b.compare(ComparisonKind::ge, x(op), low),
        below = b.compare(ComparisonKind::le, x(op), high);
  return b.select(b.binary<AndOp>(above, below), g, b.constant(0, g));
}

Value reluRule(Operation *op, unsigned, Value g, Build &b) {
  Value seen = b.asRounded(y(op));
  return b.gate(b.compare(ComparisonKind::gt, seen, b.constant(0, seen)), g);
}

Value leakyReluRule(Operation *op, unsigned, Value g, Build &b) {
  Value slope = b.constant(cast<LeakyReluOp>(op).getSlope().convertToDouble(), g);
  return b.select(b.compare(ComparisonKind::gt, x(op), b.constant(0, x(op))), g, b.mul(g, slope));
}

// d a^b = b a^(b-1) da + a^b log(a) db; where b is 0 the first is 0, where a is 0 and b >= 0 the
// second is, as in PyTorch.
Value powRule(Operation *op, unsigned index, Value g, Build &b) {
  Value base = x(op, 0), exponent = x(op, 1), zero = b.constant(0, g);
  if (index == 0) {
    Value slope = b.mul(exponent, b.binary<PowOp>(base, b.sub(exponent, b.constant(1, exponent))));
    return b.select(b.compare(ComparisonKind::eq, exponent, b.constant(0, exponent)), zero,
                    b.mul(g, slope));
  }
  Value vanishes =
      b.binary<AndOp>(b.compare(ComparisonKind::eq, base, b.constant(0, base)),
                      b.compare(ComparisonKind::ge, exponent, b.constant(0, exponent)));
  return b.select(vanishes, zero, b.mul(g, b.mul(y(op), b.unary<LogOp>(base))));
}

// Where both are equal each takes half, as in PyTorch. `wins` compares the operand with the other.
Value extremumRule(Operation *op, unsigned index, Value g, Build &b, ComparisonKind wins) {
  Value self = x(op, index), other = x(op, 1 - index);
  Value half = b.select(b.compare(ComparisonKind::eq, self, other), b.div(g, b.constant(2, g)),
                        b.constant(0, g));
  return b.select(b.compare(wins, self, other), g, half);
}

Value selectRule(Operation *op, unsigned index, Value g, Build &b) {
  Value zero = b.constant(0, g);
  return index == 1 ? b.select(x(op), g, zero) : b.select(x(op), zero, g);
}

Value permuteRule(Operation *op, unsigned, Value g, Build &b) {
  ArrayRef<int64_t> permutation = cast<PermuteOp>(op).getPermutation();
  SmallVector<int64_t> inverse(permutation.size());
  for (auto [index, source] : llvm::enumerate(permutation))
    inverse[source] = index;
  return b.make<PermuteOp>(x(op).getType(), g, inverse);
}

Value sliceRule(Operation *op, unsigned, Value g, Build &b) {
  auto slice = cast<SliceOp>(op);
  int64_t size = getDimensions(x(op).getType())[slice.getDimension()].getSize();
  return b.make<PadOp>(x(op).getType(), g, slice.getDimension(), slice.getFrom(),
                       size - int64_t(slice.getTo()));
}

Value padRule(Operation *op, unsigned, Value g, Build &b) {
  auto pad = cast<PadOp>(op);
  int64_t size = getDimensions(x(op).getType())[pad.getDimension()].getSize();
  return b.make<SliceOp>(x(op).getType(), g, pad.getDimension(), pad.getBefore(),
                         int64_t(pad.getBefore()) + size);
}

Value concatRule(Operation *op, unsigned index, Value g, Build &b) {
  int64_t along = cast<ConcatOp>(op).getDimension(), from = 0;
  auto size = [&](unsigned operand) {
    return getDimensions(x(op, operand).getType())[along].getSize();
  };
  for (unsigned before = 0; before < index; ++before)
    from += size(before);
  if (op->getNumOperands() == 1)
    return g;
  return b.make<SliceOp>(x(op, index).getType(), g, along, from, from + size(index));
}

// c = op(a) op(b): da = g op(b)ᵀ and db = op(a)ᵀ g, each transposed where the operand is stored so.
// A product in less precision has adjoints in that precision: g is rounded to it.
Value matmulRule(Operation *op, unsigned index, Value g, Build &b) {
  auto product = cast<MatmulOp>(op);
  bool ta = product.getTransposeA(), tb = product.getTransposeB();
  Value a = product.getA(), c = product.getB();
  g = b.roundLike(g, a);
  if (index == 0)
    return ta ? b.make<MatmulOp>(a.getType(), c, g, tb, true)
              : b.make<MatmulOp>(a.getType(), g, c, false, !tb);
  return tb ? b.make<MatmulOp>(c.getType(), g, a, true, ta)
            : b.make<MatmulOp>(c.getType(), a, g, !ta, false);
}

// A maximum over everything is shared evenly by all that equal it, one along a dimension is the
// first's: torch's max(x) and max(x, dim).
Value maximumRule(ReduceOp reduce, Value g, Build &b) {
  Value input = reduce.getInput();
  ArrayRef<int64_t> dimensions = reduce.getDimensions();
  bool everything = dimensions.size() == allDimensions(input).size();
  if (!everything && dimensions.size() == 1) {
    Value largest = reduce.getKind() == ReductionKind::maximum ? input : b.neg(input);
    auto i32 = IntegerType::get(input.getContext(), 32);
    auto indices = getTensorType(input.getContext(), getDimensions(reduce.getType()), i32);
    Value first = b.expand(b.make<ArgmaxOp>(indices, largest, dimensions[0]), dimensions, input);
    Value position = b.make<IotaOp>(first.getType(), dimensions[0]);
    Value spread = b.expand(g, dimensions, input);
    return b.select(b.compare(ComparisonKind::eq, position, first), spread, b.constant(0, spread));
  }
  Value equal = b.compare(ComparisonKind::eq, input, b.expand(reduce, dimensions, input));
  Value mask = b.cast(equal, getElementTypeOrSelf(g.getType()));
  Value share = b.div(g, b.sum(mask, dimensions));
  return b.mul(b.expand(share, dimensions, input), mask);
}

Value reduceRule(Operation *op, unsigned, Value g, Build &b) {
  auto reduce = cast<ReduceOp>(op);
  ArrayRef<int64_t> dimensions = reduce.getDimensions();
  switch (reduce.getKind()) {
  case ReductionKind::sum:
    return b.expand(g, dimensions, x(op));
  case ReductionKind::mean: {
    int64_t count = 1;
    bool rows = false;
    for (int64_t index : dimensions) {
      DimensionAttr dimension = getDimensions(x(op).getType())[index];
      count *= dimension.getStaticSize();
      rows |= dimension.hasBatch();
    }
    Value divisor =
        rows ? b.make<ExtentOp>(g.getType(), count, 0) : b.constant(static_cast<double>(count), g);
    return b.expand(b.div(g, divisor), dimensions, x(op));
  }
  case ReductionKind::maximum:
  case ReductionKind::minimum:
    return maximumRule(reduce, g, b);
  }
  llvm_unreachable("all reductions are listed");
}

Value softmaxRule(Operation *op, unsigned, Value g, Build &b) {
  int64_t along = cast<SoftmaxOp>(op).getDimension();
  return b.mul(b.sub(g, b.expand(b.sum(b.mul(g, y(op)), along), along, g)), y(op));
}

Value logSoftmaxRule(Operation *op, unsigned, Value g, Build &b) {
  int64_t along = cast<LogSoftmaxOp>(op).getDimension();
  return b.sub(g, b.mul(b.unary<ExpOp>(y(op)), b.expand(b.sum(g, along), along, g)));
}

// The sum over all uses of each row of the table.
Value gatherRule(Operation *op, unsigned, Value g, Build &b) {
  return b.make<ScatterAddOp>(x(op).getType(), x(op, 1), g);
}

Value crossEntropyRule(Operation *op, unsigned, Value g, Build &b) {
  return b.make<CrossEntropyGradientOp>(x(op).getType(), x(op), x(op, 1), g);
}

Value attentionRule(Operation *op, unsigned index, Value g, Build &b) {
  auto attention = cast<AttentionOp>(op);
  auto gradient =
      b.shared<AttentionGradientOp>(op->getOperandTypes(), g, attention.getQ(), attention.getK(),
                                    attention.getV(), attention.getResult(), attention.getLogSums(),
                                    attention.getCausal(), attention.getRoundingAttr());
  return gradient->getResult(index);
}

/// The type of an affine operand: the last `count` dimensions of `x`.
Type lastDimensions(Value x, int64_t count) {
  return getTensorType(x.getContext(), getDimensions(x.getType()).take_back(count),
                       getElementTypeOrSelf(x.getType()));
}

// Weight and bias may be missing: an operand's number says less than which operand it is.
Value layerNormRule(Operation *op, unsigned index, Value g, Build &b) {
  auto norm = cast<LayerNormOp>(op);
  Type last = lastDimensions(norm.getX(), norm.getDimensions());
  Type weight = norm.getWeight() ? norm.getWeight().getType() : last;
  Type bias = norm.getBias() ? norm.getBias().getType() : last;
  auto gradient = b.shared<LayerNormGradientOp>(TypeRange{norm.getX().getType(), weight, bias}, g,
                                                norm.getX(), norm.getMean(), norm.getScale(),
                                                norm.getWeight(), norm.getDimensions());
  if (index == 0)
    return gradient.getDx();
  return index == 1 && norm.getWeight() ? gradient.getDweight() : gradient.getDbias();
}

Value rmsNormRule(Operation *op, unsigned index, Value g, Build &b) {
  auto norm = cast<RmsNormOp>(op);
  Type weight = norm.getWeight() ? norm.getWeight().getType()
                                 : lastDimensions(norm.getX(), norm.getDimensions());
  auto gradient =
      b.shared<RmsNormGradientOp>(TypeRange{norm.getX().getType(), weight}, g, norm.getX(),
                                  norm.getScale(), norm.getWeight(), norm.getDimensions());
  return gradient->getResult(index);
}

Value convRule(Operation *op, unsigned index, Value g, Build &b) {
  auto conv = cast<ConvOp>(op);
  if (index == 0)
    return b.make<ConvInputGradientOp>(x(op).getType(), g, conv.getWeight(), conv.getStride(),
                                       conv.getPadding(), conv.getDilation(), conv.getGroups());
  return b.make<ConvWeightGradientOp>(x(op, 1).getType(), g, conv.getX(), conv.getStride(),
                                      conv.getPadding(), conv.getDilation(), conv.getGroups());
}

Value maxPoolRule(Operation *op, unsigned, Value g, Build &b) {
  auto pool = cast<MaxPoolOp>(op);
  return b.make<MaxPoolGradientOp>(x(op).getType(), g, pool.getPositions(),
                                   static_cast<int64_t>(pool.getKernel().size()));
}

Value avgPoolRule(Operation *op, unsigned, Value g, Build &b) {
  auto pool = cast<AvgPoolOp>(op);
  return b.make<AvgPoolGradientOp>(x(op).getType(), g, pool.getKernel(), pool.getStride(),
                                   pool.getPadding(), pool.getCountPadding());
}

// g times the derivative, which another function of the header gives: of several, all at once.
Value callScalarRule(Operation *op, unsigned index, Value g, Build &b) {
  auto call = cast<CallScalarOp>(op);
  auto isReal = [](Value input) { return getElementTypeOrSelf(input.getType()).isF32(); };
  IntegerAttr element;
  if (llvm::count_if(call.getInputs(), isReal) > 1)
    element = Builder(op->getContext())
                  .getI64IntegerAttr(llvm::count_if(call.getInputs().take_front(index), isReal));
  Value slope =
      b.make<CallScalarOp>(x(op, index).getType(), call.getInputs(), call.getGradientAttr(),
                           call.getHeaderAttr(), StringAttr(), element);
  return b.mul(g, slope);
}

Value callTensorRule(Operation *op, unsigned index, Value g, Build &b) {
  auto call = cast<CallTensorOp>(op);
  SmallVector<Value> inputs(call.getInputs());
  inputs.push_back(g);
  return b.make<CallTensorOp>(
      x(op, index).getType(), inputs, call.getGradientAttr(), call.getHeaderAttr(), StringAttr(),
      Builder(op->getContext()).getI64IntegerAttr(index), call.getRowWiseAttr());
}

#define ROW(expression)                                                                            \
  [](Operation *op, unsigned i, Value g, Build &b) -> Value {                                      \
    (void)op, (void)i, (void)b;                                                                    \
    return expression;                                                                             \
  }

const llvm::StringMap<DifferentiationRule> &table() {
  static const llvm::StringMap<DifferentiationRule> rules = {
      // element by element
      {"mp.neg", ROW(b.neg(g))},
      {"mp.relu", reluRule},
      {"mp.leaky_relu", leakyReluRule},
      {"mp.gelu", ROW(b.mul(g, b.unary<GeluDerivativeOp>(x(op))))},
      {"mp.gelu_tanh", ROW(b.mul(g, b.unary<GeluTanhDerivativeOp>(x(op))))},
      {"mp.silu", ROW(b.mul(g, b.unary<SiluDerivativeOp>(x(op))))},
      {"mp.sigmoid", ROW(b.mul(b.mul(g, b.sub(b.constant(1, g), y(op))), y(op)))},
      {"mp.tanh", ROW(b.mul(g, b.sub(b.constant(1, g), b.mul(y(op), y(op)))))},
      {"mp.exp", ROW(b.mul(g, y(op)))},
      {"mp.log", ROW(b.div(g, x(op)))},
      {"mp.sqrt", ROW(b.div(g, b.mul(b.constant(2, g), y(op))))},
      {"mp.rsqrt", ROW(b.mul(b.mul(b.constant(-0.5, g), g), b.mul(y(op), b.mul(y(op), y(op)))))},
      {"mp.abs", ROW(b.mul(g, b.unary<SignOp>(x(op))))},
      {"mp.sign", ROW(Value())},
      {"mp.detach", ROW(Value())},
      {"mp.sin", ROW(b.mul(g, b.unary<CosOp>(x(op))))},
      {"mp.cos", ROW(b.neg(b.mul(g, b.unary<SinOp>(x(op)))))},
      {"mp.add", ROW(g)},
      {"mp.sub", ROW(i == 0 ? g : b.neg(g))},
      {"mp.mul", ROW(b.mul(g, x(op, 1 - i)))},
      {"mp.div", ROW(i == 0 ? b.div(g, x(op, 1)) : b.mul(b.neg(g), b.div(y(op), x(op, 1))))},
      {"mp.remainder", ROW(i == 0 ? g : b.mul(b.neg(g), b.div(b.sub(x(op), y(op)), x(op, 1))))},
      {"mp.pow", powRule},
      {"mp.minimum", ROW(extremumRule(op, i, g, b, ComparisonKind::lt))},
      {"mp.maximum", ROW(extremumRule(op, i, g, b, ComparisonKind::gt))},
      {"mp.clamp", clampRule},
      {"mp.select", selectRule},
      {"mp.cast", ROW(b.castBack(g, cast<CastOp>(op)))},
      {"mp.binary_cross_entropy",
       ROW(i == 0 ? b.mul(g, b.binary<BinaryCrossEntropyDerivativeOp>(x(op, 0), x(op, 1)))
                  : b.mul(g, b.sub(b.unary<LogOp>(b.sub(b.constant(1, g), x(op))),
                                   b.unary<LogOp>(x(op)))))},
      // shapes
      {"mp.broadcast",
       ROW(b.unbroadcast(g, cast<BroadcastOp>(op).getDimensions(), x(op).getType()))},
      {"mp.reshape", ROW(b.make<ReshapeOp>(x(op).getType(), g))},
      {"mp.permute", permuteRule},
      {"mp.slice", sliceRule},
      {"mp.pad", padRule},
      {"mp.concat", concatRule},
      // products and reductions
      {"mp.matmul", matmulRule},
      {"mp.reduce", reduceRule},
      {"mp.softmax", softmaxRule},
      {"mp.log_softmax", logSoftmaxRule},
      // kernels and windows that move over dimensions
      {"mp.conv", convRule},
      {"mp.max_pool", maxPoolRule},
      {"mp.avg_pool", avgPoolRule},
      // positions from another tensor
      {"mp.gather", gatherRule},
      {"mp.cross_entropy", crossEntropyRule},
      // several results, the first of which has an adjoint
      {"mp.attention", attentionRule},
      {"mp.layer_norm", layerNormRule},
      {"mp.rms_norm", rmsNormRule},
      // functions of the user's
      {"mp.call_scalar", callScalarRule},
      {"mp.call_tensor", callTensorRule},
  };
  return rules;
}

} // namespace

DifferentiationRule mparc::mp::findDifferentiationRule(Operation *op) {
  // Of a function of the user's only the user can say it.
  if (!getForeignFunction(op).empty() && !op->hasAttr("gradient"))
    return nullptr;
  return table().lookup(op->getName().getStringRef());
}
