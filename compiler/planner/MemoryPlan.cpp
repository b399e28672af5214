// Lifetimes, and what may be computed in place.
#include "planner/MemoryPlan.h"
#include "planner/Stages.h"
#include "planner/Streams.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

using namespace mlir;

namespace mparc::mp {

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int64_t getHeldBytes(Type tensor) {
  return getElementCount(tensor).count * getElementBytes(getElementTypeOrSelf(tensor));
}

/// Bytes of a value: a row or altogether, with what alignment adds: 4 bytes a row are 256 bytes
/// where rows are rounded up to 64. What a part has without rows lies among its rows, as if each
/// had as much: it is small beside them, and no part is empty.
static std::pair<int64_t, bool> sizeOf(Value value) {
  bool perRow = isOfPart(value);
  return {roundUp(getHeldBytes(value.getType()), perRow ? 4 : 256), perRow};
}

namespace {

/// The last order at which a value is read, through reshapes and copies that may alias it. What is
/// put off may be carried out later than it stands: what it touches stays until the device has done
/// all that does not, which so need not wait for it.
class Lifetimes {
public:
  explicit Lifetimes(Block &block) : parts(findParts(block)) {
    findLastOrders(block);
    for (Operation &op : llvm::reverse(block))
      for (Value result : op.getResults())
        compute(&op, result);
  }
  int64_t getEnd(Value value) const { return ends.lookup(value); }
  /// A sum over all parts of the batch is alive from the first on.
  int64_t getBegin(Value value) const {
    return isSumOverParts(value) ? parts.first : getOrder(value.getDefiningOp());
  }

private:
  void findLastOrders(Block &block) {
    DenseMap<int64_t, int64_t> last; // by device, of instructions that are not put off
    for (Operation &op : block) {
      if (!isInstruction(&op))
        continue;
      if (isPutOff(&op)) {
        // Of what stands before the last that is put off; what ends a step does not.
        lastOrders = last;
        lastPutOff[*getDevice(&op)] = getOrder(&op);
        continue;
      }
      last[*getDevice(&op)] = getOrder(&op);
      if (auto transfer = dyn_cast<TransferOp>(op))
        last[transfer.getFrom()] = getOrder(&op);
    }
  }
  /// Until when a value stays for those of its readers that are put off; -1: there are none.
  int64_t findLateEnd(Operation *op, Value value) {
    int64_t device = getDevice(op).value_or(0);
    bool here = isPutOff(op), elsewhere = false;
    for (Operation *user : value.getUsers()) {
      here |= isPutOff(user);
      if (isa<TransferOp>(user))
        elsewhere |= late.contains(user->getResult(0));
      else if (isa<ReshapeOp>(user))
        here |= late.contains(user->getResult(0));
    }
    if (!here && !elsewhere)
      return -1;
    late.insert(value);
    // The device's own are carried out in their order.
    int64_t end = lastOrders.lookup(device);
    return elsewhere ? std::max(end, lastPutOff.lookup(device)) : end;
  }
  void compute(Operation *op, Value value) {
    int64_t end = isInstruction(op) ? getOrder(op) : -1;
    for (Operation *user : value.getUsers()) {
      if (isa<ReturnOp>(user))
        end = kForever;
      else if (isa<ReshapeOp, TransferOp>(user))
        // A reshape is the same memory. A transfer between devices that share memory is, too: the
        // source must live as long as the copy.
        end = std::max({end, ends.lookup(user->getResult(0)), getOrder(user)});
      else
        end = std::max(end, getOrder(user));
      // What is made before the parts is read in each of them, the last one too.
      if (parts.isBefore(op) && parts.isDuring(user))
        end = std::max(end, parts.last);
    }
    ends[value] = std::max(end, findLateEnd(op, value));
  }

  static constexpr int64_t kForever = INT64_MAX;
  PartOrders parts;
  DenseMap<int64_t, int64_t> lastOrders, lastPutOff; // by device
  llvm::DenseSet<Value> late;                        // put off, or read by what is
  DenseMap<Value, int64_t> ends;
};

} // namespace

/// The operand whose memory a map may overwrite: read in the order written, as large, and dead
/// afterwards.
static Value findInPlaceOperand(MapOp map, const Lifetimes &lifetimes, const MemoryPlan &plan) {
  for (auto [index, input] : llvm::enumerate(map.getInputs())) {
    Value source = getSource(input);
    // What arrived by a transfer may be the sender's own memory.
    if (!source || source.getDefiningOp<TransferOp>() || !map.isContiguous(index) ||
        sizeOf(input) != sizeOf(map) ||
        getElementCount(input.getType()).perRow != getElementCount(map.getType()).perRow)
      continue;
    // Padding may hide that the result's elements are wider than those they would be written over.
    if (getElementBytes(getElementTypeOrSelf(input.getType())) !=
        getElementBytes(getElementTypeOrSelf(map.getType())))
      continue;
    // Another operand that reads the same memory in another order would read what is already
    // overwritten.
    bool readTwice = llvm::count_if(map.getInputs(),
                                    [&](Value other) { return getSource(other) == source; }) > 1;
    auto known = plan.of.find(source);
    if (!readTwice && known != plan.of.end() &&
        plan.allocations[known->second].end == getOrder(map) &&
        lifetimes.getEnd(source) == getOrder(map))
      return source;
  }
  return {};
}

/// Whether all that reads a value, through what is made anew by each reader, is in its stage.
static bool staysWithin(Value value, Attribute stage) {
  Block *block = value.getParentBlock();
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    Operation *reader = block->findAncestorOpInBlock(*user);
    if (isInstruction(reader))
      return reader->getAttr(kStage) == stage;
    return reader->getNumResults() > 0 && llvm::all_of(reader->getResults(), [&](Value result) {
             return staysWithin(result, stage);
           });
  });
}

