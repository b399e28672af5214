// Collects the places of what a stage's operations read and write.
#include "planner/StageMemory.h"
#include "planner/MemoryPlan.h"
#include "planner/Stages.h"
#include "planner/Streams.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <tuple>

using namespace mlir;

namespace mparc::mp {

static bool countsFloats(RegionKind region) {
  return region == RegionKind::parameters || region == RegionKind::gradients;
}

static MemoryRange rangeOf(int64_t device, BufferAttr place, Type element, int64_t count) {
  int64_t begin = place.getOffset() * (countsFloats(place.getRegion()) ? 4 : 1);
  return {device, place.getRegion(), begin, begin + count * getElementBytes(element)};
}

static MemoryRange rangeOf(int64_t device, BufferAttr place, Type type) {
  ElementCount elements = getElementCount(type);
  MemoryRange range = rangeOf(device, place, getElementTypeOrSelf(type), elements.count);
  if (place.getRegion() == RegionKind::rows)
    range.end = range.begin + getHeldBytes(type);
  range.once = place.getRegion() == RegionKind::rows && !elements.perRow;
  range.partly = !elements.piece.isWhole();
  return range;
}

/// Sorts ranges and joins those that touch.
static void join(std::vector<MemoryRange> &ranges) {
  auto key = [](const MemoryRange &range) {
    return std::tuple(range.device, range.region, range.shared, range.begin, range.end, range.once,
                      range.partly);
  };
  llvm::sort(ranges, [&](const auto &a, const auto &b) { return key(a) < key(b); });
  std::vector<MemoryRange> joined;
  for (const MemoryRange &range : ranges) {
    if (range.begin == range.end)
      continue;
    if (!joined.empty() && joined.back().device == range.device && !joined.back().once &&
        !range.once && joined.back().region == range.region &&
        joined.back().partly == range.partly && joined.back().shared == range.shared &&
        range.begin <= joined.back().end)
      joined.back().end = std::max(joined.back().end, range.end);
    else
      joined.push_back(range);
  }
  ranges = std::move(joined);
}

namespace {

class Collector {
public:
  Collector(ModelOp model, bool shared) : model(model), shared(shared) {
    for (auto parameter : model.getOps<ParameterOp>())
      parameters[parameter.getSymNameAttr()] = parameter;
  }
  StageMemory collect(ArrayRef<Operation *> stage);

private:
  MemoryRange rangeOfParameter(Attribute name) {
    ParameterOp parameter = parameters.lookup(name);
    return rangeOf(getDevice(parameter).value_or(0), parameter->getAttrOfType<BufferAttr>(kBuffer),
                   parameter.getTensorType());
  }
  void read(Operation *op, Value operand, StageMemory &memory);
  bool isShared(const MemoryRange &range) const {
    if (range.region != RegionKind::rows)
      return false;
    auto entry = cast<DictionaryAttr>(model->getAttrOfType<ArrayAttr>("mp.devices")[range.device]);
    auto shared = entry.getAs<IntegerAttr>("shared_row_bytes");
    return shared &&
           range.begin >= entry.getAs<IntegerAttr>("row_bytes").getInt() - shared.getInt();
  }

  ModelOp model;
  bool shared;
  DenseMap<Attribute, ParameterOp> parameters;
};

} // namespace

void Collector::read(Operation *op, Value operand, StageMemory &memory) {
  while (auto reshape = operand.getDefiningOp<ReshapeOp>())
    operand = reshape.getInput();
  Operation *source = operand.getDefiningOp();
  if (auto parameter = dyn_cast_or_null<ReadOp>(source)) {
    memory.reads.push_back(rangeOfParameter(parameter.getParameterAttr().getAttr()));
    return;
  }
  if (!source || !isInstruction(source))
    return;
  if (auto transfer = dyn_cast<TransferOp>(source); transfer && shared)
    read(op, transfer.getInput(), memory);
  if (source->getAttr(kStage) == op->getAttr(kStage))
    return;
  if (BufferAttr place = getPlace(operand); place && place.getRegion() != RegionKind::input)
    memory.reads.push_back(rangeOf(getDevice(source).value_or(0), place, operand.getType()));
}

StageMemory Collector::collect(ArrayRef<Operation *> stage) {
  StageMemory memory;
  for (Operation *op : stage) {
    // Operations that each reader makes anew read their operands in its place.
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (operand.getParentBlock() == op->getBlock())
          read(op, operand, memory);
    });
    for (Value result : op->getResults())
      if (BufferAttr place = getPlace(result); place && place.getRegion() != RegionKind::input)
        memory.writes.push_back(rangeOf(getDevice(op).value_or(0), place, result.getType()));
    if (auto assign = dyn_cast<AssignOp>(op))
      memory.writes.push_back(rangeOfParameter(assign.getParameterAttr().getAttr()));
    int64_t device = getDevice(op).value_or(0);
    if (auto reduce = dyn_cast<ReduceScatterOp>(op))
      memory.collectives.push_back(
          {rangeOf(device, reduce.getPlace(), reduce.getElement(), reduce.getCount()), false});
    if (auto gather = dyn_cast<AllGatherOp>(op))
      memory.collectives.push_back(
          {rangeOf(device, gather.getPlace(), gather.getElement(), gather.getCount()), true});
    if (isa<UpdateOp>(op)) {
      auto entry = cast<DictionaryAttr>(model->getAttrOfType<ArrayAttr>("mp.devices")[device]);
      int64_t bytes = 4 * entry.getAs<IntegerAttr>("trained_floats").getInt();
      memory.reads.push_back({device, RegionKind::gradients, 0, bytes});
      memory.writes.push_back({device, RegionKind::parameters, 0, bytes});
    }
  }
  for (auto *list : {&memory.reads, &memory.writes})
    for (MemoryRange &range : *list)
      range.shared = isShared(range);
  join(memory.reads);
  join(memory.writes);
  return memory;
}

std::vector<StageMemory> findStageMemory(ProgramOp program, bool shared) {
  Collector collector(program->getParentOfType<ModelOp>(), shared);
  std::vector<StageMemory> stages;
  for (const std::vector<Operation *> &stage : groupByStage(program))
    stages.push_back(collector.collect(stage));
  return stages;
}

} // namespace mparc::mp
