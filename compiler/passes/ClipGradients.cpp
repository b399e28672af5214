// mp-clip-gradients: scales all gradients so that their norm together is at most `clip_norm`, and
// takes back what the loss was scaled by.
//
// before   mp.gradient @"w", %gw
//          mp.gradient @"b", %gb
//          mp.update "adam"
// after    … the same gradients, then, in the order in which parameters are declared:
//          %n = mp.squared_norm %gw
//          %m = mp.squared_norm %gb, %n
//          %s = mp.clip_scale %m to 1.0
//          mp.update "adam" scale %s
//          where the loss is scaled, with or without `clip_norm`:
//          %s = mp.unscale %m to 1.0
//          mp.update "adam" scale %s skipping
//
// needs    the phase grad, before placement: `mp.of` ties each norm to its parameter's read, so
// that it
//          lives with the gradient, and the sum travels from device to device in its order.
// gives    the same phase. does not touch the gradients: each is read once, and scaled as the
// optimiser
//          reads it.
#include "passes/DifferentiationRules.h"
#include "passes/Passes.h"

namespace mparc::mp {
#define GEN_PASS_DEF_CLIPGRADIENTS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class ClipGradients : public mparc::mp::impl::ClipGradientsBase<ClipGradients> {
  void runOnOperation() override;
  void clip(ProgramOp program, TrainingOp training, FloatAttr norm, bool isScaled);
};

} // namespace

void ClipGradients::clip(ProgramOp program, TrainingOp training, FloatAttr norm, bool isScaled) {
  auto updates = llvm::to_vector(program.getBlock().getOps<UpdateOp>());
  if (updates.empty()) // nothing is trained
    return;
  DenseMap<Attribute, GradientOp> gradients; // by parameter
  for (GradientOp gradient : program.getBlock().getOps<GradientOp>())
    gradients[gradient.getParameterAttr().getAttr()] = gradient;

  OpBuilder builder(updates.front());
  auto named = [&](StringRef name) -> Location {
    return NameLoc::get(builder.getStringAttr(name), training.getLoc());
  };
  Type scalar = getScalarType(&getContext(), builder.getF32Type());
  Value sum;
  for (ParameterOp parameter : getOperation().getBody().getOps<ParameterOp>()) {
    GradientOp gradient = gradients.lookup(parameter.getSymNameAttr());
    if (!gradient)
      continue;
    auto squares =
        builder.create<SquaredNormOp>(named("squared_norm"), scalar, gradient.getValue(), sum);
    if (Attribute of = gradient->getAttr(kOf))
      squares->setAttr(kOf, of);
    sum = squares;
  }
  if (!sum) // nothing that the loss depends on has a gradient
    return;
  // A gradient that is not finite makes the sum so: one number says whether the step is skipped.
  Value scale;
  if (isScaled)
    scale = builder.create<UnscaleOp>(named("gradient_scale"), scalar, sum, norm);
  else
    scale = builder.create<ClipScaleOp>(named("clip_scale"), scalar, sum, norm);
  for (UpdateOp update : updates) {
    update.getScaleMutable().assign(scale);
    update.setSkipping(isScaled);
  }
}

void ClipGradients::runOnOperation() {
  for (TrainingOp training : getOperation().getBody().getOps<TrainingOp>())
    for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
      auto norm = training.getSettings().getAs<FloatAttr>("clip_norm");
      bool isScaled = !program.getBlock().getOps<LossScaleOp>().empty();
      if (program.getSymName() == "train" && (norm || isScaled))
        clip(program, training, norm, isScaled);
    }
}
