// One operation of the last level as one call of the runtime: the headers in runtime/include/mpar
// say what each does.
#include "emit/PrintCalls.h"
#include "emit/Emit.h"
#include "emit/Functors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

/// In Functors.cpp.
std::string literal(ConstantOp constant);

//===- Names, places and sizes
//----------------------------------------------------------------------===//

std::string CallPrinter::name(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto names = argument.getOwner()->getParentOp()->getAttrOfType<ArrayAttr>(kArgumentNames);
    return part + "." + cast<StringAttr>(names[argument.getArgNumber()]).str();
  }
  Operation *op = value.getDefiningOp();
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    return name(reshape.getInput());
  if (auto read = dyn_cast<ReadOp>(op))
    return index.parameters.lookup(read.getParameterAttr())->getAttrOfType<StringAttr>(kName).str();
  return (getHolder(value) == Holder::part ? part + "." : "") + getName(value).str();
}

void CallPrinter::declarePlace(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getInput();
  Operation *op = value.getDefiningOp();
  if (op && !isa<ReadOp>(op) && getHolder(value) == Holder::place && !declared.contains(value))
    declareResult(value);
}

std::string CallPrinter::device(Operation *op) {
  int64_t number = getDevice(op).value_or(0);
  devices.insert(number);
  return "d" + std::to_string(number);
}

std::string CallPrinter::size(ElementCount count) {
  if (count.perRow && !count.piece.isWhole())
    pieces.insert({count.piece.number, count.piece.count});
  else
    usesRows |= count.perRow;
  return sizeText(count);
}

std::string CallPrinter::place(Value result) {
  Operation *op = result.getDefiningOp();
  BufferAttr buffer = getPlace(result);
  std::string offset = std::to_string(buffer.getOffset());
  std::string type = elementTypeName(getElementTypeOrSelf(result.getType()));
  switch (buffer.getRegion()) {
  case RegionKind::parameters:
    return device(op) + ".parameters()" + (offset == "0" ? "" : " + " + offset);
  case RegionKind::gradients:
    return device(op) + ".gradients()" + (offset == "0" ? "" : " + " + offset);
  case RegionKind::fixed:
    return device(op) + ".fixed<" + type + ">(" + offset + ")";
  case RegionKind::rows:
    return device(op) + ".rows<" + type + ">(" + offset + ")";
  case RegionKind::input:
    break; // only arguments lie there, and they have names
  }
  llvm_unreachable("a result lies in its device's arena");
}

std::string CallPrinter::extent(const Extent &wanted) {
  std::string count =
      inParts && !wanted.ofPart
          ? "part.batch_rows" + (wanted.scale == 1 ? "" : " * " + std::to_string(wanted.scale))
          : size({wanted.scale, true});
  if (wanted.offset != 0)
    count += (wanted.offset < 0 ? " - " : " + ") + std::to_string(std::abs(wanted.offset));
  return "float(" + count + ")";
}

std::string CallPrinter::list(ArrayRef<ElementCount> sizes) {
  std::string text = "{";
  for (ElementCount each : sizes)
    text += (text.size() > 1 ? ", " : "") + size(each);
  return text + "}";
}

std::string CallPrinter::shape(Type tensor) {
  return "Shape" + list(llvm::map_to_vector(getDimensions(tensor), sizeOf));
}

SmallVector<ElementCount> CallPrinter::strides(Type tensor) {
  return strides(getDimensions(tensor));
}

SmallVector<ElementCount> CallPrinter::strides(ArrayRef<DimensionAttr> dimensions) {
  SmallVector<ElementCount> steps;
  ElementCount step{1, false};
  for (DimensionAttr dimension : llvm::reverse(dimensions)) {
    steps.push_back(step);
    step = step.times(dimension);
  }
  return {steps.rbegin(), steps.rend()};
}

/// The product of the factors of a dimension that come after the batch.
static int64_t innerFactors(DimensionAttr dimension) {
  int64_t product = 1;
  for (FactorAttr factor : llvm::reverse(dimension.getFactors())) {
    if (ShapedType::isDynamic(factor.getSize()))
      break;
    product *= factor.getSize();
  }
  return product;
}

std::string CallPrinter::mappedStrides(Value operand, ArrayRef<int64_t> map) {
  SmallVector<ElementCount> steps = strides(operand.getType()), mapped;
  for (int64_t source : map) {
    bool repeats = source < 0 || getDimensions(operand.getType())[source].getSize() == 1;
    mapped.push_back(repeats ? ElementCount{0, false} : steps[source]);
  }
  return list(mapped);
}

