// Operations of a group as operations of its devices.
#include "passes/Splitter.h"

using namespace mlir;

namespace mparc::mp {

Splitter::Key Splitter::keyOf(Value value, const Group &group, const Layout &layout) {
  std::vector<int64_t> numbers(group.devices.begin(), group.devices.end());
  numbers.push_back(-1);
  for (const Group::Axis &axis : group.axes)
    numbers.push_back(axis.size);
  for (const State &state : layout) {
    numbers.push_back(static_cast<int64_t>(state.kind));
    if (state.isCut())
      numbers.insert(numbers.end(),
                     {state.cut.dimension, state.cut.outer, state.cut.size, state.cut.inner});
    if (state.isPartial())
      numbers.push_back(static_cast<int64_t>(state.reduction));
  }
  return {value.getAsOpaquePointer(), std::move(numbers)};
}

/// The value as a group is to have it: made where it is first asked for.
const Spread &Splitter::convert(Value value, const Group &group, const Layout &layout) {
  auto known = spreads.find(value);
  if (known != spreads.end() && known->second.group == group && known->second.layout == layout)
    return known->second;
  Key key = keyOf(value, group, layout);
  auto made = conversions.find(key);
  if (made != conversions.end())
    return made->second;
  Operation *op = value.getDefiningOp();
  // A repetition is repeated only as far as it is needed.
  auto broadcast = dyn_cast_or_null<BroadcastOp>(op);
  bool isWhole = known != spreads.end() && known->second.group == group &&
                 llvm::all_of(known->second.layout, [](auto &state) { return state.isWhole(); });
  if (broadcast && isWhole) {
    Layout input = unbroadcast(broadcast, layout);
    Spread source = convert(broadcast.getInput(), group, input);
    Spread repeated{group, layout, cast<RankedTensorType>(value.getType()), {}};
    for (auto [index, device] : llvm::enumerate(group.devices)) {
      Operation *copy = resharder.getBuilder().clone(*op);
      finishCopy(op, copy, source.pieces[index],
                 getLocalType(repeated.type, group, layout, static_cast<int64_t>(index)), device);
      repeated.pieces.push_back(copy->getResult(0));
    }
    return conversions[key] = std::move(repeated);
  }
  Spread spread;
  if (known != spreads.end()) {
    // What its own group has made whole already need not be put together again.
    const Group &own = known->second.group;
    auto whole = conversions.find(keyOf(value, own, Layout(own.axes.size())));
    spread = resharder.move(whole != conversions.end() ? whole->second : Spread(known->second),
                            group, layout, value);
  } else if (std::optional<int64_t> device = op && !isPlaceless(op) ? getDevice(op) : std::nullopt)
    spread = resharder.move(Resharder::single(value, *device), group, layout, value);
  else
    spread = resharder.place(value, group, layout);
  return conversions[key] = std::move(spread);
}

/// Where a parameter lies that a group reads or, as one may be set that is not read before, sets:
/// decided where it is first met.
SpreadParameter Splitter::place(Attribute parameter, RankedTensorType type, const Group &group) {
  auto [known, isNew] = parameters.try_emplace(parameter, SpreadParameter{group, {}});
  if (isNew)
    for (const Group::Axis &axis : group.axes) {
      SmallVector<Cut, 2> cuts = findNamed(type, axis.name, axis.size);
      known->second.layout.push_back(
          !axis.name.empty() && cuts.size() == 1 ? State::of(cuts.front()) : State::whole());
    }
  return known->second;
}

void Splitter::expandRead(ReadOp read, const Group &group) {
  auto type = cast<RankedTensorType>(read.getType());
  const SpreadParameter place = this->place(read.getParameterAttr().getAttr(), type, group);
  Spread spread{place.group, place.layout, type, {}};
  OpBuilder builder(read);
  for (auto [index, device] : llvm::enumerate(spread.group.devices)) {
    auto piece = builder.create<ReadOp>(
        read.getLoc(), getLocalType(type, spread.group, spread.layout, static_cast<int64_t>(index)),
        pieceName(read.getParameter(), device));
    if (Attribute layer = read->getAttr(kLayer))
      piece->setAttr(kLayer, layer);
    setDevice(piece, device);
    spread.pieces.push_back(piece);
  }
  spreads[read.getResult()] = std::move(spread);
}

void Splitter::expandGradient(GradientOp gradient) {
  const SpreadParameter &parameter = parameters.at(gradient.getParameterAttr().getAttr());
  const Spread &value = convert(gradient.getValue(), parameter.group, parameter.layout);
  OpBuilder builder(gradient);
  for (auto [piece, device] : llvm::zip(value.pieces, parameter.group.devices)) {
    auto own = builder.create<GradientOp>(gradient.getLoc(),
                                          pieceName(gradient.getParameter(), device), piece);
    if (Attribute layer = gradient->getAttr(kLayer))
      own->setAttr(kLayer, layer);
    setDevice(own, device);
  }
}

void Splitter::expandAssign(AssignOp assign, const Group &group) {
  const SpreadParameter parameter =
      place(assign.getParameterAttr().getAttr(),
            cast<RankedTensorType>(assign.getValue().getType()), group);
  const Spread &value = convert(assign.getValue(), parameter.group, parameter.layout);
  OpBuilder builder(assign);
  for (auto [piece, device] : llvm::zip(value.pieces, parameter.group.devices)) {
    auto own =
        builder.create<AssignOp>(assign.getLoc(), pieceName(assign.getParameter(), device), piece);
    for (StringRef name : {StringRef(kLayer), StringRef(kEachPart)})
      if (Attribute attribute = assign->getAttr(name))
        own->setAttr(name, attribute);
    setDevice(own, device);
  }
}

/// Of a gradient in pieces each device sums its squares; of one that every device has, each sums
/// all, so that it counts once.
void Splitter::expandSquaredNorm(SquaredNormOp norm, const Group &group) {
  auto known = spreads.find(norm.getInput());
  Layout layout(group.axes.size()), result(group.axes.size());
  if (known != spreads.end() && known->second.group == group)
    layout = known->second.layout;
  for (auto [state, sum] : llvm::zip(layout, result)) {
    if (state.isPartial())
      state = State::whole();
    if (state.isCut())
      sum = State::partial();
  }
  Spread input = convert(norm.getInput(), group, layout);
  Spread squares{group, result, cast<RankedTensorType>(norm.getType()), {}};
  for (auto [piece, device] : llvm::zip(input.pieces, group.devices))
    squares.pieces.push_back(
        resharder.make<SquaredNormOp>(device, "", norm.getType(), piece, Value()));
  squares = resharder.change(squares, Layout(group.axes.size()), norm);
  if (norm.getSum()) {
    Spread before = convert(norm.getSum(), group, Layout(group.axes.size()));
    for (auto [index, device] : llvm::enumerate(group.devices))
      squares.pieces[index] = resharder.make<AddOp>(device, "sum", norm.getType(),
                                                    before.pieces[index], squares.pieces[index]);
  }
  spreads[norm.getResult()] = std::move(squares);
}

void Splitter::expandPieces(Operation *op, const Group &group, ArrayRef<Layout> operands,
                            ArrayRef<Layout> results) {
  std::vector<Spread> given;
  for (auto [operand, layout] : llvm::zip(op->getOperands(), operands))
    given.push_back(convert(operand, group, layout));
  std::vector<Spread> made;
  for (auto [result, layout] : llvm::zip(op->getResults(), results))
    made.push_back({group, layout, cast<RankedTensorType>(result.getType()), {}});
  for (auto [number, device] : llvm::enumerate(group.devices)) {
    auto index = static_cast<int64_t>(number);
    SmallVector<Value> inputs;
    for (const Spread &each : given)
      inputs.push_back(each.pieces[index]);
    SmallVector<Type> types;
    for (const Spread &each : made)
      types.push_back(getLocalType(each.type, group, each.layout, index));
    PieceContext context{group, index, operands, results};
    SmallVector<Value> pieces = expandPiece(op, inputs, types, context, resharder.getBuilder());
    for (auto [each, piece] : llvm::zip(made, pieces))
      each.pieces.push_back(piece);
  }
  for (auto [result, spread] : llvm::zip(op->getResults(), made))
    spreads[result] = std::move(spread);
}

LogicalResult Splitter::expand(Operation *op, const Group &group) {
  replaced.insert(op);
  if (auto read = dyn_cast<ReadOp>(op)) {
    expandRead(read, group);
    return success();
  }
  if (auto gradient = dyn_cast<GradientOp>(op)) {
    expandGradient(gradient);
    return success();
  }
  if (auto assign = dyn_cast<AssignOp>(op)) {
    expandAssign(assign, group);
    return success();
  }
  if (auto norm = dyn_cast<SquaredNormOp>(op)) {
    expandSquaredNorm(norm, group);
    return success();
  }
  // What needs a dimension whole that is cut is taken apart into what does not.
  for (unsigned axis = 0; axis < group.axes.size(); ++axis)
    for (auto [index, operand] : llvm::enumerate(op->getOperands())) {
      State state = stateOf(operand, group, axis);
      if (!state.isCut())
        continue;
      op->setAttr(kGroup, group.toAttribute(op->getContext()));
      SmallVector<Operation *> parts =
          decompose(op, static_cast<unsigned>(index), state.cut, statistics);
      if (parts.empty())
        continue;
      for (Operation *part : parts) {
        if (backward.contains(op))
          backward.insert(part);
        if (failed(visit(part)))
          return failure();
      }
      return success();
    }
  SmallVector<Layout> operands, results;
  choose(op, group, operands, results);
  expandPieces(op, group, operands, results);
  return success();
}

} // namespace mparc::mp
