// mp-verify-graph: the first border.
#include "passes/Passes.h"

namespace mparc::mp {
#define GEN_PASS_DEF_VERIFYGRAPH
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {
class VerifyGraph : public mparc::mp::impl::VerifyGraphBase<VerifyGraph> {
  void runOnOperation() override;
};
} // namespace

void VerifyGraph::runOnOperation() {
  getOperation().walk([&](Operation *op) {
    if (isa<LinearOp, MapOp, TransferOp, UpdateOp, GradientOp, SquaredNormOp, ClipScaleOp>(op)) {
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
