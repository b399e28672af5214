// What is of each part of the batch by itself.
//
// before   %m = mp.reduce mean %x [0] {mp.each_part}
//          %old = mp.read @"norm.running_mean"
//          %new = mp.map %m, %old …
//          %d = mp.map %x, %m …                              rows that depend on all rows
//          …
//          mp.assign @"norm.running_mean", %new {mp.each_part}
// after    %m = mp.reduce mean %x [0] {mp.of_part}           of a part's rows
//          %old = mp.map (mp.read @"norm.running_mean") {mp.of_part}
//          %new = mp.map %m, %old … {mp.of_part}
//          mp.assign @"norm.running_mean", %new {mp.of_part}
//          %d = mp.map %x, %m …
#include "passes/EachPart.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace mparc::mp {

static bool hasRows(Value value) { return getElementCount(value.getType()).perRow; }

static bool readsRows(Operation *op) { return llvm::any_of(op->getOperands(), hasRows); }

/// Whether it works on rows: its results are a part's already.
static bool isOnRows(Operation *op) {
  return readsRows(op) || llvm::any_of(op->getResults(), hasRows);
}

static bool isSetInParts(Operation *op) { return isa<AssignOp>(op) && op->hasAttr(kEachPart); }

/// Operations that reduce rows, or compute from what does, and whose results reach rows again, or a
/// buffer that is set in each part.
static llvm::DenseSet<Operation *> findReachingRows(Block &block) {
  llvm::DenseSet<Operation *> reaching;
  for (Operation &op : llvm::reverse(block))
    for (Value result : op.getResults())
      if (!hasRows(result) && llvm::any_of(result.getUsers(), [&](Operation *user) {
            return isOnRows(user) || isSetInParts(user) || reaching.contains(user);
          }))
        reaching.insert(&op);
  return reaching;
}

static bool reducesRows(Operation *op) {
  return readsRows(op) && !llvm::all_of(op->getResults(), hasRows);
}

bool isOfEachPart(ProgramOp program) {
  Block &block = program.getBlock();
  bool counts = false;
  program.walk([&](ExtentOp extent) { counts |= extent.getOfPart(); });
  llvm::DenseSet<Operation *> reaching = findReachingRows(block);
  return counts || llvm::any_of(block, [&](Operation &op) {
           return isSetInParts(&op) ||
                  (op.hasAttr(kEachPart) && reducesRows(&op) && reaching.contains(&op));
         });
}

LogicalResult refuseToCut(Operation *op, StringRef wanted) {
  return op->emitError("rows of the batch depend on one another here: a batch is cut into `")
         << wanted
         << "` only where rows do not, or where the layer is `@each_part`, which then goes by the "
            "rows of "
            "each part alone";
}

namespace {

class Separation {
public:
  Separation(ProgramOp program, StringRef wanted)
      : block(program.getBlock()), wanted(wanted), reaching(findReachingRows(block)) {}
  LogicalResult run();

private:
  void moveAssignments();
  LogicalResult visit(Operation *op);
  /// Marks what a part computes for itself.
  void makeOwn(Operation *op);
  Value sumOverParts(Value value);
  void readSums(Operation *op);

  Block &block;
  StringRef wanted;
  llvm::DenseSet<Operation *> reaching;
  llvm::DenseSet<Value> own;     // of a part, without rows
  llvm::DenseSet<Value> onSums;  // of the whole batch
  DenseMap<Value, Value> summed; // own values, and their sums over the parts
};

} // namespace

void Separation::makeOwn(Operation *op) {
  op->setAttr(kOfPart, UnitAttr::get(op->getContext()));
  for (Value result : op->getResults())
    if (!hasRows(result))
      own.insert(result);
}

/// A copy of a value that is read where it stands, on its device.
static MapOp copyAfter(Operation *source) {
  OpBuilder builder(source->getContext());
  builder.setInsertionPointAfter(source);
  auto type = cast<RankedTensorType>(source->getResult(0).getType());
  Attribute map =
      builder.getDenseI64ArrayAttr(llvm::to_vector(llvm::seq<int64_t>(0, type.getRank())));
  auto copy = builder.create<MapOp>(source->getLoc(), type, source->getResult(0),
                                    builder.getArrayAttr(map));
  Block &body = copy.getBody().emplaceBlock();
  body.addArgument(type.getElementType(), source->getLoc());
  OpBuilder::atBlockEnd(&body).create<YieldOp>(source->getLoc(), body.getArgument(0));
  for (StringRef name : {StringRef(kDevice), StringRef(kLayer)})
    if (Attribute attribute = source->getAttr(name))
      copy->setAttr(name, attribute);
  return copy;
}

