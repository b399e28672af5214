// mp-place: gives every operation its device.
//
// before   %h = mp.linear_of_layer1 … {mp.device = 0}      %y = mp.relu %h
// after    … {mp.device = 0}                               %y = mp.relu %h {mp.device = 0}
//
// needs    the phase graph or grad; annotations are `mp.device` already.
// gives    the phase placed: `mp.device` on all operations but constants, on parameters and layers;
// `devices` on the
//          model; one `mp.update` a device that has something to update.
#include "passes/DifferentiationRules.h"
#include "passes/Passes.h"

#include "llvm/ADT/MapVector.h"

#include <set>

namespace mparc::mp {
#define GEN_PASS_DEF_PLACE
#define GEN_PASS_DEF_VERIFYPLACED
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class Place : public mparc::mp::impl::PlaceBase<Place> {
  void runOnOperation() override;
  void placeProgram(ProgramOp program);
  void splitUpdate(ProgramOp program);
  std::optional<int64_t> deviceOfLayer(StringRef path);

  DenseMap<StringAttr, int64_t> parameterDevices;
  DenseMap<StringAttr, int64_t> layerDevices;
};

class VerifyPlaced : public mparc::mp::impl::VerifyPlacedBase<VerifyPlaced> {
  void runOnOperation() override;
};

} // namespace

/// The device of the first operand that has one.
static std::optional<int64_t> deviceOfOperands(Operation *op) {
  for (Value operand : op->getOperands())
    if (Operation *producer = operand.getDefiningOp())
      if (auto device = getDevice(producer))
        return device;
  return std::nullopt;
}

static bool isNowhere(Operation *op) { return isPlaceless(op) || isa<ReturnOp, UpdateOp>(op); }

void Place::placeProgram(ProgramOp program) {
  DenseMap<Attribute, int64_t> byId;
  std::optional<int64_t>
      lossDevice; // the loss runs where the output lives: where its first placed operand does
  SmallVector<Operation *>
      waiting; // of the loss, met before the output: on the target and constants alone
  auto place = [&](Operation *op, int64_t device) {
    setDevice(op, device);
    if (Attribute id = op->getAttr(kId))
      byId[id] = device;
    if (auto layer = op->getAttrOfType<StringAttr>(kLayer))
      layerDevices.try_emplace(layer, device);
  };
  for (Operation &op : program.getBlock()) {
    if (isNowhere(&op))
      continue;
    auto layer = op.getAttrOfType<StringAttr>(kLayer);
    bool ofLoss = layer && (layer.getValue() == "loss" || layer.getValue().starts_with("loss."));
    std::optional<int64_t> device = getDevice(&op);
    auto assign = dyn_cast<AssignOp>(op);
    if (assign && !device)
      if (auto known = parameterDevices.find(assign.getParameterAttr().getAttr());
          known != parameterDevices.end())
        device = known->second;
    if (Attribute of = op.getAttr(kOf); !device && of)
      if (auto known = byId.find(of); known != byId.end())
        device = known->second;
    if (!device)
      device = deviceOfOperands(&op);
    if (ofLoss && device && !lossDevice && deviceOfOperands(&op))
      lossDevice = deviceOfOperands(&op);
    if (!device && ofLoss)
      device = lossDevice;
    if (!device && ofLoss) {
      waiting.push_back(&op);
      continue;
    }
    place(&op, device.value_or(0));
    if (auto read = dyn_cast<ReadOp>(op))
      parameterDevices.try_emplace(read.getParameterAttr().getAttr(), *getDevice(&op));
    if (assign)
      parameterDevices.try_emplace(assign.getParameterAttr().getAttr(), *getDevice(&op));
  }
  for (Operation *op : waiting)
    place(op, lossDevice.value_or(0));
}

/// One step of the optimiser a device that has a gradient.
void Place::splitUpdate(ProgramOp program) {
  std::set<int64_t> devices;
  for (GradientOp gradient : program.getBlock().getOps<GradientOp>())
    devices.insert(*getDevice(gradient));
  for (UpdateOp update : llvm::make_early_inc_range(program.getBlock().getOps<UpdateOp>())) {
    if (getDevice(update))
      continue;
    OpBuilder builder(update);
    for (int64_t device : devices)
      setDevice(builder.create<UpdateOp>(update.getLoc(), update.getOptimizer(), update.getScale(),
                                         update.getSkipping()),
                device);
    update.erase();
  }
}

/// Where a layer's first operation is; of one without any, as `Dropout(0.0)`, that of the layer it
/// belongs to.
std::optional<int64_t> Place::deviceOfLayer(StringRef path) {
  for (StringRef name = path; !name.empty(); name = name.rsplit('.').first) {
    auto known = layerDevices.find(StringAttr::get(&getContext(), name));
    if (known != layerDevices.end())
      return known->second;
    if (!name.contains('.'))
      break;
  }
  return std::nullopt;
}

void Place::runOnOperation() {
  parameterDevices.clear();
  layerDevices.clear();
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    placeProgram(program);
    splitUpdate(program);
  }
  int64_t last = 0;
  for (Operation &op : getOperation().getBody().front()) {
    if (auto parameter = dyn_cast<ParameterOp>(op))
      if (!getDevice(parameter))
        setDevice(parameter, parameterDevices.lookup(parameter.getSymNameAttr()));
    if (auto layer = dyn_cast<LayerOp>(op))
      if (auto device = deviceOfLayer(layer.getPath()))
        setDevice(layer, *device);
  }
  getOperation().walk([&](Operation *op) {
    op->removeAttr(kId);
    op->removeAttr(kOf);
    last = std::max(last, getDevice(op).value_or(0));
  });
  getOperation().setDevices(last + 1);
}

void VerifyPlaced::runOnOperation() {
  int64_t devices = getOperation().getDevices().value_or(0);
  getOperation().walk([&](Operation *op) {
    if (!isa<ProgramOp>(op->getParentOp()) || isPlaceless(op) || isa<ReturnOp>(op))
      return;
    auto device = getDevice(op);
    if (!device || *device < 0 || *device >= devices) {
      op->emitError("expected a device below ") << devices;
      signalPassFailure();
    }
  });
}
