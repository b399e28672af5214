// Slices, sums and concatenations that lead from layout to layout. What crosses from device to
// device is only read here; mp-insert-transfers moves it.
#include "passes/Reshard.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace mparc::mp;

void Resharder::enter(Operation *op, bool backward) {
  reader = op;
  isBackward = backward;
  builder.setInsertionPoint(op);
}

Location Resharder::locate(StringRef suffix, int64_t device) {
  Location place = reader->getLoc();
  if (auto source = getSourceLocation(place))
    place = *source;
  if (name.empty())
    return place;
  std::string text = name + (suffix.empty() ? "" : "_") + suffix.str();
  return NameLoc::get(builder.getStringAttr(text + "_at_" + Twine(device)), place);
}

void Resharder::finish(Operation *op, int64_t device) {
  setDevice(op, device);
  if (Attribute layer = reader->getAttr(kLayer))
    op->setAttr(kLayer, layer);
  // What each part of the batch has for itself stays so on its way.
  if (reader->hasAttr(kEachPart) || llvm::any_of(op->getOperands(), [](Value operand) {
        Operation *source = operand.getDefiningOp();
        return source && source->hasAttr(kEachPart);
      }))
    op->setAttr(kEachPart, UnitAttr::get(op->getContext()));
}

Spread Resharder::single(Value value, int64_t device) {
  return {Group::single(device), {}, cast<RankedTensorType>(value.getType()), {value}};
}

/// Whether nothing of its dimension lies outside of a cut: its pieces are positions that follow one
/// another, or rows of the batch.
static bool isOutermost(const Cut &cut, ArrayRef<DimensionAttr> dimensions) {
  DimensionAttr dimension = dimensions[cut.dimension];
  return cut.isOfBatch() ? countBeforeBatch(dimension) == 1
                         : cut.outer == 1 && !dimension.hasBatch();
}

/// The dimension number `cut.dimension` as two: what is outside of the cut, and the rest.
static SmallVector<DimensionAttr> divide(ArrayRef<DimensionAttr> dimensions, const Cut &cut) {
  DimensionAttr whole = dimensions[cut.dimension];
  MLIRContext *context = whole.getContext();
  SmallVector<FactorAttr> outside, rest;
  if (cut.isOfBatch()) {
    outside.push_back(FactorAttr::get(context, "", countBeforeBatch(whole)));
    llvm::append_range(rest, getFromBatchOn(whole));
  } else {
    for (FactorAttr factor : whole.getFactors())
      if (ShapedType::isDynamic(factor.getSize()))
        outside.push_back(factor);
    if (outside.empty() || cut.outer > 1)
      outside.push_back(FactorAttr::get(context, "", cut.outer));
    rest.push_back(FactorAttr::get(context, "", whole.getStaticSize() / cut.outer));
  }
  SmallVector<DimensionAttr> divided(dimensions.take_front(cut.dimension));
  for (ArrayRef<FactorAttr> factors : {ArrayRef(outside), ArrayRef(rest)})
    divided.push_back(DimensionAttr::get(
        context, factors.size() == 1 ? factors.front().getName() : StringRef(), factors));
  llvm::append_range(divided, dimensions.drop_front(cut.dimension + 1));
  return divided;
}

static RankedTensorType divide(RankedTensorType type, const Cut &cut) {
  return getTensorType(type.getContext(), divide(getDimensions(type), cut), type.getElementType());
}

Value Resharder::slice(Value value, const Cut &cut, Positions positions, RankedTensorType type,
                       int64_t device) {
  auto whole = cast<RankedTensorType>(value.getType());
  int64_t from = positions.from * cut.inner, to = positions.to * cut.inner;
  if (isOutermost(cut, getDimensions(whole)))
    return make<SliceOp>(device, "piece", type, value, cut.dimension, from, to);
  Value apart = make<ReshapeOp>(device, "apart", divide(whole, cut), value);
  Value piece =
      make<SliceOp>(device, "piece", divide(type, cut), apart, cut.dimension + 1, from, to);
  return make<ReshapeOp>(device, "piece", type, piece);
}

Value Resharder::concat(ArrayRef<Value> pieces, const Cut &cut, RankedTensorType type,
                        int64_t device) {
  if (pieces.size() == 1)
    return pieces.front();
  if (isOutermost(cut, getDimensions(type)))
    return make<ConcatOp>(device, "whole", type, pieces, cut.dimension);
  SmallVector<Value> apart;
  for (Value piece : pieces)
    apart.push_back(make<ReshapeOp>(device, "apart",
                                    divide(cast<RankedTensorType>(piece.getType()), cut), piece));
  Value whole = make<ConcatOp>(device, "whole", divide(type, cut), apart, cut.dimension + 1);
  return make<ReshapeOp>(device, "whole", type, whole);
}

