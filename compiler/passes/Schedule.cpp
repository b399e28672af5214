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
// that has not finished can always finish. A step of the optimiser waits for whatever still reads
// the parameters that it changes, the assignment of a buffer for whatever still reads that.
#include "passes/Passes.h"
#include "planner/Order.h"

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
  static LogicalResult verify(ProgramOp program);
};

} // namespace

void Schedule::runOnOperation() {
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>())
    assignOrder(program);
}

LogicalResult VerifyScheduled::verify(ProgramOp program) {
  int64_t next = 0;
  Dependences dependences(program);
  Clocks clocks;
  for (Operation &op : program.getBlock()) {
    if (!isInstruction(&op))
      continue;
    if (getOrder(&op) != next)
      return op.emitError("expected order ") << next << ", got " << getOrder(&op);
    if (auto stream = op.getAttrOfType<StringAttr>(kStream);
        !stream || stream.getValue() != getStreamName(&op))
      return op.emitError("expected the stream ") << getStreamName(&op);
    // Rendezvous without buffering: an instruction starts when all its streams have come to it
    // and its waits are over. As every wait is earlier in the one order, by induction every
    // instruction starts.
    for (int64_t wait : getWaits(&op))
      if (wait < 0 || wait >= next)
        return op.emitError("waits for ") << wait << ", which is not earlier than " << next;
    for (Operation *earlier : dependences.get(&op))
      if (!clocks.isBefore(earlier, &op, getWaits(&op))) {
        InFlightDiagnostic diagnostic =
            op.emitError(isa<UpdateOp, AssignOp>(op) ? "updates what nothing orders before it"
                                                     : "reads what nothing orders before it");
        diagnostic.attachNote(earlier->getLoc()) << "this instruction";
        return diagnostic;
      }
    clocks.issue(&op);
    ++next;
  }
  return success();
}

void VerifyScheduled::runOnOperation() {
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>())
    if (failed(verify(program)))
      return signalPassFailure();
}
