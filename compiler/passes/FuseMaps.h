// Element-wise operations as loops, and loops into one another: the two halves of mp-fuse that
// concern `mp.map`.
#pragma once

#include "dialect/MpDialect.h"

namespace mparc::mp {

/// Turns every element-wise operation into a map of its own; broadcasts become the operands' maps,
/// and constants, extents, iotas and masks operations of the body.
void makeMaps(mlir::Block &block);

/// Makes each map whose one reader is a map of the same shape on the same device, read in order,
/// part of that one.
void mergeMaps(mlir::Block &block);

} // namespace mparc::mp
