// mp-verify-turns: the last border of what workers carry out. Turns can all be carried out, and no
// two of them meet in memory, whatever devices share a worker; of several replicas, those of all.
#include "passes/Passes.h"
#include "planner/Replicas.h"
#include "planner/Stages.h"
#include "planner/TurnMemory.h"

namespace mparc::mp {
#define GEN_PASS_DEF_VERIFYTURNS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class VerifyTurns : public mparc::mp::impl::VerifyTurnsBase<VerifyTurns> {
  void runOnOperation() override;
};

/// What is proved: stages with their memory, and the turns they take.
struct Claim {
  std::vector<Stage> stages;
  std::vector<PlannedTurn> plan;
  SmallVector<int64_t> slots;
  std::vector<StageMemory> memory;
  int64_t replicas = 1;
};

} // namespace

/// A number that each device has in `mp.devices`.
static SmallVector<int64_t> readNumbers(ModelOp model, StringRef name, int64_t otherwise) {
  SmallVector<int64_t> numbers;
  for (Attribute device : model->getAttrOfType<ArrayAttr>("mp.devices")) {
    auto entry = cast<DictionaryAttr>(device).getAs<IntegerAttr>(name);
    numbers.push_back(entry ? entry.getInt() : otherwise);
  }
  return numbers;
}

static LogicalResult readPlan(ProgramOp train, ArrayAttr turns, std::vector<PlannedTurn> &plan) {
  for (Attribute turn : turns) {
    auto numbers = dyn_cast<DenseI64ArrayAttr>(turn);
    if (!numbers || numbers.size() < 2 || numbers.size() % 2 != 0)
      return train.emitError("expected a turn's stage, microbatch and waits, got ") << turn;
    PlannedTurn planned{{numbers[0], numbers[1]}, {}};
    for (int64_t index = 2; index < numbers.size(); index += 2)
      planned.waits.push_back({numbers[index], numbers[index + 1]});
    plan.push_back(std::move(planned));
  }
  return success();
}

/// Makes of a claim about one replica that about all. What is proved is the program of up to four.
/// Two would do, however many there are. All replicas take the same turns and wait for the same
/// number of them in each other one, on the device that waits: what a replica would so wait for in
/// itself, its own device has behind it. So a way through streams and waits from a turn to another
/// leads there, too, if all replicas but the first's are taken for one, and whether two turns are
/// ordered depends only on whether they are of one replica. And whatever meets in memory meets
/// among two: only its owner writes to an arena, and of two shares of a range one has the bytes in
/// question, as one of many has. `MoreReplicasAddNoKindOfOrder` and `OfMoreReplicasIsProvedAlike`
/// hold it for up to eight.
static LogicalResult replicate(Claim &claim, ModelOp model, ProgramOp train, int64_t replicas) {
  for (PeerWait wait : readPeerWaits(train))
    if (wait.stage < 0 || wait.stage >= static_cast<int64_t>(claim.stages.size()) ||
        claim.stages[wait.stage].device != wait.device)
      return train.emitError("stage ") << wait.stage << " waits in other replicas for device "
                                       << wait.device << ", which is not its own";
  claim.replicas = std::min<int64_t>(replicas, 4);
  int64_t devices = static_cast<int64_t>(claim.slots.size());
  claim.memory =
      replicateMemory(claim.memory, claim.replicas, readNumbers(model, "trained_floats", 0));
  claim.plan = replicateTurns(claim.plan, readPeerWaits(train), claim.replicas,
                              static_cast<int64_t>(claim.stages.size()), devices);
  claim.stages = replicateStages(claim.stages, findPeerStages(train), claim.replicas, devices);
  SmallVector<int64_t> own = claim.slots;
  for (int64_t replica = 1; replica < claim.replicas; ++replica)
    llvm::append_range(claim.slots, own);
  return success();
}

void VerifyTurns::runOnOperation() {
  ModelOp model = getOperation();
  for (ProgramOp train : model.getBody().getOps<ProgramOp>()) {
    auto turns = train->getAttrOfType<ArrayAttr>(kTurns);
    auto microbatches = train->getAttrOfType<IntegerAttr>(kMicrobatches);
    if (!turns || !microbatches)
      continue;
    Claim claim;
    if (failed(readPlan(train, turns, claim.plan)))
      return signalPassFailure();
    claim.stages = readStages(train);
    claim.slots = readNumbers(model, "slots", 1);
    claim.memory = findStageMemory(train, /*shared=*/true);
    for (TrainingOp training : model.getBody().getOps<TrainingOp>())
      if (int64_t replicas = training.getReplicas();
          replicas > 1 && failed(replicate(claim, model, train, replicas)))
        return signalPassFailure();
    auto error = checkTurns(claim.stages, claim.plan, claim.slots, microbatches.getInt());
    if (!error)
      error = checkTurnMemory(claim.stages, claim.plan, claim.slots, microbatches.getInt(),
                              claim.memory, claim.replicas);
    if (error) {
      train.emitError(*error);
      return signalPassFailure();
    }
  }
}
