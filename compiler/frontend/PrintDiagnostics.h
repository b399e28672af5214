//===- PrintDiagnostics.h - Errors and warnings as people read them -------===//

#ifndef MPARC_FRONTEND_PRINTDIAGNOSTICS_H
#define MPARC_FRONTEND_PRINTDIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"

namespace llvm {
class SourceMgr;
class raw_ostream;
} // namespace llvm

namespace mparc {

/// While it lives, prints every diagnostic of the context:
///
///     model.mp:3:12: error: what is wrong
///       x = f(3 4);
///              ^
///     model.mp:1:7: note: the other place
///
/// llvm::SourceMgr's own printing leaves out the caret in a line that is not ASCII, and repeats a
/// line of a megabyte for each error in it; this one counts columns and cuts what is far from the
/// caret. A location without a file in `sources` is printed without a line of source.
class DiagnosticPrinter : public mlir::ScopedDiagnosticHandler {
public:
  /// All three must outlive it.
  DiagnosticPrinter(mlir::MLIRContext &context, const llvm::SourceMgr &sourceMgr,
                    llvm::raw_ostream &stream);

private:
  void print(mlir::Location location, llvm::StringRef severity, const llvm::Twine &message);
  /// The line of a file in `sources`; empty if there is none.
  llvm::StringRef sourceLine(llvm::StringRef file, unsigned line) const;

  const llvm::SourceMgr &sources;
  llvm::raw_ostream &out;
};

} // namespace mparc

#endif // MPARC_FRONTEND_PRINTDIAGNOSTICS_H
