// mp-verify-calls: the last border. Whatever order the streams allow, a value is not overwritten
// between its writing and its last reading, and everything lies inside its device's arena.
#include "passes/Passes.h"
#include "planner/MemoryPlan.h"
#include "planner/Streams.h"

#include <map>

namespace mparc::mp {
#define GEN_PASS_DEF_VERIFYCALLS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class VerifyCalls : public mparc::mp::impl::VerifyCallsBase<VerifyCalls> {
  void runOnOperation() override;
};

/// What lies in [begin, end) of a region: floats or bytes, a row or altogether.
struct Span {
  int64_t begin, end;
  Value value; // null of a parameter
  Operation *writer;
  std::vector<Operation *> accesses;
  bool overwritten = false; // in part, and nothing reads it any more

  bool overlaps(const Span &other) const { return begin < other.end && other.begin < end; }
  bool contains(const Span &other) const { return begin <= other.begin && other.end <= end; }
};

/// The memory of a device as one program goes by.
class Arena {
public:
  using Places = DenseMap<Attribute, BufferAttr>;
  Arena(ArrayAttr devices, const Places &parameters) : devices(devices), parameters(parameters) {}
  /// Takes note of an operation; in program order.
  LogicalResult visit(Operation *op);
  /// The parts of a batch follow one another: what was made before them and is read in each must
  /// still be there after the last, and nothing but a sum over them may ever lie in its place.
  LogicalResult finishParts(Block &block);
  /// Everything that outlives the program must still be there.
  LogicalResult finish(Operation *terminator);

private:
  using Region = std::pair<int64_t, RegionKind>;
  LogicalResult read(Operation *op, Value operand);
  LogicalResult write(Operation *op, Value result);
  /// The span of a value, if nothing has overwritten it.
  Span *find(Value value);

  ArrayAttr devices;
  const Places &parameters; // by name
  std::map<Region, std::vector<Span>> spans;
  std::vector<Value> kept; // gradients
  Clocks clocks;
};

} // namespace

static bool countsFloats(RegionKind region) {
  return region == RegionKind::parameters || region == RegionKind::gradients;
}

static Span spanOf(Operation *op, Value value, Type type, BufferAttr place) {
  int64_t size = countsFloats(place.getRegion()) ? getElementCount(type).count : getHeldBytes(type);
  return {place.getOffset(), place.getOffset() + size, value, op, {op}};
}

static Span spanOf(Value value) {
  return spanOf(value.getDefiningOp(), value, value.getType(), getPlace(value));
}

/// Sizes of a device's regions, from the model's `mp.devices`; -1 where it says nothing.
static int64_t sizeOfRegion(ArrayAttr devices, int64_t device, RegionKind region) {
  if (!devices || device < 0 || device >= static_cast<int64_t>(devices.size()))
    return -1;
  StringRef name = region == RegionKind::rows        ? "row_bytes"
                   : region == RegionKind::fixed     ? "fixed_bytes"
                   : region == RegionKind::gradients ? "trained_floats"
                                                     : "parameter_floats";
  auto sizes = dyn_cast<DictionaryAttr>(devices[device]);
  auto size = sizes ? sizes.getAs<IntegerAttr>(name) : IntegerAttr();
  return size ? size.getInt() : -1;
}

/// Places begin at multiples of 64 bytes for parameters, else of 256: of rows there is a multiple
/// of the device's `row_unit`.
static int64_t alignmentOf(RegionKind region, DictionaryAttr device) {
  if (countsFloats(region))
    return 16;
  auto unit = device.getAs<IntegerAttr>("row_unit");
  return region == RegionKind::fixed ? 256 : 256 / std::max<int64_t>(1, unit ? unit.getInt() : 64);
}

static LogicalResult checkBounds(Operation *op, const Span &span, BufferAttr place,
                                 ArrayAttr devices) {
  const int64_t device = getDevice(op).value_or(0);
  const int64_t size = sizeOfRegion(devices, device, place.getRegion());
  if (span.begin < 0 || span.end > size)
    return op->emitError("lies at ")
           << span.begin << " to " << span.end << " of " << stringifyRegionKind(place.getRegion())
           << ", which has " << size;
  const int64_t alignment = alignmentOf(place.getRegion(), cast<DictionaryAttr>(devices[device]));
  if (span.begin % alignment != 0)
    return op->emitError("expected an offset that is a multiple of ")
           << alignment << ", got " << span.begin;
  return success();
}

