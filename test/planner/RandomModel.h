// Random models over random devices, for what must hold of all of them.
#pragma once

#include "driver/Pipeline.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <string>

namespace mparc {

/// How large, and how placed.
struct RandomModelOptions {
  int operations = 12; // of the forward pass, about
  int devices = 4;
  int widest = 96; // features of a row
};

/// The text of a model in the phase graph, with a program @train: linear layers, some called twice,
/// element-wise operations, skip connections, concatenations, slices and reductions, each on a
/// random device.
std::string makeRandomModel(uint64_t seed, const RandomModelOptions &options);

/// Parses a model and takes it from the graph to `phase` by the compiler's own passes; null where a
/// verifier refuses it.
mlir::OwningOpRef<mlir::ModuleOp> compile(mlir::MLIRContext &context, const std::string &text,
                                          Phase phase);

/// How many random programs a test runs, and the first seed: from the environment, else `programs`
/// and a fixed seed.
int countOfPrograms(int programs);
uint64_t firstSeed();

} // namespace mparc
