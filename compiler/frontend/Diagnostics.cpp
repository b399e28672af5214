//===- Diagnostics.cpp - Errors and warnings about the user's text --------===//

#include "frontend/Diagnostics.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/SourceMgr.h"

namespace mparc {

Report &Diagnostics::error(SourceRange where, const llvm::Twine &message) {
  ++errors;
  pending.push_back({true, where, message.str(), {}});
  return pending.back();
}

Report &Diagnostics::warning(SourceRange where, const llvm::Twine &message) {
  pending.push_back({false, where, message.str(), {}});
  return pending.back();
}

mlir::FileLineColLoc Diagnostics::location(const SourceRange &range) const {
  llvm::StringRef name =
      range.isValid() ? sources.getMemoryBuffer(range.buffer)->getBufferIdentifier() : "";
  return mlir::FileLineColLoc::get(&context, name, range.begin.line, range.begin.column);
}

void Diagnostics::emit() {
  // Reports may move: references given out end here.
  std::vector<Report> reports(std::make_move_iterator(pending.begin()),
                              std::make_move_iterator(pending.end()));
  pending.clear();
  std::stable_sort(reports.begin(), reports.end(), [](const Report &a, const Report &b) {
    return std::make_pair(a.range.buffer, a.range.begin.offset) <
           std::make_pair(b.range.buffer, b.range.begin.offset);
  });
  unsigned emitted = 0;
  const Report *last = nullptr;
  for (const Report &report : reports) {
    bool isRepeated = last && last->range.buffer == report.range.buffer &&
                      last->range.begin.offset == report.range.begin.offset &&
                      last->message == report.message;
    last = &report;
    if (isRepeated)
      continue;
    if (report.isError && ++emitted > maxErrors) {
      mlir::emitError(location(report.range), "too many errors; the rest is not shown");
      return;
    }
    mlir::InFlightDiagnostic diagnostic = report.isError
                                              ? mlir::emitError(location(report.range))
                                              : mlir::emitWarning(location(report.range));
    diagnostic << report.message;
    for (const auto &[where, text] : report.notes)
      diagnostic.attachNote(location(where)) << text;
  }
}

} // namespace mparc
