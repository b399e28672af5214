// mp-fuse: products with bias and ReLU become one operation, element-wise chains one loop.
//
// before   %m = mp.matmul %x, %w transpose_b      %c = mp.broadcast %b [-1, 0]
//          %s = mp.add %m, %c                     %h = mp.relu %s
// after    %h = mp.linear %x, %w bias %b relu
//
// before   %d = mp.sub %a, %t                     %q = mp.mul %d, %d
// after    %q = mp.map %a, %t { sub, mul }
//
// needs    the phase transferred.
// gives    the phase fused: no element-wise operation, broadcast, constant, iota, extent or mask
// outside `mp.map`. Only what leaves every bit as it is: the runtime's `linear` rounds the product,
// the sum and the activation as apart, and a map's body rounds each of its operations to its type
// as a loop of its own would.
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
    auto linear = builder.create<LinearOp>(last->getLoc(), product.getType(), product.getA(),
                                           product.getB(), bias, activation);
    linear->setAttr(kDevice, product->getAttr(kDevice));
    for (StringRef name : {kLayer, kRecomputed})
      if (Attribute attribute = product->getAttr(name))
        linear->setAttr(name, attribute);
    Value result = linear.getResult();
    if (auto reshape = add->getOperand(side).getDefiningOp<ReshapeOp>()) {
      auto again = builder.create<ReshapeOp>(last->getLoc(), last->getResult(0).getType(), result);
      again->setAttr(kDevice, product->getAttr(kDevice));
      result = again;
    } else if (result.getType() != last->getResult(0).getType()) {
      result.setType(last->getResult(0).getType()); // the same sizes, under the names of the sum
    }
    last->getResult(0).replaceAllUsesWith(result);
    if (relu)
      relu.erase();
    add.erase();
  }
}

void Fuse::runOnOperation() {
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    Block &block = program.getBlock();
    fuseLinear(block);
    dropUnused(block);
    makeMaps(block);
    dropUnused(block);
    mergeMaps(block);
    dropUnused(block);
  }
}
