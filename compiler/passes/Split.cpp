// mp-split: spreads each operation of a group over the devices of it.
//
// before   %w = mp.read @w : [out=8, in=4] {mp.group = {devices = [0, 1], names = ["out"], sizes =
// [2]}}
//          %h = mp.matmul %x, %w transpose_b {mp.group = …}
//          %y = mp.relu %h {mp.device = 2}
// after    %w0 = mp.read @w.at_0 : [out=4, in=4] {mp.device = 0}      %w1 = … @w.at_1 {mp.device =
// 1}
//          %h0 = mp.matmul %x, %w0 transpose_b {mp.device = 0}        %h1 = … {mp.device = 1}
//          %h = mp.concat %h0, %h1 dimension 1 {mp.device = 2}
//          %y = mp.relu %h {mp.device = 2}
//
// needs    the phase placed, operations of groups with `mp.group`.
// gives    the phase split: no `mp.group` on operations of programs; one `mp.parameter` a device,
// with `mp.piece`; `mp.collectives` on programs. leaves a model without groups as it is.
//
// Every value of a group has, along each axis of it, a state: whole on each device, cut, or terms
// of a sum. A parameter is cut where it has the factor that the axis is called after. Operations
// are gone through in program order; each takes, along each axis, the strategy (SplitRules.h) that
// costs the fewest bytes between what its operands have and what it would be given. So a cut goes
// as far as the primitives carry it, and a sum is not made whole before something needs it.
#include "passes/Passes.h"
#include "passes/Reshard.h"
#include "passes/SplitOperations.h"

#include "llvm/ADT/DenseSet.h"

#include <map>

namespace mparc::mp {
#define GEN_PASS_DEF_SPLIT
#define GEN_PASS_DEF_VERIFYSPLIT
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

/// Where a parameter lies: all programs read it there.
struct SpreadParameter {
  Group group;
  Layout layout;
};
using SpreadParameters = llvm::DenseMap<Attribute, SpreadParameter>; // by symbol

class Split : public mparc::mp::impl::SplitBase<Split> {
  void runOnOperation() override;
};

class VerifySplit : public mparc::mp::impl::VerifySplitBase<VerifySplit> {
  void runOnOperation() override;
};

class Splitter {
public:
  Splitter(ProgramOp program, SpreadParameters &parameters)
      : program(program), parameters(parameters), resharder(program.getContext()) {}
  LogicalResult run();

private:
  LogicalResult visit(Operation *op);
  void keep(Operation *op);
  LogicalResult expand(Operation *op, const Group &group);
  void expandRead(ReadOp read, const Group &group);
  void expandGradient(GradientOp gradient);
  void expandAssign(AssignOp assign);
  void expandSquaredNorm(SquaredNormOp norm, const Group &group);
  void expandPieces(Operation *op, const Group &group, ArrayRef<Layout> operands,
                    ArrayRef<Layout> results);
  void choose(Operation *op, const Group &group, SmallVector<Layout> &operands,
              SmallVector<Layout> &results);
  std::optional<State> findWanted(Value value, const Group &group, unsigned axis) const;
  State stateOf(Value value, const Group &group, unsigned axis) const;
  bool isParameter(Value value) const;
  const Spread &convert(Value value, const Group &group, const Layout &layout);
  void cluster();

  ProgramOp program;
  SpreadParameters &parameters;
  Resharder resharder;
  llvm::DenseSet<Operation *> backward, replaced;
  llvm::DenseMap<Value, Spread> spreads;
  using Key = std::pair<void *, std::vector<int64_t>>;
  static Key keyOf(Value value, const Group &group, const Layout &layout);
  std::map<Key, Spread> conversions;
  Statistics statistics;
};

} // namespace

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
  } else if (std::optional<int64_t> device = op ? getDevice(op) : std::nullopt)
    spread = resharder.move(Resharder::single(value, *device), group, layout, value);
  else
    spread = resharder.place(value, group, layout);
  return conversions[key] = std::move(spread);
}

/// What a group has of a value before anything is done for its reader. What lies elsewhere can come
/// whole or cut alike.
State Splitter::stateOf(Value value, const Group &group, unsigned axis) const {
  auto known = spreads.find(value);
  return known != spreads.end() && known->second.group == group ? known->second.layout[axis]
                                                                : State::whole();
}

bool Splitter::isParameter(Value value) const {
  while (auto *op = value.getDefiningOp()) {
    if (isa<ReadOp>(op))
      return true;
    if (!isa<ReshapeOp, PermuteOp, CastOp>(op))
      return false;
    value = op->getOperand(0);
  }
  return false;
}