void Separation::moveAssignments() {
  DenseMap<Attribute, AssignOp> assignments;
  for (AssignOp assign : block.getOps<AssignOp>())
    if (isSetInParts(assign))
      assignments[assign.getParameterAttr()] = assign;
  DenseMap<Attribute, Operation *> lastReads;
  for (ReadOp read : llvm::make_early_inc_range(block.getOps<ReadOp>())) {
    if (!assignments.contains(read.getParameterAttr()))
      continue;
    MapOp copy = copyAfter(read);
    read.getResult().replaceAllUsesExcept(copy.getResult(), copy);
    nameAfter(copy.getResult(), read.getResult(), "_before");
    makeOwn(copy);
    lastReads[read.getParameterAttr()] = copy;
  }
  for (auto [name, assign] : assignments) {
    Operation *place = assign.getValue().getDefiningOp(), *read = lastReads.lookup(name);
    if (read && (!place || place->isBeforeInBlock(read)))
      place = read;
    if (place)
      assign->moveAfter(place);
    else
      assign->moveBefore(&block.front());
    assign->setAttr(kOfPart, UnitAttr::get(assign.getContext()));
  }
}

/// The sum over the parts of what each has for itself: what it adds to that of the parts before.
Value Separation::sumOverParts(Value value) {
  Value &sum = summed[value];
  if (!sum) {
    Operation *op = value.getDefiningOp();
    OpBuilder builder(op->getContext());
    builder.setInsertionPointAfter(op);
    auto reduce = builder.create<ReduceOp>(op->getLoc(), value.getType(), ReductionKind::sum, value,
                                           ArrayRef<int64_t>());
    for (StringRef name : {StringRef(kDevice), StringRef(kLayer)})
      if (Attribute attribute = op->getAttr(name))
        reduce->setAttr(name, attribute);
    reduce->setAttr(kAccumulate, builder.getUnitAttr());
    sum = reduce.getResult();
    onSums.insert(sum);
  }
  return sum;
}

void Separation::readSums(Operation *op) {
  for (OpOperand &operand : op->getOpOperands())
    if (own.contains(operand.get()))
      operand.set(sumOverParts(operand.get()));
  onSums.insert(op->result_begin(), op->result_end());
}

/// Whether a loop only adds up: so that it may as well add sums over the parts.
static bool onlyAdds(Operation *op) {
  auto map = dyn_cast<MapOp>(op);
  return isa<AddOp>(op) || (map && llvm::all_of(map.getBody().front(), [](Operation &inner) {
                              return isa<AddOp, YieldOp>(inner);
                            }));
}

LogicalResult Separation::visit(Operation *op) {
  bool readsOwn = llvm::any_of(op->getOperands(), [&](Value value) { return own.contains(value); });
  bool readsSums =
      llvm::any_of(op->getOperands(), [&](Value value) { return onSums.contains(value); });
  if (op->hasAttr(kAccumulate) || isa<ReadOp>(op) || op->hasAttr(kOfPart))
    return success();
  if (reducesRows(op)) {
    if (!reaching.contains(op)) { // the loss, the gradient of a parameter
      for (Value result : op->getResults())
        if (!hasRows(result))
          onSums.insert(result);
      return success();
    }
    if (!op->hasAttr(kEachPart))
      return refuseToCut(op, wanted);
    makeOwn(op);
    return success();
  }
  if (!readsOwn) {
    if (readsSums && !isOnRows(op))
      onSums.insert(op->result_begin(), op->result_end());
    return success();
  }
  if (isOnRows(op))
    return success();
  if (isa<GradientOp, SquaredNormOp, UnscaleOp>(op) ||
      (!reaching.contains(op) && (isa<TransferOp>(op) || (readsSums && onlyAdds(op))))) {
    readSums(op);
    return success();
  }
  if (readsSums || op->getNumResults() == 0)
    return refuseToCut(op, wanted);
  makeOwn(op);
  return success();
}

LogicalResult Separation::run() {
  moveAssignments();
  for (Operation &op : llvm::make_early_inc_range(block))
    if (failed(visit(&op)))
      return failure();
  return success();
}

LogicalResult separateParts(ProgramOp program, StringRef wanted) {
  return Separation(program, wanted).run();
}

} // namespace mparc::mp
