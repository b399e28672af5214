// mp-elide-transfers: moves every value once to each device that reads it.
//
// before   %a1 = mp.transfer %a from 0 {mp.device = 1}     read by an operation of device 1
//          %b1 = mp.transfer %a from 0 {mp.device = 1}     read by another
// after    %a1 = mp.transfer %a from 0 {mp.device = 1}     read by both
//
// before   %p0 = mp.transfer %p from 1 {mp.device = 0}
//          %q0 = mp.transfer %q from 1 {mp.device = 0}
//          %s = mp.add %p0, %q0 {mp.device = 0, mp.sum}
// after    %s1 = mp.add %p, %q {mp.device = 1, mp.sum}
//          %s = mp.transfer %s1 from 1 {mp.device = 0}
//
// The second is for sums of a gradient over uses only. Such a sum is a chain, first use first; the
// pass goes along it, so what hops is always a prefix of the chain and the order of the sum, hence
// every bit, stays.
//
// needs    the phase transferred, fresh from mp-insert-transfers.
#include "passes/DifferentiationRules.h"
#include "passes/Passes.h"

namespace mparc::mp {
#define GEN_PASS_DEF_ELIDETRANSFERS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {
class ElideTransfers : public mparc::mp::impl::ElideTransfersBase<ElideTransfers> {
  void runOnOperation() override;
};
} // namespace

/// Reads a value that arrives by two hops from where it was made: one hop, or none where it has
/// come around.
static void shorten(Block &block) {
  for (TransferOp transfer : llvm::make_early_inc_range(block.getOps<TransferOp>())) {
    auto earlier = transfer.getInput().getDefiningOp<TransferOp>();
    if (!earlier)
      continue;
    if (static_cast<int64_t>(earlier.getFrom()) == *getDevice(transfer)) {
      transfer.getResult().replaceAllUsesWith(earlier.getInput());
      transfer.erase();
    } else {
      transfer.setFrom(earlier.getFrom());
      transfer.getInputMutable().assign(earlier.getInput());
    }
  }
}

/// Sums on the sending device what arrives as two transfers from it.
static void sumBeforeMoving(Block &block) {
  for (AddOp add : llvm::make_early_inc_range(block.getOps<AddOp>())) {
    auto a = add.getA().getDefiningOp<TransferOp>(), b = add.getB().getDefiningOp<TransferOp>();
    if (!add->hasAttr(kSum) || !a || !b || a.getFrom() != b.getFrom() || !a->hasOneUse() ||
        !b->hasOneUse())
      continue;
    OpBuilder builder(add);
    int64_t from = a.getFrom(), to = *getDevice(add);
    auto there = cast<AddOp>(builder.clone(*add));
    there->setOperands({a.getInput(), b.getInput()});
    setDevice(there, from);
    auto moved = builder.create<TransferOp>(add.getLoc(), there.getResult(), from, to);
    if (Attribute layer = add->getAttr(kLayer))
      moved->setAttr(kLayer, layer);
    add.getResult().replaceAllUsesWith(moved.getResult());
    add.erase();
    a.erase();
    b.erase();
  }
}

/// Merges transfers of one value to one device into the first.
static void merge(Block &block) {
  DenseMap<std::pair<Value, int64_t>, TransferOp> first;
  for (TransferOp transfer : llvm::make_early_inc_range(block.getOps<TransferOp>())) {
    auto [known, isNew] = first.try_emplace({transfer.getInput(), *getDevice(transfer)}, transfer);
    if (isNew)
      continue;
    transfer.getResult().replaceAllUsesWith(known->second.getResult());
    transfer.erase();
  }
}

void ElideTransfers::runOnOperation() {
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    Block &block = program.getBlock();
    shorten(block);
    // Before merging: a partial sum has one reader only until another use of the same value shares
    // its transfer.
    sumBeforeMoving(block);
    merge(block);
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isa<TransferOp>(op) && isOpTriviallyDead(&op))
        op.erase();
    for (Operation &op : block)
      op.removeAttr(kSum);
  }
}
