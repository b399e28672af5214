//===- PrintDiagnostics.cpp - Errors and warnings as people read them -----===//

#include "frontend/PrintDiagnostics.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

namespace mparc {
namespace {

/// Of a longer line only what is around the caret is shown.
constexpr size_t maxColumns = 160;
constexpr llvm::StringLiteral cut = "…";

/// The first place in a file that a location names, however it is wrapped: of what is called,
/// where.
mlir::FileLineColLoc fileLocation(mlir::Location location) {
  mlir::FileLineColLoc found;
  if (auto name = llvm::dyn_cast<mlir::NameLoc>(location))
    return fileLocation(name.getChildLoc());
  if (auto call = llvm::dyn_cast<mlir::CallSiteLoc>(location))
    return fileLocation(call.getCaller());
  location->walk([&](mlir::Location part) {
    found = llvm::dyn_cast<mlir::FileLineColLoc>(part);
    return found ? mlir::WalkResult::interrupt() : mlir::WalkResult::advance();
  });
  return found;
}

bool continuesCodePoint(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// One column a code point: the text with tabs and control characters as spaces.
std::string shown(llvm::StringRef text) {
  std::string result = text.str();
  for (char &byte : result)
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F)
      byte = ' ';
  return result;
}

size_t columnsOf(llvm::StringRef text) {
  return text.size() - static_cast<size_t>(llvm::count_if(text, continuesCodePoint));
}

/// The line with a caret under byte `at` of it.
void printCaret(llvm::StringRef line, size_t at, llvm::raw_ostream &out) {
  at = std::min(at, line.size());
  size_t begin = 0;
  size_t end = line.size();
  if (end > maxColumns) {
    begin = at > maxColumns / 2 ? at - maxColumns / 2 : 0;
    end = std::min(end, begin + maxColumns);
    while (begin > 0 && continuesCodePoint(line[begin]))
      --begin;
    while (end < line.size() && continuesCodePoint(line[end]))
      ++end;
  }
  size_t column = columnsOf(line.slice(begin, at)) + (begin > 0);
  out << (begin > 0 ? cut : "") << shown(line.slice(begin, end)) << (end < line.size() ? cut : "")
      << '\n';
  out.indent(static_cast<unsigned>(column)) << "^\n";
}

} // namespace

DiagnosticPrinter::DiagnosticPrinter(mlir::MLIRContext &context, const llvm::SourceMgr &sourceMgr,
                                     llvm::raw_ostream &stream)
    : ScopedDiagnosticHandler(&context), sources(sourceMgr), out(stream) {
  setHandler([this](mlir::Diagnostic &diagnostic) {
    llvm::StringRef severity = "error";
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Warning)
      severity = "warning";
    else if (diagnostic.getSeverity() != mlir::DiagnosticSeverity::Error)
      severity = "note";
    print(diagnostic.getLocation(), severity, diagnostic.str());
    for (mlir::Diagnostic &note : diagnostic.getNotes())
      print(note.getLocation(), "note", note.str());
    out.flush();
  });
}

llvm::StringRef DiagnosticPrinter::sourceLine(llvm::StringRef file, unsigned line) const {
  for (unsigned buffer = 1; buffer <= sources.getNumBuffers(); ++buffer) {
    const llvm::MemoryBuffer *contents = sources.getMemoryBuffer(buffer);
    if (contents->getBufferIdentifier() != file)
      continue;
    const char *start = sources.getBufferInfo(buffer).getPointerForLineNumber(line);
    if (!start)
      return {};
    llvm::StringRef rest(start, static_cast<size_t>(contents->getBufferEnd() - start));
    return rest.take_until([](char byte) { return byte == '\n'; }).rtrim('\r');
  }
  return {};
}

void DiagnosticPrinter::print(mlir::Location location, llvm::StringRef severity,
                              const llvm::Twine &message) {
  mlir::FileLineColLoc place = fileLocation(location);
  if (!place) {
    out << severity << ": " << message << '\n';
    return;
  }
  out << place.getFilename().strref();
  // A flag's value is no file: its line and column would be those of what it was wrapped in.
  if (!place.getFilename().strref().starts_with("--"))
    out << ':' << place.getLine() << ':' << place.getColumn();
  out << ": " << severity << ": " << message << '\n';
  llvm::StringRef line = sourceLine(place.getFilename().strref(), place.getLine());
  if (!line.empty() && place.getColumn() > 0)
    printCaret(line, place.getColumn() - 1, out);
}

} // namespace mparc
