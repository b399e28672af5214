#include "HappensBefore.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

using namespace mlir;
using namespace mparc::mp;

namespace mparc {

namespace {

/// A stretch of memory: of a device and region.
struct Stretch {
  int64_t device;
  RegionKind region;
  int64_t begin, end;
  bool overlaps(const Stretch &other) const {
    return device == other.device && region == other.region && begin < other.end &&
           other.begin < end;
  }
};

/// One instruction, and when it surely has finished before another starts.
struct Instruction {
  Operation *op;
  std::vector<bool> before; // by index: instructions that have finished
};

class Oracle {
public:
  explicit Oracle(ProgramOp program) : program(program) {}
  std::string run();

private:
  /// The instructions whose memory a value lies in: the one that made it and, through transfers,
  /// those whose memory the copies may be.
  std::vector<size_t> findMakers(Value value) const;
  std::optional<size_t> findMaker(Value value) const;
  bool isBefore(size_t a, size_t b) const { return instructions[b].before[a]; }
  bool writesInPlace(size_t writer, size_t maker) const;
  /// What `reader` (none: the world after the program) reads of `maker` must lie there then.
  std::string checkRead(std::optional<size_t> reader, size_t maker) const;
  std::string checkUpdate(size_t update);
  static Stretch stretchOf(Operation *op);

