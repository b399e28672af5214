// Checks gradients against central finite differences of the loss, in double.
#pragma once

#include "interpreter/Interpreter.h"

namespace mparc::interpreter {

struct GradientCheckOptions {
  int64_t elements = 64;   // at most so many of a parameter, spread over it
  double tolerance = 1e-6; // of the larger of 1 and the gradient's largest element
  double step = 1e-5;      // first step, relative to the larger of 1 and the element
};

/// How far a parameter's gradient is from the differences.
struct GradientCheck {
  std::string parameter;
  int64_t checked = 0;
  int64_t skipped = 0; // where every step crossed a kink
  double worst = 0;    // largest difference, relative as `tolerance` is
  int64_t index = 0;   // where; and what stood there
  double computed = 0, expected = 0;
  bool passed = true;
};

/// Checks every parameter of the model that `@train` gives a gradient. `inputs` hold doubles.
///
/// Two runs whose traces are equal evaluate one smooth function; a step over a kink is therefore
/// seen, and made smaller. An element at the very kink is skipped and counted. Fails with
/// diagnostics where the program cannot be run, or gives no scalar.
mlir::FailureOr<std::vector<GradientCheck>> checkGradients(mp::ModelOp model, const Inputs &inputs,
                                                           const RunOptions &run,
                                                           const GradientCheckOptions &options);

} // namespace mparc::interpreter
