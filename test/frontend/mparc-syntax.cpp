//===- mparc-syntax.cpp - Parses and formats, for tests -------------------===//
//
// The front end up to the syntax tree, without what the checker would say about the names in a
// test.
//
//   mparc-syntax file.mp                      reports syntax errors
//   mparc-syntax file.mp --emit=ast           prints the syntax tree
//   mparc-syntax file.mp --fmt                prints the canonical layout
//   mparc-syntax file.mp --check-fmt          checks that formatting keeps the tree and is
//   idempotent mparc-syntax file.mp --verify-diagnostics checks expected-error comments
//
//===----------------------------------------------------------------------===//

#include "frontend/AstPrinter.h"
#include "frontend/Diagnostics.h"
#include "frontend/Format.h"
#include "frontend/Parser.h"
#include "frontend/PrintDiagnostics.h"
#include "frontend/Program.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mparc;

static llvm::cl::opt<std::string> input(llvm::cl::Positional, llvm::cl::Required);
static llvm::cl::opt<std::string> emitStage("emit");
static llvm::cl::opt<bool> fmt("fmt");
static llvm::cl::opt<bool> checkFmt("check-fmt");
static llvm::cl::opt<bool> imports("imports");
static llvm::cl::opt<bool> verifyDiagnostics("verify-diagnostics");

static std::string treeOf(const llvm::SourceMgr &sources, unsigned buffer,
                          Diagnostics &diagnostics) {
  std::string tree;
  llvm::raw_string_ostream stream(tree);
  printAst(*parseFile(sources, buffer, diagnostics), stream, /*withLines=*/false);
  return tree;
}

/// Formats twice and compares; false, with the reason printed, if anything but the layout changed.
static bool checkFormatting(llvm::SourceMgr &sources, unsigned buffer, Diagnostics &diagnostics) {
  std::optional<std::string> once = format(sources, buffer, diagnostics);
  if (!once)
    return false;
  unsigned second = sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(*once, "formatted"), llvm::SMLoc());
  std::optional<std::string> twice = format(sources, second, diagnostics);
  if (!twice) {
    llvm::errs() << "formatting gave syntax errors:\n" << *once;
    return false;
  }
  if (*once != *twice) {
    llvm::errs() << "formatting again changed this:\n" << *once << "to this:\n" << *twice;
    return false;
  }
  if (treeOf(sources, buffer, diagnostics) != treeOf(sources, second, diagnostics)) {
    llvm::errs() << "formatting changed the syntax tree\n" << *once;
    return false;
  }
  return true;
}

static bool run(llvm::SourceMgr &sources, unsigned buffer, Diagnostics &diagnostics) {
  if (fmt) {
    if (std::optional<std::string> text = format(sources, buffer, diagnostics))
      llvm::outs() << *text;
  } else if (checkFmt) {
    return checkFormatting(sources, buffer, diagnostics);
  } else if (imports) {
    for (const auto &file : parseProgram(sources, buffer, diagnostics).files)
      llvm::outs() << sources.getMemoryBuffer(file->buffer)->getBufferIdentifier() << '\n';
  } else {
    auto file = parseFile(sources, buffer, diagnostics);
    if (emitStage == "ast")
      printAst(*file, llvm::outs());
  }
  return !diagnostics.hasErrors();
}

int main(int argc, char **argv) {
  llvm::cl::ParseCommandLineOptions(argc, argv);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  std::string why;
  unsigned buffer = openSource(sources, input, why);
  if (!buffer) {
    llvm::errs() << input << ": error: " << why << '\n';
    return 1;
  }
  if (verifyDiagnostics) {
    mlir::SourceMgrDiagnosticVerifierHandler verifier(sources, &context);
    {
      Diagnostics diagnostics(context, sources);
      run(sources, buffer, diagnostics);
    }
    return failed(verifier.verify());
  }
  DiagnosticPrinter printer(context, sources, llvm::errs());
  Diagnostics diagnostics(context, sources);
  return run(sources, buffer, diagnostics) ? 0 : 1;
}