  ProgramOp program;
  std::vector<Instruction> instructions;
  std::map<Operation *, size_t> indices;
};

} // namespace

static int64_t deviceOf(Operation *op) { return op->getAttrOfType<IntegerAttr>(kDevice).getInt(); }

static std::vector<std::pair<int64_t, char>> streamsOf(Operation *op) {
  if (auto transfer = dyn_cast<TransferOp>(op))
    return {{static_cast<int64_t>(transfer.getFrom()), 'c'}, {deviceOf(op), 'c'}};
  // What no transfer waits for may be carried out later than it stands.
  return {{deviceOf(op), op->hasAttr("mp.weights") ? 'w' : 'x'}};
}

Stretch Oracle::stretchOf(Operation *op) {
  auto place = op->getAttrOfType<BufferAttr>(kBuffer);
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  int64_t size = 1;
  for (DimensionAttr dimension : getDimensions(type))
    size *= dimension.getStaticSize();
  if (place.getRegion() != RegionKind::gradients)
    size *= type.getElementType().isInteger(1) ? 1 : 4;
  return {deviceOf(op), place.getRegion(), place.getOffset(), place.getOffset() + size};
}

std::optional<size_t> Oracle::findMaker(Value value) const {
  Operation *op = value.getDefiningOp();
  while (op && isa<ReshapeOp>(op))
    op = op->getOperand(0).getDefiningOp();
  auto known = op ? indices.find(op) : indices.end();
  return known == indices.end() ? std::nullopt : std::optional(known->second);
}

std::vector<size_t> Oracle::findMakers(Value value) const {
  std::vector<size_t> makers;
  for (auto maker = findMaker(value); maker;) {
    makers.push_back(*maker);
    Operation *op = instructions[*maker].op;
    maker = isa<TransferOp>(op) ? findMaker(op->getOperand(0)) : std::nullopt;
  }
  return makers;
}

bool Oracle::writesInPlace(size_t writer, size_t maker) const {
  auto map = dyn_cast<MapOp>(instructions[writer].op);
  Operation *made = instructions[maker].op;
  if (!map || map->getAttr(kBuffer) != made->getAttr(kBuffer) || deviceOf(map) != deviceOf(made))
    return false;
  int uses = 0;
  for (auto [index, input] : llvm::enumerate(map.getInputs()))
    if (findMaker(input) == maker) {
      ++uses;
      if (!map.isContiguous(index) ||
          getElementTypeOrSelf(input.getType()).getIntOrFloatBitWidth() !=
              getElementTypeOrSelf(map.getType()).getIntOrFloatBitWidth())
        return false;
    }
  return uses == 1;
}

std::string Oracle::checkRead(std::optional<size_t> reader, size_t maker) const {
  if (reader && !isBefore(maker, *reader))
    return "reads before it is made";
  Stretch read = stretchOf(instructions[maker].op);
  for (size_t writer = 0; writer < instructions.size(); ++writer) {
    Operation *op = instructions[writer].op;
    if (writer == maker || op->getNumResults() != 1 || !stretchOf(op).overlaps(read))
      continue;
    if (isBefore(writer, maker) || (reader && writer != *reader && isBefore(*reader, writer)) ||
        (reader && writer == *reader && writesInPlace(writer, maker)))
      continue;
    return "is overwritten before it is read";
  }
  return "";
}

std::string Oracle::checkUpdate(size_t update) {
  int64_t device = deviceOf(instructions[update].op);
  std::set<StringRef> trained;
  for (GradientOp gradient : program.getBlock().getOps<GradientOp>()) {
    trained.insert(gradient.getParameter());
    auto maker = findMaker(gradient.getValue());
    if (deviceOf(gradient) == device && maker && !isBefore(*maker, update))
      return "updates before the gradient is there";
  }
  // Whatever reads a parameter of the device, itself or a copy that may be the parameter.
  std::vector<Value> values;
  for (ReadOp read : program.getBlock().getOps<ReadOp>())
    if (deviceOf(read) == device && trained.count(read.getParameter()))
      values.push_back(read.getResult());
  while (!values.empty()) {
    Value value = values.back();
    values.pop_back();
    for (Operation *user : value.getUsers()) {
      if (isa<ReshapeOp, TransferOp>(user))
        values.push_back(user->getResult(0));
      if (auto known = indices.find(user); known != indices.end())
        if (!isBefore(known->second, update))
          return "updates a parameter that is still read";
    }
  }
  return "";
}

std::string Oracle::run() {
  std::map<std::pair<int64_t, char>, size_t> last;
  for (Operation &op : program.getBlock()) {
    if (!op.hasAttr(kOrder))
      continue;
    size_t index = instructions.size();
    Instruction instruction{&op, std::vector<bool>(1024)};
    auto follow = [&](size_t earlier) {
      instruction.before[earlier] = true;
      for (size_t each = 0; each < index; ++each)
        if (instructions[earlier].before[each])
          instruction.before[each] = true;
    };
    for (auto stream : streamsOf(&op)) {
      if (auto known = last.find(stream); known != last.end())
        follow(known->second);
      last[stream] = index;
    }
    for (int64_t wait : op.getAttrOfType<DenseI64ArrayAttr>(kWaits).asArrayRef()) {
      if (wait < 0 || wait >= static_cast<int64_t>(index))
        return "waits for what is not earlier";
      follow(static_cast<size_t>(wait));
    }
    instructions.push_back(std::move(instruction));
    indices[&op] = index;
  }

  for (size_t index = 0; index < instructions.size(); ++index) {
    Operation *op = instructions[index].op;
    for (Value operand : op->getOperands())
      for (size_t maker : findMakers(operand))
        if (std::string fault = checkRead(index, maker); !fault.empty())
          return fault;
    if (isa<UpdateOp>(op))
      if (std::string fault = checkUpdate(index); !fault.empty())
        return fault;
    // Two that write the same memory must be ordered even where nothing reads what they wrote.
    for (size_t other = 0; other < index; ++other)
      if (op->getNumResults() == 1 && instructions[other].op->getNumResults() == 1 &&
          stretchOf(op).overlaps(stretchOf(instructions[other].op)) && !isBefore(other, index))
        return "two write at once";
  }
  for (Operation &op : program.getBlock())
    if (isa<ReturnOp, GradientOp>(op))
      for (Value value : op.getOperands())
        for (size_t maker : findMakers(value))
          if (std::string fault = checkRead(std::nullopt, maker); !fault.empty())
            return fault;
  return "";
}

std::string findFault(ProgramOp program) { return Oracle(program).run(); }

} // namespace mparc
