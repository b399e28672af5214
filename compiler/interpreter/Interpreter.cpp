// Runs a program operation by operation.
#include "interpreter/Interpreter.h"

#include "interpreter/Kernels.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

namespace {

template <typename Scalar> class Run {
public:
  Run(ModelOp model, ProgramOp program, const Inputs &inputs, const RunOptions &options)
      : model_(model), program_(program), inputs_(inputs), options_(options),
        surroundings_{options.rows, options.seed, options.step, options.trace} {}

  FailureOr<Outcome> run();

private:
  LogicalResult execute(Operation *op);
  LogicalResult compute(Operation *op, const View &result);
  LogicalResult computeElements(Operation *op, const View &result);
  void computeSlice(SliceOp op, const View &result);
  void computePad(PadOp op, const View &result);
  void computeConcat(ConcatOp op, const View &result);

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
  std::unique_ptr<Storage> storage_;
  llvm::DenseMap<Operation *, SmallVector<Value, 2>> dying_; // after an operation
  llvm::DenseSet<Operation *> skipped_;
  std::vector<std::pair<StringRef, Value>> gradients_;
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
  if (isa<ReturnOp, UpdateOp>(op))
    return success();
  if (auto gradient = dyn_cast<GradientOp>(op)) {
    gradients_.emplace_back(gradient.getParameter(), gradient.getValue());
    storage_->keep(root(gradient.getValue()));
    return success();
  }
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    return storage_->alias(reshape.getResult(), reshape.getInput());
  auto transfer = dyn_cast<TransferOp>(op);
  if (transfer && options_.aliasTransfers) {
    storage_->bind(transfer.getResult(), get(transfer.getInput()));
    return success();
  }
  if (op->getNumResults() != 1)
    return op->emitError("cannot interpret ") << op->getName();
  auto result = storage_->define(op->getResult(0));
  if (failed(result))
    return failure();
  if (isa<ReadOp>(op))
    return success();
  bool inPlace = false;
  for (auto [index, operand] : llvm::enumerate(op->getOperands()))
    inPlace |= get(operand).data == result->data && mayWriteOver(op, index);
  // An operand that the plan wrongly lets share bytes with the result is lost here.
  if (!inPlace)
    storage_->poison(*result);
  return compute(op, *result);
}

template <typename Scalar> LogicalResult Run<Scalar>::compute(Operation *op, const View &result) {
  if (isa<ScalarExpression, MapOp, ConstantOp, ExtentOp, DropoutMaskOp, IotaOp>(op))
    return computeElements(op, result);
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](TransferOp transfer) {
        const View &from = get(transfer.getInput());
        std::memmove(result.data, from.data,
                     from.count() * getElementBytes(from.kind, sizeof(Scalar)));
        return success();
      })
      .Case([&](BroadcastOp broadcast) {
        const View &from = get(broadcast.getInput());
        Extents strides = getStrides(from.extents), steps;
        for (int64_t source : broadcast.getDimensions())
          steps.push_back(source < 0 || from.extents[source] == 1 ? 0 : strides[source]);
        copy<Scalar>(result.extents, from, 0, steps, result, 0, getStrides(result.extents));
        return success();
      })
      .Case([&](PermuteOp permute) {
        const View &from = get(permute.getInput());
        Extents strides = getStrides(from.extents), steps;
        for (int64_t source : permute.getPermutation())
          steps.push_back(strides[source]);
        copy<Scalar>(result.extents, from, 0, steps, result, 0, getStrides(result.extents));
        return success();
      })
      .Case([&](SliceOp slice) { return computeSlice(slice, result), success(); })
      .Case([&](PadOp pad) { return computePad(pad, result), success(); })
      .Case([&](ConcatOp concat) { return computeConcat(concat, result), success(); })
      .Case([&](MatmulOp matmul) {
        interpreter::matmul<Scalar>(get(matmul.getA()), matmul.getTransposeA(), get(matmul.getB()),
                                    matmul.getTransposeB(), result);
        return success();
      })
      .Case([&](LinearOp linear) {
        interpreter::linear<Scalar>(get(linear.getX()), get(linear.getWeight()),
                                    linear.getBias() ? get(linear.getBias()) : View{},
                                    linear.getActivation() == ActivationKind::relu, result,
                                    surroundings_);
        return success();
      })
      .Case([&](ReduceOp reduce) {
        interpreter::reduce<Scalar>(reduce.getKind(), get(reduce.getInput()),
                                    reduce.getDimensions(), result, surroundings_);
        return success();
      })
      .template Case<SoftmaxOp, LogSoftmaxOp>([&](auto softmax) {
        interpreter::softmax<Scalar>(get(softmax.getInput()), softmax.getDimension(),
                                     isa<LogSoftmaxOp>(op), result);
        return success();
      })
      .Case([&](ArgmaxOp argmax) {
        interpreter::argmax<Scalar>(get(argmax.getInput()), argmax.getDimension(), result,
                                    surroundings_);
        return success();
      })
      .Default([](Operation *other) {
        return other->emitError("cannot interpret ") << other->getName();
      });
}