Span *Arena::find(Value value) {
  BufferAttr place = getPlace(value);
  if (!place)
    return nullptr;
  for (Span &span : spans[{getDevice(value.getDefiningOp()).value_or(0), place.getRegion()}])
    if (span.value == value && !span.overwritten)
      return &span;
  return nullptr;
}

LogicalResult Arena::read(Operation *op, Value operand) {
  for (Value source = getSource(operand); source;) {
    Span *span = find(source);
    if (!span)
      return op->emitError("reads a value that has been overwritten").attachNote(source.getLoc())
             << "this value";
    if (isInstruction(op))
      span->accesses.push_back(op);
    // Between devices that share memory a transfer's copy is its source.
    auto transfer = source.getDefiningOp<TransferOp>();
    source = transfer ? getSource(transfer.getInput()) : Value();
  }
  return success();
}

/// Whether `op` may write over its operand `span`: a loop that reads it in the order in which it
/// writes, once.
static bool worksInPlace(Operation *op, const Span &span) {
  auto map = dyn_cast<MapOp>(op);
  if (!map || getPlace(map.getResult()) != getPlace(span.value))
    return false;
  int64_t uses = 0, inOrder = 0;
  for (auto [index, input] : llvm::enumerate(map.getInputs())) {
    if (getSource(input) != span.value)
      continue;
    ++uses;
    inOrder += map.isContiguous(index) && getElementBytes(getElementTypeOrSelf(input.getType())) ==
                                              getElementBytes(getElementTypeOrSelf(map.getType()));
  }
  return uses == 1 && inOrder == 1;
}

LogicalResult Arena::write(Operation *op, Value result) {
  BufferAttr place = getPlace(result);
  if (!place)
    return op->emitError("expected a place in the arena");
  bool perRow = isOfPart(result);
  if (perRow != (place.getRegion() == RegionKind::rows) ||
      place.getRegion() == RegionKind::parameters || place.getRegion() == RegionKind::input)
    return op->emitError("expected a place among values of its kind of size");
  Span mine = spanOf(result);
  if (failed(checkBounds(op, mine, place, devices)))
    return failure();
  auto &others = spans[{getDevice(op).value_or(0), place.getRegion()}];
  for (Span &other : others) {
    if (!other.overlaps(mine))
      continue;
    if (other.writer == op)
      return op->emitError("writes one result over another");
    bool reads = llvm::is_contained(other.accesses, op);
    if (reads && !worksInPlace(op, other))
      return op->emitError("writes over its own operand").attachNote(other.value.getLoc())
             << "this value";
    for (Operation *access : other.accesses)
      if (access != op && !clocks.isBefore(access, op, getWaits(op)))
        return op->emitError("writes over a value that nothing orders before it")
                   .attachNote(other.value.getLoc())
               << "this value";
    other.overwritten = true;
  }
  // Where all of a value has been written over, whoever writes there next is after this operation.
  llvm::erase_if(others, [&](const Span &other) { return mine.contains(other); });
  others.push_back(std::move(mine));
  return success();
}

LogicalResult Arena::visit(Operation *op) {
  if (auto gradient = dyn_cast<GradientOp>(op)) {
    BufferAttr parameter = parameters.lookup(gradient.getParameterAttr().getAttr());
    Value source = getSource(gradient.getValue());
    auto place = source ? getPlace(source) : BufferAttr();
    if (!parameter || !place || place.getRegion() != RegionKind::gradients ||
        place.getOffset() != parameter.getOffset())
      return op->emitError("expected the gradient in the place of its parameter");
    kept.push_back(source);
    return success();
  }
  if (!isInstruction(op))
    return success();
  for (Value operand : op->getOperands())
    if (failed(read(op, operand)))
      return failure();
  for (Value result : op->getResults())
    if (failed(write(op, result)))
      return failure();
  clocks.issue(op);
  return success();
}

