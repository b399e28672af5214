// mp-plan-memory: gives every value its place in its device's arena.
//
// before   %h = mp.linear … {mp.order = 0}
// after    %h = mp.linear … {mp.order = 0, mp.buffer = #mp.buffer<rows, 0>}
//
// needs    the phase scheduled.
// gives    the phase calls: `mp.buffer` on every value and parameter, `mp.devices` on the model,
// and waits for what a reused stretch of memory was read by on another stream.
// What a parameter's gradient is computed by writes it into the region of gradients at once, unless
// it is a transfer (which may be no copy) or is shared: then a copy is made.
#include "dialect/MpSchedule.h"
#include "passes/Passes.h"
#include "planner/MemoryPlan.h"
#include "planner/Order.h"

#include <map>

namespace mparc::mp {
#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

struct DeviceNeeds {
  int64_t parameterFloats = 0, trainedFloats = 0, undecayedFloats = 0, fixedBytes = 0, rowBytes = 0;
  int64_t keptRowBytes = -1; // -1: microbatches share nothing
  int64_t rowUnit = 1;
};

class PlanMemory : public mparc::mp::impl::PlanMemoryBase<PlanMemory> {
  void runOnOperation() override;
  void placeParameters();
  void placeGradients(ProgramOp program);
  void placeValues(ProgramOp program);

  std::vector<DeviceNeeds> needs;
  DenseMap<Attribute, BufferAttr> parameterPlaces; // by name: looking symbols up takes linear time
};

} // namespace

/// Those with a gradient first, so that the optimiser passes over a prefix: others keep their value
/// even under weight decay. Of the prefix, those that decay first, so that either kind is
/// contiguous.
void PlanMemory::placeParameters() {
  Block &body = getOperation().getBody().front();
  llvm::DenseSet<Attribute> trained;
  for (ProgramOp program : body.getOps<ProgramOp>())
    for (GradientOp gradient : program.getBlock().getOps<GradientOp>())
      trained.insert(gradient.getParameterAttr().getAttr());
  enum class Group { decayed, undecayed, untrained };
  auto groupOf = [&](ParameterOp parameter) {
    if (!trained.contains(parameter.getSymNameAttr()))
      return Group::untrained;
    return parameter.getUndecayed() ? Group::undecayed : Group::decayed;
  };
  for (Group group : {Group::decayed, Group::undecayed, Group::untrained})
    for (ParameterOp parameter : body.getOps<ParameterOp>()) {
      if (groupOf(parameter) != group)
        continue;
      DeviceNeeds &device = needs[*getDevice(parameter)];
      auto place = BufferAttr::get(&getContext(), RegionKind::parameters, device.parameterFloats);
      parameter->setAttr(kBuffer, place);
      parameterPlaces[parameter.getSymNameAttr()] = place;
      int64_t floats = parameter.getTensorType().getNumElements();
      floats = (floats + kParameterFloats - 1) / kParameterFloats * kParameterFloats;
      device.parameterFloats += floats;
      if (group != Group::untrained)
        device.trainedFloats = device.parameterFloats;
      if (group == Group::undecayed)
        device.undecayedFloats += floats;
    }
}

/// A copy of a value by a loop of its own.
static MapOp copyBefore(Operation *place, Value value) {
  OpBuilder builder(place);
  auto type = cast<RankedTensorType>(value.getType());
  auto map = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  Attribute maps = builder.getDenseI64ArrayAttr(map);
  auto copy = builder.create<MapOp>(place->getLoc(), type, value, builder.getArrayAttr(maps));
  Block &body = copy.getBody().emplaceBlock();
  body.addArgument(type.getElementType(), value.getLoc());
  OpBuilder::atBlockEnd(&body).create<YieldOp>(place->getLoc(), body.getArgument(0));
  setDevice(copy, *getDevice(place));
  // In a batch that is cut it stands where what it copies for does: after the parts.
  if (Attribute when = place->getAttr(kWhen))
    copy->setAttr(kWhen, when);
  return copy;
}

void PlanMemory::placeGradients(ProgramOp program) {
  for (GradientOp gradient : llvm::make_early_inc_range(program.getBlock().getOps<GradientOp>())) {
    int64_t offset = parameterPlaces[gradient.getParameterAttr().getAttr()].getOffset();
    Value source = getSource(gradient.getValue());
    auto place = BufferAttr::get(&getContext(), RegionKind::gradients, offset);
    bool taken = !source || source.getDefiningOp<TransferOp>() || getPlace(source);
    if (taken) {
      MapOp copy = copyBefore(gradient, gradient.getValue());
      gradient.getValueMutable().assign(copy.getResult());
      source = copy.getResult();
    }
    setPlace(source, place);
  }
}

