// From a model's text to a phase of its compilation, and to C++.
#pragma once

#include "driver/Files.h"
#include "driver/Options.h"
#include "driver/Pipeline.h"
#include "emit/Emit.h"
#include "frontend/Frontend.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/SourceMgr.h"

namespace mparc {

/// One model on its way through the compiler. Errors are reported where they happen.
class Compilation {
public:
  Compilation(const Options &options, const Installation &installation);

  /// Reads the model's file. False after an error.
  bool open();
  /// Checks the text against its `expected-error` comments; the exit status.
  int verifyDiagnostics();
  /// The syntax tree as text; nothing after an error.
  std::optional<std::string> printSyntaxTree();
  /// Runs the front end and the passes up to a phase, and holds the result to `--devices` and
  /// `--memory`. False after an error.
  bool compileTo(Phase phase);
  /// Divides the phase calls into the functions that are emitted, and names what they hold. False
  /// after an error.
  bool prepareEmission();
  /// Prepares, prints, formats and, where asked, reads back the phase calls. Nothing after an
  /// error.
  std::optional<emit::EmittedText> emit(const emit::EmitOptions &how);

  /// After compileTo.
  mp::ModelOp model();
  mlir::ModuleOp module() { return *tree; }

private:
  bool runPasses(mlir::PassManager &passes);
  FrontendOptions frontendOptions();
  /// Whether no file that is to be written has been read, as an import or a header of operations
  /// may have been.
  bool checkWritten();
  bool checkDevices();
  bool checkMemory();

  const Options &options;
  const Installation &installation;
  mlir::MLIRContext context;
  llvm::SourceMgr sources;
  unsigned buffer = 0;
  mlir::OwningOpRef<mlir::ModuleOp> tree;
  std::vector<std::string> headers; // that have been read, with what they include
};

} // namespace mparc
