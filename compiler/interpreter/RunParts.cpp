// Runs a program whose batch is cut: what comes before the parts, the parts, and what comes after.
#include "interpreter/Run.h"

#include <map>
#include <tuple>

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

template <typename Scalar> void Run<Scalar>::bindArguments(Part part) {
  auto [firstRow, rows] = part;
  for (BlockArgument argument : program_.getBlock().getArguments()) {
    View view = inputs_.arguments[argument.getArgNumber()].view();
    if (getElementCount(argument.getType()).perRow) {
      const int64_t row =
          view.count() / options_.rows * interpreter::getElementBytes(view.kind, sizeof(Scalar));
      view.data = view.template as<std::byte>() + firstRow * row;
      view.extents = getExtents(argument.getType(), rows);
    }
    storage_->bind(argument, view);
  }
}

template <typename Scalar> typename Run<Scalar>::Phases Run<Scalar>::sortByPhase() {
  Phases phases;
  for (Operation &op : program_.getBlock()) {
    auto when = op.getAttrOfType<StringAttr>(kWhen);
    if (skipped_.contains(&op))
      continue;
    if (isa<ReadOp>(op) || (when && when.getValue() == "before"))
      phases.before.push_back(&op);
    else if (when || (isa<ReturnOp, GradientOp, AssignOp, UpdateOp>(op) && !op.hasAttr(kOfPart)))
      phases.after.push_back(&op);
    else
      phases.during.push_back(&op);
  }
  return phases;
}

template <typename Scalar> LogicalResult Run<Scalar>::runAll(ArrayRef<Operation *> ops) {
  for (Operation *op : ops) {
    if (failed(execute(op)))
      return failure();
    releaseAfter(op);
  }
  return success();
}

/// The parts of a replica, in the order that is wanted.
template <typename Scalar>
LogicalResult Run<Scalar>::runParts(ArrayRef<Part> parts, ArrayRef<Operation *> during) {
  if (options_.order == RunOptions::Order::turns && program_.getSymName() == "train")
    return runTurns(parts, during);
  for (Part part : parts) {
    enterRows(part);
    bindArguments(part);
    if (failed(runAll(during)))
      return failure();
    keepReturned(part);
  }
  return success();
}

/// What comes before the parts, the parts one after the other, and what comes after them.
template <typename Scalar> LogicalResult Run<Scalar>::runInParts(const Parts &parts) {
  const Phases phases = sortByPhase();
  bindArguments({0, parts.front().front().second});
  if (failed(runAll(phases.before)))
    return failure();
  // Buffers that are set in each part are the first replica's; the others begin as it did.
  llvm::StringMap<Tensor> buffers;
  for (ArrayRef<Part> replica : parts) {
    if (!buffers.empty() && failed(assignBuffers(cut_.empty() ? inputs_.parameters : cut_)))
      return failure();
    if (failed(runParts(replica, phases.during)))
      return failure();
    if (parts.size() == 1 || !buffers.empty())
      continue;
    for (AssignOp assign : program_.getBlock().getOps<AssignOp>())
      if (assign->hasAttr(kOfPart)) {
        auto view = storage_->assigned(buffers_.lookup(assign.getParameter()));
        if (failed(view))
          return failure();
        Tensor value(view->kind, view->extents, sizeof(Scalar));
        std::memcpy(value.view().data, view->data, value.bytes().size());
        buffers.try_emplace(assign.getParameter(), std::move(value));
      }
  }
  if (failed(assignBuffers(buffers)))
    return failure();
  enterRows({0, 0});
  return runAll(phases.after);
}

/// Puts a part's rows of what is returned where those of all parts lie together.
template <typename Scalar> void Run<Scalar>::keepReturned(Part part) {
  for (Value value : program_.getBlock().getTerminator()->getOperands()) {
    if (!getElementCount(value.getType()).perRow)
      continue;
    const View &own = get(value);
    auto kept = returned_.find(value);
    if (kept == returned_.end())
      kept = returned_
                 .try_emplace(value, Tensor(own.kind, getExtents(value.getType(), options_.rows),
                                            sizeof(Scalar)))
                 .first;
    const int64_t row = static_cast<int64_t>(kept->second.bytes().size()) / options_.rows;
    auto *const whole = kept->second.view().template as<std::byte>();
    std::memcpy(whole + part.first * row, own.data, part.second * row);
  }
}

