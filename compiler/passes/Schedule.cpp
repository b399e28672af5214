// mp-schedule: one total order of issue over all devices, streams, and waits.
//
// before   %h = mp.linear … {mp.device = 0}
//          %h1 = mp.transfer %h from 0 {mp.device = 1}
// after    %h = mp.linear … {mp.order = 0, mp.stream = "compute", mp.waits = []}
//          %h1 = mp.transfer %h from 0 {mp.order = 1, mp.stream = "communication", mp.waits = [0]}
//
// needs    the phase fused.
// gives    the phase scheduled.
//
// A device has one compute and one communication stream, each in order. A transfer is one
// instruction on the communication streams of both its devices, so communication that shares a
// device is chained in the total order. A wait points to an earlier instruction only: the earliest
// that has not finished can always finish.
#include "passes/Passes.h"
#include "planner/Streams.h"

namespace mparc::mp {
#define GEN_PASS_DEF_SCHEDULE
#define GEN_PASS_DEF_VERIFYSCHEDULED
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class Schedule : public mparc::mp::impl::ScheduleBase<Schedule> {
  void runOnOperation() override;
};

class VerifyScheduled : public mparc::mp::impl::VerifyScheduledBase<VerifyScheduled> {
  void runOnOperation() override;
};

} // namespace

void Schedule::runOnOperation() {
  Builder builder(&getContext());
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    int64_t order = 0;
    Clocks clocks;
    for (Operation &op : program.getBlock()) {
      if (!isInstruction(&op))
        continue;
      op.setAttr(kOrder, builder.getI64IntegerAttr(order++));
      op.setAttr(kStream, builder.getStringAttr(isa<TransferOp>(op) ? "communication" : "compute"));
      SmallVector<int64_t> waits;
      for (Value operand : op.getOperands())
        if (Operation *producer = getProducer(operand))
          if (!clocks.isBefore(producer, &op, waits))
            waits.push_back(getOrder(producer));
      // An update reads what every gradient of its device has left, in stream order: nothing to
      // wait for.
      llvm::sort(waits);
      op.setAttr(kWaits, builder.getDenseI64ArrayAttr(waits));
      clocks.issue(&op);
    }
  }
}

void VerifyScheduled::runOnOperation() {
  auto refuse = [&](Operation *op, const Twine &what) {
    op->emitError(what);
    signalPassFailure();
  };
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    int64_t next = 0;
    Clocks clocks;
    for (Operation &op : program.getBlock()) {
      if (!isInstruction(&op))
        continue;
      if (!op.hasAttr(kOrder) || getOrder(&op) != next)
        return refuse(&op, "expected order " + Twine(next));
      // Rendezvous without buffering: an instruction starts when all its streams have come to it
      // and its waits are over. As every wait is earlier in the one order, by induction every
      // instruction starts.
      for (int64_t wait : getWaits(&op))
        if (wait < 0 || wait >= next)
          return refuse(&op,
                        "waits for " + Twine(wait) + ", which is not earlier than " + Twine(next));
      for (Value operand : op.getOperands())
        if (Operation *producer = getProducer(operand);
            producer && !clocks.isBefore(producer, &op, getWaits(&op)))
          return refuse(&op, "reads what nothing orders before it: instruction " +
                                 Twine(getOrder(producer)));
      clocks.issue(&op);
      ++next;
    }
  }
}
