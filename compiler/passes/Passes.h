// The passes of mparc: how to make each, and how to register all with mp-opt.
#pragma once

#include "dialect/MpDialect.h"

#include "mlir/Pass/Pass.h"

namespace mparc::mp {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

} // namespace mparc::mp
