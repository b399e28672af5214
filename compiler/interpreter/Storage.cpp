// Values in memory of their own, and values in arenas.
#include "interpreter/Storage.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

/// What `mp.devices` on the model says of each device.
static constexpr llvm::StringLiteral kDevices = "mp.devices";

void Storage::poison(const View &view) const { std::memset(view.data, 0xff, bytesOf(view)); }

bool hasPlan(ModelOp model) { return model->hasAttr(kDevices); }

namespace {

/// Memory of its own for each value.
class SeparateStorage : public Storage {
public:
  SeparateStorage(const llvm::StringMap<Tensor> &parameters, const StorageOptions &options)
      : Storage(options.realBytes), parameters_(parameters), rows_(options.rows) {}

  FailureOr<View> define(Value result) override {
    if (auto read = result.getDefiningOp<ReadOp>()) {
      auto found = parameters_.find(read.getParameter());
      if (found == parameters_.end())
        return read.emitError("unknown parameter ") << read.getParameter();
      bind(result, found->second.view());
      reads_[read.getParameter()].push_back(result);
      return get(result);
    }
    Tensor &tensor =
        tensors_
            .insert_or_assign(result, Tensor(getElementKind(result.getType()),
                                             getExtents(result.getType(), rows_), realBytes_))
            .first->second;
    bind(result, tensor.view());
    poison(get(result));
    return get(result);
  }

  void release(Value value) override {
    if (kept_.contains(value))
      return;
    views_.erase(value);
    tensors_.erase(value);
  }

  LogicalResult alias(Value result, Value operand) override {
    View view = get(operand);
    view.extents = getExtents(result.getType(), rows_);
    bind(result, view);
    return success();
  }

  void keep(Value value) override { kept_.insert(value); }
  void setRows(int64_t rows) override { rows_ = rows; }
  FailureOr<View> gradient(ParameterOp, Value value) override { return get(value); }

  LogicalResult assign(ParameterOp buffer, const View &value, bool forReads) override {
    Tensor tensor(value.kind, value.extents, realBytes_);
    std::memcpy(tensor.view().data, value.data, bytesOf(value));
    assigned_.insert_or_assign(buffer, std::move(tensor));
    if (forReads)
      for (Value read : reads_.lookup(buffer.getSymName()))
        bind(read, assigned_.at(buffer).view());
    return success();
  }
  FailureOr<View> assigned(ParameterOp buffer) override { return assigned_.at(buffer).view(); }
  FailureOr<View> range(Operation *op, BufferAttr, int64_t, Type) override {
    return op->emitError("works on arenas, and there are none in this phase");
  }

private:
  const llvm::StringMap<Tensor> &parameters_;
  std::map<Operation *, Tensor> assigned_;
  llvm::StringMap<SmallVector<Value>> reads_; // by buffer or parameter
  int64_t rows_;
  llvm::DenseMap<Value, Tensor> tensors_;
  llvm::DenseSet<Value> kept_; // gradients, read when the program has ended
};

/// One arena a device, laid out as the runtime's Device.
class ArenaStorage : public Storage {
public:
  explicit ArenaStorage(const StorageOptions &options)
      : Storage(options.realBytes), options_(options) {}

  LogicalResult allocate(ModelOp model);
  LogicalResult fill(ModelOp model, const llvm::StringMap<Tensor> &parameters);

  FailureOr<View> define(Value result) override {
    auto view = locate(result.getDefiningOp(), result.getType(), getPlace(result));
    if (failed(view))
      return failure();
    bind(result, *view);
    live_[result] = *view;
    return view;
  }

  LogicalResult alias(Value result, Value operand) override;
  void release(Value value) override;
  void keep(Value) override {}
  void setRows(int64_t rows) override { options_.rows = rows; }

  FailureOr<View> gradient(ParameterOp parameter, Value) override {
    auto buffer = parameter->getAttrOfType<BufferAttr>(kBuffer);
    return locate(parameter, parameter.getType(),
                  BufferAttr::get(parameter.getContext(), RegionKind::gradients,
                                  buffer ? buffer.getOffset() : 0));
  }

  LogicalResult assign(ParameterOp buffer, const View &value, bool) override {
    auto view = locate(buffer);
    if (failed(view))
      return failure();
    std::memcpy(view->data, value.data, bytesOf(value));
    return success();
  }
  FailureOr<View> assigned(ParameterOp buffer) override { return locate(buffer); }
  FailureOr<View> range(Operation *op, BufferAttr from, int64_t count, Type element) override {
    return locate(op, {getElementKind(element), {count}, nullptr}, from);
  }

private:
  /// The regions of one device's arena, in the order of RegionKind; between them lies padding.
  struct Arena {
    std::vector<std::byte> bytes;
    int64_t begin[4] = {}, end[4] = {};
    int64_t rows = 0;                 // as many as there are, or rounded up
    int64_t slots = 1, slotBytes = 0; // of the rows of microbatches
    int64_t keptRowBytes = 0;         // what lies behind these all microbatches share
  };

  FailureOr<View> locate(Operation *op, View view, BufferAttr buffer);
  FailureOr<View> locate(Operation *op, Type type, BufferAttr buffer) {
    return locate(op, {getElementKind(type), getExtents(type, options_.rows), nullptr}, buffer);
  }
  FailureOr<View> locate(ParameterOp parameter) {
    return locate(parameter, parameter.getType(), parameter->getAttrOfType<BufferAttr>(kBuffer));
  }

  StorageOptions options_;
  std::vector<Arena> arenas_;
  llvm::MapVector<Value, View> live_;
};

} // namespace

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

