// Runs a model after each pass of the pipeline and compares every bit of what it gives.
#pragma once

#include "driver/Pipeline.h"
#include "interpreter/Inputs.h"

#include "mlir/IR/BuiltinOps.h"

#include <functional>

namespace mparc {

struct ComparisonOptions {
  Phase from = Phase::graph; // the module's phase
  Phase to = Phase::calls;
  interpreter::InputOptions inputs;
  interpreter::RunOptions run;
  /// Called in each phase, where given; what it refuses fails the comparison.
  std::function<mlir::LogicalResult(Phase, mp::ModelOp)> inspect;
};

/// What each program of the model gave in the last phase, by the program's name.
/// Inputs of programs, by name.
using KeptInputs = llvm::StringMap<interpreter::Inputs>;
using Outcomes = std::vector<std::pair<std::string, interpreter::Outcome>>;

/// Runs every program of the module's model in float.
mlir::FailureOr<Outcomes> runPrograms(mlir::ModuleOp module,
                                      const interpreter::InputOptions &inputs,
                                      const interpreter::RunOptions &run,
                                      KeptInputs *kept = nullptr);

/// The first difference in bits between what programs of the same names gave; empty where there is
/// none. With `onlyCommon` gradients that one side lacks do not count.
std::string describeDifference(const Outcomes &a, const Outcomes &b, bool onlyCommon = false,
                               double tolerance = 0);

/// What results may differ by, of the largest element, where the devices of a group add up terms of
/// a sum that the unsplit program adds up in another order; 0 where none do. Where numbers are
/// rounded to bf16 or f16, the last bit of such a sum may decide which way: then it is a unit of
/// these.
double toleranceOfSums(mp::ModelOp model);

/// Takes the module's model from phase to phase, with all verifiers, and runs its programs in float
/// in each. In calls they run thrice: plainly, with buffers poisoned after their last use, and with
/// transfers that copy nothing. Fails, with a diagnostic that names phase and program, where a pass
/// fails, a program cannot be run, or a bit of a result or gradient changes.
mlir::FailureOr<Outcomes> comparePhases(mlir::ModuleOp module, const ComparisonOptions &options);

} // namespace mparc
