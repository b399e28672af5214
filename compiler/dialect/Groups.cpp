#include "dialect/Groups.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace mparc::mp {

int64_t Group::coordinate(int64_t index, unsigned axis) const {
  for (unsigned after = axis + 1; after < axes.size(); ++after)
    index /= axes[after].size;
  return index % axes[axis].size;
}

SmallVector<int64_t, 4> Group::line(int64_t index, unsigned axis) const {
  int64_t step = 1;
  for (unsigned after = axis + 1; after < axes.size(); ++after)
    step *= axes[after].size;
  int64_t first = index - coordinate(index, axis) * step;
  SmallVector<int64_t, 4> members;
  for (int64_t number = 0; number < axes[axis].size; ++number)
    members.push_back(first + number * step);
  return members;
}

int64_t Group::indexOf(int64_t device) const {
  const auto *found = llvm::find(devices, device);
  return found == devices.end() ? -1 : found - devices.begin();
}

bool Group::operator==(const Group &other) const {
  return devices == other.devices && axes.size() == other.axes.size() &&
         llvm::all_of(llvm::zip(axes, other.axes), [](auto pair) {
           auto &[a, b] = pair;
           return a.size == b.size;
         });
}

DictionaryAttr Group::toAttribute(MLIRContext *context) const {
  Builder builder(context);
  SmallVector<Attribute> names;
  SmallVector<int64_t> sizes;
  for (const Axis &axis : axes) {
    names.push_back(builder.getStringAttr(axis.name));
    sizes.push_back(axis.size);
  }
  SmallVector<NamedAttribute> entries{
      builder.getNamedAttr("devices", builder.getDenseI64ArrayAttr(devices)),
      builder.getNamedAttr("names", builder.getArrayAttr(names)),
      builder.getNamedAttr("sizes", builder.getDenseI64ArrayAttr(sizes))};
  if (isOfStatement)
    entries.push_back(builder.getNamedAttr("of_statement", builder.getUnitAttr()));
  return builder.getDictionaryAttr(entries);
}

Group readGroup(DictionaryAttr attribute) {
  Group group;
  llvm::append_range(group.devices, attribute.getAs<DenseI64ArrayAttr>("devices").asArrayRef());
  for (auto [name, size] :
       llvm::zip(attribute.getAs<ArrayAttr>("names").getAsValueRange<StringAttr>(),
                 attribute.getAs<DenseI64ArrayAttr>("sizes").asArrayRef()))
    group.axes.push_back({name.str(), size});
  group.isOfStatement = attribute.contains("of_statement");
  return group;
}

std::optional<Group> getGroup(Operation *op) {
  if (auto attribute = op->getAttrOfType<DictionaryAttr>(kGroup))
    return readGroup(attribute);
  return std::nullopt;
}

bool regroupsSums(ModelOp model) {
  for (auto program : model.getBody().getOps<ProgramOp>())
    if (auto collectives = program->getAttrOfType<ArrayAttr>(kCollectives))
      for (auto each : collectives.getAsRange<DictionaryAttr>()) {
        StringRef kind = each.getAs<StringAttr>("kind").getValue();
        if (kind == "all_reduce" || kind == "reduce_scatter" || kind == "reduce")
          return true;
      }
  return false;
}

bool isOn(LayerOp layer, int64_t device) {
  if (std::optional<Group> group = getGroup(layer))
    return group->indexOf(device) >= 0;
  return getDevice(layer).value_or(0) == device;
}

int64_t countOnce(ParameterOp parameter) {
  auto piece = parameter->getAttrOfType<DictionaryAttr>(kPiece);
  if (!piece)
    return getElementCount(parameter.getTensorType()).count;
  auto before = dyn_cast_or_null<ParameterOp>(parameter->getPrevNode());
  auto other = before ? before->getAttrOfType<DictionaryAttr>(kPiece) : DictionaryAttr();
  if (other && other.get("of") == piece.get("of"))
    return 0;
  return getElementCount(piece.getAs<TypeAttr>("type").getValue()).count;
}

Positions getPiece(int64_t size, int64_t count, int64_t number) {
  int64_t from = number * (size / count) + std::min(number, size % count);
  return {from, from + size / count + (number < size % count)};
}

Positions getPiece(const Cut &cut, int64_t count, int64_t number) {
  return cut.isOfBatch() ? Positions{0, 0} : getPiece(cut.size, count, number);
}

/// Whether `inside` lies within the inner part of `cut`: all else does within the batch.
static bool isWithin(const Cut &inside, const Cut &cut) {
  if (inside.isOfBatch() || cut.isOfBatch())
    return !inside.isOfBatch();
  return cut.inner % (inside.size * inside.inner) == 0;
}

bool canNest(const Cut &a, const Cut &b) {
  return a.dimension != b.dimension || isWithin(a, b) || isWithin(b, a);
}