template <typename Scalar>
LogicalResult Run<Scalar>::computeElements(Operation *op, const View &result) {
  auto program = ElementProgram::compile(op);
  if (failed(program))
    return failure();
  SmallVector<StridedView> operands;
  auto map = dyn_cast<MapOp>(op);
  for (auto [index, operand] : llvm::enumerate(op->getOperands())) {
    const View &view = get(operand);
    Extents strides = getStrides(view.extents), steps;
    if (!map)
      steps = strides;
    else
      for (int64_t source : map.getMap(index))
        steps.push_back(source < 0 || view.extents[source] == 1 ? 0 : strides[source]);
    operands.push_back({view, steps});
  }
  interpreter::map<Scalar>(*program, operands, result, surroundings_);
  return success();
}

template <typename Scalar> void Run<Scalar>::computeSlice(SliceOp op, const View &result) {
  const View &from = get(op.getInput());
  Extents strides = getStrides(from.extents);
  int64_t offset = static_cast<int64_t>(op.getFrom()) * strides[op.getDimension()];
  copy<Scalar>(result.extents, from, offset, strides, result, 0, getStrides(result.extents));
}

template <typename Scalar> void Run<Scalar>::computePad(PadOp op, const View &result) {
  const View &from = get(op.getInput());
  Extents strides = getStrides(result.extents);
  int64_t offset = static_cast<int64_t>(op.getBefore()) * strides[op.getDimension()];
  fillZero<Scalar>(result);
  copy<Scalar>(from.extents, from, 0, getStrides(from.extents), result, offset, strides);
}

template <typename Scalar> void Run<Scalar>::computeConcat(ConcatOp op, const View &result) {
  Extents strides = getStrides(result.extents);
  int64_t offset = 0;
  for (Value input : op.getInputs()) {
    const View &from = get(input);
    copy<Scalar>(from.extents, from, 0, getStrides(from.extents), result, offset, strides);
    offset += from.extents[op.getDimension()] * strides[op.getDimension()];
  }
}

/// A copy of what a view shows.
template <typename Scalar> static Tensor take(const View &view) {
  Tensor tensor(view.kind, view.extents, sizeof(Scalar));
  std::memcpy(tensor.view().data, view.data, tensor.bytes().size());
  return tensor;
}

template <typename Scalar> FailureOr<Outcome> Run<Scalar>::collect() {
  Outcome outcome;
  auto last = cast<ReturnOp>(program_.getBlock().back());
  for (Value value : last.getResults())
    outcome.returned.push_back(take<Scalar>(get(value)));
  llvm::StringMap<Value> values;
  for (auto [name, value] : gradients_)
    if (!values.try_emplace(name, value).second)
      return program_.emitError("parameter ") << name << " is handed its gradient twice";
  for (auto parameter : model_.getBody().getOps<ParameterOp>()) {
    auto found = values.find(parameter.getSymName());
    if (found == values.end())
      continue;
    auto view = storage_->gradient(parameter, found->second);
    if (failed(view))
      return failure();
    outcome.gradients.emplace_back(parameter.getSymName().str(), take<Scalar>(*view));
  }
  return outcome;
}

template <typename Scalar> FailureOr<Outcome> Run<Scalar>::run() {
  StorageOptions storage;
  storage.realBytes = sizeof(Scalar);
  storage.rows = options_.rows;
  storage.largestBatch = options_.largestBatch ? std::max(options_.largestBatch, options_.rows) : 0;
  storage.poisonDead = options_.poisonDead;
  auto made = makeStorage(model_, inputs_.parameters, storage);
  if (failed(made))
    return failure();
  storage_ = std::move(*made);
  findLastUses();

  Block &block = program_.getBlock();
  if (block.getNumArguments() != inputs_.arguments.size())
    return program_.emitError("expected ")
           << block.getNumArguments() << " arguments, got " << inputs_.arguments.size();
  for (BlockArgument argument : block.getArguments())
    storage_->bind(argument, inputs_.arguments[argument.getArgNumber()].view());
  for (Operation &op : block) {
    if (skipped_.contains(&op))
      continue;
    if (failed(execute(&op)))
      return failure();
    if (isa<ReturnOp>(op))
      break;
    for (Value value : dying_.lookup(&op))
      storage_->release(value);
  }
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