std::string CallPrinter::store(Operation *op) {
  return op->hasAttr(kAccumulate) ? ", part.store" : "";
}

std::string CallPrinter::elementNumbers(DropoutMaskOp mask, Type tensor) {
  // As in a tensor of all rows, of which these are some, and of all positions.
  ArrayRef<DimensionAttr> own = getDimensions(tensor),
                          whole = mask.getWhole() ? mask.getWhole()->getDimensions() : own;
  std::string steps, first;
  auto begin = [&](const std::string &text) { first += (first.empty() ? ", " : " + ") + text; };
  for (auto [number, step] : llvm::enumerate(strides(whole))) {
    std::string text =
        step.perRow && inParts ? "part.batch_rows * " + std::to_string(step.count) : size(step);
    steps += (steps.empty() ? "" : ", ") + text;
    DimensionAttr dimension = own[number];
    if (mask.getFrom() && (*mask.getFrom())[number] != 0)
      begin(std::to_string((*mask.getFrom())[number]) + " * " + text);
    if (!dimension.hasBatch())
      continue;
    // The factors after the batch are positions within a row.
    std::string row = std::to_string(innerFactors(dimension)) + " * " + text;
    if (inParts)
      begin("part.first_row * " + row);
    if (!dimension.getRowPiece().isWhole()) {
      size(sizeOf(dimension));
      begin(rowsName(dimension.getRowPiece()) + ".first * " + row);
    }
  }
  return "Index64{{" + steps + "}" + first + "}";
}

static ElementCount times(ElementCount step, int64_t positions) {
  return {step.count * positions, step.perRow, step.piece};
}

std::string CallPrinter::offset(ElementCount step, int64_t from) {
  return from == 0 ? "" : " + " + size(times(step, from));
}

std::string CallPrinter::offset(ElementCount step, DimensionAttr piece) {
  size(sizeOf(piece));
  return " + " + rowsName(piece.getRowPiece()) + ".first * " +
         size(times(step, piece.getStaticSize()));
}

//===- Calls
//----------------------------------------------------------------------------------------===//

void CallPrinter::call(LinearOp op) {
  auto weight = getDimensions(op.getWeight().getType());
  out << "linear(" << device(op) << ", " << size(sizeOf(getDimensions(op.getX().getType())[0]))
      << ", " << weight[1].getSize() << ", " << weight[0].getSize() << ", " << name(op.getX())
      << ", " << name(op.getWeight()) << ", " << (op.getBias() ? name(op.getBias()) : "nullptr")
      << ", Activation::" << stringifyActivationKind(op.getActivation()) << ", "
      << name(op.getResult()) << ");\n";
}

void CallPrinter::call(MatmulOp op) {
  auto a = getDimensions(op.getA().getType()), c = getDimensions(op.getType());
  unsigned rank = c.size();
  auto transpose = [](bool yes) { return yes ? ", Transpose::yes" : ", Transpose::no"; };
  out << "matmul(" << device(op) << ", " << size(getElementCount(c.drop_back(2))) << ", "
      << size(sizeOf(c[rank - 2])) << ", " << size(sizeOf(c[rank - 1])) << ", "
      << size(sizeOf(a[rank - (op.getTransposeA() ? 2 : 1)])) << transpose(op.getTransposeA())
      << transpose(op.getTransposeB()) << ", " << name(op.getA()) << ", " << name(op.getB()) << ", "
      << name(op.getResult()) << store(op) << ");\n";
}

void CallPrinter::call(ReduceOp op) {
  auto operand = getDimensions(op.getInput().getType());
  if (getElementTypeOrSelf(op.getInput().getType()).getIntOrFloatBitWidth() == 16) {
    out << "sum_rows(" << device(op) << ", " << size(getElementCount(operand.drop_back())) << ", "
        << size(sizeOf(operand.back())) << ", " << name(op.getInput()) << ", "
        << name(op.getResult()) << store(op) << ");\n";
    return;
  }
  std::string dimensions;
  for (int64_t dimension : op.getDimensions())
    dimensions += (dimensions.empty() ? "1u << " : " | 1u << ") + std::to_string(dimension);
  out << "reduce(" << device(op) << ", Reduction::" << stringifyReductionKind(op.getKind()) << ", "
      << shape(op.getInput().getType()) << ", " << (dimensions.empty() ? "0" : dimensions) << ", "
      << name(op.getInput()) << ", " << name(op.getResult()) << store(op) << ");\n";
}

