// Runs the step of several replicas, each in memory of its own: what they add up and fetch of one
// another is added up and fetched there, so that what none of them adds up or fetches is missed.
#include "interpreter/Run.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

/// Of the arenas, whose ranges of 64 bytes are not divided among replicas.
static constexpr int64_t kLineElements = 16;

template <typename Scalar> bool Run<Scalar>::hasReplicas() const {
  ModelOp model = model_;
  ProgramOp program = program_;
  return hasPlan(model) && options_.order != RunOptions::Order::parts &&
         program.getSymName() == "train" && program->hasAttr(kRowsAPart) &&
         llvm::any_of(model.getBody().getOps<TrainingOp>(),
                      [](TrainingOp training) { return training.getReplicas() > 1; });
}

template <typename Scalar> int64_t Run<Scalar>::trainedFloats(Operation *op) const {
  ModelOp model = model_;
  auto device = model->getAttrOfType<ArrayAttr>("mp.devices")[getDevice(op).value_or(0)];
  return cast<DictionaryAttr>(device).getAs<IntegerAttr>("trained_floats").getInt();
}

template <typename Scalar>
std::pair<int64_t, int64_t> Run<Scalar>::shareOf(Operation *op, BufferAttr from, int64_t count,
                                                 size_t replica) const {
  // Gradients and parameters are divided as all of the device's are, other ranges by themselves.
  const bool isFixed = from.getRegion() == RegionKind::fixed;
  const int64_t first = isFixed ? 0 : from.getOffset();
  const int64_t all = isFixed ? count : trainedFloats(op);
  const auto number = static_cast<int64_t>(replica), of = static_cast<int64_t>(replicas_.size());
  const int64_t lines = (all + kLineElements - 1) / kLineElements;
  auto border = [&](int64_t line) {
    return std::clamp<int64_t>(std::min(all, line * kLineElements) - first, 0, count);
  };
  return {border(lines * number / of), border(lines * (number + 1) / of)};
}

template <typename Scalar>
template <typename Op>
LogicalResult Run<Scalar>::viewRanges(Op op, SmallVectorImpl<View> &views) {
  for (Run *replica : replicas_) {
    auto view = replica->storage_->range(op, op.getPlace(), static_cast<int64_t>(op.getCount()),
                                         op.getElement());
    if (failed(view))
      return failure();
    views.push_back(*view);
  }
  return success();
}

/// Each replica's share of the sum over those with rows, in ascending order of them.
template <typename Scalar> LogicalResult Run<Scalar>::reduce(ReduceScatterOp op, size_t active) {
  const auto count = static_cast<int64_t>(op.getCount());
  SmallVector<View> views;
  if (failed(viewRanges(op, views)))
    return failure();
  auto addUp = [&](auto zero) {
    using T = decltype(zero);
    for (size_t owner = 0; owner < replicas_.size(); ++owner)
      for (auto [at, end] = shareOf(op, op.getPlace(), count, owner); at < end; ++at) {
        T sum = views.front().template as<T>()[at];
        for (size_t other = 1; other < active; ++other)
          sum += views[other].template as<T>()[at];
        views[owner].template as<T>()[at] = sum;
      }
  };
  if (views.front().kind == ElementKind::real)
    addUp(Scalar());
  else
    addUp(uint32_t()); // beyond 32 bits it wraps
  return success();
}

template <typename Scalar> LogicalResult Run<Scalar>::gather(AllGatherOp op) {
  const auto count = static_cast<int64_t>(op.getCount());
  SmallVector<View> views;
  if (failed(viewRanges(op, views)))
    return failure();
  const int64_t bytes = getElementBytes(views.front().kind, sizeof(Scalar));
  for (size_t owner = 0; owner < replicas_.size(); ++owner) {
    auto [begin, end] = shareOf(op, op.getPlace(), count, owner);
    for (size_t other = 0; other < replicas_.size(); ++other)
      if (other != owner)
        std::memcpy(views[other].template as<std::byte>() + begin * bytes,
                    views[owner].template as<std::byte>() + begin * bytes, (end - begin) * bytes);
  }
  return success();
}

/// A step of an optimiser of our own in place of the program's: a parameter less its gradient, of
/// those that the replica updates.
template <typename Scalar> LogicalResult Run<Scalar>::descend(UpdateOp op) {
  const bool sharded = llvm::any_of(model_.getBody().template getOps<TrainingOp>(),
                                    [](TrainingOp training) { return training.getSharded(); });
  const int64_t count = trainedFloats(op);
  auto at = [&](RegionKind region) { return BufferAttr::get(op.getContext(), region, 0); };
  for (auto [number, replica] : llvm::enumerate(replicas_)) {
    Type element = Float32Type::get(op.getContext());
    auto parameters = replica->storage_->range(op, at(RegionKind::parameters), count, element);
    auto gradients = replica->storage_->range(op, at(RegionKind::gradients), count, element);
    if (failed(parameters) || failed(gradients))
      return failure();
    auto [begin, end] = sharded ? shareOf(op, at(RegionKind::parameters), count, number)
                                : std::pair<int64_t, int64_t>(0, count);
    for (int64_t index = begin; index < end; ++index)
      parameters->template as<Scalar>()[index] -= gradients->template as<Scalar>()[index];
  }
  return success();
}

