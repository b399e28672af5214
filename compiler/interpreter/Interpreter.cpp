// Runs a program operation by operation.
#include "interpreter/Interpreter.h"

#include "interpreter/ComputeOperation.h"
#include "interpreter/Pieces.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

#include <map>

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

namespace {

template <typename Scalar> class Run {
public:
  Run(ModelOp model, ProgramOp program, const Inputs &inputs, const RunOptions &options)
      : model_(model), program_(program), inputs_(inputs), options_(options),
        surroundings_{options.rows,  options.seed, options.step,     0,
                      options.trace, {},           options.lossScale} {}

  FailureOr<Outcome> run();

private:
  LogicalResult execute(Operation *op);
  LogicalResult runWhole();
  using Parts = ArrayRef<std::pair<int64_t, int64_t>>; // first row, rows
  SmallVector<std::pair<int64_t, int64_t>> findParts() const;
  LogicalResult runInParts(Parts parts);
  LogicalResult runTurns(Parts parts, ArrayRef<Operation *> during);
  void enterRows(int64_t first, int64_t count);
  void bindArguments(int64_t firstRow, int64_t rows);
  void releaseAfter(Operation *op);
  void numberElements(Type type);
  LogicalResult noteScale(UpdateOp op);

  FailureOr<Outcome> collect();
  void findLastUses();
  /// Whose memory a value is in: a reshape is its operand, and so is a transfer that copies
  /// nothing.
  Value root(Value value) const;
  const View &get(Value value) const { return storage_->get(value); }

  ModelOp model_;
  ProgramOp program_;
  const Inputs &inputs_;
  const RunOptions &options_;
  Surroundings surroundings_;
  llvm::StringMap<Tensor> cut_; // values of parameters, where some are pieces
  std::unique_ptr<Storage> storage_;
  llvm::DenseMap<Operation *, SmallVector<Value, 2>> dying_; // after an operation
  llvm::DenseSet<Operation *> skipped_;
  std::vector<std::pair<StringRef, Value>> gradients_;
  std::optional<Tensor> scale_; // of the gradients
  llvm::StringSet<> assigned_;  // names of buffers
  bool inParts_ = false;
  bool isScaled_ = false; // the loss
  llvm::StringMap<ParameterOp> buffers_;
  int64_t firstRow_ = 0, partRows_ = 0; // of the part that is being worked on
};

} // namespace

template <typename Scalar> Value Run<Scalar>::root(Value value) const {
  while (true) {
    Operation *op = value.getDefiningOp();
    if (!isa_and_nonnull<ReshapeOp>(op) &&
        !(isa_and_nonnull<TransferOp>(op) && options_.aliasTransfers))
      return value;
    value = op->getOperand(0);
  }
}

template <typename Scalar> void Run<Scalar>::findLastUses() {
  Block &block = program_.getBlock();
  if (options_.forwardOnly) {
    llvm::DenseSet<Operation *> needed;
    for (Operation &op : llvm::reverse(block)) {
      if (!isa<ReturnOp>(op) && !needed.contains(&op)) {
        skipped_.insert(&op);
        continue;
      }
      for (Value operand : op.getOperands())
        if (Operation *definer = operand.getDefiningOp())
          needed.insert(definer);
    }
  }
  llvm::MapVector<Value, Operation *> last;
  for (Operation &op : block) {
    if (skipped_.contains(&op))
      continue;
    for (Value result : op.getResults())
      last[root(result)] = &op;
    for (Value operand : op.getOperands())
      last[root(operand)] = &op;
  }
  for (auto [value, op] : last)
    if (value.getDefiningOp())
      dying_[op].push_back(value);
}

/// Whether the runtime's call for this operation may write over operand `index`.
static bool mayWriteOver(Operation *op, unsigned index) {
  if (auto map = dyn_cast<MapOp>(op))
    return map.isContiguous(index);
  return isa<ScalarExpression, SoftmaxOp, LogSoftmaxOp>(op);
}

