// mp-differentiate: appends the gradient of every parameter to @train.
//
// before   %h = mp.relu %s
//          %l = mp.reduce mean %h
//          mp.return %l
// becomes  … the same, then backwards for every operation that a parameter reaches:
// after    %dh = …, %ds = mp.select (%h > 0), %dh, 0
//          (with a product of f16 the first adjoint is mp.loss_scale, for which mp-clip-gradients
//          makes up)
//          mp.gradient @"layer1.weight", %dw
//          mp.update "adam"
//          mp.return %l
//
// needs    the phase graph.
// gives    the phase grad: `mp.id` on forward operations, `mp.of` on adjoints, `mp.sum` on sums
// over uses. does not name a primitive: rules are rows of the table in DifferentiationRules.cpp.
#include "passes/DifferentiationRules.h"
#include "passes/DropUnused.h"
#include "passes/Passes.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace mparc::mp {
#define GEN_PASS_DEF_DIFFERENTIATE
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class Differentiate : public mparc::mp::impl::DifferentiateBase<Differentiate> {
  void runOnOperation() override;
};

/// One backward walk over a program.
class BackwardWalk {
public:
  BackwardWalk(ProgramOp program, const llvm::DenseSet<Attribute> &untrained)
      : block(program.getBlock()), untrained(untrained), builder(block.getTerminator()),
        build(builder) {}
  LogicalResult run(StringRef optimizer);

private:
  /// Marks what depends on a parameter through differentiable values, and numbers the forward
  /// operations.
  void findActive();
  /// Adds `gradient` to what is known of the adjoint of `value`; uses come in reverse program
  /// order.
  void accumulate(Value value, Value gradient);
  void finishRead(ReadOp read);
  /// Has `seed`, the adjoint of the loss, scaled where adjoints are rounded to f16.
  void scaleLoss(Operation *seed);

  Block &block;
  const llvm::DenseSet<Attribute> &untrained; // names of buffers
  OpBuilder builder;
  AdjointBuilder build;
  llvm::DenseSet<Value> active;
  DenseMap<Value, Value> adjoints;
  DenseMap<Attribute, Value> parameterGradients; // by symbol: a layer used twice is read twice
  DenseMap<Attribute, ReadOp> contributors;      // the read of each that was summed last
  DenseMap<Attribute, unsigned> readsLeft;
};

} // namespace

static bool isDifferentiable(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value.getType()));
}

/// Calls an adjoint after what it is the adjoint of, for those who read the output.
static void nameAfter(Value gradient, Value value) {
  StringRef name = getSourceName(value.getLoc());
  Operation *op = gradient.getDefiningOp();
  if (auto read = value.getDefiningOp<ReadOp>())
    name = read.getParameter();
  if (name.empty() || !op || !op->hasAttr(kOf) || getSourceName(op->getLoc()).ends_with("_grad"))
    return;
  Location place = op->getLoc();
  if (auto source = getSourceLocation(place))
    place = *source;
  op->setLoc(NameLoc::get(StringAttr::get(op->getContext(), name + "_grad"), place));
  // What was rounded and widened again is kept as it was rounded.
  auto widened = dyn_cast<CastOp>(op);
  Operation *rounded = widened ? widened.getX().getDefiningOp() : nullptr;
  if (rounded && rounded->hasAttr(kOf) && !getSourceName(rounded->getLoc()).ends_with("_grad"))
    rounded->setLoc(op->getLoc());
}

void BackwardWalk::findActive() {
  int64_t id = 0;
  for (Operation &op : block.without_terminator()) {
    op.setAttr(kId, builder.getI64IntegerAttr(id++));
    if (auto read = dyn_cast<ReadOp>(op)) {
      if (!untrained.contains(read.getParameterAttr().getAttr()))
        active.insert(read.getResult());
      ++readsLeft[read.getParameterAttr()];
      continue;
    }
    // Of several results the first is what the operation gives; the others are for its adjoint.
    if (op.getNumResults() > 0 && isDifferentiable(op.getResult(0)) &&
        llvm::any_of(op.getOperands(), [&](Value operand) { return active.contains(operand); }))
      active.insert(op.getResult(0));
  }
}

void BackwardWalk::accumulate(Value value, Value gradient) {
  Value &known = adjoints[value];
  if (!known) {
    known = gradient;
  } else {
    // The sum lives with what it is the gradient of, not with the operation whose rule just ran.
    build.enter(value.getDefiningOp());
    if (Value joined = build.join(known, gradient)) {
      known = joined;
    } else {
      known = build.add(known, gradient);
      known.getDefiningOp()->setAttr(kSum, builder.getUnitAttr());
    }
  }
  nameAfter(known, value);
}

