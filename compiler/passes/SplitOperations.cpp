// The operation on each device, and operations taken apart where a dimension is cut that they see
// whole.
#include "passes/SplitOperations.h"
#include "passes/SplitMaker.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mparc::mp;

std::string mparc::mp::pieceName(StringRef parameter, int64_t device) {
  return (parameter + ".at_" + Twine(device)).str();
}

void mparc::mp::finishCopy(Operation *op, Operation *copy, ArrayRef<Value> inputs,
                           ArrayRef<Type> types, int64_t device) {
  copy->setOperands(inputs);
  for (auto [result, type] : llvm::zip(copy->getResults(), types))
    result.setType(type);
  fitAttributes(op, copy);
  copy->removeAttr(kGroup);
  setDevice(copy, device);
  if (StringRef name = getSourceName(op->getLoc()); !name.empty()) {
    Location place = op->getLoc();
    if (auto source = getSourceLocation(place))
      place = *source;
    copy->setLoc(
        NameLoc::get(StringAttr::get(op->getContext(), name + "_at_" + Twine(device)), place));
  }
}

Layout mparc::mp::unbroadcast(BroadcastOp broadcast, const Layout &result) {
  Layout input;
  ArrayRef<DimensionAttr> from = getDimensions(broadcast.getInput().getType()),
                          to = getDimensions(broadcast.getResult().getType());
  for (const State &state : result) {
    input.push_back(State::whole());
    if (!state.isCut())
      continue;
    int64_t source = broadcast.getDimensions()[state.cut.dimension];
    if (source < 0 || from[source].hasBatch() != to[state.cut.dimension].hasBatch() ||
        from[source].getStaticSize() != to[state.cut.dimension].getStaticSize())
      continue;
    input.back() = state;
    input.back().cut.dimension = source;
  }
  return input;
}

namespace {

/// Ids as positions of a piece of a table, and which lie in it.
struct LocalIds {
  Value ids, isHere;
};

LocalIds localizeIds(Maker &maker, Value ids, Positions piece) {
  Type type = ids.getType(), truth = maker.truth(type);
  int64_t count = piece.to - piece.from;
  Value local =
      piece.from == 0 ? ids : maker.make<SubOp>(type, ids, maker.integer(piece.from, type));
  Value above = maker.make<CompareOp>(truth, ComparisonKind::ge, local, maker.integer(0, type));
  Value below = maker.make<CompareOp>(truth, ComparisonKind::lt, local, maker.integer(count, type));
  Value isHere = maker.make<AndOp>(truth, above, below);
  local = maker.make<MinimumOp>(type, local, maker.integer(count - 1, type));
  local = maker.make<MaximumOp>(type, local, maker.integer(0, type));
  return {local, isHere};
}

/// What messages call the table that is looked up.
std::string tableOf(GatherOp gather) {
  if (auto read = gather.getTable().getDefiningOp<ReadOp>())
    return read.getParameter().str();
  auto layer = gather->getAttrOfType<StringAttr>(kLayer);
  return layer && !layer.getValue().empty() ? layer.str() : "embedding";
}

/// Rows where their ids lie in the piece, else zero.
Value maskRows(Maker &maker, Value rows, const LocalIds &ids) {
  auto type = cast<RankedTensorType>(rows.getType());
  SmallVector<int64_t> map;
  int64_t rank = cast<RankedTensorType>(ids.isHere.getType()).getRank();
  for (int64_t index = 0; index < type.getRank(); ++index)
    map.push_back(index < rank ? index : -1);
  Value isHere = maker.make<BroadcastOp>(maker.truth(type), ids.isHere, map);
  return maker.make<SelectOp>(type, isHere, rows, maker.real(0, type));
}

/// The piece of the table that the context's device has, where its first dimension is cut.
std::optional<Positions> findTableRows(const PieceContext &context, const Layout &table) {
  for (auto [axis, state] : llvm::enumerate(table))
    if (state.isCut() && state.cut.dimension == 0 && state.cut.outer == 1) {
      Positions piece = getPiece(state.cut.size, context.group.axes[axis].size,
                                 context.group.coordinate(context.index, axis));
      return Positions{piece.from * state.cut.inner, piece.to * state.cut.inner};
    }
  return std::nullopt;
}

/// A mean whose elements lie on several devices: the sum of what is here, divided by the number of
/// all.
Value expandMean(Maker &maker, ReduceOp mean, Value input, Type type) {
  int64_t count = 1;
  bool hasRows = false;
  for (int64_t number : mean.getDimensions()) {
    DimensionAttr dimension = getDimensions(mean.getInput().getType())[number];
    count *= dimension.getStaticSize();
    hasRows |= dimension.hasBatch();
  }
  Value sum = maker.make<ReduceOp>(type, ReductionKind::sum, input, mean.getDimensions());
  if (!hasRows)
    return maker.make<DivOp>(type, sum, maker.real(static_cast<double>(count), type));
  Type scalar = getScalarType(mean.getContext(), getElementTypeOrSelf(type));
  // Of the batch, or of what each part of it has for itself.
  Value divisor = maker.make<ExtentOp>(scalar, count, 0, mean->hasAttr(kEachPart));
  divisor.getDefiningOp()->removeAttr(kDevice);
  int64_t rank = cast<RankedTensorType>(type).getRank();
  if (rank > 0)
    divisor = maker.make<BroadcastOp>(type, divisor, SmallVector<int64_t>(rank, -1));
  return maker.make<DivOp>(type, sum, divisor);
}

bool hasPartial(ArrayRef<Layout> layouts) {
  return llvm::any_of(layouts, [](const Layout &layout) {
    return llvm::any_of(layout, [](const State &state) { return state.isPartial(); });
  });
}

} // namespace

