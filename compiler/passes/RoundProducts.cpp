// mp-round-products: what a product of two-byte numbers gives is rounded to them, once.
//
// before   %m = mp.matmul %x, %w transpose_b      %c = mp.broadcast %b [-1, 0]
//          %s = mp.add %m, %c                     %h = mp.relu %s              … %h …
// after    %m = mp.matmul %x, %w transpose_b      %c = mp.broadcast (%b rounded and widened) [-1,
// 0]
//          %s = mp.add %m, %c                     %h = mp.relu %s
//          %r = mp.cast %h : f32 -> bf16 {mp.rounds_adjoint}
//          %y = mp.cast %r : bf16 -> f32          … %y …
//
// needs    the phase graph.
// gives    the phase graph. What is computed is another number, that which `torch.autocast` gives:
// so it is decided here, before gradients and placement, and the phases after compute this one. A
// bias and a ReLU come before the rounding, and the bias is rounded itself: one call of the runtime
// gives all of it. Where rows of a batch are rounded, their adjoints are too.
#include "passes/DifferentiationRules.h"
#include "passes/Passes.h"

namespace mparc::mp {
#define GEN_PASS_DEF_ROUNDPRODUCTS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {
class RoundProducts : public mparc::mp::impl::RoundProductsBase<RoundProducts> {
  void runOnOperation() override;
};
} // namespace

static bool hasRows(Value value) {
  return llvm::any_of(getDimensions(value.getType()),
                      [](DimensionAttr dimension) { return dimension.hasBatch(); });
}

/// The operation of type Op that alone reads `value`, or null.
template <typename Op> static Op onlyReader(Value value) {
  return value.hasOneUse() ? dyn_cast<Op>(*value.user_begin()) : Op();
}

static CastOp makeCast(OpBuilder &builder, Value value, Type element, Operation *like) {
  auto type = getTensorType(value.getContext(), getDimensions(value.getType()), element);
  auto cast = builder.create<CastOp>(value.getLoc(), type, value);
  for (StringRef name : {kDevice, kGroup, kLayer, kRecompute})
    if (Attribute attribute = like->getAttr(name))
      cast->setAttr(name, attribute);
  return cast;
}

/// The sum of a product, perhaps under a reshape, and a bias that lies along its last dimension,
/// which is rounded; or the product.
static Value roundBias(Value product, Type element) {
  Value value = product;
  if (auto reshape = onlyReader<ReshapeOp>(value))
    value = reshape;
  auto add = onlyReader<AddOp>(value);
  if (!add)
    return product;
  OpOperand &other = add->getOpOperand(add.getA() == value ? 1 : 0);
  auto broadcast = other.get().getDefiningOp<BroadcastOp>();
  if (!broadcast || getDimensions(broadcast.getInput().getType()).size() != 1 ||
      broadcast.getDimensions().back() != 0)
    return product;
  OpBuilder builder(add);
  Value bias = broadcast.getInput();
  CastOp rounded = makeCast(builder, bias, element, add);
  nameAfter(rounded, bias, element.isBF16() ? "_bf16" : "_f16");
  CastOp widened = makeCast(builder, rounded, getElementTypeOrSelf(bias.getType()), add);
  auto again = cast<BroadcastOp>(builder.clone(*broadcast));
  again.getInputMutable().assign(widened);
  other.set(again);
  if (broadcast->use_empty())
    broadcast->erase();
  return add;
}

static void roundResult(MatmulOp product, Type element) {
  Value value = roundBias(product, element);
  auto relu = onlyReader<ReluOp>(value);
  Attribute device = relu ? relu->getAttr(kDevice) : Attribute();
  if (relu && (!device || device == value.getDefiningOp()->getAttr(kDevice)))
    value = relu;
  OpBuilder builder(product->getContext());
  builder.setInsertionPointAfterValue(value);
  Operation *like = value.getDefiningOp();
  CastOp rounded = makeCast(builder, value, element, like);
  CastOp widened = makeCast(builder, rounded, getElementTypeOrSelf(value.getType()), like);
  if (hasRows(value))
    rounded->setAttr(kRoundsAdjoint, builder.getUnitAttr());
  value.replaceAllUsesExcept(widened, rounded);
}

/// Marks the cast that an operand of a product is, perhaps under a view.
static void markOperand(Value operand) {
  while (auto *view = operand.getDefiningOp()) {
    if (isa<ReshapeOp, PermuteOp, BroadcastOp>(view)) {
      operand = view->getOperand(0);
      continue;
    }
    if (isa<CastOp>(view) && hasRows(operand))
      view->setAttr(kRoundsAdjoint, UnitAttr::get(view->getContext()));
    return;
  }
}

void RoundProducts::runOnOperation() {
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>())
    for (MatmulOp product : llvm::make_early_inc_range(program.getBlock().getOps<MatmulOp>())) {
      Type element = getElementTypeOrSelf(product.getA().getType());
      if (!element.isBF16() && !element.isF16())
        continue;
      markOperand(product.getA());
      markOperand(product.getB());
      roundResult(product, element);
    }
}
