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
// Nor inputs and constants: they have no place. What is rounded to two bytes moves so, and is
// widened where it is read.
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

/// The cast that widens `value` from two bytes, which are less to move; or null.
static CastOp findWidening(Value value) {
  auto cast = value.getDefiningOp<CastOp>();
  Type from = cast ? getElementTypeOrSelf(cast.getX().getType()) : Type();
  return from && (from.isBF16() || from.isF16()) && getElementTypeOrSelf(cast.getType()).isF32()
             ? cast
             : CastOp();
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
      CastOp widening = findWidening(operand.get());
      Value moved = widening ? widening.getX() : operand.get();
      Attribute layer = op->getAttr(kLayer);
      if (auto source = deviceOf(moved); source && *source != *device) {
        auto transfer = builder.create<TransferOp>(moved.getLoc(), moved, *source, *device);
        if (layer)
          transfer->setAttr(kLayer, layer);
        moved = transfer;
      }
      if (widening) {
        auto again = cast<CastOp>(builder.clone(*widening));
        again.getXMutable().assign(moved);
        setDevice(again, *device);
        again->removeAttr(kRecomputed);
        if (Attribute part = op->getAttr(kRecomputed))
          again->setAttr(kRecomputed, part);
        moved = again;
      }
      operand.set(moved);
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
