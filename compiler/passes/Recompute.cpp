// mp-recompute: computes activations of marked parts again in the backward pass.
//
// before   %a = mp.relu %x {mp.recompute = 1}
//          %h = mp.matmul %a, %w {mp.recompute = 1}
//          …                                              %a lives from here
//          %gw = mp.matmul %g, %a transpose_a             to here
// after    %a = mp.relu %x
//          %h = mp.matmul %a, %w
//          …
//          %a_recomputed = mp.relu %x {mp.recomputed}
//          %gw = mp.matmul %g, %a_recomputed transpose_a
//
// needs    the phase grad, with `mp.id` and `mp.of`.
// gives    the same without `mp.recompute`; copies and the part's adjoints are `mp.recomputed`, so
// that copies are not taken for what they repeat, and that nothing keeps what is made for the part
// longer than the part needs (mp-split-backward).
//
// What enters a part is kept, and so is what anything but the part's own adjoints reads in the
// backward pass: the input of the next part, for one. The later part comes first, as its copies
// read what the earlier one gives. Cf. Chen, Xu, Zhang and Guestrin, "Training Deep Nets with
// Sublinear Memory Cost", 2016.
#include "passes/DifferentiationRules.h"
#include "passes/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"

#include <map>

namespace mparc::mp {
#define GEN_PASS_DEF_RECOMPUTE
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class Recompute : public mparc::mp::impl::RecomputeBase<Recompute> {
  void runOnOperation() override;
};

/// The forward operations under one annotation, and which of their results are made again.
class Part {
public:
  void add(Operation *op) {
    operations.push_back(op);
    if (Attribute id = op->getAttr(kId))
      ids.insert(id);
  }
  /// Makes copies before the first adjoint that reads one, and lets the adjoints read them.
  void recompute();
  /// The operations' `mp.id`; none where nothing had to be made again.
  void addIds(llvm::DenseSet<Attribute> &recomputed) const {
    if (!wanted.empty())
      recomputed.insert(ids.begin(), ids.end());
  }

private:
  bool isOwnAdjoint(Operation *op) const {
    return !op->hasAttr(kRecomputed) && ids.contains(op->getAttr(kOf));
  }
  void findWanted();

  SmallVector<Operation *> operations; // in program order
  llvm::DenseSet<Attribute> ids;
  llvm::DenseSet<Operation *> wanted;
  Operation *firstReader = nullptr;
};

} // namespace

/// Whether an operation belongs to the backward pass.
static bool isLate(Operation *op) { return op->hasAttr(kOf) || op->hasAttr(kRecomputed); }

/// Whether an operation has a result that takes memory of its own.
static bool isActivation(Operation *op) { return !isa<ReadOp>(op) && !isPlaceless(op); }

void Part::findWanted() {
  llvm::DenseSet<Operation *> kept;
  for (Operation *op : operations) {
    if (!isActivation(op)) {
      kept.insert(op);
      continue;
    }
    for (Operation *user : op->getUsers()) {
      if (!isLate(user))
        continue;
      if (isOwnAdjoint(user))
        wanted.insert(op);
      else
        kept.insert(op);
    }
  }
  for (Operation *op : kept)
    wanted.erase(op);
  for (Operation *op : wanted)
    for (Operation *user : op->getUsers())
      if (isLate(user) && (!firstReader || user->isBeforeInBlock(firstReader)))
        firstReader = user;
  // What they are computed from is made again too, back to what is kept.
  for (Operation *op : llvm::reverse(operations))
    if (wanted.contains(op))
      for (Value operand : op->getOperands())
        if (Operation *producer = operand.getDefiningOp();
            producer && ids.contains(producer->getAttr(kId)) && !kept.contains(producer))
          wanted.insert(producer);
}

void Part::recompute() {
  findWanted();
  if (wanted.empty())
    return;
  OpBuilder builder(firstReader);
  IRMapping copies;
  for (Operation *op : operations) {
    if (!wanted.contains(op))
      continue;
    Operation *copy = builder.clone(*op, copies);
    copy->setAttr(kRecomputed, builder.getUnitAttr());
    copy->setAttr(kOf, op->getAttr(kId));
    copy->removeAttr(kId);
    copy->removeAttr(kRecompute);
    if (StringRef name = getSourceName(op->getLoc()); !name.empty()) {
      Location place = op->getLoc();
      if (auto source = getSourceLocation(place))
        place = *source;
      copy->setLoc(NameLoc::get(builder.getStringAttr(name + "_recomputed"), place));
    }
    for (auto [result, again] : llvm::zip(op->getResults(), copy->getResults()))
      result.replaceUsesWithIf(again, [&](OpOperand &use) { return isOwnAdjoint(use.getOwner()); });
  }
}

void Recompute::runOnOperation() {
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    std::map<int64_t, Part, std::greater<int64_t>> parts;
    for (Operation &op : program.getBlock())
      if (auto number = op.getAttrOfType<IntegerAttr>(kRecompute))
        parts[number.getInt()].add(&op);
    llvm::DenseSet<Attribute> recomputed;
    for (auto &[number, part] : parts) {
      part.recompute();
      part.addIds(recomputed);
    }
    // Once all copies are made: an adjoint is told from a copy by the mark.
    for (Operation &op : program.getBlock()) {
      op.removeAttr(kRecompute);
      if (recomputed.contains(op.getAttr(kOf)))
        op.setAttr(kRecomputed, UnitAttr::get(&getContext()));
    }
  }
}