/// What a gradient is wanted as, by the parameter that it is handed to in the end.
std::optional<State> Splitter::findWanted(Value value, const Group &group, unsigned axis) const {
  while (value.hasOneUse()) {
    Operation *user = *value.user_begin();
    if (auto gradient = dyn_cast<GradientOp>(user)) {
      auto known = parameters.find(gradient.getParameterAttr().getAttr());
      if (known == parameters.end() || !(known->second.group == group))
        return std::nullopt;
      return known->second.layout[axis];
    }
    if (!isa<AddOp>(user))
      return std::nullopt;
    value = user->getResult(0);
  }
  // The norm reads gradients too.
  for (Operation *user : value.getUsers())
    if (auto gradient = dyn_cast<GradientOp>(user)) {
      auto known = parameters.find(gradient.getParameterAttr().getAttr());
      if (known != parameters.end() && known->second.group == group)
        return known->second.layout[axis];
    }
  return std::nullopt;
}

/// Bytes of a value, of 64 rows where it has some.
static double bytesOf(Value value) {
  ElementCount count = getElementCount(value.getType());
  return static_cast<double>(count.count) * (count.perRow ? 64 : 1) *
         static_cast<double>(getElementBytes(getElementTypeOrSelf(value.getType())));
}

/// What leads from a state to another, in bytes a device sends.
static double costOf(Value value, const State &from, const State &to, int64_t devices,
                     bool isParameter) {
  if (from == to)
    return 0;
  double bytes = bytesOf(value), count = static_cast<double>(devices);
  double part = bytes * (count - 1) / count;
  if (from.isWhole())
    return bytes * 1e-4;
  if (from.isPartial())
    return to.isCut() ? part : 2 * part;
  // What the user has cut stays cut.
  return (to.isCut() ? part / count : part) * (isParameter ? 1e6 : 1);
}

void Splitter::choose(Operation *op, const Group &group, SmallVector<Layout> &operands,
                      SmallVector<Layout> &results) {
  operands.assign(op->getNumOperands(), {});
  results.assign(op->getNumResults(), {});
  for (unsigned axis = 0; axis < group.axes.size(); ++axis) {
    int64_t count = group.axes[axis].size;
    SmallVector<State> have;
    SmallVector<bool> isPartial;
    std::optional<ReductionKind> reduction;
    bool canPass = true;
    for (Value operand : op->getOperands()) {
      State state = stateOf(operand, group, axis);
      have.push_back(state);
      isPartial.push_back(state.isPartial());
      if (!state.isPartial())
        continue;
      // A sum that several read is made whole once, for all.
      canPass &= operand.hasOneUse() && (!reduction || *reduction == state.reduction);
      reduction = state.reduction;
    }
    std::vector<Strategy> strategies;
    if (reduction && canPass)
      if (auto passed = followPartial(op, *reduction, isPartial))
        strategies.push_back(*passed);
    for (auto [index, state] : llvm::enumerate(have))
      if (state.isCut())
        if (auto followed = followCut(op, static_cast<unsigned>(index), state.cut))
          strategies.push_back(*followed);
    if (op->getNumResults() == 1)
      if (auto wanted = findWanted(op->getResult(0), group, axis); wanted && wanted->isCut())
        if (auto led = leadToCut(op, wanted->cut))
          strategies.push_back(*led);
    Strategy whole;
    whole.operands.assign(op->getNumOperands(), State::whole());
    whole.results.assign(op->getNumResults(), State::whole());
    strategies.push_back(whole);

    const Strategy *best = nullptr;
    double least = 0;
    for (const Strategy &strategy : strategies) {
      auto fits = [&](ArrayRef<State> states, ArrayRef<Layout> before) {
        for (auto [state, layout] : llvm::zip(states, before)) {
          if (!state.isCut())
            continue;
          if (state.cut.size < count)
            return false;
          for (const State &other : layout)
            if (other.isCut() && !canNest(other.cut, state.cut))
              return false;
        }
        return true;
      };
      if (!fits(strategy.operands, operands) || !fits(strategy.results, results))
        continue;
      double cost = 0;
      for (auto [operand, from, to] : llvm::zip(op->getOperands(), have, strategy.operands))
        cost += costOf(operand, from, to, count, isParameter(operand));
      // What every device computes whole, all compute.
      for (auto [result, to] : llvm::zip(op->getResults(), strategy.results))
        cost += bytesOf(result) * (to.isCut() ? 0 : to.isWhole() ? 1e-2 : 2e-2);
      if (!best || cost < least) {
        best = &strategy;
        least = cost;
      }
    }
    for (auto [layout, state] : llvm::zip(operands, best->operands))
      layout.push_back(state);
    for (auto [layout, state] : llvm::zip(results, best->results))
      layout.push_back(state);
  }
}

