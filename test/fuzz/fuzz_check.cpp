// From text to the checked program and its graph. Beside not crashing: either there is a graph, or
// an error says why not, and each message is one line at a place.
#include "frontend/Frontend.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <cstdlib>

static void require(bool holds, const char *what) {
  if (holds)
    return;
  llvm::errs() << what << '\n';
  std::abort();
}

static void checkMessage(mlir::Diagnostic &diagnostic) {
  require(!llvm::isa<mlir::UnknownLoc>(diagnostic.getLocation()), "a message has no place");
  std::string message = diagnostic.str();
  require(!message.empty() && message.find('\n') == std::string::npos, "a message is not one line");
  require(message.find("mp.") == std::string::npos || message.find('`') != std::string::npos,
          "a message names an operation of the compiler");
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    checkMessage(note);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // A context keeps what it has seen; a new one now and then keeps the memory within bounds.
  static std::unique_ptr<mlir::MLIRContext> context;
  static unsigned runs = 0;
  if (runs++ % 64 == 0)
    context = std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  unsigned buffer = sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(text, "input.mp"), llvm::SMLoc());
  unsigned errors = 0;
  mlir::ScopedDiagnosticHandler handler(context.get(), [&](mlir::Diagnostic &diagnostic) {
    checkMessage(diagnostic);
    errors += diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error;
    return mlir::success();
  });
  mparc::FrontendOptions options;
  options.stdlibDirectory = MPARC_STDLIB;
  mlir::OwningOpRef<mlir::ModuleOp> module = mparc::buildGraph(*context, sources, buffer, options);
  require(static_cast<bool>(module) == (errors == 0), "there must be a graph or an error");
  return 0;
}
