// Making maps and merging them.
#include "passes/FuseMaps.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mparc::mp;

/// A loop of more operands than this is hard on registers and on the reader.
static constexpr unsigned kMostOperands = 16;
/// Nor is a body of more operations than this; the bound also keeps merging linear.
static constexpr size_t kMostOperations = 64;

static bool isScalarSource(Operation *op) {
  return isa_and_nonnull<ConstantOp, ExtentOp, DropoutMaskOp, IotaOp>(op);
}

namespace {

/// Collects the operands of one map while its body is written.
class MapBuilder {
public:
  /// A map at `place` that gives a tensor of `type`.
  MapBuilder(Operation *place, RankedTensorType type)
      : builder(place), place(place), type(type), body(new Block) {}

  /// The element of `value`, read along `map`, in the body: an argument, or for a constant the
  /// constant itself.
  Value read(Value value, ArrayRef<int64_t> map);
  /// The operation in the body on `operands`, giving one element.
  Value apply(Operation *op, ValueRange operands);
  /// Copies the body of `inner`, whose result is read in order, and gives its element. Arguments
  /// that `mapping` lacks are read.
  Value inlineBody(MapOp inner, IRMapping &mapping);
  /// Ends the body with `element`.
  MapOp finish(Value element);

private:
  /// Builds at the end of the body, which is in no region yet and so knows no context.
  OpBuilder bodyBuilder() {
    OpBuilder inside(type.getContext());
    inside.setInsertionPointToEnd(body.get());
    return inside;
  }

  OpBuilder builder;
  Operation *place;
  RankedTensorType type;
  std::unique_ptr<Block> body;
  SmallVector<Value> operands;
  SmallVector<Attribute> maps;
};

} // namespace

static SmallVector<int64_t> identity(Type type) {
  return llvm::to_vector(llvm::seq<int64_t>(0, cast<RankedTensorType>(type).getRank()));
}

/// The map along which `outer`, of the dimensions of a broadcast's result, reads the broadcast's
/// operand.
static SmallVector<int64_t> compose(ArrayRef<int64_t> inner, ArrayRef<int64_t> outer) {
  SmallVector<int64_t> map;
  for (int64_t position : outer)
    map.push_back(position == -1 ? -1 : inner[position]);
  return map;
}

Value MapBuilder::read(Value value, ArrayRef<int64_t> map) {
  Operation *op = value.getDefiningOp();
  if (auto broadcast = dyn_cast_or_null<BroadcastOp>(op))
    return read(broadcast.getInput(), compose(broadcast.getDimensions(), map));
  if (auto iota = dyn_cast_or_null<IotaOp>(op)) {
    int64_t along = llvm::find(map, int64_t(iota.getDimension())) - map.begin();
    OpBuilder inside = bodyBuilder();
    if (along == static_cast<int64_t>(map.size())) // a dimension of size 1: its only position
      return inside.create<ConstantOp>(op->getLoc(), inside.getI32Type(),
                                       inside.getI64IntegerAttr(0));
    return inside.create<IndexOp>(op->getLoc(), inside.getI32Type(), along);
  }
  // A mask is keyed by the element's index in its own tensor: it may be read only in that order.
  bool inOrder = haveSameShape(value.getType(), type) && map == ArrayRef<int64_t>(identity(type));
  if (isScalarSource(op) && (!isa<DropoutMaskOp>(op) || inOrder))
    return apply(op, {});
  auto attribute = builder.getDenseI64ArrayAttr(map);
  for (auto [index, known] : llvm::enumerate(operands))
    if (known == value && maps[index] == attribute)
      return body->getArgument(index);
  operands.push_back(value);
  maps.push_back(attribute);
  return body->addArgument(getElementTypeOrSelf(value.getType()), value.getLoc());
}

Value MapBuilder::apply(Operation *op, ValueRange elements) {
  OperationState state(op->getLoc(), op->getName(), elements,
                       {getElementTypeOrSelf(op->getResult(0).getType())});
  state.propertiesAttr = op->getPropertiesAsAttribute();
  return bodyBuilder().create(state)->getResult(0);
}

Value MapBuilder::inlineBody(MapOp inner, IRMapping &mapping) {
  for (auto [index, operand] : llvm::enumerate(inner.getInputs()))
    if (!mapping.contains(inner.getBody().getArgument(index)))
      mapping.map(inner.getBody().getArgument(index), read(operand, inner.getMap(index)));
  OpBuilder inside = bodyBuilder();
  for (Operation &op : inner.getBody().front().without_terminator())
    inside.clone(op, mapping);
  return mapping.lookup(cast<YieldOp>(inner.getBody().front().back()).getValue());
}

MapOp MapBuilder::finish(Value element) {
  bodyBuilder().create<YieldOp>(place->getLoc(), element);
  auto map = builder.create<MapOp>(place->getLoc(), type, operands, builder.getArrayAttr(maps));
  map.getBody().push_back(body.release());
  for (StringRef name : {kDevice, kLayer, kRecomputed})
    if (Attribute attribute = place->getAttr(name))
      map->setAttr(name, attribute);
  return map;
}

