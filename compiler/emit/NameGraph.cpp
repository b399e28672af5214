//===- NameGraph.cpp - names for what the source leaves unnamed
//------------------------------------===//
//
// Does:     names operations by location: the result of a layer after the layer, what a function
// makes
//           of a value after both.
// Before:   %a = mp.add ... {mp.layer = "layer1"} loc("layer1.h")     %b = mp.relu %a loc(unnamed)
// Becomes:  %a = mp.add ... {mp.layer = "layer1"} loc("layer1_out")   %b = mp.relu %a
// loc("layer1_relu") Needs:    the phase graph; what the source names has a NameLoc, inside a layer
// with the layer's path. Gives:    a NameLoc on every operation but reads and constants. Does not:
// rename what the model's own forward names. Test:     test/emit/name-graph.mlir
//
//===------------------------------------------------------------------------------------------------===//
#include "emit/Emit.h"

#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {
namespace {

struct NameGraphPass : PassWrapper<NameGraphPass, OperationPass<ModelOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NameGraphPass)
  StringRef getArgument() const override { return "mp-name-graph"; }
  StringRef getDescription() const override { return "name what the source leaves unnamed"; }
  void runOnOperation() override {
    for (auto program : getOperation().getOps<ProgramOp>())
      nameProgram(program);
  }

private:
  void nameProgram(ProgramOp program);
};

} // namespace

static StringRef layerOf(Operation *op) {
  auto layer = op->getAttrOfType<StringAttr>(kLayer);
  return layer ? layer.getValue() : StringRef();
}

/// Whether a result is what its layer gives to others.
static bool leavesLayer(Operation *op) {
  for (Operation *user : op->getUsers())
    if (isa<ReturnOp>(user) || layerOf(user) != layerOf(op))
      return true;
  return false;
}

/// Of a cast that only rounds, there or back, what it rounds; null where there is none.
static Operation *roundedBy(Operation *op) {
  auto isFloat = [](Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); };
  auto cast = dyn_cast<CastOp>(op);
  return cast && isFloat(cast.getX()) && isFloat(cast) ? cast.getX().getDefiningOp() : nullptr;
}

static void rename(Operation *op, const Twine &name) {
  Location place = op->getLoc();
  if (auto source = getSourceLocation(place))
    place = *source;
  op->setLoc(NameLoc::get(StringAttr::get(op->getContext(), name), place));
}

void NameGraphPass::nameProgram(ProgramOp program) {
  // What names made from a value begin with: for the result of a layer the layer, for `h` itself.
  llvm::DenseMap<Value, std::string> stems;
  for (auto [argument, name] : llvm::zip(program.getBlock().getArguments(), program.getNames()))
    stems[argument] = cast<StringAttr>(name).str();
  for (Operation &op : program.getBlock().without_terminator()) {
    if (op.getNumResults() == 0 || isa<ReadOp, ConstantOp, IotaOp, ExtentOp>(op))
      continue;
    StringRef layer = layerOf(&op), name = getSourceName(op.getLoc());
    bool inside = !layer.empty() && (name.empty() || name.starts_with((layer + ".").str()));
    if (inside && leavesLayer(&op)) {
      // The loss is a layer too, but its result is what everyone calls the loss.
      rename(&op, layer == "loss" ? layer : layer + "_out");
      for (Operation *rounded = roundedBy(&op); rounded; rounded = roundedBy(rounded))
        rounded->setLoc(op.getLoc());
      stems[op.getResult(0)] = layer.str();
      continue;
    }
    if (name.empty()) {
      std::string stem = layer.str();
      for (Value operand : op.getOperands())
        if (stem.empty())
          stem = stems.lookup(operand);
      stems[op.getResult(0)] = stem;
      rename(&op,
             stem + (stem.empty() ? "" : "_") + (isSquare(&op) ? "square" : getPlainName(&op)));
      continue;
    }
    stems[op.getResult(0)] = name.str();
  }
}

std::unique_ptr<Pass> createNameGraphPass() { return std::make_unique<NameGraphPass>(); }

} // namespace mparc::emit