Value Resharder::combine(ArrayRef<Value> terms, ReductionKind kind, RankedTensorType type,
                         int64_t device) {
  Value sum = terms.front();
  for (Value term : terms.drop_front()) {
    if (kind == ReductionKind::maximum)
      sum = make<MaximumOp>(device, "maximum", type, sum, term);
    else if (kind == ReductionKind::minimum)
      sum = make<MinimumOp>(device, "minimum", type, sum, term);
    else
      sum = make<AddOp>(device, "sum", type, sum, term);
  }
  return sum;
}

void Resharder::note(StringRef kind, const Spread &spread, unsigned axis) {
  if (isPartOfAnother)
    return;
  for (int64_t index = 0; index < spread.group.size(); ++index) {
    if (spread.group.coordinate(index, axis) != 0)
      continue;
    SmallVector<int64_t> devices;
    for (int64_t member : spread.group.line(index, axis))
      devices.push_back(spread.group.devices[member]);
    Layout others = spread.layout;
    others[axis] = State::whole();
    record(kind, devices, getLocalType(spread.type, spread.group, others, index));
  }
}

void Resharder::record(StringRef kind, ArrayRef<int64_t> devices, RankedTensorType type) {
  ElementCount count = getElementCount(type);
  SmallVector<NamedAttribute> entries{
      builder.getNamedAttr("kind", builder.getStringAttr(kind)),
      builder.getNamedAttr("devices", builder.getDenseI64ArrayAttr(devices)),
      builder.getNamedAttr(
          "bytes", builder.getI64IntegerAttr(count.count * getElementBytes(type.getElementType()))),
      builder.getNamedAttr("value", builder.getStringAttr(name))};
  if (count.perRow)
    entries.push_back(builder.getNamedAttr("by_row", builder.getUnitAttr()));
  if (isBackward)
    entries.push_back(builder.getNamedAttr("backward", builder.getUnitAttr()));
  collectives.push_back(builder.getDictionaryAttr(entries));
}

/// A sum of less than that is sent whole: in pieces it would be more messages, and hardly fewer
/// bytes. Rows count as one part of them.
static constexpr int64_t kLeastBytesInPieces = 4096;

/// How a sum over more than two devices is cut, so that each adds up a piece and sends it to the
/// others: 2 (n - 1) / n of its size a device, where whole terms would be n - 1. None where no
/// dimension has so many positions. Between two it is the same.
static std::optional<Cut> findPieces(const Spread &spread, unsigned axis) {
  const int64_t count = spread.group.axes[axis].size;
  ElementCount elements = getElementCount(spread.type);
  const int64_t rows = elements.perRow ? 64 : 1;
  if (count <= 2 ||
      elements.count * rows * getElementBytes(spread.type.getElementType()) < kLeastBytesInPieces)
    return std::nullopt;
  std::optional<Cut> best;
  for (auto [number, dimension] : llvm::enumerate(getDimensions(spread.type))) {
    const auto position = static_cast<int64_t>(number);
    const int64_t size = dimension.getStaticSize();
    bool isCut = llvm::any_of(spread.layout, [&](const State &state) {
      return state.isCut() && state.cut.dimension == position;
    });
    if (isCut || dimension.hasBatch() || size < count)
      continue;
    bool isEven = size % count == 0;
    if (!best || (isEven && best->size % count != 0))
      best = Cut{position, 1, size, 1};
  }
  return best;
}

Spread Resharder::changeAxis(const Spread &spread, unsigned axis, const State &to) {
  const State &from = spread.layout[axis];
  const Group &group = spread.group;
  if (from == to)
    return spread;
  if (from.isPartial() && to.isWhole())
    if (std::optional<Cut> pieces = findPieces(spread, axis)) {
      note("all_reduce", spread, axis);
      llvm::SaveAndRestore inside(isPartOfAnother, true);
      return changeAxis(changeAxis(spread, axis, State::of(*pieces)), axis, to);
    }
  Spread changed{group, spread.layout, spread.type, {}};
  changed.layout[axis] = to;
  if (from.isPartial())
    note(to.isCut() ? "reduce_scatter" : "all_reduce", spread, axis);
  else if (from.isCut())
    note(to.isCut() ? "all_to_all" : "all_gather", spread, axis);
  const int64_t count = group.axes[axis].size;
  for (int64_t index = 0; index < group.size(); ++index) {
    const int64_t device = group.devices[index];
    RankedTensorType type = getLocalType(spread.type, group, changed.layout, index);
    SmallVector<int64_t, 4> line = group.line(index, axis);
    if (from.isWhole()) {
      Cut cut = localize(to.cut, getOthers(group, spread.layout, index, axis));
      changed.pieces.push_back(slice(spread.pieces[index], cut,
                                     getPiece(to.cut, count, group.coordinate(index, axis)), type,
                                     device));
      continue;
    }
    // What each of the line has of what this one is to have.
    SmallVector<Value> parts;
    for (int64_t member : line) {
      Value part = spread.pieces[member];
      if (to.isCut()) {
        Cut cut = localize(to.cut, getOthers(group, spread.layout, member, -1));
        RankedTensorType partType = type;
        if (from.isCut()) {
          // Both cuts: of the member's piece, those positions that are to be this one's.
          auto pieceType = cast<RankedTensorType>(part.getType());
          SmallVector<DimensionAttr> dimensions(getDimensions(pieceType));
          dimensions[cut.dimension] =
              cutDimension(dimensions[cut.dimension], cut, count, group.coordinate(index, axis));
          partType = getTensorType(type.getContext(), dimensions, type.getElementType());
        }
        part = slice(part, cut, getPiece(to.cut, count, group.coordinate(index, axis)), partType,
                     group.devices[member]);
      }
      parts.push_back(part);
    }
    if (from.isPartial()) {
      changed.pieces.push_back(combine(parts, from.reduction, type, device));
    } else {
      Others others = getOthers(group, changed.layout, index, -1);
      changed.pieces.push_back(concat(parts, localize(from.cut, others), type, device));
    }
  }
  return changed;
}