void CallPrinter::alongDimension(StringRef function, Operation *op, Value input,
                                 int64_t dimension) {
  auto dimensions = getDimensions(input.getType());
  out << function << "(" << device(op) << ", "
      << size(getElementCount(dimensions.take_front(dimension))) << ", "
      << size(sizeOf(dimensions[dimension])) << ", "
      << size(getElementCount(dimensions.drop_front(dimension + 1))) << ", " << name(input) << ", "
      << name(op->getResult(0)) << ");\n";
}

void CallPrinter::call(SoftmaxOp op) {
  alongDimension("softmax", op, op.getInput(), op.getDimension());
}
void CallPrinter::call(LogSoftmaxOp op) {
  alongDimension("log_softmax", op, op.getInput(), op.getDimension());
}
void CallPrinter::call(ArgmaxOp op) {
  alongDimension("argmax", op, op.getInput(), op.getDimension());
}

void CallPrinter::call(MapOp op) {
  FunctorNeeds needs = getFunctorNeeds(op);
  std::string functor = op->getAttrOfType<StringAttr>(kFunctor).str() + "{";
  auto field = [&](const std::string &text) {
    functor += (functor.back() == '{' ? "" : ", ") + text;
  };
  for (const Extent &each : needs.extents)
    field(extent(each));
  if (!needs.masks.empty())
    field("seed(), uint64_t(step())");
  for (DropoutMaskOp mask : needs.masks)
    field("0x" +
          llvm::utohexstr(getDropoutKey(mask.getPath(), mask.getCall()), /*LowerCase=*/true) + "u");
  functor += "}";

  bool inOrder = needs.positions.empty() && needs.masks.empty();
  for (unsigned operand = 0; operand < op.getInputs().size(); ++operand)
    inOrder &= op.isContiguous(operand);
  out << "map(" << device(op) << ", "
      << (inOrder ? size(getElementCount(op.getType())) : shape(op.getType())) << ", " << functor
      << ", " << name(op.getResult());
  for (auto [operand, input] : llvm::enumerate(op.getInputs()))
    out << ", "
        << (inOrder
                ? name(input)
                : "strided(" + name(input) + ", " + mappedStrides(input, op.getMap(operand)) + ")");
  for (int64_t position : needs.positions) {
    SmallVector<ElementCount> steps(getDimensions(op.getType()).size(), ElementCount{0, false});
    steps[position].count = 1;
    out << ", Index{" << list(steps) << "}";
  }
  for (DropoutMaskOp mask : needs.numberings)
    out << ", " << elementNumbers(mask, op.getType());
  out << ");\n";
}

void CallPrinter::copy(Operation *op, Type extents, Value x, StringRef xStrides,
                       const std::string &from, StringRef yStrides, const std::string &to) {
  out << "copy(" << device(op) << ", " << shape(extents) << ", " << name(x) << from << ", "
      << xStrides << ", " << name(op->getResult(0)) << to << ", " << yStrides << ");\n";
}

void CallPrinter::call(BroadcastOp op) {
  copy(op, op.getType(), op.getInput(), mappedStrides(op.getInput(), op.getDimensions()), "",
       list(strides(op.getType())), "");
}

void CallPrinter::call(PermuteOp op) {
  copy(op, op.getType(), op.getInput(), mappedStrides(op.getInput(), op.getPermutation()), "",
       list(strides(op.getType())), "");
}

void CallPrinter::call(SliceOp op) {
  auto steps = strides(op.getInput().getType());
  ElementCount step = steps[op.getDimension()];
  copy(op, op.getType(), op.getInput(), list(steps),
       op.takesRows() ? offset(step, getDimensions(op.getType())[op.getDimension()])
                      : offset(step, int64_t(op.getFrom())),
       list(strides(op.getType())), "");
}

void CallPrinter::call(PadOp op) {
  auto steps = strides(op.getType());
  out << "fill(" << device(op) << ", " << size(getElementCount(op.getType())) << ", "
      << elementTypeName(op.getType().getElementType()) << "(0), " << name(op.getResult())
      << ");\n";
  copy(op, op.getInput().getType(), op.getInput(), list(strides(op.getInput().getType())), "",
       list(steps), offset(steps[op.getDimension()], int64_t(op.getBefore())));
}

