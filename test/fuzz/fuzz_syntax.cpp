// From text to syntax tree and canonical layout. Beside not crashing: messages are one line at a
// place of the text, and formatting a correct text changes neither its tree nor its own result.
#include "frontend/AstPrinter.h"
#include "frontend/Diagnostics.h"
#include "frontend/Format.h"
#include "frontend/Parser.h"
#include "frontend/PrintDiagnostics.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <cstdlib>

using namespace mparc;

static void require(bool holds, const char *what) {
  if (holds)
    return;
  llvm::errs() << what << '\n';
  std::abort();
}

static std::string treeOf(const llvm::SourceMgr &sources, unsigned buffer,
                          Diagnostics &diagnostics) {
  std::string tree;
  llvm::raw_string_ostream stream(tree);
  printAst(*parseFile(sources, buffer, diagnostics), stream, /*withLines=*/false);
  return tree;
}

/// A message is one line, at a place of a file.
static void checkMessage(mlir::Diagnostic &diagnostic) {
  auto place = llvm::dyn_cast<mlir::FileLineColLoc>(diagnostic.getLocation());
  require(place && place.getLine() > 0 && place.getColumn() > 0, "a message has no place");
  std::string message = diagnostic.str();
  require(!message.empty() && message.find('\n') == std::string::npos, "a message is not one line");
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    checkMessage(note);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  auto add = [&](llvm::StringRef text, llvm::StringRef name) {
    return sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, name),
                                      llvm::SMLoc());
  };
  unsigned buffer = add({reinterpret_cast<const char *>(data), size}, "input.mp");
  std::string printed;
  llvm::raw_string_ostream stream(printed);
  DiagnosticPrinter printer(context, sources, stream);
  // Tried before the printer, to which it leaves the message.
  mlir::ScopedDiagnosticHandler checker(&context, [](mlir::Diagnostic &diagnostic) {
    checkMessage(diagnostic);
    return mlir::failure();
  });
  Diagnostics diagnostics(context, sources);
  std::string tree = treeOf(sources, buffer, diagnostics);
  if (diagnostics.hasErrors()) {
    diagnostics.emit();
    require(llvm::StringRef(printed).starts_with("input.mp:"), "nothing was printed");
    return 0;
  }
  std::optional<std::string> once = format(sources, buffer, diagnostics);
  require(once.has_value(), "a correct text has no layout");
  unsigned second = add(*once, "formatted.mp");
  require(treeOf(sources, second, diagnostics) == tree, "formatting changed the tree");
  std::optional<std::string> twice = format(sources, second, diagnostics);
  require(twice.has_value() && *twice == *once, "formatting again changed the text");
  return 0;
}
