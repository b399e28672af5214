// What element-wise operations print, and verifiers of the operations on shapes, products and fused
// operations; the rules' letters are those of the .td files.
#include "dialect/MpDialect.h"

#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/StringExtras.h"

#include <charconv>
#include <cmath>

using namespace mlir;
using namespace mparc::mp;

//===- What element-wise operations print
//----------------------------------------------------------===//

/// A double as a C++ literal of the type float that reads back as the same float.
static std::string literal(const APFloat &value) {
  double number = value.convertToDouble();
  if (std::isnan(number))
    return "NAN";
  if (std::isinf(number))
    return number > 0 ? "INFINITY" : "-INFINITY";
  char digits[32]; // the shortest
  std::string text(digits,
                   std::to_chars(digits, digits + sizeof digits, static_cast<float>(number)).ptr);
  if (text.find_first_of(".e") == std::string::npos)
    text += ".0";
  return text + "f";
}

static std::string compareExpression(ComparisonKind kind) {
  switch (kind) {
  case ComparisonKind::lt:
    return "$0 < $1";
  case ComparisonKind::le:
    return "$0 <= $1";
  case ComparisonKind::gt:
    return "$0 > $1";
  case ComparisonKind::ge:
    return "$0 >= $1";
  case ComparisonKind::eq:
    return "$0 == $1";
  case ComparisonKind::ne:
    return "$0 != $1";
  }
  llvm_unreachable("all comparisons are listed");
}

static std::string castExpression(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (element.isF32())
    return "float($0)";
  if (element.isBF16())
    return "bfloat16($0)";
  if (element.isF16())
    return "float16($0)";
  return element.isInteger(1) ? "($0 != 0)" : "int32_t($0)";
}

//===- Shapes
//----------------------------------------------------------------------------------------===//

