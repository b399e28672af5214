// The stages of a program: what of its instructions is scheduled as one.
#pragma once

#include "dialect/MpDialect.h"
#include "planner/Microbatches.h"

#include <vector>

namespace mparc::mp {

/// On the operation with which gradients are complete that go to the other replicas by themselves:
/// its stage ends there.
inline constexpr llvm::StringLiteral kEndsBucket = "mp.ends_bucket";

/// Numbers the instructions of a planned program by stage (`mp.stage`): maximal runs on one device,
/// of one direction and standing towards the microbatches, of what is put off or what is not; each
/// run of transfers between two devices is one, and so is what updates parameters. A long run is
/// several, so that each can be one function that is read without scrolling.
void divideIntoStages(ProgramOp program);

/// The stages of a program that has been divided, with what each waits for.
std::vector<Stage> readStages(ProgramOp program);

/// The instructions of each stage of a program that has been divided, in order.
std::vector<std::vector<mlir::Operation *>> groupByStage(ProgramOp program);

/// Multiplications of matrix products that grow with the rows, a row; 0 for other operations.
int64_t getRowMultiplications(mlir::Operation *op);

} // namespace mparc::mp
