// Schedules of a program that several replicas carry out, each on devices of its own.
#pragma once

#include "dialect/MpDialect.h"
#include "planner/Microbatches.h"

#include <vector>

namespace mparc::mp {

/// What a stage waits for in all other replicas: that their device of this number has finished so
/// many turns.
struct PeerWait {
  int64_t stage;
  int64_t device;
  int64_t turns;
};

/// By stage: the stages that must have finished in the other replicas too. A reduction needs what
/// they have summed over their rows; a gathering their shares of it, or the parameters they have
/// updated; whatever may write where others still gather from waits until they have done so.
using PeerStages = std::vector<llvm::SmallVector<int64_t>>;
PeerStages findPeerStages(ProgramOp train);

/// Those waits, by the order of turns of one replica.
std::vector<PeerWait> planPeerWaits(llvm::ArrayRef<Stage> stages, const PeerStages &peers,
                                    llvm::ArrayRef<PlannedTurn> plan);
void writePeerWaits(ProgramOp train, llvm::ArrayRef<PeerWait> waits);
std::vector<PeerWait> readPeerWaits(ProgramOp train);

/// The stages and turns of all replicas, as the runtime carries them out: every turn of one replica
/// is followed by the same turn of the next.
std::vector<Stage> replicateStages(llvm::ArrayRef<Stage> stages, const PeerStages &peers,
                                   int64_t replicas, int64_t devices);
std::vector<PlannedTurn> replicateTurns(llvm::ArrayRef<PlannedTurn> plan,
                                        llvm::ArrayRef<PeerWait> waits, int64_t replicas,
                                        int64_t stages, int64_t devices);

} // namespace mparc::mp
