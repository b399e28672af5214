//===- GraphBuilder.cpp - Operations of the graph from checked operands -----===//

#include "frontend/GraphBuilder.h"

#include "dialect/Groups.h"

using namespace mlir;

namespace mparc {

bool haveSameSize(mp::DimensionAttr a, mp::DimensionAttr b) {
  return a == b || (a.hasBatch() == b.hasBatch() && a.getStaticSize() == b.getStaticSize());
}

bool haveSameSizes(ArrayRef<mp::DimensionAttr> a, ArrayRef<mp::DimensionAttr> b) {
  return a.size() == b.size() && llvm::all_of(llvm::zip(a, b), [](auto pair) {
           return haveSameSize(std::get<0>(pair), std::get<1>(pair));
         });
}

bool isNamed(mp::DimensionAttr dimension) {
  return !dimension.getLabel().empty() ||
         llvm::any_of(dimension.getFactors(),
                      [](mp::FactorAttr factor) { return !factor.getName().empty(); });
}

static bool isOne(mp::DimensionAttr dimension) {
  return !dimension.hasBatch() && dimension.getStaticSize() == 1;
}

bool isLowPrecision(Type element) { return element.isBF16() || element.isF16(); }

static unsigned rank(Type element) { return element.isF32() ? 2 : element.isInteger(1) ? 0 : 1; }

static Type computingType(Type element) {
  return isLowPrecision(element) ? Float32Type::get(element.getContext()) : element;
}

Type promote(Type a, Type b) {
  a = computingType(a);
  b = computingType(b);
  return rank(a) < rank(b) ? b : a;
}

void GraphBuilder::at(const SourceRange &where) {
  range = where;
  location = session.diagnostics.location(where);
  // What the standard library is made of is, for those who read, where the user has called it.
  if (!session.library.isStandard(where))
    called = location;
  else if (called)
    location = CallSiteLoc::get(location, *called);
}

void GraphBuilder::annotate(Operation *op) {
  session.countOperation(range);
  if (instance && instance->pathAttribute)
    op->setAttr(mp::kLayer, instance->pathAttribute);
  if (recomputedPart && training && !session.options.keepActivations)
    op->setAttr(mp::kRecompute, builder.getI64IntegerAttr(recomputedPart));
  if (eachPart && training)
    op->setAttr(mp::kEachPart, builder.getUnitAttr());
  if (auto extent = llvm::dyn_cast<mp::ExtentOp>(op))
    extent.setOfPart(eachPart);
  if (isa<mp::ConstantOp, mp::IotaOp, mp::ExtentOp>(op))
    return;
  if (device)
    place(op, *device, split, /*isOfStatement=*/true);
  else if (std::optional<Devices> own = instance ? instance->placement() : std::nullopt)
    place(op, *own, split ? split : instance->split);
}

void GraphBuilder::place(Operation *op, const Devices &devices,
                         const std::optional<SplitMark> &mark, bool isOfStatement) {
  mp::setDevice(op, devices.front());
  op->removeAttr(mp::kGroup);
  if (Attribute group = session.splits.groupOf(session, devices, mark, isOfStatement)) {
    op->setAttr(mp::kGroup, group);
    if (mark)
      session.splits.check(session, op, *mark, range);
  }
}

mp::DimensionsAttr checkDimensions(Session &session, SourceRange range,
                                   ArrayRef<mp::DimensionAttr> dimensions,
                                   const llvm::Twine &operands) {
  int batches = 0;
  int64_t elements = 1;
  bool isTooLarge = false;
  for (mp::DimensionAttr dimension : dimensions) {
    batches += dimension.hasBatch();
    isTooLarge |= __builtin_mul_overflow(elements, dimension.getStaticSize(), &elements);
  }
  std::string of = operands.str();
  if (batches > 1) {
    std::string name;
    for (mp::DimensionAttr dimension : dimensions)
      for (mp::FactorAttr factor : dimension.getFactors())
        if (ShapedType::isDynamic(factor.getSize()))
          name = factor.getName().str();
    session.error(range, "combines the rows of `" + name + "` with one another" +
                             (of.empty() ? "" : ": " + of));
    return {};
  }
  if (isTooLarge || elements > maxElements) {
    session.error(range, "a tensor of more than " + llvm::Twine(maxElements) + " elements" +
                             (of.empty() ? "" : ": " + of));
    return {};
  }
  return session.dims(dimensions);
}

Tensor GraphBuilder::read(ParameterInfo &end) {
  auto dims = llvm::cast<mp::DimensionsAttr>(end.type.getEncoding());
  ParameterInfo &parameter = end.tied ? *end.tied : end;
  if (mlir::Value set = assigned.lookup(&parameter))
    return {set, dims, &end.origin};
  mlir::Value &value = reads[&parameter];
  if (!value) {
    auto op = builder.create<mp::ReadOp>(location, parameter.type, parameter.path);
    annotate(op);
    placeWith(op, parameter);
    value = op.getResult();
  }
  return {value, dims, &end.origin};
}

void GraphBuilder::placeWith(Operation *op, const ParameterInfo &parameter) {
  place(op, parameter.owner->placement().value_or(Devices{0}), parameter.owner->split);
  if (parameter.owner->pathAttribute)
    op->setAttr(mp::kLayer, parameter.owner->pathAttribute);
}

void GraphBuilder::assign(ParameterInfo &buffer, Tensor value) {
  mlir::Value number = unary<mp::DetachOp>(value).value;
  number.getDefiningOp()->setLoc(
      NameLoc::get(StringAttr::get(&session.context, buffer.path + "_new"), location));
  assigned[&buffer] = number;
  if (eachPart)
    setInParts.insert(&buffer);
}

void GraphBuilder::finishAssignments() {
  for (auto [buffer, value] : assigned) {
    auto assign = builder.create<mp::AssignOp>(value.getLoc(), buffer->path, value);
    placeWith(assign, *buffer);
    if (setInParts.contains(buffer))
      assign->setAttr(mp::kEachPart, builder.getUnitAttr());
  }
}

Tensor GraphBuilder::constant(double value, mp::DimensionsAttr dims) {
  return create<mp::ConstantOp>(dims, session.f32(), builder.getF64FloatAttr(value));
}

Tensor GraphBuilder::constant(bool value, mp::DimensionsAttr dims) {
  return create<mp::ConstantOp>(dims, session.boolean(), builder.getBoolAttr(value));
}

Tensor GraphBuilder::constant(const Number &value, mp::DimensionsAttr dims, Type element) {
  if (value.hasBatch()) {
    Tensor rows =
        create<mp::ExtentOp>(session.dims({}), session.f32(), *value.integerValue(), int64_t(0));
    return broadcast(cast(rows, element), dims);
  }
  if (element.isF32())
    return constant(value.doubleValue(), dims);
  int64_t integer = *value.integerValue();
  if (!llvm::isInt<32>(integer)) {
    session.error(range, llvm::Twine(integer) + " does not fit in an i32");
    integer = 0;
  }
  return create<mp::ConstantOp>(dims, element, builder.getI64IntegerAttr(integer));
}

Tensor GraphBuilder::cast(Tensor x, Type element) {
  if (x.element() == element)
    return x;
  Tensor result = unary<mp::CastOp>(x, element);
  result.origin = x.origin;
  return result;
}

/// Of two dimensions of one size the one with a name, the first where both have.
static mp::DimensionAttr prefer(mp::DimensionAttr a, mp::DimensionAttr b) {
  return !isNamed(a) && isNamed(b) ? b : a;
}

mp::DimensionsAttr GraphBuilder::broadcastShape(Tensor a, Tensor b) {
  ArrayRef<mp::DimensionAttr> x = a.dimensions(), y = b.dimensions();
  size_t rank = std::max(x.size(), y.size());
  Dimensions dimensions(rank);
  std::string both = describe(a) + " and " + describe(b);
  for (size_t fromRight = 1; fromRight <= rank; ++fromRight) {
    mp::DimensionAttr &result = dimensions[rank - fromRight];
    if (fromRight > x.size() || fromRight > y.size()) {
      result = fromRight > x.size() ? y[y.size() - fromRight] : x[x.size() - fromRight];
      continue;
    }
    mp::DimensionAttr p = x[x.size() - fromRight], q = y[y.size() - fromRight];
    if (haveSameSize(p, q)) {
      result = prefer(p, q);
    } else if (isOne(p) || isOne(q)) {
      result = isOne(p) ? q : p;
    } else {
      Report &report = session.error(range, "shapes " + both + " do not fit together");
      for (const Tensor &operand : {a, b})
        if (operand.origin)
          report.note(operand.origin->where, operand.origin->what + " gives " + describe(operand));
      return {};
    }
  }
  return checked(dimensions, both);
}

Tensor GraphBuilder::broadcast(Tensor x, mp::DimensionsAttr dims) {
  if (haveSameSizes(x.dimensions(), dims.getDimensions()))
    return {x.value, dims, x.origin};
  // A number is repeated by the constant itself.
  if (auto number = x.value.getDefiningOp<mp::ConstantOp>())
    return create<mp::ConstantOp>(dims, x.element(), number.getValue());
  SmallVector<int64_t> map;
  int64_t missing = static_cast<int64_t>(dims.getDimensions().size()) - x.rank();
  for (int64_t index = -missing; index < x.rank(); ++index)
    map.push_back(index < 0 ? -1 : index);
  Tensor result = create<mp::BroadcastOp>(dims, x.element(), x.value, map);
  result.origin = x.origin;
  return result;
}

Tensor GraphBuilder::reshape(Tensor x, mp::DimensionsAttr dims) {
  if (haveSameSizes(x.dimensions(), dims.getDimensions()))
    return {x.value, dims, x.origin};
  // The elements of a reshaped tensor are those of what was reshaped.
  mlir::Value source = x.value;
  if (auto inner = source.getDefiningOp<mp::ReshapeOp>())
    source = inner.getInput();
  if (haveSameSizes(mp::getDimensions(source.getType()), dims.getDimensions()))
    return {source, dims, x.origin};
  Tensor result = create<mp::ReshapeOp>(dims, x.element(), source);
  result.origin = x.origin;
  return result;
}

Tensor GraphBuilder::permute(Tensor x, ArrayRef<int64_t> permutation) {
  Dimensions dimensions;
  for (int64_t source : permutation)
    dimensions.push_back(x.dimensions()[source]);
  Tensor result =
      create<mp::PermuteOp>(session.dims(dimensions), x.element(), x.value, permutation);
  result.origin = x.origin;
  return result;
}

Tensor GraphBuilder::reduce(mp::ReductionKind kind, Tensor x, ArrayRef<int64_t> dimensions,
                            bool keep) {
  Dimensions kept, withOnes;
  for (auto [index, dimension] : llvm::enumerate(x.dimensions())) {
    bool isReduced = llvm::is_contained(dimensions, static_cast<int64_t>(index));
    if (!isReduced)
      kept.push_back(dimension);
    withOnes.push_back(isReduced ? mp::getDimension(&session.context, "", 1) : dimension);
  }
  Tensor result = create<mp::ReduceOp>(session.dims(kept), x.element(), kind, x.value, dimensions);
  result.origin = x.origin;
  return keep ? reshape(result, session.dims(withOnes)) : result;
}

bool GraphBuilder::unify(Value &a, Value &b, Type least) {
  Type element = least;
  Tensor *tensors[2] = {std::get_if<Tensor>(&a), std::get_if<Tensor>(&b)};
  Value *values[2] = {&a, &b};
  for (int side : {0, 1}) {
    if (tensors[side])
      element = promote(element, tensors[side]->element());
    else if (auto *number = std::get_if<Number>(values[side]))
      element = promote(element,
                        number->isInteger() && !number->hasBatch() ? session.i32() : session.f32());
  }
  mp::DimensionsAttr dims;
  if (tensors[0] && tensors[1])
    dims = broadcastShape(*tensors[0], *tensors[1]);
  else
    dims = (tensors[0] ? tensors[0] : tensors[1])->dims;
  if (!dims)
    return false;
  for (int side : {0, 1}) {
    if (tensors[side]) {
      *values[side] = broadcast(cast(*tensors[side], element), dims);
    } else if (auto *truth = std::get_if<bool>(values[side])) {
      *values[side] = element.isInteger(1) ? constant(*truth, dims)
                                           : constant(Number::integer(*truth), dims, element);
    } else {
      *values[side] = constant(std::get<Number>(*values[side]), dims, element);
    }
  }
  return true;
}

Tensor GraphBuilder::placeholder(mp::DimensionsAttr dims, Type element) {
  if (isa<FloatType>(element))
    return cast(constant(0.0, dims), element);
  return element.isInteger(1) ? constant(false, dims) : constant(Number::integer(0), dims, element);
}

} // namespace mparc
