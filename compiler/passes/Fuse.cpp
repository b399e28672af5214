// mp-fuse: products with bias and ReLU become one operation, element-wise chains one loop.
//
// before   %m = mp.matmul %x, %w transpose_b      %c = mp.broadcast %b [-1, 0]
//          %s = mp.add %m, %c                     %h = mp.relu %s
// after    %h = mp.linear %x, %w bias %b relu
//
// before   %d = mp.sub %a, %t                     %q = mp.mul %d, %d
// after    %q = mp.map %a, %t { sub, mul }
//
// before   %h = mp.linear …                       %r = mp.cast %h : f32 -> bf16
// after    %r = mp.linear … -> bf16
//
// needs    the phase transferred.
// gives    the phase fused: no element-wise operation, broadcast, constant, iota, extent or mask
// outside `mp.map`. Only what leaves every bit as it is: the runtime's `linear` rounds the product,
// the sum and the activation as apart, and a map's body rounds each of its operations to its type
// as a loop of its own would. What is rounded stays in two bytes until a loop reads it.
#include "passes/DropUnused.h"
#include "passes/FuseMaps.h"
#include "passes/Passes.h"

namespace mparc::mp {
#define GEN_PASS_DEF_FUSE
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {
class Fuse : public mparc::mp::impl::FuseBase<Fuse> {
  void runOnOperation() override;
};
} // namespace

static bool isNarrow(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isBF16() || element.isF16();
}

static RankedTensorType withElement(Type tensor, Type element) {
  return getTensorType(tensor.getContext(), getDimensions(tensor), element);
}

/// What `value` was widened from, perhaps under views, which are then made of that: of two-byte
/// elements. Null where it was not.
static Value findNarrow(OpBuilder &builder, Value value) {
  Operation *op = value.getDefiningOp();
  if (auto widened = dyn_cast_or_null<CastOp>(op))
    return isNarrow(widened.getX().getType()) ? widened.getX() : Value();
  if (!isa_and_nonnull<ReshapeOp, PermuteOp, SliceOp>(op))
    return {};
  Value from = findNarrow(builder, op->getOperand(0));
  if (!from)
    return {};
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(op);
  Operation *view = builder.clone(*op);
  view->setOperand(0, from);
  view->getResult(0).setType(withElement(value.getType(), getElementTypeOrSelf(from.getType())));
  return view->getResult(0);
}

/// Whether it sums over all dimensions but the last.
static bool sumsRows(ReduceOp reduce) {
  auto rank = static_cast<int64_t>(getDimensions(reduce.getInput().getType()).size());
  return reduce.getKind() == ReductionKind::sum && rank > 1 &&
         reduce.getDimensions() == ArrayRef(llvm::to_vector(llvm::seq<int64_t>(0, rank - 1)));
}

/// Takes out casts to a type that the value was widened from, and the widening of what is summed
/// over rows or read as classes.
static void dropWidening(Block &block) {
  OpBuilder builder(block.getParentOp()->getContext());
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (auto cast = dyn_cast<CastOp>(op); cast && isNarrow(cast.getType())) {
      Value narrow = findNarrow(builder, cast.getX());
      if (narrow && getElementTypeOrSelf(narrow.getType()) == getElementTypeOrSelf(cast.getType()))
        cast.getResult().replaceAllUsesWith(narrow);
      continue;
    }
    auto reduce = dyn_cast<ReduceOp>(op);
    if (!isa<CrossEntropyOp>(op) && !(reduce && sumsRows(reduce)))
      continue;
    if (Value narrow = findNarrow(builder, op.getOperand(0)))
      op.setOperand(0, narrow);
  }
}

/// The cast to the element type of `like` that alone reads `value` on its device, or null.
static CastOp roundingOf(Value value, Type like) {
  auto cast = value.hasOneUse() ? dyn_cast<CastOp>(*value.user_begin()) : CastOp();
  Type element = getElementTypeOrSelf(like);
  return cast && isNarrow(element) && getElementTypeOrSelf(cast.getType()) == element &&
                 getDevice(cast) == getDevice(value.getDefiningOp())
             ? cast
             : CastOp();
}

/// Has `op` give its result in the type to which it is rounded, perhaps under a reshape: that of
/// `like`. Says whether it does.
static bool giveRounded(Operation *op, Type like) {
  Value value = op->getResult(0);
  auto reshape = value.hasOneUse() ? dyn_cast<ReshapeOp>(*value.user_begin()) : ReshapeOp();
  if (reshape)
    value = reshape;
  CastOp rounding = roundingOf(value, like);
  if (!rounding)
    return false;
  Type element = getElementTypeOrSelf(rounding.getType());
  for (Value each : {Value(op->getResult(0)), value}) {
    each.setType(withElement(each.getType(), element));
    nameAfter(each, rounding.getResult(), "");
  }
  rounding.getResult().replaceAllUsesWith(value);
  rounding.erase();
  return true;
}

