// mp-verify-graph and mp-verify-calls: the first border and the last.
#include "passes/Passes.h"
#include "planner/Streams.h"

#include <map>

namespace mparc::mp {
#define GEN_PASS_DEF_VERIFYGRAPH
#define GEN_PASS_DEF_VERIFYCALLS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class VerifyGraph : public mparc::mp::impl::VerifyGraphBase<VerifyGraph> {
  void runOnOperation() override;
};

class VerifyCalls : public mparc::mp::impl::VerifyCallsBase<VerifyCalls> {
  void runOnOperation() override;
  LogicalResult verify(ProgramOp program);
};

} // namespace

void VerifyGraph::runOnOperation() {
  getOperation().walk([&](Operation *op) {
    if (isa<LinearOp, MapOp, TransferOp, UpdateOp, GradientOp>(op)) {
      op->emitError("has no place in a graph");
      signalPassFailure();
    }
    for (Value result : op->getResults()) {
      auto type = dyn_cast<RankedTensorType>(result.getType());
      if (type && !isa_and_nonnull<DimensionsAttr>(type.getEncoding())) {
        op->emitError("expected a tensor whose dimensions are known, got ") << type;
        signalPassFailure();
      }
    }
  });
}

/// What `op` writes or reads: bytes [begin, end) of a region, a row or altogether.
namespace {
struct Span {
  int64_t begin, end;
  Operation *writer;
  std::vector<Operation *> accesses;
};
} // namespace

static Span spanOf(Operation *writer) {
  ElementCount elements = getElementCount(writer->getResult(0).getType());
  auto buffer = writer->getAttrOfType<BufferAttr>(kBuffer);
  bool floats = buffer.getRegion() == RegionKind::gradients;
  int64_t size = floats ? elements.count
                        : elements.count *
                              getElementBytes(getElementTypeOrSelf(writer->getResult(0).getType()));
  return {buffer.getOffset(), buffer.getOffset() + size, writer, {writer}};
}

/// Whether `op` may write its result over operand `index`: it reads each element before it writes
/// the one in its place, as wide.
static bool mayWriteOver(Operation *op, unsigned index) {
  auto map = dyn_cast<MapOp>(op);
  auto bytes = [](Value value) { return getElementBytes(getElementTypeOrSelf(value.getType())); };
  return map && map.isContiguous(index) && bytes(map.getInputs()[index]) == bytes(map);
}

/// A value must not be overwritten, by whatever order the streams allow, between its writing and
/// its last reading.
LogicalResult VerifyCalls::verify(ProgramOp program) {
  std::map<std::pair<int64_t, RegionKind>, std::vector<Span>> alive;
  std::vector<Operation *> instructions;
  Clocks clocks;
  for (Operation &op : program.getBlock()) {
    if (!isInstruction(&op))
      continue;
    if (op.getNumResults() == 1) {
      auto buffer = op.getAttrOfType<BufferAttr>(kBuffer);
      if (!buffer)
        return op.emitError("expected a place in the arena");
      bool perRow = getElementCount(op.getResult(0).getType()).perRow;
      if (perRow != (buffer.getRegion() == RegionKind::rows))
        return op.emitError("expected a place among values of its kind of size");
      auto &spans = alive[{*getDevice(&op), buffer.getRegion()}];
      Span mine = spanOf(&op);
      for (const Span &other : spans) {
        if (other.begin >= mine.end || mine.begin >= other.end)
          continue;
        for (Operation *access : other.accesses)
          if (access != &op && !clocks.isBefore(access, &op, getWaits(&op)))
            return op.emitError("writes over a value that nothing orders before it")
                       .attachNote(other.writer->getLoc())
                   << "this value";
      }
      llvm::erase_if(spans, [&](const Span &other) {
        return other.begin < mine.end && mine.begin < other.end;
      });
      spans.push_back(mine);
    }
    // Each operand must still be what lies at its place: nothing written since has overlapped it.
    for (auto [index, operand] : llvm::enumerate(op.getOperands())) {
      for (Operation *producer = getProducer(operand); producer;) {
        auto buffer = producer->getAttrOfType<BufferAttr>(kBuffer);
        bool found = false;
        for (Span &span : alive[{*getDevice(producer), buffer.getRegion()}])
          if (span.writer == producer) {
            span.accesses.push_back(&op);
            found = true;
          }
        auto own = op.getAttrOfType<BufferAttr>(kBuffer);
        bool inPlace =
            own == buffer && getDevice(&op) == getDevice(producer) && mayWriteOver(&op, index);
        if (!found && !inPlace) {
          InFlightDiagnostic diagnostic = op.emitError("reads a value that has been overwritten");
          diagnostic.attachNote(producer->getLoc()) << "this value";
          return diagnostic;
        }
        auto transfer = dyn_cast<TransferOp>(producer);
        producer = transfer ? getProducer(transfer.getInput()) : nullptr;
      }
    }
    clocks.issue(&op);
  }
  return success();
}

void VerifyCalls::runOnOperation() {
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>())
    if (failed(verify(program)))
      return signalPassFailure();
}
