// mp-reduce-replicas: adds up over the replicas what each has summed over its rows.
//
// before   %gw = mp.matmul %g, %x … {mp.accumulate, mp.buffer = #mp.buffer<gradients, 0>}
//          %l = mp.reduce sum %h … {mp.accumulate, mp.buffer = #mp.buffer<fixed, 0>}
//          mp.update "adam" {mp.when = "after"}
// after    … mp.reduce_scatter <gradients, 0>, 4096 : f32 {mp.when = "after"}
//          mp.reduce_scatter <fixed, 0>, 1 : f32 {mp.when = "after"}
//          mp.all_gather <gradients, 0>, 4096 : f32 {mp.when = "after"}
//          mp.all_gather <fixed, 0>, 1 : f32 {mp.when = "after"}
//          mp.update "adam" {mp.when = "after"}
//
// needs    the phase calls, of a program that mp-cut-rows has cut.
// gives    the operations above, first for devices whose sums are complete first; where the
// gradients of a device are more than one bucket (`mp.bucket_bytes` of mp.training), one for each
// bucket, that waits for what completes it and so can come while the rest is computed; `replicas`
// and, where the optimiser is shared out, `shards` in `mp.devices`. does not change a program of
// one replica.
#include "dialect/MpSchedule.h"
#include "passes/Passes.h"
#include "planner/Stages.h"
#include "planner/Streams.h"

#include "llvm/ADT/MapVector.h"

#include <limits>

namespace mparc::mp {
#define GEN_PASS_DEF_REDUCEREPLICAS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class ReduceReplicas : public mparc::mp::impl::ReduceReplicasBase<ReduceReplicas> {
  void runOnOperation() override;
};

/// Elements of a device that are summed over the rows.
struct Range {
  BufferAttr place;
  int64_t count;
  Type element;
};

/// Gradients that are added up at once, side by side or not.
struct Bucket {
  SmallVector<Range> ranges;
  SmallVector<Operation *> sources; // which sum them, in program order; any may be carried out last
};

/// What a device sums: gradients in the order in which they are complete, other sums with the last
/// of them.
struct Sums {
  SmallVector<Bucket> buckets;
  Bucket fixed;
};

class Reducer {
public:
  /// A bucket has at least `bucketBytes`, but the last of a device.
  Reducer(ModelOp model, ProgramOp train, bool sharded, int64_t bucketBytes)
      : model(model), train(train), sharded(sharded), bucketBytes(bucketBytes),
        builder(model.getContext()) {}
  void run();

private:
  void collect();
  void addGradient(Sums &own, const Range &range, Operation *op);
  void join(SmallVector<Range> &ranges);
  bool readsGradients();
  template <typename Op> Op add(int64_t device, const Range &range);
  void reduce(int64_t device, const Bucket &bucket);
  void number(const DenseMap<int64_t, Operation *> &byOrder);

  ModelOp model;
  ProgramOp train;
  bool sharded;
  int64_t bucketBytes;
  OpBuilder builder;
  llvm::MapVector<int64_t, Sums> sums; // by device, those complete first in front
};

} // namespace

static bool isAfter(Operation *op) {
  auto when = op->getAttrOfType<StringAttr>(kWhen);
  return when && when.getValue() == "after";
}

void Reducer::collect() {
  for (Operation &op : train.getBlock())
    for (Value result : op.getResults()) {
      if (!isSumOverParts(result))
        continue;
      int64_t device = getDevice(&op).value_or(0);
      Sums own = sums.lookup(device);
      sums.erase(device); // its last sum decides
      BufferAttr place = getPlace(result);
      Range range{place, getElementCount(result.getType()).count,
                  getElementTypeOrSelf(result.getType())};
      if (place.getRegion() == RegionKind::gradients) {
        range.count = (range.count + kParameterFloats - 1) / kParameterFloats * kParameterFloats;
        addGradient(own, range, &op);
      } else {
        own.fixed.ranges.push_back(range);
        own.fixed.sources.push_back(&op);
      }
      sums[device] = std::move(own);
    }
}

void Reducer::addGradient(Sums &own, const Range &range, Operation *op) {
  auto bytes = [](const Bucket &bucket) {
    int64_t sum = 0;
    for (const Range &each : bucket.ranges)
      sum += each.count * int64_t(sizeof(float));
    return sum;
  };
  if (own.buckets.empty() || bytes(own.buckets.back()) >= bucketBytes) {
    if (!own.buckets.empty())
      own.buckets.back().sources.back()->setAttr(kEndsBucket, builder.getUnitAttr());
    own.buckets.emplace_back();
  }
  own.buckets.back().ranges.push_back(range);
  own.buckets.back().sources.push_back(op);
}

/// Makes one range of those that lie side by side.
void Reducer::join(SmallVector<Range> &ranges) {
  llvm::sort(ranges, [](const Range &a, const Range &b) {
    return a.place.getOffset() < b.place.getOffset();
  });
  SmallVector<Range> joined;
  for (const Range &range : ranges)
    if (!joined.empty() &&
        joined.back().place.getOffset() + joined.back().count == range.place.getOffset())
      joined.back().count += range.count;
    else
      joined.push_back(range);
  ranges = std::move(joined);
}

