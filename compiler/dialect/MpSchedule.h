// Facts about operations that only the steps around the schedule know.
#pragma once

#include "llvm/ADT/StringRef.h"

namespace mparc::mp {

/// On an operation of the backward pass: no transfer waits for it, as for the gradient of a weight.
inline constexpr llvm::StringLiteral kWeights = "mp.weights";

} // namespace mparc::mp
