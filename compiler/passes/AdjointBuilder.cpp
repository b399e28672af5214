// The expressions that rules are made of.
#include "passes/DifferentiationRules.h"

using namespace mlir;
using namespace mparc::mp;

void AdjointBuilder::enter(Operation *op) { forward = op; }

void AdjointBuilder::mark(Operation *op) {
  if (Attribute id = forward->getAttr(kId))
    op->setAttr(kOf, id);
  if (Attribute layer = forward->getAttr(kLayer))
    op->setAttr(kLayer, layer);
  if (Attribute each = forward->getAttr(kEachPart))
    op->setAttr(kEachPart, each);
  if (auto extent = dyn_cast<ExtentOp>(op))
    extent.setOfPart(forward->hasAttr(kEachPart));
}

static RankedTensorType withElement(Type tensor, Type element) {
  return getTensorType(tensor.getContext(), getDimensions(tensor), element);
}

Type AdjointBuilder::adjointType(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (!element.isBF16() && !element.isF16())
    return type;
  return withElement(type, Float32Type::get(type.getContext()));
}

/// What `x` was widened from, of `element`s, or null.
static Value findNarrow(Value x, Type element = {}) {
  auto widened = x.getDefiningOp<CastOp>();
  if (!widened)
    return {};
  Type from = getElementTypeOrSelf(widened.getX().getType());
  if (!from.isBF16() && !from.isF16())
    return {};
  return !element || element == from ? widened.getX() : Value();
}

Value AdjointBuilder::roundLike(Value x, Value like) {
  Type element = getElementTypeOrSelf(like.getType());
  if (element == getElementTypeOrSelf(x.getType()))
    return x;
  if (Value narrow = findNarrow(x, element))
    return narrow;
  auto op = builder.create<CastOp>(location(), withElement(x.getType(), element), x);
  mark(op);
  nameAfter(op, x, element.isBF16() ? "_bf16" : "_f16");
  return op;
}

Value AdjointBuilder::constant(double value, Value like) {
  return make<ConstantOp>(like.getType(), builder.getF64FloatAttr(value));
}

Value AdjointBuilder::compare(ComparisonKind kind, Value a, Value b) {
  return make<CompareOp>(withElement(a.getType(), builder.getI1Type()), kind, a, b);
}

Value AdjointBuilder::select(Value condition, Value a, Value b) {
  return make<SelectOp>(a.getType(), condition, a, b);
}

Value AdjointBuilder::gate(Value condition, Value g) {
  Value narrow = findNarrow(g);
  if (!narrow)
    return select(condition, g, constant(0, g));
  // Not by `make`: what was rounded is kept so, as nothing is added to it.
  auto zero = builder.create<ConstantOp>(location(), narrow.getType(), builder.getF64FloatAttr(0));
  auto op = builder.create<SelectOp>(location(), narrow.getType(), condition, narrow, zero);
  mark(zero);
  mark(op);
  return make<CastOp>(g.getType(), op);
}

Value AdjointBuilder::castBack(Value g, CastOp op) {
  if (op->hasAttr(kRoundsAdjoint))
    g = make<CastOp>(g.getType(), roundLike(g, op));
  return cast(g, getElementTypeOrSelf(op.getX().getType()));
}

Value AdjointBuilder::asRounded(Value y) {
  auto rounded = y.hasOneUse() ? dyn_cast<CastOp>(*y.user_begin()) : CastOp();
  return rounded && rounded->hasAttr(kRoundsAdjoint) ? make<CastOp>(y.getType(), rounded) : y;
}

Value AdjointBuilder::cast(Value x, Type element) {
  if (getElementTypeOrSelf(adjointType(withElement(x.getType(), element))) ==
      getElementTypeOrSelf(x.getType()))
    return x;
  return make<CastOp>(withElement(x.getType(), element), x);
}

