// Facts about operations that only the steps around the schedule know.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace mparc::mp {

/// On an operation of the backward pass: no transfer waits for it, as for the gradient of a weight.
inline constexpr llvm::StringLiteral kWeights = "mp.weights";
/// On mp.training: the bytes of gradients that replicas add up at once.
inline constexpr llvm::StringLiteral kBucketBytes = "mp.bucket_bytes";
/// Parameters are padded to this many floats, so that each begins at a multiple of 64 bytes.
inline constexpr int64_t kParameterFloats = 16;

} // namespace mparc::mp
