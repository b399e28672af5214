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
// The second is for sums of a gradient over uses only. Such a sum is a chain, first use first; what
// hops is always a prefix of the chain, so the order of the sum, hence every bit, stays. It is done
// where it saves hops: not where the terms are read on arrival by others, too.
//
// needs    the phase transferred, fresh from mp-insert-transfers.
#include "passes/DifferentiationRules.h"
#include "passes/Passes.h"

#include "llvm/ADT/SmallPtrSet.h"

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
static void shorten(TransferOp transfer) {
  auto earlier = transfer.getInput().getDefiningOp<TransferOp>();
  if (!earlier)
    return;
  if (static_cast<int64_t>(earlier.getFrom()) == *getDevice(transfer)) {
    transfer.getResult().replaceAllUsesWith(earlier.getInput());
    transfer.erase();
  } else {
    transfer.setFrom(earlier.getFrom());
    transfer.getInputMutable().assign(earlier.getInput());
  }
}

/// The addition of the same sum that goes on from `add`, or null.
static AddOp nextOfSum(AddOp add) {
  if (!add->hasOneUse())
    return {};
  auto next = dyn_cast<AddOp>(*add->user_begin());
  bool goesOn = next && next->hasAttr(kSum) && next.getA() == add.getResult() &&
                getDevice(next) == getDevice(add);
  return goesOn ? next : AddOp();
}

/// Whether something else than `terms` takes the value of `term` to the same device.
static bool movesAnyway(TransferOp term, ArrayRef<TransferOp> terms) {
  return !term->hasOneUse() || llvm::any_of(term.getInput().getUsers(), [&](Operation *user) {
    auto other = dyn_cast<TransferOp>(user);
    return other && getDevice(other) == getDevice(term) && !other->use_empty() &&
           !llvm::is_contained(terms, other);
  });
}

/// Sums on the sending device the terms, from the first on, that all arrive from there, where that
/// takes fewer hops. `last` is the sum's last addition.
static void sumBeforeMoving(AddOp last) {
  SmallVector<AddOp> sum = {last};
  while (auto before = sum.back().getA().getDefiningOp<AddOp>()) {
    if (!before->hasAttr(kSum) || nextOfSum(before) != sum.back())
      break;
    sum.push_back(before);
  }
  std::reverse(sum.begin(), sum.end());

  SmallVector<TransferOp> terms;
  auto arrives = [&](Value term) {
    auto transfer = term.getDefiningOp<TransferOp>();
    if (!transfer || (!terms.empty() && transfer.getFrom() != terms.front().getFrom()))
      return false;
    terms.push_back(transfer);
    return true;
  };
  if (!arrives(sum.front().getA()))
    return;
  for (AddOp add : sum)
    if (!arrives(add.getB()))
      break;
  llvm::SmallPtrSet<Value, 8> saved;
  for (TransferOp term : terms)
    if (!movesAnyway(term, terms))
      saved.insert(term.getInput());
  if (saved.size() < 2) // the sum would be a hop itself
    return;

  OpBuilder builder(last);
  Value partial = terms.front().getInput();
  AddOp replaced;
  for (auto [add, term] : llvm::zip(sum, llvm::drop_begin(terms))) {
    builder.setInsertionPoint(add);
    auto there = cast<AddOp>(builder.clone(*add));
    there->setOperands({partial, term.getInput()});
    setDevice(there, terms.front().getFrom());
    partial = there.getResult();
    replaced = add;
  }
  auto moved = builder.create<TransferOp>(replaced.getLoc(), partial, terms.front().getFrom(),
                                          *getDevice(replaced));
  if (Attribute layer = replaced->getAttr(kLayer))
    moved->setAttr(kLayer, layer);
  replaced.getResult().replaceAllUsesWith(moved.getResult());
  for (AddOp add : llvm::reverse(ArrayRef(sum).take_front(terms.size() - 1)))
    add.erase();
  for (TransferOp term : terms)
    if (term->use_empty())
      term.erase();
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
    // In program order, as a sum that has moved may come around; before merging, as until then each
    // transfer has one reader and tells what it is for.
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (auto transfer = dyn_cast<TransferOp>(op))
        shorten(transfer);
      else if (auto add = dyn_cast<AddOp>(op); add && add->hasAttr(kSum) && !nextOfSum(add))
        sumBeforeMoving(add);
    }
    merge(block);
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isa<TransferOp>(op) && isOpTriviallyDead(&op))
        op.erase();
    for (Operation &op : block)
      op.removeAttr(kSum);
  }
}