/// Values of a row that live within one turn of a stage.
static bool isBrief(Value value) {
  Operation *op = value.getDefiningOp();
  Attribute stage = op->getAttr(kStage);
  return stage && !op->hasAttr(kWhen) && !isa<TransferOp>(op) && !isSumOverParts(value) &&
         staysWithin(value, stage);
}

MemoryPlan planMemory(ProgramOp program, const llvm::SmallDenseSet<int64_t> &sharing) {
  MemoryPlan plan;
  Lifetimes lifetimes(program.getBlock());
  for (Operation &op : program.getBlock()) {
    if (!isInstruction(&op))
      continue;
    for (Value result : op.getResults()) {
      if (getPlace(result))
        continue;
      int64_t begin = lifetimes.getBegin(result), end = lifetimes.getEnd(result);
      auto map = dyn_cast<MapOp>(op);
      if (Value operand = map ? findInPlaceOperand(map, lifetimes, plan) : Value()) {
        size_t index = plan.of[operand];
        plan.allocations[index].end = end;
        plan.of[result] = index;
        continue;
      }
      auto [bytes, perRow] = sizeOf(result);
      plan.of[result] = plan.allocations.size();
      plan.allocations.push_back({result, *getDevice(&op), perRow, bytes, begin, end});
    }
  }
  for (Allocation &allocation : plan.allocations)
    allocation.shared = allocation.perRow && sharing.contains(allocation.device);
  for (auto [value, index] : plan.of)
    if (Allocation &allocation = plan.allocations[index]; allocation.shared)
      allocation.shared = isBrief(value);
  std::map<std::tuple<int64_t, bool, bool>, std::vector<Allocation *>> groups;
  for (Allocation &allocation : plan.allocations)
    groups[{allocation.device, allocation.perRow, allocation.shared}].push_back(&allocation);
  for (auto &[key, group] : groups)
    chooseOffsets(std::move(group));
  for (Allocation &allocation : plan.allocations)
    if (allocation.shared)
      allocation.offset += plan.getKeptExtent(allocation.device);
  return plan;
}

llvm::SmallDenseSet<int64_t> chooseSharing(ProgramOp train, const MemoryPlan &plan) {
  auto model = train->getParentOfType<ModelOp>();
  llvm::SmallDenseSet<int64_t> sharing;
  for (TrainingOp training : model.getBody().getOps<TrainingOp>()) {
    auto kind = parseScheduleKind(training.getSchedule());
    int64_t microbatches = training.getMicrobatches();
    if (!kind || microbatches < 2 || training.getReplicas() > 1)
      continue;
    divideIntoStages(train);
    int64_t devices = model.getDevices().value_or(1);
    std::vector<Stage> stages = readStages(train);
    llvm::SmallVector<int64_t> slots =
        countSlots(stages, orderTurns(stages, microbatches, *kind), microbatches, devices);
    llvm::SmallDenseSet<int64_t> all;
    for (int64_t device = 0; device < devices; ++device)
      if (slots[device] > 1)
        all.insert(device);
    if (all.empty())
      continue;
    MemoryPlan shared = planMemory(train, all);
    int64_t rows = roundUp(training.getBatch(), microbatches) / microbatches;
    for (int64_t device : all) {
      int64_t kept = shared.getKeptExtent(device);
      // As the runtime counts them: of a small batch the rounding is more than what is saved.
      int64_t unit = shared.getRowUnit(device);
      int64_t ofSlots = roundUp(slots[device] * rows, unit);
      int64_t once = shared.getExtent(device, true) - kept;
      if (ofSlots * kept + roundUp(rows, unit) * once < ofSlots * plan.getExtent(device, true))
        sharing.insert(device);
    }
  }
  return sharing;
}

int64_t MemoryPlan::getKeptExtent(int64_t device) const {
  int64_t extent = 0;
  for (const Allocation &allocation : allocations)
    if (allocation.device == device && allocation.perRow && !allocation.shared)
      extent = std::max(extent, allocation.offset + allocation.bytes);
  return extent;
}

int64_t MemoryPlan::getExtent(int64_t device, bool perRow) const {
  int64_t extent = 0;
  for (const Allocation &allocation : allocations)
    if (allocation.device == device && allocation.perRow == perRow)
      extent = std::max(extent, allocation.offset + allocation.bytes);
  return extent;
}

int64_t MemoryPlan::getRowUnit(int64_t device) const {
  int64_t alignment = std::gcd(256, getKeptExtent(device));
  for (const Allocation &allocation : allocations)
    if (allocation.device == device && allocation.perRow)
      alignment = std::gcd(std::gcd(alignment, allocation.offset), allocation.bytes);
  return 256 / alignment;
}

int64_t MemoryPlan::getPeak(int64_t device, bool perRow) const {
  std::map<int64_t, int64_t> changes;
  for (const Allocation &allocation : allocations)
    if (allocation.device == device && allocation.perRow == perRow) {
      changes[allocation.begin] += allocation.bytes;
      if (allocation.end != INT64_MAX)
        changes[allocation.end + 1] -= allocation.bytes;
    }
  int64_t alive = 0, peak = 0;
  for (auto [order, change] : changes)
    peak = std::max(peak, alive += change);
  return peak;
}

} // namespace mparc::mp