void Splitter::expandRead(ReadOp read, const Group &group) {
  auto type = cast<RankedTensorType>(read.getType());
  auto [known, isNew] =
      parameters.try_emplace(read.getParameterAttr().getAttr(), SpreadParameter{group, {}});
  if (isNew)
    for (const Group::Axis &axis : group.axes) {
      SmallVector<Cut, 2> cuts = findNamed(type, axis.name, axis.size);
      known->second.layout.push_back(
          !axis.name.empty() && cuts.size() == 1 ? State::of(cuts.front()) : State::whole());
    }
  Spread spread{known->second.group, known->second.layout, type, {}};
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

void Splitter::expandAssign(AssignOp assign) {
  const SpreadParameter &parameter = parameters.at(assign.getParameterAttr().getAttr());
  const Spread &value = convert(assign.getValue(), parameter.group, parameter.layout);
  OpBuilder builder(assign);
  for (auto [piece, device] : llvm::zip(value.pieces, parameter.group.devices)) {
    auto own =
        builder.create<AssignOp>(assign.getLoc(), pieceName(assign.getParameter(), device), piece);
    if (Attribute layer = assign->getAttr(kLayer))
      own->setAttr(kLayer, layer);
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
    expandAssign(assign);
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

/// An operation of one device, or of none: it reads what it needs of groups.
void Splitter::keep(Operation *op) {
  for (OpOperand &operand : op->getOpOperands()) {
    auto known = spreads.find(operand.get());
    if (known == spreads.end())
      continue;
    int64_t device = getDevice(op).value_or(known->second.group.devices.front());
    Value value = convert(operand.get(), Group::single(device), {}).pieces.front();
    operand.set(value);
  }
}

LogicalResult Splitter::visit(Operation *op) {
  std::optional<Group> group = getGroup(op);
  op->removeAttr(kGroup);
  if (isPlaceless(op))
    return success();
  resharder.enter(op, backward.contains(op));
  // What counts the steps and scales of a run does so once.
  if (isa<LossScaleOp, UnscaleOp, UpdateOp, ReturnOp>(op))
    group = std::nullopt;
  if (group)
    return expand(op, *group);
  keep(op);
  return success();
}

/// Puts together what a device does between what it reads of others.
void Splitter::cluster() {
  Block &block = program.getBlock();
  SmallVector<Operation *> run;
  llvm::DenseSet<Operation *> inRun;
  auto flush = [&](Operation *before) {
    llvm::stable_sort(run,
                      [](Operation *a, Operation *b) { return *getDevice(a) < *getDevice(b); });
    for (Operation *op : run)
      op->moveBefore(before);
    run.clear();
    inRun.clear();
  };
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (isPlaceless(&op))
      continue;
    std::optional<int64_t> device = getDevice(&op);
    if (!device || isa<GradientOp, AssignOp, UpdateOp>(op)) {
      flush(&op);
      continue;
    }
    bool reads = llvm::any_of(op.getOperands(), [&](Value operand) {
      Operation *source = operand.getDefiningOp();
      return source && inRun.contains(source) && getDevice(source) != device;
    });
    if (reads)
      flush(&op);
    run.push_back(&op);
    inRun.insert(&op);
  }
  flush(block.getTerminator());
}

LogicalResult Splitter::run() {
  forEachDirection(program, [&](Operation *op, bool isBackward) {
    if (isBackward)
      backward.insert(op);
  });
  SmallVector<Operation *> all;
  for (Operation &op : program.getBlock())
    all.push_back(&op);
  for (Operation *op : all)
    if (failed(visit(op)))
      return failure();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(program.getBlock())))
    if (replaced.contains(&op)) {
      op.dropAllUses();
      op.erase();
    }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(program.getBlock())))
    if (isOpTriviallyDead(&op))
      op.erase();
  cluster();
  if (ArrayAttr collectives = resharder.getCollectives(); !collectives.empty())
    program->setAttr(kCollectives, collectives);
  return success();
}

void Split::runOnOperation() {
  bool hasGroups = false;
  getOperation().walk([&](Operation *op) { hasGroups |= op->hasAttr(kGroup); });
  if (!hasGroups)
    return;
  SpreadParameters parameters;
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>())
    if (failed(Splitter(program, parameters).run()))
      return signalPassFailure();
  for (ParameterOp parameter :
       llvm::make_early_inc_range(getOperation().getBody().getOps<ParameterOp>())) {
    parameter->removeAttr(kGroup);
    auto known = parameters.find(parameter.getSymNameAttr());
    if (known != parameters.end())
      splitParameter(parameter, known->second.group, known->second.layout);
  }
}

void VerifySplit::runOnOperation() {
  getOperation().walk([&](ProgramOp program) {
    for (Operation &op : program.getBlock())
      if (op.hasAttr(kGroup)) {
        op.emitError("is still to be spread over a group of devices");
        signalPassFailure();
      }
  });
}
