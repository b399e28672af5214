// mparc: the verbs. Each is a few lines over what the other files of this folder do.
#include "driver/Build.h"
#include "driver/Compile.h"
#include "driver/Files.h"
#include "driver/Options.h"
#include "driver/Report.h"
#include "frontend/Diagnostics.h"
#include "frontend/Format.h"
#include "frontend/PrintDiagnostics.h"
#include "frontend/Program.h"
#include "passes/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mparc;

static emit::EmitOptions emitOptions(const Options &options) {
  emit::EmitOptions how;
  how.version = MPARC_VERSION;
  how.command = options.command;
  how.source = llvm::sys::path::filename(options.input).str();
  how.main = options.main;
  how.header = llvm::sys::path::filename(options.header).str();
  return how;
}

/// A stage's IR, or the syntax tree, as text.
static int emitStage(const Options &options, Compilation &compilation) {
  std::string text;
  if (options.stage == "ast") {
    auto tree = compilation.printSyntaxTree();
    if (!tree)
      return 1;
    text = *tree;
  } else {
    auto phase = findPhase(options.stage == "schedule" ? "scheduled" : options.stage);
    if (!compilation.compileTo(*phase))
      return 1;
    llvm::raw_string_ostream stream(text);
    compilation.module()->print(stream);
    stream << '\n';
  }
  return writeFile(options.output.empty() ? "-" : options.output, text) ? 0 : 1;
}

static int compile(const Options &options, Compilation &compilation) {
  if (options.output.empty())
    return fail("where to? give -o model.cpp, or --emit=STAGE"), 2;
  if (!compilation.compileTo(Phase::calls))
    return 1;
  auto text = compilation.emit(emitOptions(options));
  if (!text)
    return 1;
  if (!options.header.empty() && !writeFile(options.header, text->header))
    return 1;
  return writeFile(options.output, text->source) ? 0 : 1;
}

static int buildOrRun(const Options &options, Compilation &compilation,
                      const Installation &installation) {
  if (!compilation.compileTo(Phase::calls))
    return 1;
  auto text = compilation.emit(emitOptions(options));
  if (!text)
    return 1;
  return options.verb == Verb::run ? runProgram(text->source, options, installation)
                                   : buildProgram(text->source, options, installation);
}

static int printReport(const Options &options, Compilation &compilation,
                       const Installation &installation) {
  if (!compilation.compileTo(Phase::calls) || !compilation.prepareEmission())
    return 1;
  // The same model with all activations kept, which may well not fit.
  Options keeping = options;
  keeping.keepActivations = true;
  keeping.memory.reset();
  Compilation kept(keeping, installation);
  const bool recomputes = recomputesActivations(compilation.model());
  if (recomputes && (!kept.open() || !kept.compileTo(Phase::calls)))
    return 1;
  emit::ModelIndex index(compilation.model());
  std::optional<Timetable> timetable;
  if (index.training && index.train)
    timetable = predict(index, mp::TrainingOp(index.training).getBatch());
  else if (!options.trace.empty() || !options.drawing.empty())
    return fail("the model has no train block, and so no step to predict");
  llvm::StringRef name = compilation.model().getSymName();
  if (!options.trace.empty() && !writeFile(options.trace, traceOf(*timetable, name)))
    return 1;
  if (!options.drawing.empty() && !writeFile(options.drawing, drawingOf(*timetable, name)))
    return 1;
  return writeFile("-", report(compilation.model(), recomputes ? kept.model() : mp::ModelOp(),
                               timetable ? &*timetable : nullptr))
             ? 0
             : 1;
}

static int formatFile(const std::string &path, bool check) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  std::string why;
  unsigned buffer = openSource(sources, path, why);
  if (!buffer)
    return fail("cannot read " + path + ": " + why);
  DiagnosticPrinter printer(context, sources, llvm::errs());
  Diagnostics diagnostics(context, sources);
  auto text = format(sources, buffer, diagnostics);
  diagnostics.emit();
  if (!text)
    return 1;
  if (*text == sources.getMemoryBuffer(buffer)->getBuffer())
    return 0;
  if (check)
    return fail(path + " is not in the canonical layout; mparc fmt rewrites it");
  return writeFile(path, *text) ? 0 : 1;
}

static int run(const Options &options, const char *program) {
  if (options.verb == Verb::format) {
    int status = 0;
    for (const std::string &file : options.files)
      status |= formatFile(file, options.check);
    return status;
  }
  mp::registerMpPasses();
  if (!options.printAfter.empty() && !mlir::PassInfo::lookup(options.printAfter))
    return fail("there is no pass `" + options.printAfter + "`"), 2;
  Installation installation = findInstallation(program);
  Compilation compilation(options, installation);
  if (!compilation.open())
    return 1;
  if (options.verifyDiagnostics)
    return compilation.verifyDiagnostics();
  if (options.verb == Verb::report)
    return printReport(options, compilation, installation);
  if (options.verb != Verb::compile)
    return buildOrRun(options, compilation, installation);
  return options.stage.empty() ? compile(options, compilation) : emitStage(options, compilation);
}

int main(int argc, char **argv) {
  int status = 0;
  auto options = readOptions(argc, argv, status);
  return options ? run(*options, argv[0]) : status;
}
