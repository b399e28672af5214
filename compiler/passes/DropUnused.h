// What passes leave behind.
#pragma once

#include "dialect/MpDialect.h"

namespace mparc::mp {

/// Erases the operations whose results nothing reads, and those that only they read.
void dropUnused(mlir::Block &block);

} // namespace mparc::mp
