// What each operation of a group is computed of: the strategy that moves the fewest bytes.
#include "passes/Splitter.h"

using namespace mlir;

namespace mparc::mp {

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

double countBytesOf(Value value) {
  ElementCount count = getElementCount(value.getType());
  return static_cast<double>(count.count) * (count.perRow ? 64 : 1) /
         static_cast<double>(count.piece.count) *
         static_cast<double>(getElementBytes(getElementTypeOrSelf(value.getType())));
}

/// What leads from a state to another, in bytes a device sends.
static double costOf(Value value, const State &from, const State &to, int64_t devices,
                     bool isParameter) {
  if (from == to)
    return 0;
  double bytes = countBytesOf(value), count = static_cast<double>(devices);
  double part = bytes * (count - 1) / count;
  if (from.isWhole())
    return bytes * 1e-4;
  if (from.isPartial())
    return to.isCut() ? part : 2 * part;
  // What the user has cut stays cut.
  return (to.isCut() ? part / count : part) * (isParameter ? 1e6 : 1);
}

/// The batch of a tensor, where an axis is called after it.
static std::optional<Cut> findRows(Type tensor, const Group::Axis &axis) {
  if (axis.name.empty())
    return std::nullopt;
  for (const Cut &cut : findNamed(tensor, axis.name, axis.size))
    if (cut.isOfBatch())
      return cut;
  return std::nullopt;
}

/// What the name of an axis, not the batch's, means in an operation's operands and its result.
static void followNamed(Operation *op, const Group::Axis &axis, std::vector<Strategy> &strategies) {
  auto named = [&](Type tensor) -> std::optional<Cut> {
    SmallVector<Cut, 2> cuts = findCuttable(tensor, axis.name, axis.size);
    bool isOne = !axis.name.empty() && cuts.size() == 1 && !cuts.front().isOfBatch();
    return isOne ? std::optional(cuts.front()) : std::nullopt;
  };
  for (auto [index, operand] : llvm::enumerate(op->getOperands()))
    if (std::optional<Cut> cut = named(operand.getType()))
      if (auto followed = followCut(op, static_cast<unsigned>(index), *cut))
        strategies.push_back(*followed);
  if (op->getNumResults() == 1)
    if (std::optional<Cut> cut = named(op->getResult(0).getType()))
      if (auto led = leadToCut(op, *cut))
        strategies.push_back(*led);
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
    // Rows are cut where the user says so, be they whole before.
    for (auto [index, operand] : llvm::enumerate(op->getOperands()))
      if (std::optional<Cut> rows = findRows(operand.getType(), group.axes[axis]))
        if (auto followed = followCut(op, static_cast<unsigned>(index), *rows))
          strategies.push_back(*followed);
    // So is what a statement names, though no parameter begins it.
    if (group.isOfStatement)
      followNamed(op, group.axes[axis], strategies);
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
          if (!state.cut.isOfBatch() && state.cut.size < count)
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
        cost += countBytesOf(result) * (to.isCut() ? 0 : to.isWhole() ? 1e-2 : 2e-2);
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

} // namespace mparc::mp
