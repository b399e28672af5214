// Runs a model after each pass of the pipeline and compares every bit of what it gives.
#pragma once

#include "driver/Pipeline.h"
#include "interpreter/Inputs.h"

#include "mlir/IR/BuiltinOps.h"

namespace mparc {

struct ComparisonOptions {
  Phase from = Phase::graph; // the module's phase
  Phase to = Phase::calls;
  interpreter::InputOptions inputs;
  interpreter::RunOptions run;
};

/// What each program of the model gave in the last phase, by the program's name.
using Outcomes = std::vector<std::pair<std::string, interpreter::Outcome>>;

/// Takes the module's model from phase to phase, with all verifiers, and runs its programs in float
/// in each. In calls they run thrice: plainly, with buffers poisoned after their last use, and with
/// transfers that copy nothing. Fails, with a diagnostic that names phase and program, where a pass
/// fails, a program cannot be run, or a bit of a result or gradient changes.
mlir::FailureOr<Outcomes> comparePhases(mlir::ModuleOp module, const ComparisonOptions &options);

} // namespace mparc