/// Whether anything but the updates reads gradients: a norm, or a device that adds others to them.
bool Reducer::readsGradients() {
  return llvm::any_of(train.getBlock(), [](Operation &op) {
    return isAfter(&op) && isInstruction(&op) && llvm::any_of(op.getOperands(), [](Value value) {
             Value source = getSource(value);
             auto place = source ? getPlace(source) : BufferAttr();
             return place && place.getRegion() == RegionKind::gradients;
           });
  });
}

template <typename Op> Op Reducer::add(int64_t device, const Range &range) {
  auto op = builder.create<Op>(train.getLoc(), range.place, range.count, range.element);
  setDevice(op, device);
  op->setAttr(kWhen, builder.getStringAttr("after"));
  op->setAttr(kStream, builder.getStringAttr(getStreamName(op)));
  return op;
}

void Reducer::reduce(int64_t device, const Bucket &bucket) {
  SmallVector<int64_t> waits;
  for (Operation *source : bucket.sources)
    waits.push_back(getOrder(source));
  for (const Range &range : bucket.ranges)
    add<ReduceScatterOp>(device, range)->setAttr(kWaits, builder.getDenseI64ArrayAttr(waits));
}

/// Numbers the instructions anew; waits go on meaning the operations that they meant.
void Reducer::number(const DenseMap<int64_t, Operation *> &byOrder) {
  int64_t order = 0;
  for (Operation &op : train.getBlock())
    if (isInstruction(&op))
      op.setAttr(kOrder, builder.getI64IntegerAttr(order++));
  for (Operation &op : train.getBlock()) {
    if (!isInstruction(&op))
      continue;
    SmallVector<int64_t> waits;
    for (int64_t wait : getWaits(&op))
      waits.push_back(getOrder(byOrder.lookup(wait)));
    op.setAttr(kWaits, builder.getDenseI64ArrayAttr(waits));
  }
}

void Reducer::run() {
  DenseMap<int64_t, Operation *> byOrder;
  Operation *first = train.getBlock().getTerminator();
  for (Operation &op : llvm::reverse(train.getBlock())) {
    if (isInstruction(&op))
      byOrder[getOrder(&op)] = &op;
    if (isAfter(&op))
      first = &op;
  }
  collect();
  bool gathersGradients = !sharded || readsGradients();
  builder.setInsertionPoint(first);
  for (auto &[device, own] : sums) {
    for (Bucket &bucket : own.buckets)
      join(bucket.ranges);
    // The last one takes the other sums with it.
    if (own.buckets.empty())
      own.buckets.push_back({});
    llvm::append_range(own.buckets.back().ranges, own.fixed.ranges);
    llvm::append_range(own.buckets.back().sources, own.fixed.sources);
    for (const Bucket &bucket : own.buckets)
      reduce(device, bucket);
  }
  for (auto &[device, own] : sums) {
    SmallVector<Range> gradients;
    for (const Bucket &bucket : own.buckets)
      llvm::copy_if(bucket.ranges, std::back_inserter(gradients), [](const Range &range) {
        return range.place.getRegion() == RegionKind::gradients;
      });
    join(gradients);
    if (gathersGradients)
      for (const Range &range : gradients)
        add<AllGatherOp>(device, range);
    for (const Range &range : own.fixed.ranges)
      add<AllGatherOp>(device, range);
  }
  builder.setInsertionPoint(train.getBlock().getTerminator());
  auto devices = model->getAttrOfType<ArrayAttr>("mp.devices");
  if (sharded)
    for (auto [number, device] : llvm::enumerate(devices)) {
      int64_t trained = cast<DictionaryAttr>(device).getAs<IntegerAttr>("trained_floats").getInt();
      if (trained > 0)
        add<AllGatherOp>(static_cast<int64_t>(number),
                         {BufferAttr::get(model.getContext(), RegionKind::parameters, 0), trained,
                          builder.getF32Type()});
    }
  number(byOrder);
}

void ReduceReplicas::runOnOperation() {
  ModelOp model = getOperation();
  int64_t replicas = 1;
  bool sharded = false;
  int64_t bucketBytes = std::numeric_limits<int64_t>::max();
  for (TrainingOp training : model.getBody().getOps<TrainingOp>()) {
    replicas = training.getReplicas();
    sharded = training.getSharded();
    if (auto bytes = training->getAttrOfType<IntegerAttr>(kBucketBytes))
      bucketBytes = bytes.getInt();
  }
  if (replicas == 1)
    return;
  for (ProgramOp program : model.getBody().getOps<ProgramOp>())
    if (program.getSymName() == "train")
      Reducer(model, program, sharded, bucketBytes).run();
  Builder builder(&getContext());
  SmallVector<Attribute> devices;
  for (Attribute device : model->getAttrOfType<ArrayAttr>("mp.devices")) {
    NamedAttrList entries(cast<DictionaryAttr>(device));
    entries.set("replicas", builder.getI64IntegerAttr(replicas));
    if (sharded)
      entries.set("shards", builder.getI64IntegerAttr(replicas));
    devices.push_back(entries.getDictionary(&getContext()));
  }
  model->setAttr("mp.devices", builder.getArrayAttr(devices));
}
