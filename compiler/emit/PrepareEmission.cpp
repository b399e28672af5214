//===- PrepareEmission.cpp - IR to IR, so that every operation prints as one call
//------------------===//
//
// Does:     makes each element-wise operation that stands alone an mp.map, and divides programs
// into
//           member functions of the emitted class.
// Before:   %i = mp.iota 0 {mp.device = 0, mp.buffer = ...}
// Becomes:  %i = mp.map maps [] {mp.device = 0, mp.buffer = ..., mp.function = "forward_on_0"} ...
//             { %p = mp.index 0 : i32   mp.yield %p : i32 }
// Needs:    the phase calls.
// Gives:    mp.function on every operation that prints; mp.backward on those of the backward pass.
// Does not: change what is computed, its order or its place.
// Test:     test/emit/prepare-emission.mlir
//
//===------------------------------------------------------------------------------------------------===//
#include "emit/Emit.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"

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

void forEachDirection(ProgramOp program, llvm::function_ref<void(Operation *, bool)> visit) {
  DenseSet<Operation *> forward;
  SmallVector<Value> pending(program.getBlock().getTerminator()->getOperands());
  for (AssignOp assign : program.getBlock().getOps<AssignOp>())
    pending.push_back(assign.getValue());
  while (!pending.empty())
    if (Operation *op = pending.pop_back_val().getDefiningOp(); op && forward.insert(op).second)
      llvm::append_range(pending, op->getOperands());
  for (Operation &op : program.getBlock().without_terminator())
    visit(&op, !forward.contains(&op));
}

/// Whether the operation is a line of the emitted program.
static bool prints(Operation *op) { return !isa<ReadOp, ReshapeOp, GradientOp, ReturnOp>(op); }

/// The function of what ends a step: the norm of the gradients, and the updates; empty for others.
static std::string endOfStep(Operation *op) {
  if (isa<UpdateOp>(op))
    return "update"; // a line a device: not worth a function each; threads share it out
  if (isa<AssignOp>(op))
    return "update_buffers";
  if (isa<SquaredNormOp, ClipScaleOp>(op))
    return "clip_gradients";
  if (!isa<TransferOp>(op) || op->use_empty())
    return {};
  std::string first = endOfStep(*op->user_begin());
  if (first == "update") // copies what the gradients are multiplied by, which is not shared out
    return "clip_gradients";
  bool agree =
      llvm::all_of(op->getUsers(), [&](Operation *user) { return endOfStep(user) == first; });
  return agree ? first : std::string();
}

static std::string functionName(StringRef program, Operation *op) {
  if (std::string name = endOfStep(op); !name.empty())
    return name;
  std::string device = std::to_string(getDevice(op).value_or(0));
  if (auto when = op->getAttrOfType<StringAttr>(kWhen))
    return (when.getValue() == "before" ? "prepare_on_" : "finish_on_") + device;
  if (program != "train")
    return (program + "_on_" + device).str();
  return (op->hasAttr(kBackward) ? "backward_on_" : "forward_on_") + device;
}

static void divideIntoFunctions(ProgramOp program) {
  llvm::StringMap<unsigned> parts;
  std::string current, function;
  unsigned length = 0;
  Builder builder(program.getContext());
  for (Operation &op : program.getBlock().without_terminator()) {
    if (!prints(&op))
      continue;
    std::string run = functionName(program.getSymName(), &op);
    if (run != current || length == kLongestFunction) {
      unsigned part = ++parts[run];
      function = part == 1 ? run : run + "_part_" + std::to_string(part);
      current = run;
      length = 0;
    }
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
