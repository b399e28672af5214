// Division of a program into stages, and what is known of each.
#include "planner/Stages.h"
#include "planner/Streams.h"

#include "dialect/Views.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"

#include <tuple>

using namespace mlir;

namespace mparc::mp {

/// The most instructions of one stage.
constexpr unsigned kLongestStage = 48;

/// What ends a step stands by itself: it is not work on rows.
enum class Kind { compute, transfer, clip, update, assign, reduceScatter, allGather };

/// The one operation that a reduction comes after, where a stage of its own begins.
static int64_t bucketOf(Operation *op) {
  ArrayRef<int64_t> waits = getWaits(op);
  return isa<ReduceScatterOp>(op) && !waits.empty() ? waits.front() : -1;
}

static Kind kindOf(Operation *op) {
  return isa<TransferOp>(op)                              ? Kind::transfer
         : isa<SquaredNormOp, ClipScaleOp, UnscaleOp>(op) ? Kind::clip
         : isa<UpdateOp>(op)                              ? Kind::update
         : isa<AssignOp>(op) && !op->hasAttr(kOfPart)     ? Kind::assign
         : isa<ReduceScatterOp>(op)                       ? Kind::reduceScatter
         : isa<AllGatherOp>(op)                           ? Kind::allGather
                                                          : Kind::compute;
}

void divideIntoStages(ProgramOp program) {
  using Key = std::tuple<Kind, int64_t, int64_t, Attribute, bool, bool, int64_t>;
  std::optional<Key> current;
  int64_t number = -1;
  unsigned length = 0;
  Builder builder(program.getContext());
  forEachDirection(program, [&](Operation *op, bool isBackward) {
    if (!isInstruction(op))
      return;
    auto transfer = dyn_cast<TransferOp>(op);
    Key key{kindOf(op),
            getDevice(op).value_or(0),
            transfer ? static_cast<int64_t>(transfer.getFrom()) : -1,
            op->getAttr(kWhen),
            isBackward,
            isPutOff(op),
            bucketOf(op)};
    if (key != current || length == kLongestStage) {
      ++number;
      length = 0;
      current = key;
    }
    ++length;
    op->setAttr(kStage, builder.getI64IntegerAttr(number));
    if (op->hasAttr(kEndsBucket))
      current.reset();
  });
}

std::vector<std::vector<Operation *>> groupByStage(ProgramOp program) {
  std::vector<std::vector<Operation *>> stages;
  for (Operation &op : program.getBlock())
    if (auto number = op.getAttrOfType<IntegerAttr>(kStage)) {
      stages.resize(std::max<size_t>(stages.size(), number.getInt() + 1));
      stages[number.getInt()].push_back(&op);
    }
  return stages;
}

int64_t getRowMultiplications(Operation *op) {
  auto product = [](Value left, Value right, int64_t times) -> int64_t {
    ElementCount count = getElementCount(left.getType());
    return count.perRow || getElementCount(right.getType()).perRow
               ? count.count * times / count.piece.count
               : 0;
  };
  auto last = [](Value value) { return getDimensions(value.getType()).back().getStaticSize(); };
  // A product of queries and keys for each element of what is seen of the queries.
  auto attend = [&](ArrayRef<DimensionAttr> q, ArrayRef<DimensionAttr> k, int64_t products) {
    int64_t elements = 1;
    for (DimensionAttr dimension : q)
      elements *= dimension.getStaticSize();
    bool grows = llvm::any_of(q, [](DimensionAttr dimension) { return dimension.hasBatch(); });
    return grows ? elements * products * k[k.size() - 2].getStaticSize() : 0;
  };
  return llvm::TypeSwitch<Operation *, int64_t>(op)
      .Case([&](LinearOp linear) {
        return product(linear.getX(), linear.getX(), last(linear.getResult()));
      })
      .Case([&](MatmulOp matmul) {
        return product(matmul.getA(), matmul.getB(), last(matmul.getResult()));
      })
      .Case([&](AttentionOp attention) {
        return attend(getSeenDimensions(attention.getQ(), attention.getViews(), 0),
                      getSeenDimensions(attention.getK(), attention.getViews(), 1), 2);
      })
      .Case([&](AttentionGradientOp gradient) {
        return attend(getSeenDimensions(gradient.getQ(), gradient.getViews(), 1),
                      getSeenDimensions(gradient.getK(), gradient.getViews(), 2), 5);
      })
      .Default([](Operation *) -> int64_t { return 0; });
}

static Stage::When whenOf(Operation *op) {
  auto when = op->getAttrOfType<StringAttr>(kWhen);
  return !when                         ? Stage::When::during
         : when.getValue() == "before" ? Stage::When::before
                                       : Stage::When::after;
}

static void insert(llvm::SmallVector<int64_t> &set, int64_t value) {
  if (!llvm::is_contained(set, value))
    set.push_back(value);
}

/// Adds the devices whose memory an operation reads or writes values of a part in. Between devices
/// that share memory a transfer's copy is its source.
static void addTouches(Operation *op, llvm::SmallVector<int64_t> &touches) {
  for (Value result : op->getResults())
    if (isOfPart(result))
      insert(touches, getDevice(op).value_or(0));
  for (Value operand : op->getOperands())
    for (Value source = getSource(operand); source;) {
      if (isOfPart(source))
        insert(touches, getDevice(source.getDefiningOp()).value_or(0));
      auto transfer = source.getDefiningOp<TransferOp>();
      source = transfer ? getSource(transfer.getInput()) : Value();
    }
}

/// A buffer that is set once a part goes from part to part: what reads or sets it does so after the
/// part before has set it. `accesses`: by buffer, its stages, all on its device.
static void followBuffers(ProgramOp program, std::vector<Stage> &stages,
                          const llvm::MapVector<Attribute, llvm::SmallVector<int64_t>> &accesses) {
  for (AssignOp assign : program.getBlock().getOps<AssignOp>()) {
    auto stage = assign->getAttrOfType<IntegerAttr>(kStage);
    if (!stage || !assign->hasAttr(kOfPart))
      continue;
    for (int64_t other : accesses.lookup(assign.getParameterAttr()))
      insert(stages[other].follows, stage.getInt());
  }
}

namespace {

/// What replicas add up or gather of a device, and the stage that does.
struct Reduced {
  int64_t device;
  BufferAttr place;
  int64_t size; // as offsets of the region count
  int64_t stage;