LogicalResult Arena::finishParts(Block &block) {
  PartOrders parts = findParts(block);
  SmallVector<Operation *> inParts;
  for (Operation &op : block)
    if (parts.isDuring(&op) && isInstruction(&op))
      inParts.push_back(&op);
  for (Operation *op : inParts) {
    for (Value operand : op->getOperands())
      if (Value source = getSource(operand);
          source && PartOrders::isBefore(source.getDefiningOp()) && !find(source))
        return op->emitError("reads in each part of the batch what a part overwrites")
                   .attachNote(source.getLoc())
               << "this value";
  }
  // Sums have no rows, so they lie among the few values of constant size: by offset, each beside
  // the next.
  std::map<Region, std::vector<Span>> constant;
  for (Operation *op : inParts)
    for (Value result : op->getResults())
      if (RegionKind region = getPlace(result).getRegion(); region != RegionKind::rows)
        constant[{getDevice(op).value_or(0), region}].push_back(spanOf(result));
  for (auto &[region, values] : constant) {
    llvm::sort(values, [](const Span &a, const Span &b) { return a.begin < b.begin; });
    const Span *widest = nullptr; // of those before, the one that ends last
    for (const Span &value : values) {
      bool isSum = widest && (isSumOverParts(widest->value) || isSumOverParts(value.value));
      if (isSum && widest->overlaps(value))
        return value.writer->emitError("shares its place with a sum over the parts of the batch")
                   .attachNote(widest->writer->getLoc())
               << "and this value";
      if (!widest || value.end > widest->end)
        widest = &value;
    }
  }
  return success();
}

LogicalResult Arena::finish(Operation *terminator) {
  for (Value result : terminator->getOperands())
    if (failed(read(terminator, result)))
      return failure();
  for (Value gradient : kept)
    if (!find(gradient))
      return gradient.getDefiningOp()->emitError(
          "gives a gradient that is overwritten before the step's end");
  return success();
}

/// Parameters lie apart from one another.
static LogicalResult verifyParameters(ModelOp model, ArrayAttr devices) {
  std::map<int64_t, std::vector<Span>> placed;
  for (ParameterOp parameter : model.getBody().getOps<ParameterOp>()) {
    auto place = parameter->getAttrOfType<BufferAttr>(kBuffer);
    if (!place || place.getRegion() != RegionKind::parameters)
      return parameter.emitError("expected a place among the parameters");
    Span span = spanOf(parameter, {}, parameter.getTensorType(), place);
    if (failed(checkBounds(parameter, span, place, devices)))
      return failure();
    placed[getDevice(parameter).value_or(0)].push_back(span);
  }
  for (auto &[device, spans] : placed) {
    llvm::sort(spans, [](const Span &a, const Span &b) { return a.begin < b.begin; });
    for (size_t index = 1; index < spans.size(); ++index)
      if (spans[index - 1].overlaps(spans[index]))
        return spans[index]
                   .writer->emitError("lies over another parameter")
                   .attachNote(spans[index - 1].writer->getLoc())
               << "this parameter";
  }
  return success();
}

void VerifyCalls::runOnOperation() {
  auto devices = getOperation()->getAttrOfType<ArrayAttr>("mp.devices");
  if (failed(verifyParameters(getOperation(), devices)))
    return signalPassFailure();
  Arena::Places parameters;
  for (ParameterOp parameter : getOperation().getBody().getOps<ParameterOp>())
    parameters[parameter.getSymNameAttr()] = parameter->getAttrOfType<BufferAttr>(kBuffer);
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    Arena arena(devices, parameters);
    PartOrders parts = findParts(program.getBlock());
    for (Operation &op : program.getBlock().without_terminator()) {
      if (failed(arena.visit(&op)))
        return signalPassFailure();
      if (parts.cut && getOrder(&op) == parts.last && failed(arena.finishParts(program.getBlock())))
        return signalPassFailure();
    }
    if (failed(arena.finish(program.getBlock().getTerminator())))
      return signalPassFailure();
  }
}
