// mp-schedule-microbatches: which stage works on which microbatch when, if every device has a
// worker of its own.
//
// before   %h = mp.linear … {mp.order = 0, mp.device = 0}
//          %h1 = mp.transfer %h from 0 {mp.order = 1, mp.device = 1}
// after    %h = mp.linear … {mp.stage = 0}
//          %h1 = mp.transfer %h from 0 {mp.stage = 1}
//          on the program, of two microbatches: mp.turns = [[0, 0], [0, 1], [1, 0, 0, 1], …]: stage
//          1 of microbatch 0 waits for one turn of device 0
//
// needs    the phase calls.
// gives    `mp.stage` on the instructions of @train, `mp.row_multiplications` on it; where there
// are several devices or microbatches, `mp.turns` and `mp.microbatches` on it, and `slots` and
// `microbatches` in `mp.devices`: the microbatches that have values on a device at once, of how
// many.
#include "passes/Passes.h"
#include "planner/Replicas.h"
#include "planner/Stages.h"

namespace mparc::mp {
#define GEN_PASS_DEF_SCHEDULEMICROBATCHES
#define GEN_PASS_DEF_VERIFYTURNS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class ScheduleMicrobatches
    : public mparc::mp::impl::ScheduleMicrobatchesBase<ScheduleMicrobatches> {
  void runOnOperation() override;
};

class VerifyTurns : public mparc::mp::impl::VerifyTurnsBase<VerifyTurns> {
  void runOnOperation() override;
};

} // namespace

static ProgramOp findTrain(ModelOp model) {
  for (ProgramOp program : model.getBody().getOps<ProgramOp>())
    if (program.getSymName() == "train")
      return program;
  return {};
}

static SmallVector<int64_t> readSlots(ModelOp model) {
  SmallVector<int64_t> slots;
  for (Attribute device : model->getAttrOfType<ArrayAttr>("mp.devices")) {
    auto entry = cast<DictionaryAttr>(device).getAs<IntegerAttr>("slots");
    slots.push_back(entry ? entry.getInt() : 1);
  }
  return slots;
}

static void writeSlots(ModelOp model, ArrayRef<int64_t> slots, int64_t microbatches) {
  Builder builder(model.getContext());
  SmallVector<Attribute> devices;
  for (auto [device, count] :
       llvm::zip(model->getAttrOfType<ArrayAttr>("mp.devices").getValue(), slots)) {
    NamedAttrList entries(cast<DictionaryAttr>(device));
    entries.set("slots", builder.getI64IntegerAttr(count));
    entries.set("microbatches", builder.getI64IntegerAttr(microbatches));
    devices.push_back(entries.getDictionary(model.getContext()));
  }
  model->setAttr("mp.devices", builder.getArrayAttr(devices));
}

void ScheduleMicrobatches::runOnOperation() {
  ModelOp model = getOperation();
  ProgramOp train = findTrain(model);
  if (!train)
    return;
  divideIntoStages(train);
  int64_t work = 0;
  for (Operation &op : train.getBlock())
    work += getRowMultiplications(&op);
  Builder builder(&getContext());
  train->setAttr(kRowMultiplications, builder.getI64IntegerAttr(work));
  int64_t devices = model.getDevices().value_or(1), microbatches = 1, replicas = 1;
  ScheduleKind kind = ScheduleKind::gpipe;
  for (TrainingOp training : model.getBody().getOps<TrainingOp>()) {
    microbatches = training.getMicrobatches();
    replicas = training.getReplicas();
    if (auto known = parseScheduleKind(training.getSchedule())) {
      kind = *known;
    } else {
      training.emitError("unknown schedule ") << training.getScheduleAttr();
      return signalPassFailure();
    }
  }
  // A device by itself has nothing to wait for; microbatches it takes as several do, whose sums it
  // must give.
  if (devices == 1 && microbatches == 1 && replicas == 1)
    return;
  std::vector<Stage> stages = readStages(train);
  std::vector<Turn> order = orderTurns(stages, microbatches, kind);
  SmallVector<int64_t> slots = countSlots(stages, order, microbatches, devices);
  SmallVector<Attribute> turns;
  std::vector<PlannedTurn> plan = planTurns(stages, order, slots, microbatches);
  for (const PlannedTurn &planned : plan) {
    SmallVector<int64_t> numbers{planned.turn.stage, planned.turn.microbatch};
    for (PlannedTurn::Wait wait : planned.waits)
      numbers.append({wait.device, wait.turns});
    turns.push_back(builder.getDenseI64ArrayAttr(numbers));
  }
  train->setAttr(kTurns, builder.getArrayAttr(turns));
  if (replicas > 1)
    writePeerWaits(train, planPeerWaits(stages, findPeerStages(train), plan));
  train->setAttr(kMicrobatches, builder.getI64IntegerAttr(microbatches));
  if (microbatches > 1)
    writeSlots(model, slots, microbatches);
}

void VerifyTurns::runOnOperation() {
  ModelOp model = getOperation();
  ProgramOp train = findTrain(model);
  auto turns = train ? train->getAttrOfType<ArrayAttr>(kTurns) : ArrayAttr();
  auto microbatches = train ? train->getAttrOfType<IntegerAttr>(kMicrobatches) : IntegerAttr();
  if (!turns || !microbatches)
    return;
  std::vector<PlannedTurn> plan;
  for (Attribute turn : turns) {
    auto numbers = dyn_cast<DenseI64ArrayAttr>(turn);
    if (!numbers || numbers.size() < 2 || numbers.size() % 2 != 0) {
      train.emitError("expected a turn's stage, microbatch and waits, got ") << turn;
      return signalPassFailure();
    }
    PlannedTurn planned{{numbers[0], numbers[1]}, {}};
    for (int64_t index = 2; index < numbers.size(); index += 2)
      planned.waits.push_back({numbers[index], numbers[index + 1]});
    plan.push_back(std::move(planned));
  }
  std::vector<Stage> stages = readStages(train);
  SmallVector<int64_t> slots = readSlots(model);
  for (TrainingOp training : model.getBody().getOps<TrainingOp>())
    if (int64_t replicas = training.getReplicas(); replicas > 1) {
      // What is proved is the program of all replicas. More than a few add nothing new: each waits
      // for each in the same way.
      replicas = std::min<int64_t>(replicas, 4);
      int64_t devices = static_cast<int64_t>(slots.size());
      plan = replicateTurns(plan, readPeerWaits(train), replicas,
                            static_cast<int64_t>(stages.size()), devices);
      stages = replicateStages(stages, findPeerStages(train), replicas, devices);
      SmallVector<int64_t> own = slots;
      for (int64_t replica = 1; replica < replicas; ++replica)
        llvm::append_range(slots, own);
    }
  if (auto error = checkTurns(stages, plan, slots, microbatches.getInt())) {
    train.emitError(*error);
    return signalPassFailure();
  }
}
