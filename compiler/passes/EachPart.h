// What a program has that is of each part of the batch by itself: the statistics of its rows, and
// buffers that go from part to part.
#pragma once

#include "dialect/MpDialect.h"

namespace mparc::mp {

/// Whether a program combines rows before the loss, or sets a buffer, in a layer that does so for
/// each part of a batch by itself (`mp.each_part`).
bool isOfEachPart(ProgramOp program);

/// Makes of a program for whose parts that is so one that can be carried out part by part:
/// - what is computed of a part's rows, but has none itself, is marked `mp.of_part`;
/// - buffers are set where their new value is known, and read but once a part, into a copy;
/// - what reaches the gradient of a parameter from such values is summed over the parts first.
/// Fails, with a diagnostic that names `wanted`, what the batch is cut for, where a layer that does
/// not say so combines rows.
mlir::LogicalResult separateParts(ProgramOp program, llvm::StringRef wanted);

/// That error, at an operation.
mlir::LogicalResult refuseToCut(mlir::Operation *op, llvm::StringRef wanted);

} // namespace mparc::mp