static int64_t rank(Value value) { return cast<RankedTensorType>(value.getType()).getRank(); }
static DimensionAttr dimension(Value value, int64_t index) {
  return getDimensions(value.getType())[index];
}
static bool sameSize(DimensionAttr a, DimensionAttr b) {
  return a.hasBatch() == b.hasBatch() && a.getStaticSize() == b.getStaticSize() &&
         a.getRowPiece() == b.getRowPiece();
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

/// (B1)–(B3), shared by mp.broadcast and the operands of mp.map.
static LogicalResult verifyMap(Operation *op, Value operand, ArrayRef<int64_t> map, Value result) {
  if (static_cast<int64_t>(map.size()) != rank(result))
    return op->emitOpError("expected ")
           << rank(result) << " entries in the map, got " << map.size();
  llvm::SmallBitVector seen(rank(operand));
  for (auto [index, source] : llvm::enumerate(map)) {
    if (source == -1)
      continue;
    if (source < 0 || source >= rank(operand) || seen.test(source))
      return op->emitOpError("expected distinct dimensions of the operand, got ") << source;
    seen.set(source);
    DimensionAttr from = dimension(operand, source);
    if (!sameSize(from, dimension(result, index)) && from.getSize() != 1)
      return op->emitOpError("dimension ") << source << " does not broadcast to " << index;
  }
  for (int64_t source = 0; source < rank(operand); ++source)
    if (!seen.test(source) && dimension(operand, source).getSize() != 1)
      return op->emitOpError("dimension ")
             << source << " of the operand has no place in the result";
  return success();
}

LogicalResult BroadcastOp::verify() {
  return verifyMap(*this, getInput(), getDimensions(), getResult());
}

LogicalResult ReshapeOp::verify() {
  ElementCount from = getElementCount(getInput().getType()),
               to = getElementCount(getResult().getType());
  if (from.count != to.count || from.perRow != to.perRow || !(from.piece == to.piece))
    return emitOpError("expected as many elements in ")
           << getResult().getType() << " as in " << getInput().getType();
  return success();
}

LogicalResult PermuteOp::verify() {
  llvm::SmallBitVector seen(rank(getInput()));
  if (static_cast<int64_t>(getPermutation().size()) != rank(getInput()) ||
      rank(getInput()) != rank(getResult()))
    return emitOpError("expected a permutation of ") << rank(getInput()) << " dimensions";
  for (auto [index, source] : llvm::enumerate(getPermutation())) {
    if (source < 0 || source >= rank(getInput()) || seen.test(source))
      return emitOpError("expected each dimension once, got ") << source;
    seen.set(source);
    if (!sameSize(dimension(getInput(), source), dimension(getResult(), index)))
      return emitOpError("dimension ") << index << " has another size than its source";
  }
  return success();
}

/// All dimensions but `except` agree.
static LogicalResult verifyOthers(Operation *op, Value a, Value b, int64_t except) {
  if (rank(a) != rank(b) || except < 0 || except >= rank(a))
    return op->emitOpError("expected dimension ") << except << " in operands of one rank";
  for (int64_t index = 0; index < rank(a); ++index)
    if (index != except && !sameSize(dimension(a, index), dimension(b, index)))
      return op->emitOpError("expected equal sizes in dimension ") << index;
  return success();
}

/// A piece of the rows of a batch and what it is a piece of: of their dimension, all else is alike.
static LogicalResult verifyPiece(Operation *op, DimensionAttr piece, DimensionAttr whole,
                                 std::optional<RowPiece> expected) {
  RowPiece own = piece.getRowPiece();
  bool isOne =
      expected ? own == *expected : !own.isWhole() && own.number >= 0 && own.number < own.count;
  if (!piece.hasBatch() || !whole.hasBatch() || piece.getStaticSize() != whole.getStaticSize() ||
      !whole.getRowPiece().isWhole() || !isOne)
    return op->emitOpError("expected a piece of the batch, got number ")
           << own.number << " of " << own.count;
  if (countBeforeBatch(whole) > 1)
    return op->emitOpError("expected the batch outermost in the dimension, got ") << whole.str();
  return success();
}

static LogicalResult verifyNoBatch(Operation *op, Value a, Value b, int64_t except) {
  if (dimension(a, except).hasBatch() || dimension(b, except).hasBatch())
    return op->emitOpError("dimension ") << except << " contains the batch";
  return success();
}

bool SliceOp::takesRows() { return dimension(getResult(), getDimension()).hasBatch(); }
bool ConcatOp::joinsRows() { return dimension(getResult(), getDimension()).hasBatch(); }

LogicalResult SliceOp::verify() {
  if (failed(verifyOthers(*this, getInput(), getResult(), getDimension())))
    return failure();
  if (takesRows())
    return verifyPiece(*this, dimension(getResult(), getDimension()),
                       dimension(getInput(), getDimension()), std::nullopt);
  if (failed(verifyNoBatch(*this, getInput(), getResult(), getDimension())))
    return failure();
  int64_t from = getFrom(), to = getTo(), size = dimension(getInput(), getDimension()).getSize();
  if (from < 0 || from >= to || to > size ||
      dimension(getResult(), getDimension()).getSize() != to - from)
    return emitOpError("expected positions of a dimension of size ")
           << size << ", got " << from << " to " << to;
  return success();
}

LogicalResult PadOp::verify() {
  if (failed(verifyOthers(*this, getInput(), getResult(), getDimension())) ||
      failed(verifyNoBatch(*this, getInput(), getResult(), getDimension())))
    return failure();
  int64_t size =
      dimension(getInput(), getDimension()).getSize() + int64_t(getBefore()) + int64_t(getAfter());
  if (dimension(getResult(), getDimension()).getSize() != size)
    return emitOpError("expected a result of size ") << size;
  return success();
}

LogicalResult ConcatOp::verify() {
  int64_t size = 0, number = 0;
  const auto count = static_cast<int64_t>(getInputs().size());
  for (Value input : getInputs()) {
    if (failed(verifyOthers(*this, input, getResult(), getDimension())))
      return failure();
    if (joinsRows()) {
      if (failed(verifyPiece(*this, dimension(input, getDimension()),
                             dimension(getResult(), getDimension()), RowPiece{number++, count})))
        return failure();
      continue;
    }
    if (failed(verifyNoBatch(*this, input, getResult(), getDimension())))
      return failure();
    size += dimension(input, getDimension()).getSize();
  }
  if (!joinsRows() && dimension(getResult(), getDimension()).getSize() != size)
    return emitOpError("expected a result of size ") << size;
  return success();
}

//===- Products and reductions
//-----------------------------------------------------------------------===//

/// (M4): operands of one element type, and a result of f32.
static LogicalResult verifyProductElements(Operation *op, Value a, Value b, Value result) {
  Type element = getElementTypeOrSelf(a.getType()), given = getElementTypeOrSelf(result.getType());
  if (getElementTypeOrSelf(b.getType()) != element || !isa<FloatType>(element) ||
      (!given.isF32() && given != element))
    return op->emitOpError(
               "expected operands of one floating-point type and a result of it or f32, got ")
           << element << ", " << getElementTypeOrSelf(b.getType()) << " and " << given;
  return success();
}

LogicalResult MatmulOp::verify() {
  if (failed(verifyProductElements(*this, getA(), getB(), getResult())))
    return failure();
  int64_t ranks = rank(getA());
  if (ranks < 2 || rank(getB()) != ranks || rank(getResult()) != ranks)
    return emitOpError("expected operands of one rank of at least 2");
  for (int64_t index = 0; index < ranks - 2; ++index)
    if (!sameSize(dimension(getA(), index), dimension(getB(), index)) ||
        !sameSize(dimension(getA(), index), dimension(getResult(), index)))
      return emitOpError("expected equal leading dimensions");
  DimensionAttr row = dimension(getA(), ranks - (getTransposeA() ? 1 : 2));
  DimensionAttr innerA = dimension(getA(), ranks - (getTransposeA() ? 2 : 1));
  DimensionAttr innerB = dimension(getB(), ranks - (getTransposeB() ? 1 : 2));
  DimensionAttr column = dimension(getB(), ranks - (getTransposeB() ? 2 : 1));
  if (!sameSize(innerA, innerB))
    return emitOpError("expected equal inner dimensions, got ")
           << innerA.str() << " and " << innerB.str();
  if (!sameSize(dimension(getResult(), ranks - 2), row) ||
      !sameSize(dimension(getResult(), ranks - 1), column))
    return emitOpError("expected a result of the operands' outer dimensions");
  return success();
}

LogicalResult ReduceOp::verify() {
  Type element = getElementTypeOrSelf(getInput().getType());
  bool isNarrow = element.isBF16() || element.isF16();
  if (isNarrow &&
      (getKind() != ReductionKind::sum || getDimensions().empty() ||
       getDimensions() != ArrayRef(llvm::to_vector(llvm::seq<int64_t>(0, rank(getInput()) - 1)))))
    return emitOpError("of ") << element << " sums over all dimensions but the last";
  if (getElementTypeOrSelf(getType()) != (isNarrow ? Float32Type::get(getContext()) : element))
    return emitOpError("expected a result of ")
           << (isNarrow ? Float32Type::get(getContext()) : element);
  SmallVector<int64_t> kept;
  int64_t previous = -1;
  for (int64_t index : getDimensions()) {
    if (index <= previous || index >= rank(getInput()))
      return emitOpError("expected ascending dimensions of the operand");
    previous = index;
  }
  for (int64_t index = 0; index < rank(getInput()); ++index)
    if (!llvm::is_contained(getDimensions(), index))
      kept.push_back(index);
  if (static_cast<int64_t>(kept.size()) != rank(getResult()))
    return emitOpError("expected a result of rank ") << kept.size();
  for (auto [index, source] : llvm::enumerate(kept))
    if (!sameSize(dimension(getInput(), source), dimension(getResult(), index)))
      return emitOpError("expected the operand's dimensions that are kept");
  return success();
}

static LogicalResult verifyAlong(Operation *op, Value input, int64_t along, Value result) {
  if (along < 0 || along >= rank(input))
    return op->emitOpError("expected a dimension of the operand, got ") << along;
  if (!haveSameShape(input.getType(), result.getType()))
    return op->emitOpError("expected a result of the operand's shape");
  return success();
}
LogicalResult SoftmaxOp::verify() {
  return verifyAlong(*this, getInput(), getDimension(), getResult());
}
LogicalResult LogSoftmaxOp::verify() {
  return verifyAlong(*this, getInput(), getDimension(), getResult());
}
LogicalResult ArgmaxOp::verify() {
  if (getDimension() >= uint64_t(rank(getInput())) || rank(getResult()) != rank(getInput()) - 1)
    return emitOpError("expected a result without the dimension");
  return success();
}

//===- Fused
//-----------------------------------------------------------------------------------------===//

LogicalResult LinearOp::verify() {
  if (failed(verifyProductElements(*this, getX(), getWeight(), getResult())))
    return failure();
  if (rank(getX()) != 2 || rank(getWeight()) != 2 || rank(getResult()) != 2)
    return emitOpError("expected matrices");
  if (!sameSize(dimension(getX(), 1), dimension(getWeight(), 1)))
    return emitOpError("expected equal inner dimensions");
  if (!sameSize(dimension(getX(), 0), dimension(getResult(), 0)) ||
      !sameSize(dimension(getWeight(), 0), dimension(getResult(), 1)))
    return emitOpError("expected a result of the operands' outer dimensions");
  if (getBias() &&
      (rank(getBias()) != 1 || !sameSize(dimension(getBias(), 0), dimension(getWeight(), 0))))
    return emitOpError("expected a bias of the output's size");
  if (getBias() && getElementTypeOrSelf(getBias().getType()) != getElementTypeOrSelf(getType()))
    return emitOpError("expected a bias of the result's type");
  return success();
}

ArrayRef<int64_t> MapOp::getMap(unsigned index) {
  return cast<DenseI64ArrayAttr>(getMaps()[index]).asArrayRef();
}

bool MapOp::isContiguous(unsigned index) {
  if (!haveSameShape(getInputs()[index].getType(), getResult().getType()))
    return false;
  for (auto [position, source] : llvm::enumerate(getMap(index)))
    if (source != static_cast<int64_t>(position))
      return false;
  return true;
}

LogicalResult MapOp::verify() {
  if (getMaps().size() != getInputs().size())
    return emitOpError("expected ") << getInputs().size() << " maps, got " << getMaps().size();
  Block &block = getBody().front();
  if (block.getNumArguments() != getInputs().size())
    return emitOpError("expected one argument of the body an operand");
  for (unsigned index = 0; index < getInputs().size(); ++index) {
    if (!isa<DenseI64ArrayAttr>(getMaps()[index]))
      return emitOpError("expected maps of i64");
    if (failed(verifyMap(*this, getInputs()[index], getMap(index), getResult())))
      return failure();
    if (getElementTypeOrSelf(getInputs()[index].getType()) != block.getArgument(index).getType())
      return emitOpError("expected the body's arguments to have the operands' element types");
  }
  for (Operation &op : block)
    if (!isa<ScalarExpression, ConstantOp, ExtentOp, DropoutMaskOp, IndexOp, YieldOp>(op))
      return emitOpError("expected element-wise operations in the body, got ") << op.getName();
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getValue().getType() != getElementTypeOrSelf(getResult().getType()))
    return emitOpError("expected the body to yield the result's element");
  return success();
}

void TransferOp::build(OpBuilder &, OperationState &state, Value input, int64_t from, int64_t to) {
  Builder builder(state.getContext());
  state.addOperands(input);
  state.addTypes(input.getType());
  state.getOrAddProperties<Properties>().from = builder.getI64IntegerAttr(from);
  state.addAttribute(kDevice, builder.getI64IntegerAttr(to));
}

#include "dialect/MpInterfaces.cpp.inc"
#define GET_OP_CLASSES
#include "dialect/MpOps.cpp.inc"