Cut localize(Cut cut, const Others &others) {
  Cut local = cut;
  for (const auto &[other, positions] : others) {
    if (other.dimension != cut.dimension || other.isOfBatch())
      continue;
    int64_t &part = isWithin(other, cut) ? local.inner : local.outer;
    part = part / other.size * positions;
  }
  return local;
}

Others getOthers(const Group &group, const Layout &layout, int64_t index, int64_t exceptAxis) {
  Others others;
  for (auto [axis, state] : llvm::enumerate(layout))
    if (state.isCut() && static_cast<int64_t>(axis) != exceptAxis) {
      Positions piece = getPiece(state.cut, group.axes[axis].size, group.coordinate(index, axis));
      others.push_back({state.cut, piece.to - piece.from});
    }
  return others;
}

DimensionAttr cutDimension(DimensionAttr dimension, const Cut &cut, int64_t count, int64_t number) {
  if (cut.isOfBatch())
    return takeRowPiece(dimension, {number, count});
  Positions piece = getPiece(cut.size, count, number);
  const int64_t positions = piece.to - piece.from;
  MLIRContext *context = dimension.getContext();
  SmallVector<FactorAttr> factors(dimension.getFactors());
  int64_t inner = 1;
  for (FactorAttr &factor : llvm::reverse(factors)) {
    if (ShapedType::isDynamic(factor.getSize()))
      break;
    if (inner == cut.inner && factor.getSize() == cut.size) {
      factor = FactorAttr::get(context, factor.getName(), positions);
      return DimensionAttr::get(context, dimension.getLabel(), factors);
    }
    inner *= factor.getSize();
  }
  // The names say nothing of the pieces. What lies before the batch stays there.
  SmallVector<FactorAttr> numbers;
  const int64_t before = countBeforeBatch(dimension);
  if (before > 1)
    numbers.push_back(FactorAttr::get(context, "", before));
  if (dimension.hasBatch())
    numbers.push_back(getFromBatchOn(dimension).front());
  numbers.push_back(FactorAttr::get(context, "", cut.outer / before * positions * cut.inner));
  return DimensionAttr::get(context, "", numbers);
}

RankedTensorType getLocalType(RankedTensorType type, const Group &group, const Layout &layout,
                              int64_t index) {
  SmallVector<DimensionAttr> dimensions(getDimensions(type));
  Others before;
  for (auto [axis, state] : llvm::enumerate(layout)) {
    if (!state.isCut())
      continue;
    const int64_t count = group.axes[axis].size, number = group.coordinate(index, axis);
    Positions piece = getPiece(state.cut, count, number);
    DimensionAttr &dimension = dimensions[state.cut.dimension];
    dimension = cutDimension(dimension, localize(state.cut, before), count, number);
    before.push_back({state.cut, piece.to - piece.from});
  }
  return getTensorType(type.getContext(), dimensions, type.getElementType());
}

SmallVector<Cut, 2> findNamed(Type tensor, StringRef name, int64_t pieces) {
  SmallVector<Cut, 2> byFactor, byLabel;
  for (auto [number, dimension] : llvm::enumerate(getDimensions(tensor))) {
    auto position = static_cast<int64_t>(number);
    int64_t all = dimension.getStaticSize(), outer = 1;
    std::optional<Cut> divided, largest;
    for (FactorAttr factor : dimension.getFactors()) {
      bool isNamed = factor.getName() == name;
      if (ShapedType::isDynamic(factor.getSize())) {
        // What lies before the batch is not cut: its pieces would not be of [outer, size, inner].
        llvm::erase_if(byFactor, [&](const Cut &cut) { return cut.dimension == position; });
        divided = largest = std::nullopt;
        if (isNamed)
          byFactor.push_back({position, 1, ShapedType::kDynamic, all});
        continue;
      }
      Cut cut{position, outer, factor.getSize(), all / outer / factor.getSize()};
      outer *= factor.getSize();
      if (isNamed)
        byFactor.push_back(cut);
      if (!divided && cut.size % pieces == 0)
        divided = cut;
      if (!largest || cut.size > largest->size)
        largest = cut;
    }
    if (dimension.getLabel() == name && largest)
      byLabel.push_back(divided ? *divided : *largest);
  }
  // A dimension that is called like its only factor is one and the same.
  return byFactor.empty() ? byLabel : byFactor;
}

SmallVector<Cut, 2> findCuttable(Type tensor, StringRef name, int64_t pieces) {
  SmallVector<Cut, 2> cuts = findNamed(tensor, name, pieces);
  llvm::erase_if(cuts, [&](const Cut &cut) { return !cut.isOfBatch() && cut.size < pieces; });
  return cuts;
}

} // namespace mparc::mp