template <typename Scalar> LogicalResult Run<Scalar>::execute(Operation *op) {
  if (isa<ReturnOp>(op))
    return success();
  if (auto update = dyn_cast<UpdateOp>(op))
    return noteScale(update);
  // One machine works through the rows of all replicas: its sums are theirs already.
  if (isa<ReduceScatterOp, AllGatherOp>(op))
    return success();
  if (auto gradient = dyn_cast<GradientOp>(op)) {
    gradients_.emplace_back(gradient.getParameter(), gradient.getValue());
    storage_->keep(root(gradient.getValue()));
    return success();
  }
  if (auto assign = dyn_cast<AssignOp>(op)) {
    auto buffer = buffers_.find(assign.getParameter());
    if (buffer == buffers_.end())
      return op->emitError("sets ") << assign.getParameter() << ", which is no buffer";
    if (!assigned_.insert(assign.getParameter()).second)
      return op->emitError("sets ") << assign.getParameter() << " a second time";
    return storage_->assign(buffer->second, get(assign.getValue()));
  }
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    return storage_->alias(reshape.getResult(), reshape.getInput());
  auto transfer = dyn_cast<TransferOp>(op);
  if (transfer && options_.aliasTransfers) {
    storage_->bind(transfer.getResult(), get(transfer.getInput()));
    return success();
  }
  isScaled_ |= isa<LossScaleOp>(op);
  if (op->getNumResults() == 0)
    return op->emitError("cannot interpret ") << op->getName();
  // A sum over the rows of a part after the first is added to what the earlier parts gave.
  SmallVector<View, 3> results;
  SmallVector<std::pair<Value, Tensor>, 2> parts;
  for (Value each : op->getResults()) {
    if (firstRow_ > 0 && isSumOverParts(each)) {
      const View &sum = get(each);
      parts.emplace_back(each, Tensor(sum.kind, sum.extents, sizeof(Scalar)));
      results.push_back(parts.back().second.view());
      continue;
    }
    auto result = storage_->define(each);
    if (failed(result))
      return failure();
    results.push_back(*result);
  }
  if (isa<ReadOp>(op))
    return success();
  // An operand that the plan wrongly lets share bytes with a result is lost here.
  for (const View &result : results) {
    bool inPlace = false;
    for (auto [index, operand] : llvm::enumerate(op->getOperands()))
      inPlace |= get(operand).data == result.data && mayWriteOver(op, index);
    if (!inPlace)
      storage_->poison(result);
  }
  numberElements(op->getResult(0).getType());
  auto operand = [&](Value value) -> const View & { return get(value); };
  if (failed(compute<Scalar>(op, operand, results, surroundings_)))
    return failure();
  for (auto &[value, part] : parts) {
    const View &sum = get(value);
    for (int64_t index = 0, end = sum.count(); index < end; ++index)
      if (sum.kind == ElementKind::real)
        sum.as<Scalar>()[index] += part.view().template as<Scalar>()[index];
      else // beyond 32 bits it wraps
        sum.as<uint32_t>()[index] += part.view().template as<uint32_t>()[index];
  }
  return success();
}

/// Elements are numbered as in a tensor of all rows, of which a part has some.
template <typename Scalar> void Run<Scalar>::numberElements(Type type) {
  surroundings_.first = 0;
  surroundings_.strides.clear();
  if (!partRows_)
    return;
  surroundings_.strides = getStrides(getExtents(type, options_.rows));
  for (auto [stride, dimension] : llvm::zip(surroundings_.strides, getDimensions(type)))
    if (dimension.hasBatch())
      surroundings_.first = firstRow_ * dimension.getStaticSize() * stride;
}

/// A copy of what a view shows.
template <typename Scalar> static Tensor take(const View &view) {
  Tensor tensor(view.kind, view.extents, sizeof(Scalar));
  std::memcpy(tensor.view().data, view.data, tensor.bytes().size());
  return tensor;
}

/// What a device's update multiplies the gradients by: the same on all.
template <typename Scalar> LogicalResult Run<Scalar>::noteScale(UpdateOp op) {
  if (!op.getScale())
    return success();
  Tensor scale = take<Scalar>(get(op.getScale()));
  if (scale_ && !scale.sameBits(*scale_))
    return op.emitError("scales gradients by another number than the update before");
  scale_ = std::move(scale);
  return success();
}

