// The proof that turns do not meet in memory.
#pragma once

#include "planner/Microbatches.h"
#include "planner/StageMemory.h"

namespace mparc::mp {

/// Why two turns may touch the same bytes of an arena at once, or in another order than that of the
/// program, one of them writing; or nothing. That order is: what stands before the microbatches,
/// these one after the other, what stands after them. So a plan that passes gives the bytes that
/// carrying out the program like that gives. Where microbatches have the same slot, all that the
/// later one touches there must come after all that the earlier one does.
/// `memory`: by stage; of `replicas`, those of one follow those of the one before, and carry out
/// each stage one after the other. `plan` must have passed checkTurns. Takes time in proportion to
/// turns and ranges.
std::optional<std::string> checkTurnMemory(llvm::ArrayRef<Stage> stages,
                                           llvm::ArrayRef<PlannedTurn> plan,
                                           llvm::ArrayRef<int64_t> slots, int64_t microbatches,
                                           llvm::ArrayRef<StageMemory> memory,
                                           int64_t replicas = 1);

/// The memory of the stages of all replicas: what each adds up over all of them and fetches of
/// theirs are ranges that it reads and writes. `trainedFloats`: by device, of which all gradients
/// and parameters are shared out; other ranges are by themselves.
std::vector<StageMemory> replicateMemory(llvm::ArrayRef<StageMemory> memory, int64_t replicas,
                                         llvm::ArrayRef<int64_t> trainedFloats);

} // namespace mparc::mp