void BackwardWalk::finishRead(ReadOp read) {
  FlatSymbolRefAttr parameter = read.getParameterAttr();
  Value &sum = parameterGradients[parameter];
  if (Value gradient = adjoints.lookup(read.getResult())) {
    contributors[parameter] = read;
    if (sum) {
      build.enter(read);
      sum = build.add(sum, gradient);
      sum.getDefiningOp()->setAttr(kSum, builder.getUnitAttr());
      nameAfter(sum, read.getResult());
    } else {
      sum = gradient;
    }
  }
  if (--readsLeft[parameter] == 0 && sum) {
    // It lives with a read that the loss depends on: others are dropped, and with them their place.
    ReadOp contributor = contributors[parameter];
    auto op = builder.create<GradientOp>(contributor.getLoc(), parameter, sum);
    op->setAttr(kOf, contributor->getAttr(kId));
    if (Attribute layer = contributor->getAttr(kLayer))
      op->setAttr(kLayer, layer);
  }
}

/// Of all element types f16 alone has so small a range that gradients fall out of it: below 6e-8
/// they are zero. An adjoint may be of that type, or rounded to it within an operation.
static bool roundsToHalf(Operation *op) {
  auto within = op->getAttrOfType<TypeAttr>("rounding");
  return op->hasAttr(kOf) && ((within && within.getValue().isF16()) ||
                              llvm::any_of(op->getResultTypes(), [](Type type) {
                                return getElementTypeOrSelf(type).isF16();
                              }));
}

void BackwardWalk::scaleLoss(Operation *seed) {
  if (llvm::none_of(block, [](Operation &op) { return roundsToHalf(&op); }))
    return;
  OpBuilder before(seed);
  Location place = seed->getLoc();
  if (auto source = getSourceLocation(place))
    place = *source;
  auto scale = before.create<LossScaleOp>(NameLoc::get(before.getStringAttr("scale"), place),
                                          seed->getResult(0).getType());
  scale->setAttrs(seed->getDiscardableAttrDictionary());
  seed->replaceAllUsesWith(scale);
}

LogicalResult BackwardWalk::run(StringRef optimizer) {
  findActive();
  SmallVector<Operation *> forward;
  for (Operation &op : block.without_terminator())
    forward.push_back(&op);

  Value loss = block.getTerminator()->getOperand(0);
  if (!active.contains(loss)) // nothing to train: every parameter keeps its value
    return success();
  build.enter(loss.getDefiningOp());
  Value seed = build.constant(1.0, loss);
  adjoints[loss] = seed;

  for (Operation *op : llvm::reverse(forward)) {
    if (auto read = dyn_cast<ReadOp>(op)) {
      finishRead(read);
      continue;
    }
    if (op->getNumResults() == 0 || !active.contains(op->getResult(0)))
      continue;
    Value gradient = adjoints.lookup(op->getResult(0));
    if (!gradient)
      continue;
    DifferentiationRule rule = findDifferentiationRule(op);
    if (!rule && !getForeignFunction(op).empty())
      return op->emitError() << "`" << getPlainName(op)
                             << "` has no derivative; give `grad …` in its declaration";
    if (!rule)
      return op->emitError("has no derivative");
    for (unsigned index = 0; index < op->getNumOperands(); ++index) {
      Value operand = op->getOperand(index);
      if (!active.contains(operand))
        continue;
      build.enter(op);
      if (Value adjoint = rule(op, index, gradient, build))
        accumulate(operand, adjoint);
    }
  }
  scaleLoss(seed.getDefiningOp());
  // What a buffer is set to was decided in the forward pass; memory changes when all has been read.
  for (Operation *op : forward)
    if (isa<AssignOp>(op))
      op->moveBefore(block.getTerminator());
  builder.create<UpdateOp>(block.getTerminator()->getLoc(), optimizer, Value());
  return success();
}

/// Drops what nothing uses, last first.
void Differentiate::runOnOperation() {
  auto training = llvm::to_vector(getOperation().getBody().getOps<TrainingOp>());
  llvm::DenseSet<Attribute> untrained;
  for (ParameterOp parameter : getOperation().getBody().getOps<ParameterOp>())
    if (parameter.getUntrained())
      untrained.insert(parameter.getSymNameAttr());
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    if (program.getSymName() != "train" || training.empty())
      continue;
    if (failed(BackwardWalk(program, untrained).run(training.front().getOptimizer())))
      return signalPassFailure();
    dropUnused(program.getBlock());
  }
}