/// Sets what is set in each part to what `values` say.
template <typename Scalar>
LogicalResult Run<Scalar>::assignBuffers(const llvm::StringMap<Tensor> &values) {
  for (AssignOp assign : program_.getBlock().getOps<AssignOp>())
    if (auto value = values.find(assign.getParameter());
        assign->hasAttr(kOfPart) && value != values.end())
      if (failed(storage_->assign(buffers_.lookup(assign.getParameter()), value->second.view(),
                                  /*forReads=*/true)))
        return failure();
  return success();
}

template <typename Scalar> void Run<Scalar>::enterRows(Part part) {
  std::tie(firstRow_, partRows_) = part;
  surroundings_.partRows = partRows_;
  if (partRows_)
    storage_->setRows(partRows_);
}

/// The operations of each stage on each microbatch, in the order of the schedule. What no stage
/// carries out goes with what it names, or with a microbatch's beginning.
template <typename Scalar>
LogicalResult Run<Scalar>::runTurns(ArrayRef<Part> parts, ArrayRef<Operation *> during) {
  std::map<int64_t, SmallVector<Operation *>> stages;
  SmallVector<Operation *> first;
  llvm::DenseMap<Operation *, int64_t> stageOf;
  for (Operation *op : during) {
    auto stage = op->getAttrOfType<IntegerAttr>(kStage);
    Operation *named = isa<ReshapeOp>(op) ? op->getOperand(0).getDefiningOp() : nullptr;
    if (stage)
      stageOf[op] = stage.getInt();
    else if (auto known = stageOf.find(named); named && known != stageOf.end())
      stageOf[op] = int64_t(known->second);
    if (auto known = stageOf.find(op); known != stageOf.end())
      stages[known->second].push_back(op);
    else
      first.push_back(op);
  }
  llvm::DenseSet<int64_t> begun;
  auto carryOut = [&](ArrayRef<Operation *> ops) -> LogicalResult {
    for (Operation *op : ops) {
      if (failed(execute(op)))
        return failure();
      for (Value result : op->getResults())
        if (isSumOverParts(result))
          storage_->share(result);
    }
    return success();
  };
  auto turns = program_->getAttrOfType<ArrayAttr>(kTurns);
  if (!turns)
    return program_.emitError("has no turns: it is not in the phase calls");
  for (Attribute each : turns) {
    ArrayRef<int64_t> turn = cast<DenseI64ArrayAttr>(each).asArrayRef();
    auto stage = stages.find(turn[0]);
    if (stage == stages.end() || turn[1] >= static_cast<int64_t>(parts.size()))
      continue; // stands before or after the microbatches, or has no rows
    storage_->enter(turn[1]);
    enterRows(parts[turn[1]]);
    if (begun.insert(turn[1]).second) {
      bindArguments(parts[turn[1]]);
      if (failed(carryOut(first)))
        return failure();
    }
    if (failed(carryOut(stage->second)))
      return failure();
  }
  storage_->enter(Storage::none);
  return success();
}

/// Contiguous parts of some rows, the first ones a row longer; those without a row are left out.
static SmallVector<std::pair<int64_t, int64_t>> divide(int64_t begin, int64_t rows, int64_t count) {
  SmallVector<std::pair<int64_t, int64_t>> parts;
  for (int64_t number = 0; number < std::min(count, rows); ++number) {
    const int64_t own = rows / count + (number < rows % count);
    parts.push_back({begin, own});
    begin += own;
  }
  return parts;
}

template <typename Scalar> typename Run<Scalar>::Parts Run<Scalar>::findParts() const {
  auto rowsOfPart = program_->getAttrOfType<IntegerAttr>(kRowsAPart);
  if (!rowsOfPart)
    return {};
  int64_t microbatches = 1, replicas = 1;
  ModelOp model = model_;
  ProgramOp program = program_;
  for (TrainingOp training : model.getBody().getOps<TrainingOp>()) {
    microbatches = training.getMicrobatches();
    replicas = training.getReplicas();
  }
  Parts parts;
  if (rowsOfPart.getInt() == 0 || hasReplicas()) {
    for (auto [first, rows] : divide(0, options_.rows, replicas))
      parts.push_back(divide(first, rows, microbatches));
  } else if (options_.order != RunOptions::Order::parts &&
             (program->hasAttr(kMicrobatches) || program.getSymName() != "train")) {
    parts.push_back(divide(0, options_.rows, microbatches));
  } else if (rowsOfPart.getInt() < options_.rows) {
    parts.resize(1);
    for (int64_t first = 0; first < options_.rows; first += rowsOfPart.getInt())
      parts.front().push_back({first, std::min(rowsOfPart.getInt(), options_.rows - first)});
  }
  return parts;
}

template class Run<float>;
template class Run<double>;

} // namespace mparc::interpreter