/// Where gradients stay scattered: fetches all shares, for who asks for them.
template <typename Scalar> LogicalResult Run<Scalar>::gatherGradients() {
  for (UpdateOp update : program_.getBlock().template getOps<UpdateOp>()) {
    const int64_t count = trainedFloats(update);
    auto from = BufferAttr::get(update.getContext(), RegionKind::gradients, 0);
    Type element = Float32Type::get(update.getContext());
    auto whole = storage_->range(update, from, count, element);
    for (size_t owner = 1; owner < replicas_.size(); ++owner) {
      auto own = replicas_[owner]->storage_->range(update, from, count, element);
      if (failed(whole) || failed(own))
        return failure();
      auto [begin, end] = shareOf(update, from, count, owner);
      std::copy(own->template as<Scalar>() + begin, own->template as<Scalar>() + end,
                whole->template as<Scalar>() + begin);
    }
  }
  return success();
}

/// That every replica has what `descend` makes of each parameter with the whole gradient.
template <typename Scalar> LogicalResult Run<Scalar>::checkParameters() {
  const llvm::StringMap<Tensor> &given = cut_.empty() ? inputs_.parameters : cut_;
  for (const auto &[name, value] : gradients_) {
    auto parameter = model_.template lookupSymbol<ParameterOp>(name);
    auto gradient = storage_->gradient(parameter, value);
    if (failed(gradient))
      return failure();
    const auto *before = given.find(name)->second.view().template as<Scalar>();
    for (auto [number, replica] : llvm::enumerate(replicas_)) {
      auto after = replica->storage_->assigned(parameter);
      if (failed(after))
        return failure();
      for (int64_t index = 0, end = gradient->count(); index < end; ++index) {
        const Scalar expected = before[index] - gradient->template as<Scalar>()[index];
        const Scalar got = after->template as<Scalar>()[index];
        if (got != expected && (got == got || expected == expected))
          return parameter.emitError("replica ")
                 << number << " does not have element " << index << " as it has been updated";
      }
    }
  }
  return success();
}

/// A replica's rows; where it has none, its sums have places all the same.
template <typename Scalar>
LogicalResult Run<Scalar>::runOwn(ArrayRef<Part> parts, const Phases &phases) {
  origin_ = parts.empty() ? 0 : parts.front().first;
  bindArguments(parts.empty() ? Part(0, 1) : parts.front());
  if (failed(runAll(phases.before)))
    return failure();
  if (parts.empty()) {
    llvm::DenseSet<Value> placed;
    for (Operation *op : phases.during)
      for (Value result : op->getResults()) {
        auto reshape = dyn_cast<ReshapeOp>(op);
        const bool names = reshape && placed.contains(reshape.getInput());
        if (names ? failed(storage_->alias(result, reshape.getInput()))
                  : isSumOverParts(result) && failed(storage_->define(result)))
          return failure();
        if (names || isSumOverParts(result))
          placed.insert(result);
      }
    return success();
  }
  if (failed(runParts(parts, phases.during)))
    return failure();
  enterRows({0, 0});
  return success();
}

template <typename Scalar> LogicalResult Run<Scalar>::runReplicas(const Parts &parts) {
  int64_t count = 1;
  for (TrainingOp training : model_.getBody().template getOps<TrainingOp>())
    count = training.getReplicas();
  replicas_.push_back(this);
  for (int64_t replica = 1; replica < count; ++replica) {
    others_.push_back(std::make_unique<Run>(model_, program_, inputs_, options_));
    replicas_.push_back(others_.back().get());
    if (failed(others_.back()->prepare(parts)))
      return failure();
  }
  const Phases phases = sortByPhase();
  for (auto [number, replica] : llvm::enumerate(replicas_))
    if (failed(replica->runOwn(
            number < parts.size() ? ArrayRef<Part>(parts[number]) : ArrayRef<Part>(), phases)))
      return failure();
  for (Operation *op : phases.after) {
    auto reduction = dyn_cast<ReduceScatterOp>(op);
    auto gathering = dyn_cast<AllGatherOp>(op);
    if (reduction ? failed(reduce(reduction, parts.size()))
                  : gathering && failed(gather(gathering)))
      return failure();
    for (Run *replica : replicas_)
      if (failed(replica->runAll(op)))
        return failure();
    if (auto update = dyn_cast<UpdateOp>(op); update && failed(descend(update)))
      return failure();
  }
  return failed(gatherGradients()) ? failure() : checkParameters();
}

template bool Run<float>::hasReplicas() const;
template bool Run<double>::hasReplicas() const;
template LogicalResult Run<float>::runReplicas(const Parts &);
template LogicalResult Run<double>::runReplicas(const Parts &);

} // namespace mparc::interpreter
