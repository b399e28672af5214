// Registration of the mp dialect and what its phases ask of types, attributes and locations.
#include "dialect/MpDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace mparc::mp {

std::optional<int64_t> getDevice(Operation *op) {
  if (auto device = op->getAttrOfType<IntegerAttr>(kDevice))
    return device.getInt();
  return std::nullopt;
}

void setDevice(Operation *op, int64_t device) {
  op->setAttr(kDevice, Builder(op->getContext()).getI64IntegerAttr(device));
}

bool isSumOverParts(Value value) {
  Operation *op = value.getDefiningOp();
  return op && op->hasAttr(kAccumulate) && !getElementCount(value.getType()).perRow;
}

bool isOfPart(Value value) {
  Operation *op = value.getDefiningOp();
  return getElementCount(value.getType()).perRow || (op && op->hasAttr(kOfPart));
}

BufferAttr getPlace(Value result) {
  Operation *op = result.getDefiningOp();
  Attribute places = op ? op->getAttr(kBuffer) : Attribute();
  if (op && op->getNumResults() == 1)
    return dyn_cast_or_null<BufferAttr>(places);
  auto all = dyn_cast_or_null<ArrayAttr>(places);
  size_t number = all ? cast<OpResult>(result).getResultNumber() : 0;
  return all && number < all.size() ? dyn_cast<BufferAttr>(all[number]) : BufferAttr();
}

void setPlace(Value result, BufferAttr place) {
  Operation *op = result.getDefiningOp();
  if (op->getNumResults() == 1) {
    op->setAttr(kBuffer, place);
    return;
  }
  Builder builder(op->getContext());
  SmallVector<Attribute> all; // the unit stands for no place
  for (Value each : op->getResults()) {
    BufferAttr known = each == result ? place : getPlace(each);
    all.push_back(known ? Attribute(known) : Attribute(builder.getUnitAttr()));
  }
  op->setAttr(kBuffer, builder.getArrayAttr(all));
}

ArrayRef<DimensionAttr> getDimensions(Type tensor) {
  auto encoding = cast<RankedTensorType>(tensor).getEncoding();
  return cast<DimensionsAttr>(encoding).getDimensions();
}

RankedTensorType getTensorType(MLIRContext *context, ArrayRef<DimensionAttr> dimensions,
                               Type element) {
  SmallVector<int64_t> shape;
  for (DimensionAttr dimension : dimensions)
    shape.push_back(dimension.getSize());
  return RankedTensorType::get(shape, element, DimensionsAttr::get(context, dimensions));
}

RankedTensorType getScalarType(MLIRContext *context, Type element) {
  return getTensorType(context, {}, element);
}

DimensionAttr getDimension(MLIRContext *context, StringRef name, int64_t size) {
  return DimensionAttr::get(context, name, {FactorAttr::get(context, name, size)});
}

bool haveSameShape(Type a, Type b) {
  auto shapedA = dyn_cast<RankedTensorType>(a), shapedB = dyn_cast<RankedTensorType>(b);
  if (!shapedA || !shapedB)
    return !shapedA && !shapedB;
  if (shapedA.getShape() != shapedB.getShape())
    return false;
  // Two dimensions with the batch are equal where the rest of their factors multiply to the same.
  for (auto [x, y] : llvm::zip(getDimensions(a), getDimensions(b)))
    if (x.getStaticSize() != y.getStaticSize() || !(x.getRowPiece() == y.getRowPiece()))
      return false;
  return true;
}

ElementCount getElementCount(Type tensor) { return getElementCount(getDimensions(tensor)); }

ElementCount getElementCount(ArrayRef<DimensionAttr> dimensions) {
  ElementCount elements{1, false};
  for (DimensionAttr dimension : dimensions)
    elements = elements.times(dimension);
  return elements;
}

ArrayRef<FactorAttr> getFromBatchOn(DimensionAttr dimension) {
  ArrayRef<FactorAttr> all = dimension.getFactors();
  ArrayRef<FactorAttr> rest =
      all.drop_while([](FactorAttr factor) { return !ShapedType::isDynamic(factor.getSize()); });
  return rest.empty() ? all : rest;
}

int64_t countBeforeBatch(DimensionAttr dimension) {
  int64_t count = 1;
  for (FactorAttr factor : dimension.getFactors().drop_back(getFromBatchOn(dimension).size()))
    count *= factor.getSize();
  return count;
}

DimensionAttr takeRowPiece(DimensionAttr dimension, RowPiece piece) {
  SmallVector<FactorAttr> factors(dimension.getFactors());
  for (FactorAttr &factor : factors)
    if (ShapedType::isDynamic(factor.getSize()))
      factor = FactorAttr::get(dimension.getContext(), factor.getName(), factor.getSize(),
                               piece.number, piece.count);
  return DimensionAttr::get(dimension.getContext(), dimension.getLabel(), factors);
}

int64_t getElementBytes(Type element) {
  return element.isInteger(1) ? 1 : element.getIntOrFloatBitWidth() / 8;
}

uint64_t getDropoutKey(DropoutMaskOp op) { return getDropoutKey(op.getPath(), op.getCall()); }

StringRef getSourceName(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return name.getName();
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (StringRef name = getSourceName(part); !name.empty())
        return name;
  return {};
}

std::optional<FileLineColLoc> getSourceLocation(Location location) {
  if (auto place = dyn_cast<FileLineColLoc>(location))
    return place;
  if (auto name = dyn_cast<NameLoc>(location))
    return getSourceLocation(name.getChildLoc());
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return getSourceLocation(call.getCaller());
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (auto place = getSourceLocation(part))
        return place;
  return std::nullopt;
}

void nameAfter(Value made, Value source, const llvm::Twine &suffix) {
  Operation *op = made.getDefiningOp();
  auto read = source.getDefiningOp<ReadOp>();
  StringRef name = read ? read.getParameter() : getSourceName(source.getLoc());
  if (name.empty() || !op || made == source)
    return;
  Location place = op->getLoc();
  if (auto known = getSourceLocation(place))
    place = *known;
  op->setLoc(NameLoc::get(StringAttr::get(op->getContext(), name + suffix), place));
}

uint64_t getDropoutKey(StringRef path, int64_t call) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  auto add = [&](uint8_t byte) { hash = (hash ^ byte) * 0x100000001b3ULL; };
  for (char character : path)
    add(static_cast<uint8_t>(character));
  for (int shift = 0; shift < 64; shift += 8)
    add(static_cast<uint8_t>(static_cast<uint64_t>(call) >> shift));
  return hash;
}

bool isPlaceless(Operation *op) { return isa<ConstantOp, ExtentOp, IotaOp, DropoutMaskOp>(op); }

void forEachDirection(ProgramOp program, llvm::function_ref<void(Operation *, bool)> visit) {
  llvm::DenseSet<Operation *> forward;
  SmallVector<Value> pending(program.getBlock().getTerminator()->getOperands());
  for (AssignOp assign : program.getBlock().getOps<AssignOp>()) {
    pending.push_back(assign.getValue());
    if (assign->hasAttr(kOfPart))
      forward.insert(assign);
  }
  while (!pending.empty())
    if (Operation *op = pending.pop_back_val().getDefiningOp(); op && forward.insert(op).second)
      llvm::append_range(pending, op->getOperands());
  for (Operation &op : program.getBlock().without_terminator())
    visit(&op, !forward.contains(&op));
}

void MpDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialect/MpOps.cpp.inc"
      >();
}

} // namespace mparc::mp

#include "dialect/MpDialect.cpp.inc"
#include "dialect/MpEnums.cpp.inc"
