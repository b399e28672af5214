// mp-cut-rows: works through a training batch a few rows at a time, from the first layer to the
// last gradient.
//
// before   %h = mp.linear %x, %w …                          all rows, then
//          %l = mp.reduce mean %h [0, 1]
//          %gw = mp.matmul %g, %x transpose_a
// after    %h = mp.linear %x, %w …                          64 rows, from here
//          %s = mp.reduce sum %h [0, 1] {mp.accumulate}
//          %gw = mp.matmul %g, %x transpose_a {mp.accumulate}    to here; then the next 64
//          %l = mp.map %s { s / (12 · rows) } {mp.when = "after"}
//
// What one layer leaves in the cache the next finds there: at 4,096 rows a step of the article's
// model takes two thirds of the time. Sums over the batch are sums over its parts, in ascending
// order, whatever the placement.
//
// Where a batch has microbatches, @evaluate and @predict are cut as well, so that they take no more
// memory than one of them does. What a part has of the output is kept as it is made.
//
// needs    the phase fused.
// gives    on the program `mp.rows_a_part`, on its operations `mp.when` = "before" (does not depend
// on rows) or "after" (on
//          sums over all of them), in this order, and `mp.accumulate` on the sums.
// does not cut a program in which a row's values depend on other rows before the loss; it stays as
// it is: of @evaluate and @predict both, if one has to. Where it has to be cut, into microbatches
// or for replicas, what layers combine that do so for each part by itself is the parts' own
// (passes/EachPart.h), and the parts are the microbatches: `mp.rows_a_part` is 0.
#include "passes/EachPart.h"
#include "passes/Passes.h"
#include "planner/Streams.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/Debug.h"

#define DEBUG_TYPE "mp-cut-rows"

namespace mparc::mp {
#define GEN_PASS_DEF_CUTROWS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

/// Rows that are worked on together: 64 rows of a thousand columns fill a quarter of a core's
/// second cache.
constexpr int64_t kRowsOfOnePart = 64;

class CutRows : public mparc::mp::impl::CutRowsBase<CutRows> {
  void runOnOperation() override;
  void cutEvaluation();
};

/// Where each operation of a program stands towards its rows.
class Sorter {
public:
  /// `wanted`: the entry of the train block that a program which cannot be cut is an error for;
  /// empty: it is none.
  explicit Sorter(StringRef wanted) : wanted(wanted) {}
  /// Fails where a row's value depends on other rows, saying why to whoever debugs or, where the
  /// program must be cut, to the user.
  LogicalResult sort(ProgramOp program);
  /// The same of a program that does not train, and changes nothing of it.
  LogicalResult sortEvaluation(ProgramOp program);
  /// Writes the answer into the program.
  void apply(ProgramOp program);

private:
  LogicalResult visit(Operation *op);
  LogicalResult refuse(Operation *op, StringRef why) {
    LLVM_DEBUG(llvm::dbgs() << "not cut: " << why << ": " << *op << "\n");
    return wanted.empty() ? failure() : refuseToCut(op, wanted);
  }

  StringRef wanted;
  int64_t rows = kRowsOfOnePart;
  SmallVector<Operation *> before, during, after, sums;
  llvm::DenseSet<Value> onSums; // values that depend on sums over the batch
};

} // namespace

static bool dependsOnRows(Value value) { return getElementCount(value.getType()).perRow; }

/// Whether an operation whose result has rows mixes them.
static bool mixesRows(Operation *op) {
  auto alongBatch = [&](uint64_t dimension) {
    return getDimensions(op->getOperand(0).getType())[dimension].hasBatch();
  };
  if (auto softmax = dyn_cast<SoftmaxOp>(op))
    return alongBatch(softmax.getDimension());
  if (auto softmax = dyn_cast<LogSoftmaxOp>(op))
    return alongBatch(softmax.getDimension());
  if (auto call = dyn_cast<CallTensorOp>(op))
    return !call.getRowWise();
  return false;
}

/// Whether the results without rows are for the whole batch the sum of those for its parts.
static bool isSum(Operation *op) {
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return reduce.getKind() == ReductionKind::sum || reduce.getKind() == ReductionKind::mean;
  return isa<MatmulOp, ScatterAddOp, LayerNormGradientOp, RmsNormGradientOp, ConvWeightGradientOp>(
      op);
}

LogicalResult Sorter::visit(Operation *op) {
  bool readsRows = llvm::any_of(op->getOperands(), dependsOnRows);
  bool makesRows = llvm::any_of(op->getResults(), dependsOnRows);
  bool readsSums =
      llvm::any_of(op->getOperands(), [&](Value value) { return onSums.contains(value); });
  if (op->hasAttr(kAccumulate)) { // of what each part has for itself
    during.push_back(op);
    onSums.insert(op->result_begin(), op->result_end());
    return success();
  }
  if (op->hasAttr(kOfPart)) {
    during.push_back(op);
    return success();
  }
  if (isa<GradientOp, AssignOp, UpdateOp>(op)) {
    after.push_back(op);
    return success();
  }
  if (readsSums && (readsRows || makesRows))
    return refuse(op, "reads rows and a sum over them");
  if (makesRows && readsRows && mixesRows(op))
    return refuse(op, "mixes rows");
  bool makesSums = readsRows && !llvm::all_of(op->getResults(), dependsOnRows);
  if (makesSums) {
    if (!isSum(op))
      return refuse(op, "reduces the batch by other than a sum");
    sums.push_back(op);
    during.push_back(op);
    for (Value result : op->getResults())
      if (!dependsOnRows(result))
        onSums.insert(result);
    return success();
  }
  if (readsSums) {
    onSums.insert(op->result_begin(), op->result_end());
    after.push_back(op);
    return success();
  }
  (readsRows || makesRows ? during : before).push_back(op);
  return success();
}

