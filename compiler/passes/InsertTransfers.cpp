// mp-insert-transfers: a transfer wherever an operand lives on another device than its reader.
//
// before   %h = mp.relu %s {mp.device = 0}
//          %y = mp.matmul %h, %w {mp.device = 1}
// becomes
// after    %h1 = mp.transfer %h from 0 {mp.device = 1}
//          %y = mp.matmul %h1, %w {mp.device = 1}
//
// needs    the phase placed.
// gives    the phase transferred. Plain on purpose, so that it is obviously right;
// mp-elide-transfers saves. does not move what a program returns: the host reads it where it is.
// Nor inputs and constants: they have no place.
#include "passes/Passes.h"

namespace mparc::mp {
#define GEN_PASS_DEF_INSERTTRANSFERS
#define GEN_PASS_DEF_VERIFYTRANSFERRED
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class InsertTransfers : public mparc::mp::impl::InsertTransfersBase<InsertTransfers> {
  void runOnOperation() override;
};

class VerifyTransferred : public mparc::mp::impl::VerifyTransferredBase<VerifyTransferred> {
  void runOnOperation() override;
};

} // namespace

/// The device a value lives on; none for inputs and constants.
static std::optional<int64_t> deviceOf(Value value) {
  Operation *op = value.getDefiningOp();
  return op ? getDevice(op) : std::nullopt;
}

void InsertTransfers::runOnOperation() {
  getOperation().walk([](Operation *op) {
    auto device = getDevice(op);
    if (!device || isa<TransferOp>(op) || !isa<ProgramOp>(op->getParentOp()))
      return;
    OpBuilder builder(op);
    for (OpOperand &operand : op->getOpOperands()) {
      auto from = deviceOf(operand.get());
      if (!from || *from == *device)
        continue;
      auto transfer =
          builder.create<TransferOp>(operand.get().getLoc(), operand.get(), *from, *device);
      if (Attribute layer = op->getAttr(kLayer))
        transfer->setAttr(kLayer, layer);
      operand.set(transfer);
    }
  });
}

void VerifyTransferred::runOnOperation() {
  getOperation().walk([&](Operation *op) {
    auto device = getDevice(op);
    if (!device || !isa<ProgramOp>(op->getParentOp()))
      return;
    for (Value operand : op->getOperands()) {
      auto from = deviceOf(operand);
      auto transfer = dyn_cast<TransferOp>(op);
      int64_t expected = transfer ? int64_t(transfer.getFrom()) : *device;
      bool toItself = transfer && expected == *device;
      if ((from && *from != expected) || toItself) {
        InFlightDiagnostic diagnostic = op->emitError();
        if (toItself)
          diagnostic << "transfers from device " << expected << " to itself";
        else
          diagnostic << "on device " << expected << " reads a value of device " << *from;
        if (Operation *producer = operand.getDefiningOp())
          diagnostic.attachNote(producer->getLoc()) << "which is made here";
        signalPassFailure();
      }
    }
  });
}
