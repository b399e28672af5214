// The parts of an emitted file that state facts: its head, and the description the runtime reads.
#pragma once

#include "emit/Emit.h"
#include "emit/Text.h"

#include "llvm/Support/raw_ostream.h"

namespace mparc::emit {

/// What the file is, what it was made of, and what each device holds.
void printHead(const ModelIndex &index, const EmitOptions &options, llvm::raw_ostream &out);
/// The static member function `describe`.
void printDescription(const ModelIndex &index, const EmitOptions &options, llvm::raw_ostream &out);

} // namespace mparc::emit
