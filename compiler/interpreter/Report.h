// What mp-run says of a run: named tensors, as numbers or hashes, and how far they are from others.
#pragma once

#include "interpreter/Inputs.h"

namespace mparc::interpreter {

/// The tensors of an outcome under the names that mp-run prints: `loss`, `output`, `gradient
/// <path>`.
std::vector<std::pair<std::string, const Tensor *>> nameTensors(const Outcome &outcome,
                                                                llvm::StringRef program);

/// Prints a line a tensor: scalars as numbers; others as a hash of their bits, or with `values` all
/// their numbers.
void printOutcome(llvm::raw_ostream &out, const Outcome &outcome, llvm::StringRef program,
                  int64_t realBytes, bool values);

/// Compares the tensors that `expected` names with their numbers; prints a line for each that is
/// further off than `tolerance` times the larger of its largest element and `tolerance`. Returns
/// how many tensors were compared, or nothing where one differs or a gradient, the loss or the
/// output is named that the outcome lacks.
std::optional<int64_t> compareOutcome(llvm::raw_ostream &out, const Outcome &outcome,
                                      llvm::StringRef program, const NamedNumbers &expected,
                                      double tolerance);

/// The first difference in bits between two outcomes, in words; empty where there is none. Outcomes
/// may lack gradients that the other has, which `onlyCommon` ignores. With a `tolerance` elements
/// may differ by that part of their tensor's largest.
std::string describeDifference(const Outcome &a, const Outcome &b, llvm::StringRef program,
                               bool onlyCommon = false, double tolerance = 0);

} // namespace mparc::interpreter