template <typename Scalar> FailureOr<Outcome> Run<Scalar>::collect() {
  Outcome outcome;
  outcome.scale = std::move(scale_);
  auto last = cast<ReturnOp>(program_.getBlock().back());
  for (Value value : last.getResults())
    outcome.returned.push_back(take<Scalar>(get(value)));
  llvm::StringMap<Value> values;
  for (auto [name, value] : gradients_)
    if (!values.try_emplace(name, value).second)
      return program_.emitError("parameter ") << name << " is handed its gradient twice";
  Assembly gradients(sizeof(Scalar)), buffers(sizeof(Scalar));
  for (auto parameter : model_.getBody().getOps<ParameterOp>()) {
    auto found = values.find(parameter.getSymName());
    if (found == values.end())
      continue;
    auto view = storage_->gradient(parameter, found->second);
    if (failed(view))
      return failure();
    Tensor gradient = take<Scalar>(*view);
    if (isScaled_)
      for (int64_t index = 0, end = gradient.count(); index < end; ++index)
        gradient.view().template as<Scalar>()[index] /= static_cast<Scalar>(options_.lossScale);
    if (failed(gradients.add(parameter, std::move(gradient))))
      return failure();
  }
  for (auto parameter : model_.getBody().getOps<ParameterOp>()) {
    if (!assigned_.contains(parameter.getSymName()))
      continue;
    auto view = storage_->assigned(parameter);
    if (failed(view))
      return failure();
    if (failed(buffers.add(parameter, take<Scalar>(*view))))
      return failure();
  }
  outcome.gradients = gradients.take();
  outcome.buffers = buffers.take();
  return outcome;
}

/// Binds the program's arguments to rows of the inputs.
template <typename Scalar> void Run<Scalar>::bindArguments(int64_t firstRow, int64_t rows) {
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

template <typename Scalar> void Run<Scalar>::releaseAfter(Operation *op) {
  if (isa<ReturnOp>(op)) // what is returned is read once more
    return;
  // What one part reads of what stands before or after the parts, the next may read again.
  for (Value value : dying_.lookup(op)) {
    Operation *definer = value.getDefiningOp();
    if (!inParts_ || (definer->getAttr(kWhen) == op->getAttr(kWhen) && !isa<ReadOp>(definer) &&
                      !definer->hasAttr(kAccumulate)))
      storage_->release(value);
  }
}

template <typename Scalar> LogicalResult Run<Scalar>::runWhole() {
  bindArguments(0, options_.rows);
  for (Operation &op : program_.getBlock()) {
    if (skipped_.contains(&op))
      continue;
    if (failed(execute(&op)))
      return failure();
    releaseAfter(&op);
  }
  return success();
}

/// What comes before the parts, the parts one after the other, and what comes after them.
template <typename Scalar> LogicalResult Run<Scalar>::runInParts(Parts parts) {
  SmallVector<Operation *> before, during, after;
  for (Operation &op : program_.getBlock()) {
    auto when = op.getAttrOfType<StringAttr>(kWhen);
    if (skipped_.contains(&op))
      continue;
    if (isa<ReadOp>(op) || (when && when.getValue() == "before"))
      before.push_back(&op);
    else if (when || isa<ReturnOp, GradientOp, AssignOp, UpdateOp>(op))
      after.push_back(&op);
    else
      during.push_back(&op);
  }
  auto runAll = [&](ArrayRef<Operation *> ops) -> LogicalResult {
    for (Operation *op : ops) {
      if (failed(execute(op)))
        return failure();
      releaseAfter(op);
    }
    return success();
  };
  bindArguments(0, parts.front().second);
  if (failed(runAll(before)))
    return failure();
  if (options_.order == RunOptions::Order::turns) {
    if (failed(runTurns(parts, during)))
      return failure();
  } else {
    for (auto [first, count] : parts) {
      enterRows(first, count);
      bindArguments(first, count);
      if (failed(runAll(during)))
        return failure();
    }
  }
  firstRow_ = partRows_ = 0;
  return runAll(after);
}

template <typename Scalar> void Run<Scalar>::enterRows(int64_t first, int64_t count) {
  firstRow_ = first;
  partRows_ = count;
  storage_->setRows(count);
}

/// The operations of each stage on each microbatch, in the order of the schedule. What no stage
/// carries out goes with what it names, or with a microbatch's beginning.
template <typename Scalar>
LogicalResult Run<Scalar>::runTurns(Parts parts, ArrayRef<Operation *> during) {
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
    enterRows(parts[turn[1]].first, parts[turn[1]].second);
    if (begun.insert(turn[1]).second) {
      bindArguments(firstRow_, partRows_);
      if (failed(carryOut(first)))
        return failure();
    }
    if (failed(carryOut(stage->second)))
      return failure();
  }
  storage_->enter(Storage::none);
  return success();
}

