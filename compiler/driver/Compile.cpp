// From a model's text to a phase of its compilation, and to C++.
#include "driver/Compile.h"

#include "dialect/Groups.h"
#include "driver/Build.h"
#include "frontend/AstPrinter.h"
#include "frontend/Diagnostics.h"
#include "frontend/Frontend.h"
#include "frontend/Parser.h"
#include "frontend/PrintDiagnostics.h"
#include "frontend/Program.h"
#include "clang/CheckCpp.h"
#include "clang/ReadHeader.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;

namespace mparc {

Compilation::Compilation(const Options &options, const Installation &installation)
    : options(options), installation(installation), context(MLIRContext::Threading::DISABLED) {
  context.loadDialect<mp::MpDialect>();
  context.printOpOnDiagnostic(false); // users see their own text, not ours
}

bool Compilation::open() {
  std::string why;
  buffer = openSource(sources, options.input, why);
  if (!buffer) {
    fail("cannot read " + options.input + ": " + why);
    return false;
  }
  // Said once, and not at every layer that is missed.
  if (!llvm::sys::fs::is_directory(installation.stdlib)) {
    fail("the folder of the standard library, " + installation.stdlib +
         ", is not there; MPARC_STDLIB may name another");
    return false;
  }
  return true;
}

static HeaderPlace placeOf(const clang_tools::HeaderPlace &place) {
  return {place.file, place.line, place.column};
}

/// Asks Clang what the front end, which does not know it, asks of a header. What that reads comes
/// to `files`.
static HeaderAnswer readHeader(const std::string &header,
                               const std::vector<ExternRequest> &operations,
                               const std::vector<std::string> &flags,
                               std::vector<std::string> &files) {
  std::vector<clang_tools::ForeignOperation> wanted;
  wanted.reserve(operations.size());
  for (const ExternRequest &operation : operations)
    wanted.push_back({operation.function, operation.gradient, operation.inputs, operation.result});
  clang_tools::Header found = clang_tools::readHeader(header, flags, wanted);
  llvm::append_range(files, found.files);
  HeaderAnswer answer{found.isFound, found.error, placeOf(found.place), {}, found.names};
  for (const clang_tools::ForeignFunction &function : found.functions)
    answer.operations.push_back({function.isElementWise, function.error, function.got,
                                 placeOf(function.place), function.isGradient});
  return answer;
}

FrontendOptions Compilation::frontendOptions() {
  FrontendOptions result;
  result.stdlibDirectory = installation.stdlib;
  result.settings = options.settings;
  result.modelName = options.model;
  result.trainEntries = options.trainEntries;
  result.keepActivations = options.keepActivations;
  result.readHeader = [this](const std::string &header,
                             const std::vector<ExternRequest> &operations) {
    return readHeader(header, operations, includeFlags(options, installation), headers);
  };
  return result;
}

int Compilation::verifyDiagnostics() {
  SourceMgrDiagnosticVerifierHandler handler(sources, &context);
  tree = buildGraph(context, sources, buffer, frontendOptions());
  return failed(handler.verify());
}

std::optional<std::string> Compilation::printSyntaxTree() {
  DiagnosticPrinter printer(context, sources, llvm::errs());
  Diagnostics diagnostics(context, sources);
  auto file = parseFile(sources, buffer, diagnostics);
  diagnostics.emit();
  if (diagnostics.hasErrors())
    return std::nullopt;
  std::string text;
  llvm::raw_string_ostream stream(text);
  printAst(*file, stream);
  return text;
}

mp::ModelOp Compilation::model() { return *tree->getOps<mp::ModelOp>().begin(); }

bool Compilation::runPasses(PassManager &passes) {
  auto isWanted = [this](Pass *pass, Operation *) {
    return options.printAfterAll || pass->getArgument() == options.printAfter;
  };
  if (options.printAfterAll || !options.printAfter.empty())
    passes.enableIRPrinting(nullptr, isWanted, /*printModuleScope=*/false,
                            /*printAfterOnlyOnChange=*/false, /*printAfterOnlyOnFailure=*/false,
                            llvm::errs());
#ifdef NDEBUG
  passes.enableVerifier(false); // what users compile; passes verify the border of each phase
#endif
  return succeeded(passes.run(*tree));
}

bool Compilation::compileTo(Phase phase) {
  DiagnosticPrinter printer(context, sources, llvm::errs());
  tree = buildGraph(context, sources, buffer, frontendOptions());
  if (!tree || !checkWritten())
    return false;
  auto first = PassManager::on<ModuleOp>(&context);
  addPasses(first, Phase::graph, std::min(phase, Phase::placed));
  if (!runPasses(first))
    return false;
  if (phase < Phase::placed)
    return true;
  // As early as devices are known: what follows costs time that a wrong placement need not take.
  if (!checkDevices())
    return false;
  auto second = PassManager::on<ModuleOp>(&context);
  addPasses(second, Phase::placed, phase);
  return runPasses(second) && (phase < Phase::calls || checkMemory());
}

bool Compilation::checkWritten() {
  const std::pair<const char *, const std::string &> files[] = {{"-o", options.output},
                                                                {"--header", options.header},
                                                                {"--trace", options.trace},
                                                                {"--svg", options.drawing}};
  std::vector<std::string> imports;
  for (unsigned read = 1; read <= sources.getNumBuffers(); ++read)
    imports.push_back(sources.getMemoryBuffer(read)->getBufferIdentifier().str());
  const std::pair<const std::vector<std::string> &, const char *> all[] = {
      {imports, ", which the model imports"},
      {headers, ", which the model's operations come from"}};
  for (auto [flag, file] : files)
    for (const auto &[read, why] : all)
      for (const std::string &name : read)
        if (!file.empty() && file != "-" && isSameFile(file, name)) {
          fail(llvm::Twine(flag) + ": " + file + " would be written over " + name + why);
          return false;
        }
  return true;
}

bool Compilation::checkDevices() {
  if (!options.devices)
    return true;
  bool fits = true;
  llvm::SmallSetVector<int64_t, 4> reported;
  auto check = [&](Operation *op) {
    int64_t device = mp::getDevice(op).value_or(0);
    if (auto group = mp::getGroup(op))
      device = *llvm::max_element(group->devices);
    if (device < *options.devices || !reported.insert(device))
      return;
    fits = false;
    op->emitError() << "device " << device << " does not exist; --devices " << *options.devices
                    << " gives 0 to " << *options.devices - 1;
  };
  // Layers first: an error at the declaration says more than one at its first operation.
  model().walk<WalkOrder::PreOrder>([&](mp::LayerOp layer) { check(layer); });
  model().walk<WalkOrder::PreOrder>([&](Operation *op) { check(op); });
  return fits;
}

bool Compilation::prepareEmission() {
  DiagnosticPrinter printer(context, sources, llvm::errs());
  auto passes = PassManager::on<ModuleOp>(&context);
  addEmissionPasses(passes);
  return runPasses(passes);
}

std::optional<emit::EmittedText> Compilation::emit(const emit::EmitOptions &how) {
  if (!prepareEmission())
    return std::nullopt;
  emit::EmittedText text = emit::printCpp(model(), how);
  text.source = clang_tools::formatCpp(text.source);
  if (!text.header.empty())
    text.header = clang_tools::formatCpp(text.header);
  if (!options.verifyOutput)
    return text;
  std::string error =
      clang_tools::findError({{"emitted.cpp", text.source}, {how.header, text.header}},
                             includeFlags(options, installation));
  if (error.empty())
    return text;
  fail("the emitted C++ is wrong, which is a bug of mparc's: " + error);
  return std::nullopt;
}

} // namespace mparc