std::string Resharder::nameOf(Value value) {
  auto read = value.getDefiningOp<ReadOp>();
  return (read ? read.getParameter() : getSourceName(value.getLoc())).str();
}

Spread Resharder::change(Spread spread, const Layout &to, Value source) {
  name = nameOf(source);
  // Sums first: what is summed may be moved as pieces.
  for (bool partial : {true, false})
    for (unsigned axis = 0; axis < to.size(); ++axis)
      if (spread.layout[axis].isPartial() == partial)
        spread = changeAxis(spread, axis, to[axis]);
  return spread;
}

/// The whole value on one device: along `axis` and those after it, of the pieces that share with
/// `index` the coordinates before.
Value Resharder::gather(const Spread &spread, int64_t device, unsigned axis, int64_t index) {
  if (axis == spread.layout.size())
    return spread.pieces[index];
  const State &state = spread.layout[axis];
  Layout own = spread.layout;
  for (unsigned after = axis + 1; after < own.size(); ++after)
    own[after] = State::whole();
  if (state.isWhole()) {
    // The piece that is there already, if one is.
    int64_t there = spread.group.indexOf(device);
    int64_t at = there >= 0 ? spread.group.coordinate(there, axis) : 0;
    return gather(spread, device, axis + 1, spread.group.line(index, axis)[at]);
  }
  SmallVector<Value> parts;
  for (int64_t member : spread.group.line(index, axis))
    parts.push_back(gather(spread, device, axis + 1, member));
  own[axis] = State::whole();
  RankedTensorType type = getLocalType(spread.type, spread.group, own, index);
  if (state.isPartial())
    return combine(parts, state.reduction, type, device);
  return concat(parts, localize(state.cut, getOthers(spread.group, own, index, -1)), type, device);
}

Spread Resharder::move(const Spread &spread, const Group &group, const Layout &to, Value source) {
  if (spread.group == group)
    return change(spread, to, source);
  name = nameOf(source);
  Spread moved{group, Layout(group.axes.size()), spread.type, {}};
  bool isWhole = llvm::all_of(spread.layout, [](const State &state) { return state.isWhole(); });
  // Pieces that stand alike move each to its counterpart.
  auto sizes = [](const Group &each) {
    return llvm::map_to_vector(each.axes, [](const Group::Axis &axis) { return axis.size; });
  };
  if (!isWhole && spread.layout == to && sizes(spread.group) == sizes(group) &&
      llvm::none_of(to, [](const State &state) { return state.isPartial(); })) {
    moved.layout = to;
    moved.pieces = spread.pieces;
    return moved;
  }
  if (!isWhole && group.size() > 1)
    return move(change(spread, Layout(spread.layout.size()), source), group, to, source);
  if (!isWhole) {
    bool isPartial = llvm::any_of(spread.layout, [](auto &state) { return state.isPartial(); });
    record(isPartial ? "reduce" : "gather", spread.group.devices, spread.type);
    moved.pieces.push_back(gather(spread, group.devices.front(), 0, 0));
    return moved;
  }
  // What is whole is cut where it is, so that no more moves than is needed.
  moved.layout = to;
  for (auto [index, device] : llvm::enumerate(group.devices)) {
    auto number = static_cast<int64_t>(index);
    int64_t there = spread.group.indexOf(device);
    int64_t from = there >= 0 ? there : number % spread.group.size();
    Value value = spread.pieces[from];
    Layout so(to.size());
    for (auto [axis, state] : llvm::enumerate(to)) {
      if (!state.isCut())
        continue;
      Others others = getOthers(group, so, number, -1);
      so[axis] = state;
      value = slice(value, localize(state.cut, others),
                    getPiece(state.cut, group.axes[axis].size, group.coordinate(number, axis)),
                    getLocalType(spread.type, group, so, number), spread.group.devices[from]);
    }
    moved.pieces.push_back(value);
  }
  return moved;
}