SmallVector<Value> mparc::mp::expandPiece(Operation *op, ArrayRef<Value> inputs,
                                          ArrayRef<Type> types, const PieceContext &context,
                                          OpBuilder &builder) {
  int64_t device = context.group.devices[context.index];
  Maker maker(op, builder, device);
  if (auto reduce = dyn_cast<ReduceOp>(op);
      reduce && reduce.getKind() == ReductionKind::mean && hasPartial(context.results))
    return {expandMean(maker, reduce, inputs[0], types[0])};
  if (auto gather = dyn_cast<GatherOp>(op))
    if (auto rows = findTableRows(context, context.operands[0])) {
      // Who has the first rows checks the ids against the whole table.
      Value given = inputs[1];
      if (rows->from == 0)
        given = maker.make<CheckIndexOp>(
            given.getType(), given, getDimensions(gather.getTable().getType()).front().getSize(),
            builder.getStringAttr(tableOf(gather)));
      LocalIds ids = localizeIds(maker, given, *rows);
      Value found = maker.make<GatherOp>(types[0], inputs[0], ids.ids);
      return {maskRows(maker, found, ids)};
    }
  if (auto scatter = dyn_cast<ScatterAddOp>(op))
    if (auto rows = findTableRows(context, context.results[0])) {
      LocalIds ids = localizeIds(maker, inputs[0], *rows);
      return {maker.make<ScatterAddOp>(types[0], ids.ids, maskRows(maker, inputs[1], ids))};
    }
  Operation *copy = builder.clone(*op);
  finishCopy(op, copy, inputs, types, device);
  return SmallVector<Value>(copy->getResults());
}

namespace {

/// Element-wise forms of what normalizes along one dimension of `x`.
class AlongCut {
public:
  AlongCut(Operation *op, Maker &maker, Value x, int64_t dimension, Statistics &statistics)
      : maker(maker), x(x), dimension(dimension) {
    SmallVector<DimensionAttr> kept(getDimensions(x.getType()));
    kept.erase(kept.begin() + dimension);
    reduced = getTensorType(op->getContext(), kept, getElementTypeOrSelf(x.getType()));
    auto &known = statistics[{x, dimension}];
    if (known.first) {
      largest = known.first;
      shifted = maker.make<SubOp>(x.getType(), x, expand(largest));
      sum = known.second;
      return;
    }
    SmallVector<int64_t> along{dimension};
    largest = maker.make<ReduceOp>(reduced, ReductionKind::maximum, x, along);
    shifted = maker.make<SubOp>(x.getType(), x, expand(largest));
    Value exponentials = maker.make<ExpOp>(x.getType(), shifted);
    sum = maker.make<ReduceOp>(reduced, ReductionKind::sum, exponentials, along);
    known = {largest, sum};
  }
  /// A value without the dimension, repeated along it.
  Value expand(Value value) {
    int64_t rank = cast<RankedTensorType>(x.getType()).getRank(), next = 0;
    SmallVector<int64_t> map;
    for (int64_t index = 0; index < rank; ++index)
      map.push_back(index == dimension ? -1 : next++);
    Type type = maker.withElement(x.getType(), getElementTypeOrSelf(value.getType()));
    return maker.make<BroadcastOp>(type, value, map);
  }
  Value softmax() {
    Value exponentials = maker.make<ExpOp>(x.getType(), shifted);
    return maker.make<DivOp>(x.getType(), exponentials, expand(sum));
  }
  Value logSoftmax() {
    return maker.make<SubOp>(x.getType(), shifted, expand(maker.make<LogOp>(reduced, sum)));
  }
  /// Which class is the target.
  Value isTarget(Value target, OpBuilder &builder) {
    Value goal = expand(target);
    Value classes = builder.create<IotaOp>(x.getLoc(), goal.getType(), dimension);
    return maker.make<CompareOp>(maker.truth(x.getType()), ComparisonKind::eq, classes, goal);
  }
  Value crossEntropy(Value given, OpBuilder &builder) {
    // No piece of the classes shows whether a target is any of them.
    Value target = maker.make<CheckIndexOp>(given.getType(), given,
                                            getDimensions(x.getType()).back().getSize(), nullptr);
    Value picked =
        maker.make<SelectOp>(x.getType(), isTarget(target, builder), x, maker.real(0, x.getType()));
    Value own =
        maker.make<ReduceOp>(reduced, ReductionKind::sum, picked, SmallVector<int64_t>{dimension});
    Value all = maker.make<AddOp>(reduced, maker.make<LogOp>(reduced, sum), largest);
    return maker.make<SubOp>(reduced, all, own);
  }
  Value crossEntropyGradient(Value target, Value g, OpBuilder &builder) {
    Value probability = softmax();
    Value less = maker.make<SubOp>(x.getType(), probability, maker.real(1, x.getType()));
    Value difference =
        maker.make<SelectOp>(x.getType(), isTarget(target, builder), less, probability);
    return maker.make<MulOp>(x.getType(), expand(g), difference);
  }

private:
  Maker &maker;
  Value x;
  int64_t dimension;
  RankedTensorType reduced;
  Value largest, shifted, sum;
};

} // namespace

