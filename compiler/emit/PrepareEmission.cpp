//===- PrepareEmission.cpp - IR to IR, so that every operation prints as one call
//------------------===//
//
// Does:     makes each element-wise operation that stands alone an mp.map, and divides programs
// into
//           member functions of the emitted class: those of @train are its stages.
// Before:   %i = mp.iota 0 {mp.device = 0, mp.buffer = ...}
// Becomes:  %i = mp.map maps [] {mp.device = 0, mp.buffer = ..., mp.function = "forward_on_0"} ...
//             { %p = mp.index 0 : i32   mp.yield %p : i32 }
// Needs:    the phase calls.
// Gives:    mp.function on every operation that prints; mp.backward on those of the backward pass.
// Does not: change what is computed, its order or its place.
// Test:     test/emit/prepare-emission.mlir
//
//===------------------------------------------------------------------------------------------------===//
#include "dialect/MpSchedule.h"
#include "emit/Emit.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {
namespace {

/// The most operations in one function: such a function is still read without scrolling back.
constexpr unsigned kLongestFunction = 48;

struct PrepareEmissionPass : PassWrapper<PrepareEmissionPass, OperationPass<ModelOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PrepareEmissionPass)
  StringRef getArgument() const override { return "mp-prepare-emission"; }
  StringRef getDescription() const override { return "make every operation print as one call"; }
  void runOnOperation() override;
};

} // namespace

static bool standsAlone(Operation *op) {
  return isa<ScalarExpression, IotaOp, DropoutMaskOp>(op) && op->getBlock() &&
         isa<ProgramOp>(op->getParentOp());
}

/// Wraps an element-wise operation in a loop of its own.
static void wrapInMap(Operation *op) {
  OpBuilder builder(op);
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  SmallVector<int64_t> identity = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  SmallVector<Attribute> maps(op->getNumOperands(), builder.getDenseI64ArrayAttr(identity));
  auto map =
      builder.create<MapOp>(op->getLoc(), type, op->getOperands(), builder.getArrayAttr(maps));
  for (NamedAttribute attribute : op->getDiscardableAttrs())
    map->setDiscardableAttr(attribute.getName(), attribute.getValue());

  Block &body = map.getBody().emplaceBlock();
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand,
                body.addArgument(getElementTypeOrSelf(operand.getType()), operand.getLoc()));
  builder.setInsertionPointToStart(&body);
  Value element;
  if (auto iota = dyn_cast<IotaOp>(op)) {
    element = builder.create<IndexOp>(op->getLoc(), type.getElementType(), iota.getDimension());
  } else {
    Operation *scalar = builder.clone(*op, mapping);
    SmallVector<StringAttr> discardable;
    for (NamedAttribute attribute : scalar->getDiscardableAttrs())
      discardable.push_back(attribute.getName());
    for (StringAttr name : discardable)
      scalar->removeDiscardableAttr(name);
    element = scalar->getResult(0);
    element.setType(type.getElementType());
  }
  builder.create<YieldOp>(op->getLoc(), element);
  op->getResult(0).replaceAllUsesWith(map.getResult());
  op->erase();
}

/// Whether the operation is a line of the emitted program.
static bool prints(Operation *op) { return !isa<ReadOp, ReshapeOp, GradientOp, ReturnOp>(op); }

/// The function of a stage of @train, by its first operation.
static std::string stageName(Operation *op) {
  std::string device = std::to_string(getDevice(op).value_or(0));
  if (auto transfer = dyn_cast<TransferOp>(op))
    return "transfer_" + std::to_string(transfer.getFrom()) + "_to_" + device;
  StringRef work = "forward";
  if (isa<UpdateOp>(op))
    work = "update";
  else if (isa<AssignOp>(op) && !op->hasAttr(kOfPart))
    work = "update_buffers";
  else if (isa<ReduceScatterOp>(op))
    work = "reduce_scatter";
  else if (auto gather = dyn_cast<AllGatherOp>(op))
    work = gather.getPlace().getRegion() == RegionKind::parameters ? "all_gather_parameters"
                                                                   : "all_gather";
  else if (isa<SquaredNormOp, ClipScaleOp, UnscaleOp>(op))
    work = "clip_gradients";
  else if (auto when = op->getAttrOfType<StringAttr>(kWhen))
    work = when.getValue() == "before" ? "prepare" : "finish";
  else if (op->hasAttr(kWeights))
    work = "weights";
  else if (op->hasAttr(kBackward))
    work = "backward";
  return (work + "_on_" + device).str();
}

/// Whether an operation belongs to the loss, which @evaluate has and @predict has not.
static bool isOfLoss(Operation *op) {
  auto layer = op->getAttrOfType<StringAttr>(kLayer);
  return layer && layer.getValue().split('.').first == "loss";
}

/// The function of a run of another program. A transfer stands apart: it is two devices', which may
/// be of two processes. So does the loss: without it programs may have the same functions.
static std::string functionName(StringRef program, Operation *op) {
  std::string device = std::to_string(getDevice(op).value_or(0));
  // Of a batch that is cut, what stands before or after its parts.
  auto when = op->getAttrOfType<StringAttr>(kWhen);
  StringRef stands = !when ? "" : when.getValue() == "before" ? "prepare_" : "finish_";
  if (auto transfer = dyn_cast<TransferOp>(op))
    return (stands + program + "_" + Twine(transfer.getFrom()) + "_to_" + device).str();
  return (stands + program + (!when && isOfLoss(op) ? "_loss" : "") + "_on_" + device).str();
}

/// A function is a stage of @train; of other programs, a run on one device of a length that is read
/// without scrolling.
static void divideIntoFunctions(ProgramOp program) {
  llvm::StringMap<unsigned> parts;
  std::string current, function;
  Attribute stage;
  unsigned length = 0;
  Builder builder(program.getContext());
  for (Operation &op : program.getBlock().without_terminator()) {
    if (!prints(&op))
      continue;
    // What no stream carries out goes with what comes before it.
    Attribute own = op.getAttr(kStage) ? op.getAttr(kStage) : stage;
    std::string run =
        program.getSymName() == "train" ? stageName(&op) : functionName(program.getSymName(), &op);
    bool begins = own ? own != stage : run != current || length == kLongestFunction;
    if (begins) {
      unsigned part = ++parts[run];
      function = part == 1 ? run : run + "_part_" + std::to_string(part);
      current = run;
      length = 0;
    }
    stage = own;
    ++length;
    op.setAttr(kFunction, builder.getStringAttr(function));
  }
}

void PrepareEmissionPass::runOnOperation() {
  for (auto program : getOperation().getOps<ProgramOp>()) {
    SmallVector<Operation *> alone;
    for (Operation &op : program.getBlock())
      if (standsAlone(&op))
        alone.push_back(&op);
    llvm::for_each(alone, wrapInMap);
    if (program.getSymName() == "train")
      forEachDirection(program, [](Operation *op, bool isBackward) {
        if (isBackward)
          op->setAttr(kBackward, UnitAttr::get(op->getContext()));
      });
    divideIntoFunctions(program);
  }
}

std::unique_ptr<Pass> createPrepareEmissionPass() {
  return std::make_unique<PrepareEmissionPass>();
}

} // namespace mparc::emit
