// The table: for each primitive, which dimensions of its operands and results are one and the same
// loop. A loop that no result has is a sum over it.
#include "passes/SplitRules.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mparc::mp;

namespace {

/// For each operand and each result, the number of the loop that each of its dimensions is; kWhole
/// where the operation must see all of it.
struct Loops {
  static constexpr int kWhole = -1;
  using Numbers = SmallVector<int, 6>;
  SmallVector<Numbers, 4> operands, results;
};

using Numbers = Loops::Numbers;

int64_t rankOf(Value value) { return cast<RankedTensorType>(value.getType()).getRank(); }
/// Whether two dimensions are of one size, the batch included.
bool areAlike(Value a, int64_t i, Value b, int64_t j) {
  DimensionAttr x = getDimensions(a.getType())[i], y = getDimensions(b.getType())[j];
  return x.hasBatch() == y.hasBatch() && x.getStaticSize() == y.getStaticSize();
}
int64_t sizeOf(Value value, int64_t dimension) {
  return getDimensions(value.getType())[dimension].getStaticSize();
}

/// first, first + 1, … for the first `count` dimensions of `rank`; what is left must be whole.
Numbers leading(int64_t rank, int64_t count, int first = 0) {
  Numbers numbers(rank, Loops::kWhole);
  for (int64_t index = 0; index < std::min(rank, count); ++index)
    numbers[index] = first + static_cast<int>(index);
  return numbers;
}

/// All operands and results have the same first `count` dimensions, and no other loops.
Loops rowsOf(Operation *op, int64_t count) {
  Loops loops;
  for (Value operand : op->getOperands())
    loops.operands.push_back(leading(rankOf(operand), count));
  for (Value result : op->getResults())
    loops.results.push_back(leading(rankOf(result), count));
  return loops;
}

Loops loopsOf(MatmulOp matmul) {
  int64_t rank = rankOf(matmul.getA());
  Numbers a = leading(rank, rank), b = a, c = a;
  const int row = 100, inner = 101, column = 102;
  a[rank - 2] = matmul.getTransposeA() ? inner : row;
  a[rank - 1] = matmul.getTransposeA() ? row : inner;
  b[rank - 2] = matmul.getTransposeB() ? column : inner;
  b[rank - 1] = matmul.getTransposeB() ? inner : column;
  c[rank - 2] = row;
  c[rank - 1] = column;
  return {{a, b}, {c}};
}

Loops loopsOf(ReduceOp reduce) {
  Numbers input = leading(rankOf(reduce.getInput()), rankOf(reduce.getInput())), result;
  for (int number : input)
    if (!llvm::is_contained(reduce.getDimensions(), number))
      result.push_back(number);
  return {{input}, {result}};
}

Loops loopsOf(BroadcastOp broadcast) {
  Numbers result = leading(rankOf(broadcast.getResult()), rankOf(broadcast.getResult()));
  Numbers input(rankOf(broadcast.getInput()), Loops::kWhole);
  for (auto [number, source] : llvm::enumerate(broadcast.getDimensions()))
    if (source >= 0 &&
        areAlike(broadcast.getInput(), source, broadcast.getResult(), static_cast<int64_t>(number)))
      input[source] = static_cast<int>(number);
  return {{input}, {result}};
}

Loops loopsOf(PermuteOp permute) {
  Numbers input = leading(rankOf(permute.getInput()), rankOf(permute.getInput())), result;
  for (int64_t source : permute.getPermutation())
    result.push_back(static_cast<int>(source));
  return {{input}, {result}};
}

/// `table` [table…], `ids` [ids…], `rows` [ids…, table but its first…].
Numbers tableNumbers(Value table) {
  Numbers numbers{Loops::kWhole};
  for (int64_t index = 1; index < rankOf(table); ++index)
    numbers.push_back(100 + static_cast<int>(index));
  return numbers;
}
Numbers rowNumbers(Value table, Value ids) {
  Numbers numbers = leading(rankOf(ids), rankOf(ids));
  llvm::append_range(numbers, llvm::drop_begin(tableNumbers(table)));
  return numbers;
}

/// x [rows…, in, spatial…], weight [out, in, kernel…], y [rows…, out, spatial…], without groups.
struct ConvolutionNumbers {
  Numbers x, weight, y;
  ConvolutionNumbers(int64_t rank, int64_t spatial) {
    const int in = 100, out = 101;
    x = y = leading(rank, rank - spatial - 1);
    x[rank - spatial - 1] = in;
    y[rank - spatial - 1] = out;
    weight = Numbers(spatial + 2, Loops::kWhole);
    weight[0] = out;
    weight[1] = in;
  }
};

Loops alongDimension(Operation *op, int64_t dimension, bool isDropped) {
  Numbers input = leading(rankOf(op->getOperand(0)), rankOf(op->getOperand(0)));
  input[dimension] = Loops::kWhole;
  Numbers result = input;
  if (isDropped)
    result.erase(result.begin() + dimension);
  return {{input}, {result}};
}

std::optional<Loops> findLoops(Operation *op) {
  if (isa<ScalarExpression>(op))
    return rowsOf(op, rankOf(op->getResult(0)));
  return llvm::TypeSwitch<Operation *, std::optional<Loops>>(op)
      .Case<MatmulOp, ReduceOp, BroadcastOp, PermuteOp>([](auto each) { return loopsOf(each); })
      .Case<SoftmaxOp, LogSoftmaxOp>(
          [](auto each) { return alongDimension(each, each.getDimension(), false); })
      .Case([](ArgmaxOp argmax) { return alongDimension(argmax, argmax.getDimension(), true); })
      .Case<CrossEntropyOp, CrossEntropyGradientOp>(
          [](auto each) { return rowsOf(each, rankOf(each.getX()) - 1); })
      .Case([](CheckIndexOp check) { return rowsOf(check, rankOf(check.getIds())); })
      .Case([](GatherOp gather) {
        Value table = gather.getTable(), ids = gather.getIds();
        return Loops{{tableNumbers(table), leading(rankOf(ids), rankOf(ids))},
                     {rowNumbers(table, ids)}};
      })
      .Case([](ScatterAddOp scatter) {
        Value table = scatter.getResult(), ids = scatter.getIds();
        return Loops{{leading(rankOf(ids), rankOf(ids)), rowNumbers(table, ids)},
                     {tableNumbers(table)}};
      })
      .Case<LayerNormOp, RmsNormOp>([](auto norm) {
        Loops loops = rowsOf(norm, rankOf(norm.getX()) - norm.getDimensions());
        for (Numbers &weights : llvm::drop_begin(loops.operands))
          weights.assign(weights.size(), Loops::kWhole);
        return loops;
      })
      .Case<LayerNormGradientOp, RmsNormGradientOp>([](auto norm) {
        Loops loops = rowsOf(norm, rankOf(norm.getX()) - norm.getDimensions());
        if (norm.getWeight())
          loops.operands.back().assign(loops.operands.back().size(), Loops::kWhole);
        for (Numbers &weights : llvm::drop_begin(loops.results))
          weights.assign(weights.size(), Loops::kWhole);
        return loops;
      })
      .Case([](ConvOp conv) -> std::optional<Loops> {
        if (conv.getGroups() != 1)
          return std::nullopt;
        ConvolutionNumbers numbers(rankOf(conv.getX()), conv.getStride().size());
        return Loops{{numbers.x, numbers.weight}, {numbers.y}};
      })
      .Case([](ConvInputGradientOp conv) -> std::optional<Loops> {
        if (conv.getGroups() != 1)
          return std::nullopt;
        ConvolutionNumbers numbers(rankOf(conv.getResult()), conv.getStride().size());
        return Loops{{numbers.y, numbers.weight}, {numbers.x}};
      })
      .Case([](ConvWeightGradientOp conv) -> std::optional<Loops> {
        if (conv.getGroups() != 1)
          return std::nullopt;
        ConvolutionNumbers numbers(rankOf(conv->getOperand(1)), conv.getStride().size());
        return Loops{{numbers.y, numbers.x}, {numbers.weight}};
      })
      .Case([](MaxPoolOp pool) {
        return rowsOf(pool, rankOf(pool.getX()) - static_cast<int64_t>(pool.getKernel().size()));
      })
      .Case([](MaxPoolGradientOp pool) {
        return rowsOf(pool, rankOf(pool.getGradient()) - pool.getDimensions());
      })
      .Case<AvgPoolOp, AvgPoolGradientOp>([](auto pool) {
        return rowsOf(pool,
                      rankOf(pool->getOperand(0)) - static_cast<int64_t>(pool.getKernel().size()));
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// What a sum over a cut loop gives: terms of the sum, or of the maximum.
ReductionKind reductionOf(Operation *op) {
  auto reduce = dyn_cast<ReduceOp>(op);
  return reduce && reduce.getKind() != ReductionKind::mean ? reduce.getKind() : ReductionKind::sum;
}

/// The operation with one of its loops cut.
std::optional<Strategy> cutLoop(Operation *op, const Loops &loops, int loop, const Cut &cut) {
  if (loop == Loops::kWhole)
    return std::nullopt;
  Strategy strategy;
  auto stateOf = [&](const Numbers &numbers, bool isResult) {
    const auto *found = llvm::find(numbers, loop);
    if (found == numbers.end())
      return isResult ? State::partial(reductionOf(op)) : State::whole();
    return State::of({found - numbers.begin(), cut.outer, cut.size, cut.inner});
  };
  for (const Numbers &numbers : loops.operands)
    strategy.operands.push_back(stateOf(numbers, false));
  for (const Numbers &numbers : loops.results)
    strategy.results.push_back(stateOf(numbers, true));
  return strategy;
}

/// Where the dimension with the batch stands; -1: in none.
int64_t batchDimension(ArrayRef<DimensionAttr> dimensions) {
  for (auto [number, dimension] : llvm::enumerate(dimensions))
    if (dimension.hasBatch())
      return static_cast<int64_t>(number);
  return -1;
}

/// The same elements in the same order under other dimensions.
std::optional<Cut> findReshaped(ArrayRef<DimensionAttr> from, ArrayRef<DimensionAttr> to,
                                const Cut &cut) {
  // What comes before the batch, and what after, stays there: rows are of any number.
  if (cut.isOfBatch()) {
    const int64_t number = batchDimension(to);
    return Cut{number, 1, cut.size, to[number].getStaticSize()};
  }
  if (batchDimension(from) > cut.dimension)
    return std::nullopt;
  int64_t inner = cut.inner, after = 1;
  for (DimensionAttr dimension : from.drop_front(cut.dimension + 1))
    inner *= dimension.getStaticSize();
  for (int64_t number = static_cast<int64_t>(to.size()) - 1; number >= 0; --number) {
    int64_t size = to[number].getStaticSize();
    if (inner % after == 0 && size % (inner / after) == 0 &&
        size / (inner / after) % cut.size == 0) {
      if (batchDimension(to) > number)
        return std::nullopt;
      return Cut{number, size / (inner / after) / cut.size, cut.size, inner / after};
    }
    after *= size;
  }
  return std::nullopt;
}

std::optional<Strategy> followSlices(Operation *op, unsigned operand, const Cut &cut) {
  auto one = [](const Cut &input, const Cut &result) {
    return Strategy{{State::of(input)}, {State::of(result)}};
  };
  // Along the dimension itself blocks of whole cuts may be taken, or set. The batch is none that
  // these change.
  const int64_t block = cut.isOfBatch() ? 0 : cut.size * cut.inner;
  if (auto slice = dyn_cast<SliceOp>(op)) {
    if (static_cast<int64_t>(slice.getDimension()) != cut.dimension)
      return one(cut, cut);
    int64_t from = slice.getFrom(), to = slice.getTo();
    if (from % block != 0 || to % block != 0)
      return std::nullopt;
    return one(cut, {cut.dimension, (to - from) / block, cut.size, cut.inner});
  }
  if (auto pad = dyn_cast<PadOp>(op)) {
    if (static_cast<int64_t>(pad.getDimension()) != cut.dimension)
      return one(cut, cut);
    int64_t before = pad.getBefore(), after = pad.getAfter();
    if (before % block != 0 || after % block != 0)
      return std::nullopt;
    return one(cut, {cut.dimension, cut.outer + (before + after) / block, cut.size, cut.inner});
  }
  auto concat = cast<ConcatOp>(op);
  (void)operand;
  Strategy strategy;
  Cut result = cut;
  bool isAlong = static_cast<int64_t>(concat.getDimension()) == cut.dimension;
  if (isAlong)
    result.outer = 0;
  for (Value input : concat.getInputs()) {
    Cut own = cut;
    if (isAlong) {
      if (sizeOf(input, cut.dimension) % block != 0)
        return std::nullopt;
      own.outer = sizeOf(input, cut.dimension) / block;
      result.outer += own.outer;
    }
    strategy.operands.push_back(State::of(own));
  }
  strategy.results.push_back(State::of(result));
  return strategy;
}

/// Dimensions before the heads, and the heads themselves, of which those of keys and values may be
/// fewer: each stands for so many neighbours of the queries'.
std::optional<Strategy> followHeads(Operation *op, unsigned operand, const Cut &cut) {
  int64_t heads = rankOf(op->getOperand(operand)) - 3;
  auto gradient = dyn_cast<AttentionGradientOp>(op);
  Value logSums = gradient ? gradient.getLogSums() : cast<AttentionOp>(op).getLogSums();
  // The sums lack the last dimension.
  heads = rankOf(logSums) - 2;
  if (cut.dimension > heads || heads < 0)
    return std::nullopt;
  Strategy strategy;
  auto stateOf = [&](Value value) -> std::optional<State> {
    if (cut.dimension < heads || cut.isOfBatch())
      return State::of(cut);
    int64_t outer = cut.outer * cut.size, size = sizeOf(value, heads);
    if (size % outer != 0)
      return std::nullopt;
    return State::of({heads, cut.outer, cut.size, size / outer});
  };
  for (Value value : op->getOperands()) {
    auto state = stateOf(value);
    if (!state)
      return std::nullopt;
    strategy.operands.push_back(*state);
  }
  for (Value value : op->getResults()) {
    auto state = stateOf(value);
    if (!state)
      return std::nullopt;
    strategy.results.push_back(*state);
  }
  return strategy;
}

} // namespace

std::optional<Strategy> mparc::mp::followCut(Operation *op, unsigned operand, const Cut &cut) {
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    auto moved = findReshaped(getDimensions(reshape.getInput().getType()),
                              getDimensions(reshape.getResult().getType()), cut);
    if (!moved)
      return std::nullopt;
    return Strategy{{State::of(cut)}, {State::of(*moved)}};
  }
  if (isa<SliceOp, PadOp, ConcatOp>(op))
    return followSlices(op, operand, cut);
  if (isa<AttentionOp, AttentionGradientOp>(op))
    return followHeads(op, operand, cut);
  // Rows of a table that is cut: those that lie in a piece, and zeros.
  if (isa<GatherOp>(op) && operand == 0 && cut.dimension == 0 && cut.outer == 1)
    return Strategy{{State::of(cut), State::whole()}, {State::partial()}};
  std::optional<Loops> loops = findLoops(op);
  return loops ? cutLoop(op, *loops, loops->operands[operand][cut.dimension], cut) : std::nullopt;
}

std::optional<Strategy> mparc::mp::leadToCut(Operation *op, const Cut &cut) {
  if (isa<ScatterAddOp>(op) && cut.dimension == 0) {
    if (cut.outer != 1)
      return std::nullopt;
    return Strategy{{State::whole(), State::whole()}, {State::of(cut)}};
  }
  std::optional<Loops> loops = findLoops(op);
  return loops ? cutLoop(op, *loops, loops->results[0][cut.dimension], cut) : std::nullopt;
}

std::optional<Strategy> mparc::mp::followPartial(Operation *op, ReductionKind reduction,
                                                 ArrayRef<bool> isPartial) {
  bool isLinear = isa<ReshapeOp, PermuteOp, SliceOp>(op);
  if (reduction == ReductionKind::sum) {
    bool isReal =
        op->getNumResults() == 1 && getElementTypeOrSelf(op->getResult(0).getType()).isF32();
    if (auto reduce = dyn_cast<ReduceOp>(op))
      isLinear = reduce.getKind() == ReductionKind::sum;
    else if (isa<AddOp, SubOp>(op))
      isLinear = isReal && isPartial[0] && isPartial[1];
    else if (isa<MulOp>(op))
      isLinear = isReal && isPartial[0] != isPartial[1];
    else if (isa<DivOp>(op))
      isLinear = isPartial[0] && !isPartial[1];
    else
      isLinear |= isa<NegOp>(op) && isReal;
  }
  if (!isLinear)
    return std::nullopt;
  Strategy strategy;
  for (bool partial : isPartial)
    strategy.operands.push_back(partial ? State::partial(reduction) : State::whole());
  strategy.results.push_back(State::partial(reduction));
  return strategy;
}

void mparc::mp::fitAttributes(Operation *whole, Operation *local) {
  auto along = [](Value value, int64_t dimension) { return sizeOf(value, dimension); };
  if (auto slice = dyn_cast<SliceOp>(local)) {
    int64_t d = slice.getDimension();
    int64_t all = along(whole->getOperand(0), d), own = along(slice.getInput(), d);
    slice.setFrom(slice.getFrom() * own / all);
    slice.setTo(slice.getTo() * own / all);
  } else if (auto pad = dyn_cast<PadOp>(local)) {
    int64_t d = pad.getDimension();
    int64_t all = along(whole->getResult(0), d), own = along(pad.getResult(), d);
    pad.setBefore(pad.getBefore() * own / all);
    pad.setAfter(pad.getAfter() * own / all);
  }
}
