// mparc: from a model in .mp to a stage of its compilation.
#include "frontend/Frontend.h"

#include "dialect/MpDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

namespace cl = llvm::cl;

static cl::opt<std::string> input(cl::Positional, cl::desc("model.mp"), cl::Required);
static cl::opt<std::string> stage("emit", cl::desc("Print a stage: graph"), cl::init("graph"));
static cl::opt<bool> verifyDiagnostics("verify-diagnostics",
                                       cl::desc("Compare diagnostics with expected-… comments"));
static cl::list<std::string> settings("set", cl::desc("A parameter of the model: name=value"));

/// Where the standard library is: as the environment says, beside the program, or in the sources.
static std::string stdlibDirectory(const char *program) {
  if (const char *directory = std::getenv("MPARC_STDLIB"))
    return directory;
  static int anchor;
  llvm::SmallString<256> path(llvm::sys::fs::getMainExecutable(program, &anchor));
  llvm::sys::path::remove_filename(path);
  llvm::sys::path::append(path, "..", "share", "mparc", "stdlib");
  return llvm::sys::fs::is_directory(path) ? std::string(path) : MPARC_STDLIB;
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv, "Compiles a model placed on devices\n");
  mparc::FrontendOptions options;
  options.stdlibDirectory = stdlibDirectory(argv[0]);
  for (const std::string &setting : settings) {
    auto [name, value] = llvm::StringRef(setting).split('=');
    options.settings.emplace_back(name.str(), value.str());
  }
  auto file = llvm::MemoryBuffer::getFileOrSTDIN(input);
  if (!file) {
    llvm::errs() << "mparc: cannot read " << input << ": " << file.getError().message() << '\n';
    return 1;
  }
  llvm::SourceMgr sources;
  unsigned buffer = sources.AddNewSourceBuffer(std::move(*file), llvm::SMLoc());
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  if (verifyDiagnostics) {
    mlir::SourceMgrDiagnosticVerifierHandler handler(sources, &context);
    mparc::buildGraph(context, sources, buffer, options);
    return failed(handler.verify());
  }
  mlir::SourceMgrDiagnosticHandler handler(sources, &context);
  mlir::OwningOpRef<mlir::ModuleOp> module = mparc::buildGraph(context, sources, buffer, options);
  if (!module)
    return 1;
  if (stage != "graph") {
    llvm::errs() << "mparc: unknown stage `" << stage << "`\n";
    return 2;
  }
  module->print(llvm::outs());
  llvm::outs() << '\n';
  return 0;
}