void CallPrinter::call(ConcatOp op) {
  auto steps = strides(op.getType());
  int64_t position = 0;
  for (Value input : op.getInputs()) {
    DimensionAttr own = getDimensions(input.getType())[op.getDimension()];
    ElementCount step = steps[op.getDimension()];
    copy(op, input.getType(), input, list(strides(input.getType())), "", list(steps),
         op.joinsRows() ? offset(step, own) : offset(step, position));
    position += own.getStaticSize();
  }
}

void CallPrinter::call(ConstantOp op) {
  out << "fill(" << device(op) << ", " << size(getElementCount(op.getType())) << ", "
      << elementTypeName(getElementTypeOrSelf(op.getType())) << "(" << literal(op) << "), "
      << name(op.getResult()) << ");\n";
}

void CallPrinter::call(ExtentOp op) {
  out << "fill(" << device(op) << ", " << size(getElementCount(op.getType())) << ", "
      << extent({int64_t(op.getScale()), int64_t(op.getOffset()), op.getOfPart()}) << ", "
      << name(op.getResult()) << ");\n";
}

void CallPrinter::call(CallTensorOp op) {
  auto view = [&](Value value, StringRef constness, StringRef data) {
    out << ", View<" << constness << elementTypeName(getElementTypeOrSelf(value.getType())) << ">{"
        << data << ", " << list(llvm::map_to_vector(getDimensions(value.getType()), sizeOf)) << "}";
  };
  out << "::" << op.getFunction() << "(" << device(op);
  for (Value input : op.getInputs())
    view(input, "const ", name(input));
  std::string result = name(op.getResult());
  if (std::optional<int64_t> adjoint = op.getAdjoint()) {
    for (auto [index, input] : llvm::enumerate(op.getInputs().drop_back()))
      if (getElementTypeOrSelf(input.getType()).isF32())
        view(input, "", static_cast<int64_t>(index) == *adjoint ? result : "nullptr");
  } else {
    view(op.getResult(), "", result);
  }
  out << ");\n";
}

//===- Results
//--------------------------------------------------------------------------------------===//

void CallPrinter::declareResult(Value result) {
  Type type = result.getType();
  declared.insert(result);
  Holder holder = getHolder(result);
  if (holder == Holder::local || holder == Holder::place)
    out << elementTypeName(getElementTypeOrSelf(type)) << " *const ";
  out << name(result) << " = " << place(result) << "; // " << shapeComment(type) << "\n";
}

void CallPrinter::printTransfer(TransferOp op) {
  Type type = op.getType();
  std::string from = "d" + std::to_string(op.getFrom());
  devices.insert(op.getFrom());
  if (getHolder(op.getResult()) == Holder::local)
    out << "const " << elementTypeName(getElementTypeOrSelf(type)) << " *const ";
  out << name(op.getResult()) << " = transfer(" << from << ", " << name(op.getInput()) << ", "
      << device(op) << ", " << place(op.getResult()) << ", " << size(getElementCount(type))
      << ");\n";
}

void CallPrinter::print(Operation *op) {
  inParts = op->getParentOp()->hasAttr(kRowsAPart) && !op->hasAttr(kWhen);
  for (Value operand : op->getOperands())
    declarePlace(operand);
  if (auto transfer = dyn_cast<TransferOp>(op))
    return printTransfer(transfer);
  for (Value result : op->getResults())
    declareResult(result);
  llvm::TypeSwitch<Operation *>(op)
      .Case<LinearOp, MatmulOp, ReduceOp, SoftmaxOp, LogSoftmaxOp, ArgmaxOp, MapOp, BroadcastOp,
            PermuteOp, SliceOp, PadOp, ConcatOp, ConstantOp, ExtentOp, SquaredNormOp, ClipScaleOp,
            LossScaleOp, UnscaleOp, UpdateOp, AssignOp, GatherOp, ScatterAddOp, CheckIndexOp,
            CrossEntropyOp, CrossEntropyGradientOp, AttentionOp, AttentionGradientOp, LayerNormOp,
            LayerNormGradientOp, RmsNormOp, RmsNormGradientOp, CallTensorOp, ConvOp,
            ConvInputGradientOp, ConvWeightGradientOp, MaxPoolOp, MaxPoolGradientOp, AvgPoolOp,
            AvgPoolGradientOp, ReduceScatterOp, AllGatherOp>([&](auto concrete) { call(concrete); })
      .Default([](Operation *) { llvm_unreachable("mp-prepare-emission leaves nothing else"); });
}

} // namespace mparc::emit
