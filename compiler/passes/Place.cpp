// mp-place: gives every operation its device.
//
// before   %h = mp.linear_of_layer1 … {mp.device = 0}      %y = mp.relu %h
// after    … {mp.device = 0}                               %y = mp.relu %h {mp.device = 0}
//
// needs    the phase graph or grad; annotations are `mp.device` already.
// gives    the phase placed: `mp.device` on all operations but constants, on parameters and layers;
// `devices` on the
//          model; one `mp.update` a device that has something to update.
#include "dialect/Groups.h"
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

/// A device, and the group that it is the first of; null where it is by itself.
struct Site {
  int64_t device = 0;
  Attribute group;
};

class Place : public mparc::mp::impl::PlaceBase<Place> {
  void runOnOperation() override;
  void placeProgram(ProgramOp program);
  void splitUpdate(ProgramOp program);
  std::optional<Site> siteOfLayer(StringRef path);

  DenseMap<StringAttr, Site> parameterSites;
  DenseMap<StringAttr, Site> layerSites;
};

class VerifyPlaced : public mparc::mp::impl::VerifyPlacedBase<VerifyPlaced> {
  void runOnOperation() override;
};

} // namespace

static std::optional<Site> getSite(Operation *op) {
  if (auto device = getDevice(op))
    return Site{*device, op->getAttr(kGroup)};
  return std::nullopt;
}

static void setSite(Operation *op, const Site &site) {
  setDevice(op, site.device);
  if (site.group)
    op->setAttr(kGroup, site.group);
}

/// The place of the first operand that has one.
static std::optional<Site> siteOfOperands(Operation *op) {
  for (Value operand : op->getOperands())
    if (Operation *producer = operand.getDefiningOp())
      if (auto site = getSite(producer))
        return site;
  return std::nullopt;
}

static bool isNowhere(Operation *op) { return isPlaceless(op) || isa<ReturnOp, UpdateOp>(op); }

void Place::placeProgram(ProgramOp program) {
  DenseMap<Attribute, Site> byId;
  std::optional<Site>
      lossSite; // the loss runs where the output lives: where its first placed operand does
  SmallVector<Operation *>
      waiting; // of the loss, met before the output: on the target and constants alone
  auto place = [&](Operation *op, const Site &site) {
    setSite(op, site);
    if (Attribute id = op->getAttr(kId))
      byId[id] = site;
    if (auto layer = op->getAttrOfType<StringAttr>(kLayer))
      layerSites.try_emplace(layer, site);
  };
  for (Operation &op : program.getBlock()) {
    if (isNowhere(&op))
      continue;
    auto layer = op.getAttrOfType<StringAttr>(kLayer);
    bool ofLoss = layer && (layer.getValue() == "loss" || layer.getValue().starts_with("loss."));
    std::optional<Site> site = getSite(&op);
    auto assign = dyn_cast<AssignOp>(op);
    if (assign && !site)
      if (auto known = parameterSites.find(assign.getParameterAttr().getAttr());
          known != parameterSites.end())
        site = known->second;
    if (Attribute of = op.getAttr(kOf); !site && of)
      if (auto known = byId.find(of); known != byId.end())
        site = known->second;
    if (!site)
      site = siteOfOperands(&op);
    if (ofLoss && site && !lossSite && siteOfOperands(&op))
      lossSite = siteOfOperands(&op);
    if (!site && ofLoss)
      site = lossSite;
    if (!site && ofLoss) {
      waiting.push_back(&op);
      continue;
    }
    place(&op, site.value_or(Site()));
    if (auto read = dyn_cast<ReadOp>(op))
      parameterSites.try_emplace(read.getParameterAttr().getAttr(), *getSite(&op));
    if (assign)
      parameterSites.try_emplace(assign.getParameterAttr().getAttr(), *getSite(&op));
  }
  for (Operation *op : waiting)
    place(op, lossSite.value_or(Site()));
}

/// One step of the optimiser a device that has a gradient.
void Place::splitUpdate(ProgramOp program) {
  std::set<int64_t> devices;
  for (GradientOp gradient : program.getBlock().getOps<GradientOp>()) {
    devices.insert(*getDevice(gradient));
    if (auto group = getGroup(gradient))
      devices.insert(group->devices.begin(), group->devices.end());
  }
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
std::optional<Site> Place::siteOfLayer(StringRef path) {
  for (StringRef name = path; !name.empty(); name = name.rsplit('.').first) {
    auto known = layerSites.find(StringAttr::get(&getContext(), name));
    if (known != layerSites.end())
      return known->second;
    if (!name.contains('.'))
      break;
  }
  return std::nullopt;
}

void Place::runOnOperation() {
  parameterSites.clear();
  layerSites.clear();
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    placeProgram(program);
    splitUpdate(program);
  }
  int64_t last = 0;
  for (Operation &op : getOperation().getBody().front()) {
    if (auto parameter = dyn_cast<ParameterOp>(op))
      if (!getDevice(parameter))
        setSite(parameter, parameterSites.lookup(parameter.getSymNameAttr()));
    if (auto layer = dyn_cast<LayerOp>(op))
      if (auto site = siteOfLayer(layer.getPath()))
        setSite(layer, *site);
  }
  getOperation().walk([&](Operation *op) {
    op->removeAttr(kId);
    op->removeAttr(kOf);
    last = std::max(last, getDevice(op).value_or(0));
    if (auto group = getGroup(op))
      for (int64_t device : group->devices)
        last = std::max(last, device);
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