/// `value` written out by a loop, on its own device where it has one, else where `reader` reads it.
static Value materialize(Value value, Operation *reader) {
  MapBuilder map(reader, cast<RankedTensorType>(value.getType()));
  MapOp made = map.finish(map.read(value, identity(value.getType())));
  auto transfer = dyn_cast<TransferOp>(reader);
  std::optional<int64_t> device = getDevice(value.getDefiningOp());
  if (!device)
    device = transfer ? int64_t(transfer.getFrom()) : getDevice(reader);
  setDevice(made, device.value_or(0));
  nameAfter(made.getResult(), value, ""); // not after who reads it
  return made;
}

void mparc::mp::makeMaps(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (!isa<ScalarExpression>(op))
      continue;
    auto type = cast<RankedTensorType>(op.getResult(0).getType());
    MapBuilder map(&op, type);
    SmallVector<Value> elements;
    for (Value operand : op.getOperands())
      elements.push_back(map.read(operand, identity(type)));
    MapOp made = map.finish(map.apply(&op, elements));
    op.getResult(0).replaceAllUsesWith(made.getResult());
    op.erase();
  }
  // Whatever else reads a broadcast or a constant needs it in memory, on its own device.
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (isa<MapOp, BroadcastOp>(op) || isScalarSource(&op))
      continue;
    for (OpOperand &operand : op.getOpOperands())
      if (Operation *producer = operand.get().getDefiningOp();
          isScalarSource(producer) || isa_and_nonnull<BroadcastOp>(producer))
        operand.set(materialize(operand.get(), &op));
  }
  // Maps that could not take a mask into their body read it from memory.
  for (DropoutMaskOp mask : llvm::make_early_inc_range(block.getOps<DropoutMaskOp>()))
    if (!mask->use_empty())
      mask.getResult().replaceAllUsesWith(materialize(mask, mask));
}

static size_t bodySize(MapOp map) { return map.getBody().front().getOperations().size(); }

/// Whether every element of a map is one number that needs no operand: cheaper made anew than read.
static bool isUniform(MapOp map) {
  return map.getInputs().empty() && llvm::none_of(map.getBody().front(), [](Operation &op) {
           return isa<IndexOp, DropoutMaskOp>(op);
         });
}

/// Whether a map only widens what it reads in order: that is less to read than what it gives.
static bool isWidening(MapOp map) {
  Block &body = map.getBody().front();
  return map.getInputs().size() == 1 && map.isContiguous(0) && bodySize(map) == 2 &&
         isa<CastOp>(body.front()) &&
         isa<FloatType>(getElementTypeOrSelf(map.getInputs()[0].getType())) &&
         getElementTypeOrSelf(map.getInputs()[0].getType()).getIntOrFloatBitWidth() <
             getElementTypeOrSelf(map.getType()).getIntOrFloatBitWidth();
}

/// Whether a loop's body may hold a copy of the producer's: a number made anew, one that is
/// widened, or all there is.
static bool canMerge(MapOp producer, MapOp consumer) {
  if (!producer || getDevice(producer) != getDevice(consumer))
    return false;
  if (isUniform(producer))
    return true;
  if (!producer->hasOneUse() && !isWidening(producer))
    return false;
  unsigned index =
      llvm::find(consumer.getInputs(), producer.getResult()) - consumer.getInputs().begin();
  return consumer.isContiguous(index);
}

/// The operands of `consumer` whose loops become part of it: from the first on, within the limits.
static llvm::SmallBitVector chooseOperands(MapOp consumer) {
  llvm::SmallBitVector chosen(consumer.getInputs().size());
  size_t operations = bodySize(consumer), operands = consumer.getInputs().size();
  for (auto [index, input] : llvm::enumerate(consumer.getInputs())) {
    auto producer = input.getDefiningOp<MapOp>();
    if (!canMerge(producer, consumer))
      continue;
    size_t operationsThen = operations + bodySize(producer),
           operandsThen = operands + producer.getInputs().size() - 1;
    if (operationsThen > kMostOperations || operandsThen > kMostOperands)
      continue;
    operations = operationsThen;
    operands = operandsThen;
    chosen.set(index);
  }
  return chosen;
}

void mparc::mp::mergeMaps(Block &block) {
  // In program order: a chain grows from its first map, so each map is copied a bounded number of
  // times.
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto consumer = dyn_cast<MapOp>(op);
    if (!consumer)
      continue;
    llvm::SmallBitVector chosen = chooseOperands(consumer);
    if (chosen.none())
      continue;
    MapBuilder map(consumer, consumer.getType());
    IRMapping mapping;
    llvm::SmallSetVector<Operation *, 4> absorbed;
    for (unsigned index : chosen.set_bits()) {
      auto producer = consumer.getInputs()[index].getDefiningOp<MapOp>();
      IRMapping inner;
      mapping.map(consumer.getBody().getArgument(index), map.inlineBody(producer, inner));
      absorbed.insert(producer);
    }
    Value element = map.inlineBody(consumer, mapping);
    MapOp made = map.finish(element);
    consumer.getResult().replaceAllUsesWith(made.getResult());
    consumer.erase();
    for (Operation *producer : absorbed)
      if (producer->use_empty())
        producer->erase();
  }
}
