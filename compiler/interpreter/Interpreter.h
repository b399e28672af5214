// Executes programs of a model in process, in any phase, over plain reference kernels.
//
// In phases before calls every value has memory of its own; in calls values lie where the memory
// plan puts them, so that a wrong plan gives wrong numbers. The scalar is float, as in emitted
// programs, or double, for finite differences. Sums are taken in ascending order of their elements,
// and where mp-cut-rows cuts a batch part by part: results do not depend on the placement.
#pragma once

#include "interpreter/Storage.h"

namespace mparc::interpreter {

/// What a program works on.
struct Inputs {
  std::vector<Tensor> arguments;      // of the program, in order
  llvm::StringMap<Tensor> parameters; // of the model, by name
};

struct RunOptions {
  /// Of a batch that is cut: a few rows at a time; microbatch by microbatch; or, in the phase
  /// calls, as the schedule has it, each microbatch in the memory that it gives it.
  enum class Order { parts, microbatches, turns } order = Order::parts;
  int64_t rows = 4;
  int64_t largestBatch = 0;    // of arenas, rounded up as at run time; 0: just `rows`
  uint64_t seed = 0;           // of dropout
  uint64_t step = 1;           // of dropout
  double lossScale = 65536;    // where the program scales its loss
  bool aliasTransfers = false; // a transfer is no copy, as between devices that share memory
  bool poisonDead = false;     // fill a buffer with NaN after its last use
  bool forwardOnly = false;    // skip what neither the returned values nor a caller needs
  Trace *trace = nullptr;      // notes decisions at kinks
};

/// What a program gave.
struct Outcome {
  std::vector<Tensor> returned;
  std::vector<std::pair<std::string, Tensor>> gradients; // in the model's order of parameters
  std::optional<Tensor> scale;                           // of the gradients, where they are clipped
  std::vector<std::pair<std::string, Tensor>> buffers;   // that were set, in the same order
};

/// Runs a program of the model, `train`, `evaluate` or `predict`. Scalar is float or double, and
/// what the tensors of `inputs` hold. Fails with diagnostics at the operation that could not be
/// run. Updates of parameters are not carried out, and gradients are those before clipping,
/// of the loss that is not scaled.
template <typename Scalar>
mlir::FailureOr<Outcome> run(mp::ModelOp model, llvm::StringRef program, const Inputs &inputs,
                             const RunOptions &options);

/// The program of that name, or null.
mp::ProgramOp findProgram(mp::ModelOp model, llvm::StringRef name);

} // namespace mparc::interpreter
