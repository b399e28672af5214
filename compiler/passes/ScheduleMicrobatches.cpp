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
// are several devices or microbatches, `mp.turns` and `mp.microbatches` on it. Where there are
// microbatches, `slots` and `microbatches` in `mp.devices`: how many have values on a device at
// once, of how many; and `output_row_bytes`, the bytes of a row of the output where it lies, or
// `evaluates_whole`, where evaluation is not cut into microbatches.
#include "passes/Passes.h"
#include "planner/Replicas.h"
#include "planner/Stages.h"
#include "planner/Streams.h"

namespace mparc::mp {
#define GEN_PASS_DEF_SCHEDULEMICROBATCHES
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class ScheduleMicrobatches
    : public mparc::mp::impl::ScheduleMicrobatchesBase<ScheduleMicrobatches> {
  void runOnOperation() override;
};

} // namespace

static ProgramOp findTrain(ModelOp model) {
  for (ProgramOp program : model.getBody().getOps<ProgramOp>())
    if (program.getSymName() == "train")
      return program;
  return {};
}

namespace {

/// What the programs that do not train need: whether one of them has all rows of a batch at once,
/// or else which device keeps their output, and the bytes of a row.
struct Evaluation {
  bool whole = false;
  int64_t device = -1, rowBytes = 0;
};

} // namespace

static Evaluation findEvaluation(ModelOp model) {
  Evaluation found;
  for (ProgramOp program : model.getBody().getOps<ProgramOp>()) {
    if (program.getSymName() == "train")
      continue;
    if (!program->hasAttr(kRowsAPart))
      return {true};
    Value output = program.getBlock().getTerminator()->getOperand(0);
    found.device = getDevice(getProducer(output)).value_or(0);
    found.rowBytes = getElementCount(output.getType()).count *
                     getElementBytes(getElementTypeOrSelf(output.getType()));
  }
  return found;
}

static void writeSlots(ModelOp model, ArrayRef<int64_t> slots, int64_t microbatches) {
  Builder builder(model.getContext());
  SmallVector<Attribute> devices;
  Evaluation evaluation = findEvaluation(model);
  for (auto [device, count] :
       llvm::zip(model->getAttrOfType<ArrayAttr>("mp.devices").getValue(), slots)) {
    NamedAttrList entries(cast<DictionaryAttr>(device));
    entries.set("slots", builder.getI64IntegerAttr(count));
    entries.set("microbatches", builder.getI64IntegerAttr(microbatches));
    if (evaluation.whole)
      entries.set("evaluates_whole", builder.getUnitAttr());
    else if (evaluation.device == static_cast<int64_t>(devices.size()))
      entries.set("output_row_bytes", builder.getI64IntegerAttr(evaluation.rowBytes));
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