/// Adds the waits that keep an instruction from writing where earlier ones still read or write on
/// other streams.
static void addReuseWaits(ProgramOp program, const MemoryPlan &plan) {
  std::vector<std::vector<Operation *>> accesses(plan.allocations.size());
  std::map<std::pair<int64_t, bool>, std::vector<size_t>> written;
  std::vector<Operation *> issued; // by order
  Clocks clocks;
  Builder builder(program.getContext());
  auto allocationsOf = [&](Operation *op) {
    SmallVector<size_t> touched;
    auto touch = [&](Value value) {
      if (auto known = plan.of.find(value);
          known != plan.of.end() && !llvm::is_contained(touched, known->second))
        touched.push_back(known->second);
    };
    llvm::for_each(op->getResults(), touch);
    for (Value operand : op->getOperands())
      for (Value source = getSource(operand); source;) {
        touch(source);
        // Between devices that share memory a transfer's copy is its source.
        auto transfer = source.getDefiningOp<TransferOp>();
        source = transfer ? getSource(transfer.getInput()) : Value();
      }
    return touched;
  };
  for (Operation &op : program.getBlock()) {
    if (!isInstruction(&op))
      continue;
    std::vector<Operation *> earlier;
    for (int64_t wait : getWaits(&op))
      earlier.push_back(issued[wait]);
    for (Value result : op.getResults()) {
      auto own = plan.of.find(result);
      if (own == plan.of.end())
        continue;
      const Allocation &mine = plan.allocations[own->second];
      auto &others = written[{mine.device, mine.perRow}];
      for (size_t other : others) {
        const Allocation &theirs = plan.allocations[other];
        if (theirs.offset >= mine.offset + mine.bytes ||
            mine.offset >= theirs.offset + theirs.bytes)
          continue;
        llvm::append_range(earlier, accesses[other]);
      }
      // Whatever lay wholly where this one writes is ordered from now on by this one.
      llvm::erase_if(others, [&](size_t other) {
        const Allocation &theirs = plan.allocations[other];
        return other == own->second || (theirs.offset >= mine.offset &&
                                        theirs.offset + theirs.bytes <= mine.offset + mine.bytes);
      });
      others.push_back(own->second);
    }
    op.setAttr(kWaits, builder.getDenseI64ArrayAttr(findWaits(clocks, &op, std::move(earlier))));
    for (size_t allocation : allocationsOf(&op))
      accesses[allocation].push_back(&op);
    clocks.issue(&op);
    issued.push_back(&op);
  }
}

void PlanMemory::placeValues(ProgramOp program) {
  MemoryPlan plan = planMemory(program);
  llvm::SmallDenseSet<int64_t> sharing;
  if (program.getSymName() == "train")
    sharing = chooseSharing(program, plan);
  if (!sharing.empty())
    plan = planMemory(program, sharing);
  for (auto [value, index] : plan.of) {
    const Allocation &allocation = plan.allocations[index];
    RegionKind region = allocation.perRow ? RegionKind::rows : RegionKind::fixed;
    setPlace(value, BufferAttr::get(&getContext(), region, allocation.offset));
  }
  for (size_t device = 0; device < needs.size(); ++device) {
    needs[device].fixedBytes = std::max(needs[device].fixedBytes, plan.getExtent(device, false));
    needs[device].rowBytes = std::max(needs[device].rowBytes, plan.getExtent(device, true));
    needs[device].rowUnit = std::max(needs[device].rowUnit, plan.getRowUnit(device));
    if (sharing.contains(static_cast<int64_t>(device)))
      needs[device].keptRowBytes = plan.getKeptExtent(static_cast<int64_t>(device));
  }
  addReuseWaits(program, plan);
  for (Operation &op : program.getBlock()) {
    if (auto read = dyn_cast<ReadOp>(op))
      op.setAttr(kBuffer, parameterPlaces[read.getParameterAttr().getAttr()]);
    if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      if (auto argument = dyn_cast<BlockArgument>(reshape.getInput()))
        op.setAttr(kBuffer,
                   BufferAttr::get(&getContext(), RegionKind::input, argument.getArgNumber()));
      else
        setPlace(reshape.getResult(), getPlace(reshape.getInput()));
    }
  }
}

void PlanMemory::runOnOperation() {
  ModelOp model = getOperation();
  needs.assign(model.getDevices().value_or(1), {});
  parameterPlaces.clear();
  placeParameters();
  for (ProgramOp program : model.getBody().getOps<ProgramOp>()) {
    placeGradients(program);
    assignOrder(program); // anew: copies of gradients have been added
    placeValues(program);
  }
  Builder builder(&getContext());
  SmallVector<Attribute> devices;
  for (const DeviceNeeds &device : needs) {
    NamedAttrList entries;
    auto add = [&](StringRef name, int64_t size) {
      entries.append(name, builder.getI64IntegerAttr(size));
    };
    add("parameter_floats", device.parameterFloats);
    add("trained_floats", device.trainedFloats);
    if (device.undecayedFloats > 0)
      add("undecayed_floats", device.undecayedFloats);
    add("fixed_bytes", device.fixedBytes);
    add("row_bytes", device.rowBytes);
    add("row_unit", device.rowUnit);
    // Evaluation, which goes microbatch by microbatch, uses both.
    if (device.keptRowBytes >= 0)
      add("shared_row_bytes", device.rowBytes - device.keptRowBytes);
    devices.push_back(entries.getDictionary(&getContext()));
  }
  model->setAttr("mp.devices", builder.getArrayAttr(devices));
}