/// Rows that are worked on together: the first of each, and how many; none where all are.
template <typename Scalar> SmallVector<std::pair<int64_t, int64_t>> Run<Scalar>::findParts() const {
  SmallVector<std::pair<int64_t, int64_t>> parts;
  auto part = program_->getAttrOfType<IntegerAttr>(kRowsAPart);
  auto microbatches = program_->getAttrOfType<IntegerAttr>(kMicrobatches);
  if (options_.order != RunOptions::Order::parts && part && microbatches) {
    // Contiguous, the first a row longer; those without a row are left out.
    const int64_t count = microbatches.getInt();
    for (int64_t first = 0, number = 0; first < options_.rows; ++number) {
      const int64_t rows = options_.rows / count + (number < options_.rows % count);
      parts.push_back({first, rows});
      first += rows;
    }
  } else if (part && part.getInt() < options_.rows) {
    for (int64_t first = 0; first < options_.rows; first += part.getInt())
      parts.push_back({first, std::min(part.getInt(), options_.rows - first)});
  }
  return parts;
}

template <typename Scalar> FailureOr<Outcome> Run<Scalar>::run() {
  StorageOptions storage;
  storage.realBytes = sizeof(Scalar);
  storage.rows = options_.rows;
  const auto parts = findParts();
  inParts_ = !parts.empty();
  if (inParts_)
    storage.rows = parts.front().second;
  storage.slots = inParts_ && options_.order == RunOptions::Order::turns;
  storage.largestBatch = options_.largestBatch ? std::max(options_.largestBatch, options_.rows) : 0;
  storage.poisonDead = options_.poisonDead;
  const bool hasPieces = llvm::any_of(model_.getBody().getOps<ParameterOp>(), getWhole);
  if (hasPieces)
    cut_ = cutParameters(model_, inputs_.parameters);
  auto made = makeStorage(model_, hasPieces ? cut_ : inputs_.parameters, storage);
  if (failed(made))
    return failure();
  storage_ = std::move(*made);
  for (auto parameter : model_.getBody().getOps<ParameterOp>())
    if (parameter.getUntrained())
      buffers_[parameter.getSymName()] = parameter;
  findLastUses();

  Block &block = program_.getBlock();
  if (block.getNumArguments() != inputs_.arguments.size())
    return program_.emitError("expected ")
           << block.getNumArguments() << " arguments, got " << inputs_.arguments.size();
  if (failed(inParts_ ? runInParts(parts) : runWhole()))
    return failure();
  return collect();
}

ProgramOp findProgram(ModelOp model, StringRef name) {
  for (auto program : model.getBody().getOps<ProgramOp>())
    if (program.getSymName() == name)
      return program;
  return {};
}

template <typename Scalar>
FailureOr<Outcome> run(ModelOp model, StringRef program, const Inputs &inputs,
                       const RunOptions &options) {
  ProgramOp found = findProgram(model, program);
  if (!found)
    return model.emitError("has no program ") << program;
  return Run<Scalar>(model, found, inputs, options).run();
}

template FailureOr<Outcome> run<float>(ModelOp, StringRef, const Inputs &, const RunOptions &);
template FailureOr<Outcome> run<double>(ModelOp, StringRef, const Inputs &, const RunOptions &);

} // namespace mparc::interpreter
