// mp-split: spreads each operation of a group over the devices of it.
//
// before   %w = mp.read @w : [out=8, in=4] {mp.group = {devices = [0, 1], names = ["out"], sizes =
// [2]}}
//          %h = mp.matmul %x, %w transpose_b {mp.group = …}
//          %y = mp.relu %h {mp.device = 2}
// after    %w0 = mp.read @w.at_0 : [out=4, in=4] {mp.device = 0}      %w1 = … @w.at_1 {mp.device =
// 1}
//          %h0 = mp.matmul %x, %w0 transpose_b {mp.device = 0}        %h1 = … {mp.device = 1}
//          %h = mp.concat %h0, %h1 dimension 1 {mp.device = 2}
//          %y = mp.relu %h {mp.device = 2}
//
// needs    the phase placed, operations of groups with `mp.group`.
// gives    the phase split: no `mp.group` on operations of programs; one `mp.parameter` a device,
// with `mp.piece`; `mp.collectives` on programs. leaves a model without groups as it is.
//
// Every value of a group has, along each axis of it, a state: whole on each device, cut, or terms
// of a sum. A parameter is cut where it has the factor that the axis is called after. Operations
// are gone through in program order; each takes, along each axis, the strategy (SplitRules.h) that
// costs the fewest bytes between what its operands have and what it would be given. So a cut goes
// as far as the primitives carry it, and a sum is not made whole before something needs it.
#include "passes/Passes.h"
#include "passes/Splitter.h"

namespace mparc::mp {
#define GEN_PASS_DEF_SPLIT
#define GEN_PASS_DEF_VERIFYSPLIT
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class Split : public mparc::mp::impl::SplitBase<Split> {
  void runOnOperation() override;
};

class VerifySplit : public mparc::mp::impl::VerifySplitBase<VerifySplit> {
  void runOnOperation() override;
};

} // namespace

/// An operation of one device, or of none: it reads what it needs of groups.
void Splitter::keep(Operation *op) {
  for (OpOperand &operand : op->getOpOperands()) {
    auto known = spreads.find(operand.get());
    if (known == spreads.end())
      continue;
    int64_t device = getDevice(op).value_or(known->second.group.devices.front());
    Value value = convert(operand.get(), Group::single(device), {}).pieces.front();
    operand.set(value);
  }
}

LogicalResult Splitter::visit(Operation *op) {
  std::optional<Group> group = getGroup(op);
  op->removeAttr(kGroup);
  if (isPlaceless(op))
    return success();
  resharder.enter(op, backward.contains(op));
  // What counts the steps and scales of a run does so once.
  if (isa<LossScaleOp, UnscaleOp, UpdateOp, ReturnOp>(op))
    group = std::nullopt;
  if (group)
    return expand(op, *group);
  keep(op);
  return success();
}

/// Puts together what a device does between what it reads of others.
void Splitter::cluster() {
  Block &block = program.getBlock();
  SmallVector<Operation *> run;
  llvm::DenseSet<Operation *> inRun;
  auto flush = [&](Operation *before) {
    llvm::stable_sort(run,
                      [](Operation *a, Operation *b) { return *getDevice(a) < *getDevice(b); });
    for (Operation *op : run)
      op->moveBefore(before);
    run.clear();
    inRun.clear();
  };
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (isPlaceless(&op))
      continue;
    std::optional<int64_t> device = getDevice(&op);
    if (!device || isa<GradientOp, AssignOp, UpdateOp>(op)) {
      flush(&op);
      continue;
    }
    bool reads = llvm::any_of(op.getOperands(), [&](Value operand) {
      Operation *source = operand.getDefiningOp();
      return source && inRun.contains(source) && getDevice(source) != device;
    });
    if (reads)
      flush(&op);
    run.push_back(&op);
    inRun.insert(&op);
  }
  flush(block.getTerminator());
}

void Splitter::eraseDead() {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(program.getBlock())))
    if (isOpTriviallyDead(&op))
      op.erase();
}

LogicalResult Splitter::run() {
  forEachDirection(program, [&](Operation *op, bool isBackward) {
    if (isBackward)
      backward.insert(op);
  });
  SmallVector<Operation *> all;
  for (Operation &op : program.getBlock())
    all.push_back(&op);
  for (Operation *op : all)
    if (failed(visit(op)))
      return failure();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(program.getBlock())))
    if (replaced.contains(&op)) {
      op.dropAllUses();
      op.erase();
    }
  eraseDead();
  shareCopies();
  eraseDead();
  cluster();
  if (ArrayAttr collectives = resharder.getCollectives(); !collectives.empty())
    program->setAttr(kCollectives, collectives);
  return success();
}

void Split::runOnOperation() {
  bool hasGroups = false;
  getOperation().walk([&](Operation *op) { hasGroups |= op->hasAttr(kGroup); });
  if (!hasGroups)
    return;
  SpreadParameters parameters;
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>())
    if (failed(Splitter(program, parameters).run()))
      return signalPassFailure();
  for (ParameterOp parameter :
       llvm::make_early_inc_range(getOperation().getBody().getOps<ParameterOp>())) {
    parameter->removeAttr(kGroup);
    auto known = parameters.find(parameter.getSymNameAttr());
    if (known != parameters.end())
      splitParameter(parameter, known->second.group, known->second.layout);
  }
}

void VerifySplit::runOnOperation() {
  getOperation().walk([&](ProgramOp program) {
    for (Operation &op : program.getBlock())
      if (op.hasAttr(kGroup)) {
        op.emitError("is still to be spread over a group of devices");
        signalPassFailure();
      }
  });
}