/// Products without bias, and gradients of classes, in two bytes where they are rounded.
static void giveRounded(Block &block) {
  OpBuilder builder(block.getParentOp()->getContext());
  for (auto product : llvm::make_early_inc_range(block.getOps<MatmulOp>()))
    giveRounded(product, product.getA().getType());
  for (auto gradient : llvm::make_early_inc_range(block.getOps<CrossEntropyGradientOp>())) {
    Value narrow = findNarrow(builder, gradient.getX());
    if (narrow && giveRounded(gradient, narrow.getType()))
      gradient.getXMutable().assign(narrow);
  }
}

/// The one operand that `value` was broadcast from along its last dimension only, or null.
static Value biasOf(Value value) {
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  if (!broadcast || cast<RankedTensorType>(broadcast.getInput().getType()).getRank() != 1)
    return {};
  ArrayRef<int64_t> map = broadcast.getDimensions();
  auto last = getDimensions(broadcast.getType()).back();
  if (map.back() != 0 ||
      getDimensions(broadcast.getInput().getType())[0].getSize() != last.getSize())
    return {};
  return broadcast.getInput();
}

/// The product x · weightᵀ that `value` is, perhaps under a reshape that leaves the last dimension;
/// all of one use.
static MatmulOp productOf(Value value) {
  if (!value.hasOneUse())
    return {};
  if (auto reshape = value.getDefiningOp<ReshapeOp>()) {
    auto from = getDimensions(reshape.getInput().getType()), to = getDimensions(reshape.getType());
    if (from.size() != 2 || to.size() < 2 || from.back().getSize() != to.back().getSize() ||
        !reshape.getInput().hasOneUse())
      return {};
    value = reshape.getInput();
  }
  auto product = value.getDefiningOp<MatmulOp>();
  bool fits = product && !product.getTransposeA() && product.getTransposeB() &&
              getDimensions(product.getType()).size() == 2;
  return fits ? product : MatmulOp();
}

/// Makes `mp.linear` of product + bias, and of the ReLU that alone reads the sum.
static void fuseLinear(Block &block) {
  for (AddOp add : llvm::make_early_inc_range(block.getOps<AddOp>())) {
    unsigned side = 0;
    MatmulOp product = productOf(add.getA());
    Value bias = biasOf(add.getB());
    if (!product || !bias) {
      side = 1;
      product = productOf(add.getB());
      bias = biasOf(add.getA());
    }
    if (!product || !bias || getDevice(product) != getDevice(add))
      continue;
    Operation *last = add;
    auto relu = add->hasOneUse() ? dyn_cast<ReluOp>(*add->user_begin()) : ReluOp();
    if (relu && getDevice(relu) == getDevice(add))
      last = relu;
    else
      relu = nullptr;
    OpBuilder builder(last);
    auto activation = relu ? ActivationKind::relu : ActivationKind::none;
    // Rounded with its bias, where that is rounded too.
    Value narrowBias = findNarrow(builder, bias);
    CastOp rounding = roundingOf(last->getResult(0), product.getA().getType());
    if (!narrowBias ||
        narrowBias.getType() !=
            withElement(bias.getType(), getElementTypeOrSelf(product.getA().getType())))
      rounding = nullptr;
    Type element = getElementTypeOrSelf(rounding ? rounding.getType() : product.getType());
    auto linear = builder.create<LinearOp>(last->getLoc(), withElement(product.getType(), element),
                                           product.getA(), product.getB(),
                                           rounding ? narrowBias : bias, activation);
    linear->setAttr(kDevice, product->getAttr(kDevice));
    for (StringRef name : {kLayer, kRecomputed})
      if (Attribute attribute = product->getAttr(name))
        linear->setAttr(name, attribute);
    Value result = linear.getResult();
    Type type = withElement(last->getResult(0).getType(), element);
    if (auto reshape = add->getOperand(side).getDefiningOp<ReshapeOp>()) {
      auto again = builder.create<ReshapeOp>(last->getLoc(), type, result);
      again->setAttr(kDevice, product->getAttr(kDevice));
      result = again;
    } else if (result.getType() != type) {
      result.setType(type); // the same sizes, under the names of the sum
    }
    if (rounding) {
      rounding.getResult().replaceAllUsesWith(result);
      rounding.erase();
    } else {
      last->getResult(0).replaceAllUsesWith(result);
    }
    if (relu)
      relu.erase();
    add.erase();
  }
}

void Fuse::runOnOperation() {
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    Block &block = program.getBlock();
    dropWidening(block);
    dropUnused(block);
    fuseLinear(block);
    giveRounded(block);
    dropUnused(block);
    makeMaps(block);
    dropUnused(block);
    mergeMaps(block);
    dropUnused(block);
  }
}