Value AdjointBuilder::sum(Value x, ArrayRef<int64_t> dimensions) {
  SmallVector<DimensionAttr> kept;
  for (auto [index, dimension] : llvm::enumerate(getDimensions(x.getType())))
    if (!llvm::is_contained(dimensions, static_cast<int64_t>(index)))
      kept.push_back(dimension);
  auto type = getTensorType(x.getContext(), kept, getElementTypeOrSelf(x.getType()));
  return make<ReduceOp>(type, ReductionKind::sum, x, dimensions);
}

Value AdjointBuilder::expand(Value x, ArrayRef<int64_t> dimensions, Value like) {
  auto type = cast_or_null<RankedTensorType>(like.getType());
  SmallVector<int64_t> map;
  int64_t next = 0;
  for (int64_t index = 0; index < type.getRank(); ++index)
    map.push_back(llvm::is_contained(dimensions, index) ? -1 : next++);
  return make<BroadcastOp>(withElement(type, getElementTypeOrSelf(x.getType())), x, map);
}

Value AdjointBuilder::unbroadcast(Value x, ArrayRef<int64_t> map, Type type) {
  ArrayRef<DimensionAttr> to = getDimensions(type), from = getDimensions(x.getType());
  SmallVector<int64_t> summed, order;
  for (auto [index, source] : llvm::enumerate(map)) {
    bool repeated = source == -1 || (to[source].getSize() == 1 && from[index].getSize() != 1);
    if (repeated)
      summed.push_back(index);
    else
      order.push_back(source);
  }
  if (!summed.empty())
    x = sum(x, summed);
  // The map may reorder dimensions: back to the operand's order, where those of size 1 come and go
  // freely.
  if (!llvm::is_sorted(order)) {
    SmallVector<int64_t> permutation(order.size());
    SmallVector<int64_t> sorted(order);
    llvm::sort(sorted);
    SmallVector<DimensionAttr> dimensions;
    for (auto [index, source] : llvm::enumerate(sorted)) {
      permutation[index] = llvm::find(order, source) - order.begin();
      dimensions.push_back(getDimensions(x.getType())[permutation[index]]);
    }
    auto permuted = getTensorType(x.getContext(), dimensions, getElementTypeOrSelf(x.getType()));
    x = make<PermuteOp>(permuted, x, permutation);
  }
  return x.getType() == type ? x : make<ReshapeOp>(type, x);
}

/// What a pad pads, taken apart where it was joined before.
static void appendParts(PadOp pad, SmallVectorImpl<Value> &parts) {
  auto joined = pad.getInput().getDefiningOp<ConcatOp>();
  if (joined && joined->hasOneUse() && joined.getDimension() == pad.getDimension())
    llvm::append_range(parts, joined.getInputs());
  else
    parts.push_back(pad.getInput());
}

Value AdjointBuilder::join(Value a, Value b) {
  auto lower = a.getDefiningOp<PadOp>(), upper = b.getDefiningOp<PadOp>();
  if (!lower || !upper || lower.getDimension() != upper.getDimension() ||
      a.getType() != b.getType())
    return {};
  if (lower.getBefore() > upper.getBefore())
    std::swap(lower, upper);
  int64_t along = lower.getDimension(), before = lower.getBefore(), after = upper.getAfter();
  ArrayRef<DimensionAttr> whole = getDimensions(a.getType());
  int64_t size = whole[along].getSize() - before - after;
  int64_t first = getDimensions(lower.getInput().getType())[along].getSize();
  int64_t second = getDimensions(upper.getInput().getType())[along].getSize();
  if (before + first != int64_t(upper.getBefore()) || first + second != size)
    return {};
  SmallVector<Value> parts;
  appendParts(lower, parts);
  appendParts(upper, parts);
  if (before == 0 && after == 0)
    return make<ConcatOp>(a.getType(), parts, along);
  SmallVector<DimensionAttr> dimensions(whole);
  dimensions[along] = getDimension(a.getContext(), "", size);
  auto type = getTensorType(a.getContext(), dimensions, getElementTypeOrSelf(a.getType()));
  return make<PadOp>(a.getType(), make<ConcatOp>(type, parts, along), along, before, after);
}
