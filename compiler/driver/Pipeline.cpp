// The pipeline: what each step does, and why it stands where it does. No logic lives here.
#include "driver/Pipeline.h"

#include "emit/Emit.h"
#include "passes/Passes.h"

#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc {

llvm::StringRef getName(Phase phase) {
  switch (phase) {
  case Phase::graph:
    return "graph";
  case Phase::grad:
    return "grad";
  case Phase::placed:
    return "placed";
  case Phase::split:
    return "split";
  case Phase::inserted:
    return "inserted";
  case Phase::transferred:
    return "transferred";
  case Phase::fused:
    return "fused";
  case Phase::scheduled:
    return "scheduled";
  case Phase::calls:
    return "calls";
  }
  llvm_unreachable("all phases are listed");
}

std::optional<Phase> findPhase(llvm::StringRef name) {
  for (Phase phase : kPhases)
    if (getName(phase) == name)
      return phase;
  return std::nullopt;
}

/// The passes that lead from the phase before `phase` to it.
static void addStep(OpPassManager &passes, Phase phase) {
  OpPassManager &model = passes.nest<ModelOp>();
  switch (phase) {
  case Phase::graph:
    // First, as it says which numbers the phases are to compute.
    model.addPass(createRoundProducts());
    // Border: primitives only, every size known up to the batch.
    model.addPass(createVerifyGraph());
    return;
  case Phase::grad:
    // Before all that makes operations: gradients and copies are called after what they are of.
    model.addPass(emit::createNameGraphPass());
    // Before placement, so that what decides rounding (the order in which gradients are summed) is
    // decided on the unplaced graph.
    model.addPass(createDifferentiate());
    // While adjoints are tied to their operations, and before placement, so that copies are placed
    // with what they repeat.
    model.addPass(createRecompute());
    // After differentiation, which makes the gradients; before placement, which must not decide the
    // order in which their norms are summed.
    model.addPass(createClipGradients());
    return;
  case Phase::placed:
    // After differentiation, as an adjoint lives where the operation does that it is the adjoint
    // of.
    model.addPass(createPlace());
    // Border: every operation but constants has its device.
    model.addPass(createVerifyPlaced());
    return;
  case Phase::split:
    // After placement, which says what a group computes; before transfers, which move the pieces.
    model.addPass(createSplit());
    // Border: every operation has one device.
    model.addPass(createVerifySplit());
    return;
  case Phase::inserted:
    // One transfer before each use: plainly right, so that saving them is a pass of its own.
    model.addPass(createInsertTransfers());
    model.addPass(createVerifyTransferred());
    return;
  case Phase::transferred:
    // Needs the transfers fresh: it sees which of them move the same value.
    model.addPass(createElideTransfers());
    // Border: an operation and its operands are on one device. No pass adds a transfer after this.
    model.addPass(createVerifyTransferred());
    return;
  case Phase::fused:
    // After transfers, which end chains; only what leaves every bit as it is.
    model.addPass(createFuse());
    // Fusion copies scalar expressions into bodies; what a device computes twice it computes once.
    model.addPass(createCSEPass());
    // After fusion, which takes up the permutes that loops can read through; what is left are
    // copies.
    model.addPass(createFoldViews());
    // After fusion, which sees neighbours that this one moves apart; before the order is fixed.
    model.addPass(createCutRows());
    // After the rows are cut, as what stands after the parts is put off already; before the order
    // is fixed.
    model.addPass(createSplitBackward());
    model.addPass(createVerifyTransferred());
    return;
  case Phase::scheduled:
    // After fusion: what it orders are the instructions that will be issued.
    model.addPass(createSchedule());
    // Border: the order can be carried out without deadlock.
    model.addPass(createVerifyScheduled());
    return;
  case Phase::calls:
    // Last, as lifetimes follow from the total order.
    model.addPass(createPlanMemory());
    // Border: every value has its place, and no two alive at once overlap.
    model.addPass(createVerifyScheduled());
    model.addPass(createVerifyCalls());
    // After the memory plan, which knows where the gradients lie.
    model.addPass(createReduceReplicas());
    // After the memory plan, whose reuse of memory adds to what a stage waits for.
    model.addPass(createScheduleMicrobatches());
    // Border: the order of turns is proved again, by who did not make it.
    model.addPass(createVerifyTurns());
    return;
  }
}

void addPasses(OpPassManager &passes, Phase from, Phase to) {
  for (Phase phase : kPhases)
    if ((phase > from || phase == Phase::graph) && phase >= from && phase <= to)
      addStep(passes, phase);
}

void addEmissionPasses(OpPassManager &passes) {
  OpPassManager &model = passes.nest<ModelOp>();
  // Divides programs into functions, which decide what is a local and what a member.
  model.addPass(emit::createPrepareEmissionPass());
  // Last, so that no value is without a name when the printer meets it.
  model.addPass(emit::createNameValuesPass());
}

} // namespace mparc
