// mp-split-backward: divides a device's backward pass into what other devices wait for and what
// they do not.
//
// before   %gy = … ; %gw = mp.matmul %gy, %h … ; %gx = mp.matmul %gy, %w …      on device 1
//          %gx0 = mp.transfer %gx from 1                                       to device 0
// after    %gy = … ; %gx = mp.matmul %gy, %w …
//          %gx0 = mp.transfer %gx from 1
//          %gw = mp.matmul %gy, %h … {mp.weights}
//
// A transfer need not wait for gradients of weights that it has nothing to do with. What it does
// not need, backwards through the graph, is put off until after it, whatever operations that are.
// What is put off keeps what it reads until the device has done the rest. So the gradients of a
// part that is recomputed (`mp.recomputed`) stay where they are: they are done with before the next
// part is made again, and the memory of one part does for all. Only where nothing of the device
// comes after them are they put off with all else.
//
// needs    the phase fused.
// gives    `mp.weights` on what is put off; a stream of its own in the schedule
// (planner/Streams.h). leaves as it is a program of one device, and what comes before or after the
// parts of a batch.
#include "passes/Passes.h"
#include "planner/Streams.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace mparc::mp {
#define GEN_PASS_DEF_SPLITBACKWARD
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class SplitBackward : public mparc::mp::impl::SplitBackwardBase<SplitBackward> {
  void runOnOperation() override;
};

} // namespace

/// What ends a step: work on parameters, not on rows.
static bool endsStep(Operation *op) {
  return op->hasAttr(kWhen) ||
         isa<GradientOp, UpdateOp, AssignOp, SquaredNormOp, ClipScaleOp, UnscaleOp, ReturnOp>(op);
}

namespace {

/// What of the backward pass has its place before what is put off.
class Needed {
public:
  void add(Operation *op) {
    if (needed.insert(op).second)
      pending.push_back(op);
  }
  /// Adds what all of it is computed from.
  void close() {
    while (!pending.empty())
      for (Value operand : pending.pop_back_val()->getOperands())
        if (Operation *op = operand.getDefiningOp())
          add(op);
  }
  bool contains(Operation *op) const { return needed.contains(op); }
  bool empty() const { return needed.empty(); }

private:
  llvm::DenseSet<Operation *> needed;
  SmallVector<Operation *> pending;
};

} // namespace

/// What belongs to a recomputed part and has something of its device's after it that is needed: put
/// off, it would keep the part's activations and adjoints while the next part's are made.
static void addRecomputed(ArrayRef<Operation *> backward, Needed &needed) {
  DenseMap<int64_t, Operation *> last; // by device, of what is needed
  for (Operation *op : backward)
    if (std::optional<int64_t> device = getDevice(op); device && needed.contains(op)) {
      last[*device] = op;
      if (auto transfer = dyn_cast<TransferOp>(op))
        last[transfer.getFrom()] = op;
    }
  for (Operation *op : backward)
    if (std::optional<int64_t> device = getDevice(op); device && op->hasAttr(kRecomputed))
      if (Operation *after = last.lookup(*device); after && op->isBeforeInBlock(after))
        needed.add(op);
  needed.close();
}

/// Operations of the backward pass that need not come before its transfers.
static llvm::DenseSet<Operation *> findPutOff(ProgramOp program) {
  SmallVector<Operation *> backward;
  Needed needed;
  forEachDirection(program, [&](Operation *op, bool isBackward) {
    if (!isBackward || endsStep(op))
      return;
    backward.push_back(op);
    if (isa<TransferOp>(op))
      needed.add(op);
  });
  if (needed.empty())
    return {};
  needed.close();
  addRecomputed(backward, needed);
  // What reads nothing can stand anywhere.
  llvm::DenseSet<Operation *> putOff;
  for (Operation *op : backward)
    if (!needed.contains(op) && op->getNumOperands() > 0 && getDevice(op))
      putOff.insert(op);
  return putOff;
}

static void split(ProgramOp program) {
  llvm::DenseSet<Operation *> putOff = findPutOff(program);
  if (putOff.empty())
    return;
  llvm::MapVector<int64_t, SmallVector<Operation *>> waiting; // by device
  auto release = [&](Operation *place, std::optional<int64_t> except) {
    for (auto &[device, ops] : waiting)
      if (device != except) {
        for (Operation *op : ops)
          op->moveBefore(place);
        ops.clear();
      }
  };
  Builder builder(program.getContext());
  for (Operation &op : llvm::make_early_inc_range(program.getBlock())) {
    if (putOff.contains(&op)) {
      op.setAttr(kWeights, builder.getUnitAttr());
      waiting[*getDevice(&op)].push_back(&op);
    } else if (endsStep(&op)) {
      release(&op, std::nullopt);
    } else if (isInstruction(&op) && !isa<TransferOp>(op)) {
      // The pass goes on elsewhere: the transfers that lead there have been issued.
      release(&op, getDevice(&op));
    }
  }
}

void SplitBackward::runOnOperation() {
  if (getOperation().getDevices().value_or(1) < 2)
    return;
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>())
    if (program.getSymName() == "train")
      split(program);
}