LogicalResult Sorter::sort(ProgramOp program) {
  bool ofEachPart = isOfEachPart(program);
  if (ofEachPart && wanted.empty())
    return failure();
  if (!wanted.empty() && failed(separateParts(program, wanted)))
    return failure();
  if (ofEachPart)
    rows = 0;
  for (Operation &op : program.getBlock().without_terminator())
    if (failed(visit(&op)))
      return failure();
  return success(!sums.empty());
}

/// Whether a value that is returned is computed row by row and lies so: then its parts, one behind
/// the other, are the whole.
static bool hasRowsInOrder(Value value) {
  ElementCount count = getElementCount(value.getType());
  if (!getProducer(value) || !count.perRow || !count.piece.isWhole())
    return false;
  DimensionAttr first = getDimensions(value.getType()).front();
  return first.hasBatch() && ShapedType::isDynamic(first.getFactors().front().getSize());
}

LogicalResult Sorter::sortEvaluation(ProgramOp program) {
  if (isOfEachPart(program) || !hasRowsInOrder(program.getBlock().getTerminator()->getOperand(0)))
    return failure();
  for (Operation &op : program.getBlock().without_terminator())
    if (failed(visit(&op)))
      return failure();
  return success();
}

/// Turns a mean over the batch into a sum, and the division by the whole batch's count that comes
/// after all parts.
static MapOp divideAfterwards(ReduceOp mean) {
  int64_t count = 1;
  for (int64_t dimension : mean.getDimensions())
    count *= getDimensions(mean.getInput().getType())[dimension].getStaticSize();
  OpBuilder builder(mean->getContext());
  builder.setInsertionPointAfter(mean);
  auto type = mean.getType();
  auto identity = llvm::to_vector(llvm::seq<int64_t>(0, cast<RankedTensorType>(type).getRank()));
  Attribute maps = builder.getDenseI64ArrayAttr(identity);
  auto divide =
      builder.create<MapOp>(mean.getLoc(), type, mean.getResult(), builder.getArrayAttr(maps));
  for (StringRef name : {StringRef(kDevice), StringRef(kLayer)})
    if (Attribute attribute = mean->getAttr(name))
      divide->setAttr(name, attribute);
  Block &body = divide.getBody().emplaceBlock();
  Type element = getElementTypeOrSelf(type);
  Value sum = body.addArgument(element, mean.getLoc());
  builder.setInsertionPointToEnd(&body);
  Value rows = builder.create<ExtentOp>(mean.getLoc(), element, count, 0);
  Value quotient = builder.create<DivOp>(mean.getLoc(), element, sum, rows);
  builder.create<YieldOp>(mean.getLoc(), quotient);
  mean.setKind(ReductionKind::sum);
  mean.getResult().replaceAllUsesExcept(divide.getResult(), divide);
  return divide;
}

void Sorter::apply(ProgramOp program) {
  Builder builder(program.getContext());
  SmallVector<Operation *> divisions;
  for (Operation *op : sums) {
    op->setAttr(kAccumulate, builder.getUnitAttr());
    if (auto reduce = dyn_cast<ReduceOp>(op); reduce && reduce.getKind() == ReductionKind::mean)
      divisions.push_back(divideAfterwards(reduce));
  }
  after.insert(after.begin(), divisions.begin(), divisions.end());
  // A stable partition: what is before depends on nothing else, what is after may depend on all.
  for (Operation *op : before)
    op->setAttr(kWhen, builder.getStringAttr("before"));
  for (Operation *op : after)
    op->setAttr(kWhen, builder.getStringAttr("after"));
  Operation *end = program.getBlock().getTerminator();
  for (auto *group : {&before, &during, &after})
    for (Operation *op : *group)
      op->moveBefore(end);
  program->setAttr(kRowsAPart, builder.getI64IntegerAttr(rows));
}

/// Both or neither: what the memory has to hold of a batch is one answer.
void CutRows::cutEvaluation() {
  SmallVector<std::pair<ProgramOp, Sorter>, 2> programs;
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    if (program.getSymName() == "train")
      continue;
    programs.emplace_back(program, Sorter(""));
    if (failed(programs.back().second.sortEvaluation(program)))
      return;
  }
  for (auto &[program, sorter] : programs)
    sorter.apply(program);
}

void CutRows::runOnOperation() {
  for (TrainingOp training : getOperation().getBody().getOps<TrainingOp>())
    if (training.getMicrobatches() > 1)
      cutEvaluation();
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    if (program.getSymName() != "train")
      continue;
    StringRef wanted;
    for (TrainingOp training : getOperation().getBody().getOps<TrainingOp>())
      wanted = training.getMicrobatches() > 1 ? "microbatches"
               : training.getReplicas() > 1   ? "replicas"
                                              : "";
    if (isOfEachPart(program))
      program->setAttr(kEachPart, UnitAttr::get(&getContext()));
    Sorter sorter(wanted);
    if (succeeded(sorter.sort(program)))
      sorter.apply(program);
    else if (!wanted.empty())
      return signalPassFailure();
    for (Operation &op : program.getBlock())
      op.removeAttr(kEachPart);
  }
}

#undef DEBUG_TYPE