  bool holds(Value value) const {
    Operation *op = value.getDefiningOp();
    BufferAttr other = op && getDevice(op) == device ? getPlace(value) : BufferAttr();
    return other && other.getRegion() == place.getRegion() &&
           other.getOffset() >= place.getOffset() && other.getOffset() < place.getOffset() + size;
  }
};

} // namespace

template <typename Op> static void addReduced(Operation *op, std::vector<Reduced> &all) {
  if (auto collective = dyn_cast<Op>(op)) {
    BufferAttr place = collective.getPlace();
    uint64_t unit =
        place.getRegion() == RegionKind::fixed ? getElementBytes(collective.getElement()) : 1;
    all.push_back({getDevice(op).value_or(0), place,
                   static_cast<int64_t>(collective.getCount() * unit),
                   op->template getAttrOfType<IntegerAttr>(kStage).getInt()});
  }
}

std::vector<Stage> readStages(ProgramOp program) {
  std::vector<Stage> stages;
  std::vector<Reduced> reductions;                                 // so far
  llvm::MapVector<Attribute, llvm::SmallVector<int64_t>> accesses; // of buffers and parameters
  std::vector<int64_t> stageOf;                                    // by order
  forEachDirection(program, [&](Operation *op, bool isBackward) {
    auto number = op->getAttrOfType<IntegerAttr>(kStage);
    if (!number || !isInstruction(op))
      return;
    size_t index = number.getInt();
    if (index >= stages.size()) {
      stages.resize(index + 1);
      Stage &stage = stages.back();
      auto transfer = dyn_cast<TransferOp>(op);
      stage.device = getDevice(op).value_or(0);
      stage.from = transfer ? static_cast<int64_t>(transfer.getFrom()) : -1;
      stage.when = whenOf(op);
      stage.backward = isBackward;
      stage.weights = isPutOff(op);
      stage.reduces = isa<ReduceScatterOp>(op);
      stage.cost = transfer ? 0 : 1;
    }
    Stage &stage = stages[index];
    stage.cost += getRowMultiplications(op);
    stage.sums |= op->hasAttr(kAccumulate);
    addTouches(op, stage.touches);
    for (Value operand : op->getOperands())
      if (auto read = operand.getDefiningOp<ReadOp>())
        insert(accesses[read.getParameterAttr()], static_cast<int64_t>(index));
    if (auto assign = dyn_cast<AssignOp>(op))
      insert(accesses[assign.getParameterAttr()], static_cast<int64_t>(index));
    stageOf.resize(std::max<size_t>(stageOf.size(), getOrder(op) + 1), -1);
    stageOf[getOrder(op)] = static_cast<int64_t>(index);
    for (int64_t wait : getWaits(op))
      if (wait >= 0 && wait < static_cast<int64_t>(stageOf.size()) && stageOf[wait] >= 0 &&
          stageOf[wait] != static_cast<int64_t>(index))
        insert(stage.waits, stageOf[wait]);
    // What another device reads of a sum over the replicas it reads when that is complete.
    for (Value operand : op->getOperands())
      for (const Reduced &reduced : reductions)
        if (Value source = getSource(operand);
            source && reduced.stage != static_cast<int64_t>(index) && reduced.holds(source))
          insert(stage.waits, reduced.stage);
    addReduced<ReduceScatterOp>(op, reductions);
    addReduced<AllGatherOp>(op, reductions);
  });
  followBuffers(program, stages, accesses);
  // Waits count on each stream of a device, and on the transfers of either side, to be carried out
  // in order. What is put off has a stream of its own.
  llvm::DenseMap<int64_t, int64_t> lastOn[2], lastMoving, lastReduced;
  for (size_t index = 0; index < stages.size(); ++index) {
    Stage &stage = stages[index];
    auto follow = [&](const llvm::DenseMap<int64_t, int64_t> &last, int64_t device) {
      if (auto known = last.find(device); known != last.end())
        insert(stage.waits, known->second);
    };
    if (stage.reduces) { // as soon as what it adds up is complete
      follow(lastReduced, stage.device);
      lastReduced[stage.device] = static_cast<int64_t>(index);
    } else {
      follow(lastOn[stage.weights], stage.device);
    }
    if (stage.isTransfer())
      for (int64_t device : {stage.from, stage.device}) {
        follow(lastMoving, device);
        lastMoving[device] = static_cast<int64_t>(index);
      }
    lastOn[stage.weights][stage.device] = static_cast<int64_t>(index);
  }
  return stages;
}

} // namespace mparc::mp
