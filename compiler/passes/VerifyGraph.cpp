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
    if (isa<LinearOp, MapOp, TransferOp, UpdateOp, GradientOp, SquaredNormOp, ClipScaleOp,
            LossScaleOp, UnscaleOp>(op)) {
      op->emitError("has no place in a graph");
      signalPassFailure();
    }
    auto check = [&](Type type) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (tensor && isa_and_nonnull<DimensionsAttr>(tensor.getEncoding()))
        return;
      op->emitError("expected a tensor whose dimensions are known, got ") << type;
      signalPassFailure();
    };
    if (auto parameter = dyn_cast<ParameterOp>(op))
      check(parameter.getType());
    for (Type type : op->getResultTypes())
      if (isa<RankedTensorType>(type))
        check(type);
  });
}