LogicalResult ArenaStorage::allocate(ModelOp model) {
  const int64_t scale = realBytes_ / 4;
  for (Attribute each : model->getAttrOfType<ArrayAttr>(kDevices)) {
    auto device = cast<DictionaryAttr>(each);
    auto size = [&](StringRef name) {
      auto attribute = device.getAs<IntegerAttr>(name);
      return attribute ? attribute.getInt() : 0;
    };
    Arena arena;
    // With no more rows than there are, whatever overlaps in the plan overlaps in fact.
    arena.rows = options_.rows;
    if (options_.largestBatch)
      arena.rows = roundUp(options_.largestBatch, size("row_unit") ? size("row_unit") : 64);
    if (options_.slots)
      arena.slots = std::max<int64_t>(1, size("slots"));
    arena.keptRowBytes = size("row_bytes") - size("shared_row_bytes");
    arena.slotBytes = arena.keptRowBytes * arena.rows * scale;
    const int64_t sizes[] = {
        size("parameter_floats") * 4, size("parameter_floats") * 4, size("fixed_bytes"),
        arena.rows * (arena.keptRowBytes * arena.slots + size("shared_row_bytes"))};
    int64_t total = 0;
    for (int region = 0; region < 4; ++region) {
      arena.begin[region] = total;
      arena.end[region] = total + sizes[region] * scale;
      total += roundUp(sizes[region], 256) * scale;
    }
    arena.bytes.assign(total, std::byte{0xff});
    arenas_.push_back(std::move(arena));
  }
  return success();
}

LogicalResult ArenaStorage::fill(ModelOp model, const llvm::StringMap<Tensor> &parameters) {
  for (auto parameter : model.getBody().getOps<ParameterOp>()) {
    auto found = parameters.find(parameter.getSymName());
    if (found == parameters.end())
      return parameter.emitError("no value is given for this parameter");
    auto view = locate(parameter);
    if (failed(view))
      return failure();
    std::memcpy(view->data, found->second.bytes().data(), bytesOf(*view));
  }
  return success();
}

FailureOr<View> ArenaStorage::locate(Operation *op, View view, BufferAttr buffer) {
  std::optional<int64_t> device = getDevice(op);
  if (!buffer || !device)
    return op->emitError("has no ") << (buffer ? "device" : "place in an arena");
  if (*device < 0 || *device >= static_cast<int64_t>(arenas_.size()))
    return op->emitError("is on device ") << *device << ", which the model does not have";
  if (buffer.getRegion() == RegionKind::input)
    return op->emitError("is placed among the program's arguments");
  Arena &arena = arenas_[*device];
  const auto region = static_cast<int>(buffer.getRegion());
  const int64_t unit = buffer.getRegion() == RegionKind::rows    ? arena.rows
                       : buffer.getRegion() == RegionKind::fixed ? 1
                                                                 : 4;
  int64_t begin = arena.begin[region], end = arena.end[region];
  int64_t offset = buffer.getOffset();
  // By itself a microbatch has all in a row; else what is kept of each comes first.
  if (buffer.getRegion() == RegionKind::rows && microbatch_ != none) {
    if (offset >= arena.keptRowBytes) {
      begin += arena.slots * arena.slotBytes;
      offset -= arena.keptRowBytes;
    } else {
      begin += microbatch_ % arena.slots * arena.slotBytes;
      end = begin + arena.slotBytes;
    }
  }
  begin += offset * unit * (realBytes_ / 4);
  if (offset < 0 || begin + bytesOf(view) > end)
    return op->emitError("lies outside the region ")
           << stringifyRegionKind(buffer.getRegion()) << " of device " << *device;
  view.data = arena.bytes.data() + begin;
  return view;
}

LogicalResult ArenaStorage::alias(Value result, Value operand) {
  Operation *op = result.getDefiningOp();
  View view = get(operand);
  view.extents = getExtents(result.getType(), options_.rows);
  BufferAttr place = getPlace(result), planned = getPlace(operand);
  if (auto argument = dyn_cast<BlockArgument>(operand))
    planned = BufferAttr::get(op->getContext(), RegionKind::input, argument.getArgNumber());
  if (place && place == planned) {
    bind(result, view);
    return success();
  }
  auto located = locate(op, result.getType(), place);
  if (failed(located))
    return failure();
  bind(result, *located);
  return success();
}

void ArenaStorage::release(Value value) {
  auto found = live_.find(value);
  if (found == live_.end())
    return;
  const View view = found->second;
  live_.erase(found);
  auto region = getPlace(value).getRegion();
  if (!options_.poisonDead || region == RegionKind::parameters || region == RegionKind::gradients)
    return;
  // What shares its bytes and is still to be read keeps them.
  std::byte *begin = view.as<std::byte>(), *end = begin + bytesOf(view);
  std::vector<bool> keep(end - begin);
  for (auto &[other, held] : live_) {
    std::byte *from = std::max(begin, held.as<std::byte>());
    std::byte *to = std::min(end, held.as<std::byte>() + bytesOf(held));
    for (; from < to; ++from)
      keep[from - begin] = true;
  }
  for (std::byte *each = begin; each < end; ++each)
    if (!keep[each - begin])
      *each = std::byte{0xff};
}

FailureOr<std::unique_ptr<Storage>> makeStorage(ModelOp model,
                                                const llvm::StringMap<Tensor> &parameters,
                                                const StorageOptions &options) {
  if (!hasPlan(model))
    return std::unique_ptr<Storage>(std::make_unique<SeparateStorage>(parameters, options));
  auto arenas = std::make_unique<ArenaStorage>(options);
  if (failed(arenas->allocate(model)) || failed(arenas->fill(model, parameters)))
    return failure();
  return std::unique_ptr<Storage>(std::move(arenas));
}

} // namespace mparc::interpreter