SmallVector<Operation *> mparc::mp::decompose(Operation *op, unsigned operand, const Cut &cut,
                                              Statistics &statistics) {
  if (SmallVector<Operation *> parts = decomposeNorm(op, operand, cut); !parts.empty())
    return parts;
  OpBuilder builder(op);
  Maker maker(op, builder, std::nullopt);
  int64_t last = cast<RankedTensorType>(op->getOperand(operand).getType()).getRank() - 1;
  bool isAlong =
      operand == 0 && llvm::TypeSwitch<Operation *, bool>(op)
                          .Case<SoftmaxOp, LogSoftmaxOp>([&](auto each) {
                            return static_cast<int64_t>(each.getDimension()) == cut.dimension;
                          })
                          .Case<CrossEntropyOp, CrossEntropyGradientOp>(
                              [&](auto) { return cut.dimension == last && cut.outer == 1; })
                          .Default([](Operation *) { return false; });
  if (!isAlong)
    return {};
  AlongCut along(op, maker, op->getOperand(0), cut.dimension, statistics);
  Value result;
  if (isa<SoftmaxOp>(op))
    result = along.softmax();
  else if (isa<LogSoftmaxOp>(op))
    result = along.logSoftmax();
  else if (isa<CrossEntropyOp>(op))
    result = along.crossEntropy(op->getOperand(1), builder);
  else
    result = along.crossEntropyGradient(op->getOperand(1), op->getOperand(2), builder);
  op->getResult(0).replaceAllUsesWith(result);
  return std::move(maker.parts);
}

void mparc::mp::splitParameter(ParameterOp parameter, const Group &group, const Layout &layout) {
  RankedTensorType type = parameter.getTensorType();
  OpBuilder builder(parameter);
  for (auto [number, device] : llvm::enumerate(group.devices)) {
    auto index = static_cast<int64_t>(number);
    // The whole as one long dimension, divided at every cut, outermost first.
    SmallVector<int64_t> sizes, from, to;
    auto add = [&](int64_t size, int64_t first, int64_t end) {
      if (size == 1)
        return;
      bool isWhole = end - first == size;
      if (isWhole && !sizes.empty() && from.back() == 0 && to.back() == sizes.back()) {
        sizes.back() *= size;
        to.back() = sizes.back();
        return;
      }
      sizes.push_back(size);
      from.push_back(first);
      to.push_back(end);
    };
    for (auto [position, dimension] : llvm::enumerate(getDimensions(type))) {
      SmallVector<std::pair<Cut, unsigned>> cuts;
      for (auto [axis, state] : llvm::enumerate(layout))
        if (state.isCut() && state.cut.dimension == static_cast<int64_t>(position))
          cuts.push_back({state.cut, static_cast<unsigned>(axis)});
      llvm::sort(cuts, [](auto &a, auto &b) { return a.first.inner > b.first.inner; });
      int64_t rest = dimension.getStaticSize();
      for (auto [cut, axis] : cuts) {
        Positions piece = getPiece(cut.size, group.axes[axis].size, group.coordinate(index, axis));
        int64_t outside = rest / (cut.size * cut.inner);
        add(outside, 0, outside);
        add(cut.size, piece.from, piece.to);
        rest = cut.inner;
      }
      add(rest, 0, rest);
    }
    auto piece = cast<ParameterOp>(builder.clone(*parameter));
    piece.setSymName(pieceName(parameter.getSymName(), device));
    piece.setTypeAttr(TypeAttr::get(getLocalType(type, group, layout, index)));
    setDevice(piece, device);
    piece->setAttr(kPiece, builder.getDictionaryAttr(
                               {builder.getNamedAttr("of", parameter.getSymNameAttr()),
                                builder.getNamedAttr("type", parameter.getTypeAttr()),
                                builder.getNamedAttr("sizes", builder.getDenseI64ArrayAttr(sizes)),
                                builder.getNamedAttr("from", builder.getDenseI64ArrayAttr(from)),
                                builder.getNamedAttr("to", builder.getDenseI64ArrayAttr(to))}));
  }
  parameter.erase();
}
