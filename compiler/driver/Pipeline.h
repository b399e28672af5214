// The one list of passes from the graph to calls.
#pragma once

#include "mlir/Pass/PassManager.h"

#include <optional>

namespace mparc {

/// The phases of the dialect, in order; what holds in each stands in compiler/dialect/MpBase.td.
enum class Phase { graph, grad, placed, split, inserted, transferred, fused, scheduled, calls };

inline constexpr Phase kPhases[] = {Phase::graph, Phase::grad,      Phase::placed,
                                    Phase::split, Phase::inserted,  Phase::transferred,
                                    Phase::fused, Phase::scheduled, Phase::calls};

/// The name of a phase, as flags spell it.
llvm::StringRef getName(Phase phase);
std::optional<Phase> findPhase(llvm::StringRef name);

/// Adds the passes that take a module from the phase `from` to the phase `to`, later or the same,
/// with a verifier at every border.
void addPasses(mlir::OpPassManager &passes, Phase from, Phase to);

/// Adds the passes that make the phase calls ready to be printed as C++.
void addEmissionPasses(mlir::OpPassManager &passes);

} // namespace mparc
