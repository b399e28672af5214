//===- Frontend.h - From text to the graph ----------------------------------===//

#ifndef MPARC_FRONTEND_FRONTEND_H
#define MPARC_FRONTEND_FRONTEND_H

#include "frontend/HeaderReader.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <utility>
#include <vector>

namespace llvm {
class SourceMgr;
} // namespace llvm

namespace mparc {

struct FrontendOptions {
  /// Holds the standard library's .mp files.
  std::string stdlibDirectory;
  /// `--set name=value`: a parameter of the model, or a free name of its dimensions; the value is
  /// an expression of the language.
  std::vector<std::pair<std::string, std::string>> settings;
  /// `--loss mse`: entries that replace those of the train block; values are expressions.
  std::vector<std::pair<std::string, std::string>> trainEntries;
  /// The model to compile; empty: the one with a train block, else the only one.
  std::string modelName;
  /// Ignores `@recompute`, for reports of what it saves.
  bool keepActivations = false;
  /// Reads the headers that `extern` names; null: operations of headers are refused.
  HeaderReader readHeader;
};

/// Checks the file in `mainBuffer`, with what it imports, and builds the model's graph: a module of
/// one mp.model, in the phase graph, verified. Files imported, the standard library and options are
/// added to `sources`. Errors go to the context's diagnostics, all of a run, in source order; after
/// any, the result is null.
mlir::OwningOpRef<mlir::ModuleOp> buildGraph(mlir::MLIRContext &context, llvm::SourceMgr &sources,
                                             unsigned mainBuffer, const FrontendOptions &options);

} // namespace mparc

#endif // MPARC_FRONTEND_FRONTEND_H
