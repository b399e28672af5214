//===- Diagnostics.h - Errors and warnings about the user's text ----------===//
//
// The front end collects what it has to say and hands it to MLIR's diagnostic engine in source
// order, so that errors of several steps come out sorted, and `--verify-diagnostics` reads them.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_DIAGNOSTICS_H
#define MPARC_FRONTEND_DIAGNOSTICS_H

#include "frontend/Source.h"
#include "llvm/ADT/Twine.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace llvm {
class SourceMgr;
} // namespace llvm

namespace mlir {
class MLIRContext;
class FileLineColLoc;
} // namespace mlir

namespace mparc {

/// One error or warning: lower case, no full stop, one sentence; what is, then, after a semicolon,
/// a hint. Notes point at the other places involved.
struct Report {
  bool isError = true;
  SourceRange range;
  std::string message;
  std::vector<std::pair<SourceRange, std::string>> notes;

  /// Adds a note; returns this report so that notes can be chained.
  Report &note(SourceRange where, const llvm::Twine &text) {
    notes.emplace_back(where, text.str());
    return *this;
  }
};

class Diagnostics {
public:
  /// More than anyone reads. A large broken file has one a token.
  static constexpr unsigned maxErrors = 1000;

  /// Both must outlive this object.
  Diagnostics(mlir::MLIRContext &mlirContext, const llvm::SourceMgr &sourceMgr)
      : context(mlirContext), sources(sourceMgr) {}
  /// Emits what is still pending.
  ~Diagnostics() { emit(); }
  Diagnostics(const Diagnostics &) = delete;
  Diagnostics &operator=(const Diagnostics &) = delete;

  /// Records an error or a warning, which `emit` passes on. The reference lives until then.
  Report &error(SourceRange where, const llvm::Twine &message);
  Report &warning(SourceRange where, const llvm::Twine &message);

  /// Passes everything recorded to MLIR's engine: by buffer, then by position; what stands at one
  /// place in the order recorded, a message said twice at one place once.
  void emit();

  /// Errors recorded so far, emitted or not.
  unsigned errorCount() const { return errors; }
  bool hasErrors() const { return errors != 0; }
  /// Whether there are more errors than will be shown: looking for others is of no use.
  bool isFull() const { return errors > maxErrors; }

  /// Where a range begins, for operations built from it.
  mlir::FileLineColLoc location(const SourceRange &range) const;

private:
  mlir::MLIRContext &context;
  const llvm::SourceMgr &sources;
  std::deque<Report> pending;
  unsigned errors = 0;
};

} // namespace mparc

#endif // MPARC_FRONTEND_DIAGNOSTICS_H
