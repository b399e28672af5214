// Runs a program operation by operation.
#include "interpreter/Run.h"

#include "interpreter/ComputeOperation.h"
#include "interpreter/Pieces.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

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
  // Where one memory is that of all replicas, its sums are theirs already.
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
    const bool ofPart = op->hasAttr(kOfPart);
    if (!assigned_.insert(assign.getParameter()).second && !ofPart)
      return op->emitError("sets ") << assign.getParameter() << " a second time";
    return storage_->assign(buffer->second, get(assign.getValue()), ofPart);
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
    if (firstRow_ > origin_ && isSumOverParts(each)) {
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
  numberElements(op);
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

/// What a mask is keyed by: elements are numbered as in a tensor of all rows, of which a part has
/// some, and of all positions, of which a piece has some.
template <typename Scalar> void Run<Scalar>::numberElements(Operation *op) {
  surroundings_.numberings.clear();
  op->walk([&](DropoutMaskOp mask) {
    Type type = op->getResult(0).getType();
    ArrayRef<DimensionAttr> whole =
        mask.getWhole() ? mask.getWhole()->getDimensions() : getDimensions(type);
    Numbering numbering;
    for (DimensionAttr dimension : whole)
      numbering.strides.push_back(dimension.getStaticSize() *
                                  (dimension.hasBatch() ? options_.rows : 1));
    numbering.strides = getStrides(numbering.strides);
    for (auto [number, dimension] : llvm::enumerate(getDimensions(type))) {
      int64_t from = mask.getFrom() ? (*mask.getFrom())[number] : 0;
      if (dimension.hasBatch())
        from += (firstRow_ + dimension.getRowPiece().first(partRows_ ? partRows_ : options_.rows)) *
                dimension.getStaticSize();
      numbering.first += from * numbering.strides[number];
    }
    surroundings_.numberings.push_back(std::move(numbering));
  });
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
  for (Value value : last.getResults()) {
    auto kept = returned_.find(value);
    outcome.returned.push_back(kept != returned_.end() ? std::move(kept->second)
                                                       : take<Scalar>(get(value)));
  }
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
  bindArguments({0, options_.rows});
  for (Operation &op : program_.getBlock()) {
    if (skipped_.contains(&op))
      continue;
    if (failed(execute(&op)))
      return failure();
    releaseAfter(&op);
  }
  return success();
}

/// Makes the memory, and finds out what is read last where.
template <typename Scalar> LogicalResult Run<Scalar>::prepare(const Parts &parts) {
  StorageOptions storage;
  storage.realBytes = sizeof(Scalar);
  storage.rows = options_.rows;
  inParts_ = !parts.empty();
  if (inParts_)
    storage.rows = parts.front().front().second;
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
  return success();
}

template <typename Scalar> FailureOr<Outcome> Run<Scalar>::run() {
  const auto parts = findParts();
  if (failed(prepare(parts)))
    return failure();
  Block &block = program_.getBlock();
  if (block.getNumArguments() != inputs_.arguments.size())
    return program_.emitError("expected ")
           << block.getNumArguments() << " arguments, got " << inputs_.arguments.size();
  if (failed(!inParts_ ? runWhole() : hasReplicas() ? runReplicas(parts) : runInParts(parts)))
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

template LogicalResult Run<float>::prepare(const Parts &);
template LogicalResult Run<double>::prepare(const Parts &);
template FailureOr<Outcome> run<float>(ModelOp, StringRef, const Inputs &, const RunOptions &);
template FailureOr<Outcome> run<double>(ModelOp, StringRef, const Inputs &, const RunOptions &);

} // namespace mparc::interpreter
