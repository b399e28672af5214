// mp-run: executes a program of a model in process over reference kernels, prints what it gives,
// and checks its gradients. `mp-run --help` lists the flags.
#include "driver/ComparePhases.h"
#include "frontend/Frontend.h"
#include "interpreter/CheckGradients.h"
#include "interpreter/Report.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;
using namespace mparc;
using namespace mparc::interpreter;
namespace cl = llvm::cl;

static cl::opt<std::string>
    modelPath(cl::Positional,
              cl::desc("<model.mp or model.mlir, or - for an .mlir on standard input>"),
              cl::init("-"));
static cl::opt<std::string> program("program", cl::desc("train, evaluate or predict"),
                                    cl::init("train"));
static cl::opt<int64_t> rows("rows", cl::desc("rows of the batch"), cl::init(4));
static cl::opt<int64_t> largestBatch(
    "largest-batch",
    cl::desc("rows that arenas are laid out for, rounded up as at run time; 0: just --rows"),
    cl::init(0));
static cl::opt<uint64_t> seed("seed", cl::desc("of random parameters, inputs and dropout"),
                              cl::init(0));
enum class ScalarKind { f32, f64 };
static cl::opt<ScalarKind> scalar("scalar", cl::desc("what f32 is computed in"),
                                  cl::values(clEnumValN(ScalarKind::f32, "f32", "float"),
                                             clEnumValN(ScalarKind::f64, "f64", "double")),
                                  cl::init(ScalarKind::f32));
static cl::opt<double> low("low", cl::desc("smallest magnitude of random reals"), cl::init(0.1));
static cl::opt<double> high("high", cl::desc("largest magnitude of random reals"), cl::init(1));
static cl::opt<bool> positive("positive", cl::desc("random reals lie in [low, high)"));
static cl::opt<int64_t> classes("classes", cl::desc("random integers lie in [0, classes)"),
                                cl::init(0));
static cl::opt<std::string>
    inputPath("input", cl::desc("a file of lines `name = numbers` for arguments and parameters"));
static cl::opt<std::string> expectedPath(
    "expect", cl::desc("a file of lines `loss|output|gradient <path>|buffer <path> = numbers` to "
                       "compare with"));
static cl::opt<double>
    lossScale("loss-scale", cl::desc("what a loss is multiplied by, where gradients are in f16"),
              cl::init(RunOptions().lossScale));
static cl::opt<double>
    tolerance("tolerance", cl::desc("of --expect and --check-gradients, relative"), cl::init(1e-6));
static cl::opt<bool> values("values", cl::desc("print every number, rather than hashes"));
static cl::opt<bool> aliasTransfers("alias-transfers", cl::desc("let transfers copy nothing"));
static cl::opt<RunOptions::Order>
    order("order", cl::desc("of a batch that is cut"), cl::init(RunOptions::Order::parts),
          cl::values(clEnumValN(RunOptions::Order::parts, "parts", "a few rows at a time"),
                     clEnumValN(RunOptions::Order::microbatches, "microbatches", "one by one"),
                     clEnumValN(RunOptions::Order::turns, "turns",
                                "as the schedule has them; in the phase calls")));
static cl::opt<bool> poisonDead("poison-dead",
                                cl::desc("fill buffers with NaN after their last use"));
static cl::opt<bool>
    checkGradientsFlag("check-gradients",
                       cl::desc("compare @train's gradients with finite differences, in double"));
static cl::opt<int64_t> elements("elements", cl::desc("elements of a parameter that are checked"),
                                 cl::init(64));

static cl::opt<std::string> phaseName(
    "phase",
    cl::desc("graph, grad, placed, split, inserted, transferred, fused, scheduled or calls: pass "
             "the model on to it before running it"));
static cl::opt<std::string> fromName("from", cl::desc("the phase the model is given in"),
                                     cl::init("graph"));
static cl::opt<bool> comparePhasesFlag(
    "compare-phases",
    cl::desc("run every program in each phase from --from on, and compare every bit"));

static cl::opt<std::string> stdlib("stdlib", cl::desc("folder of the standard library"),
                                   cl::init(MPARC_STDLIB));

static int fail(const llvm::Twine &message) {
  llvm::errs() << "mp-run: error: " << message << '\n';
  return 1;
}

/// Prints a line a parameter; returns the exit status.
static int reportChecks(const std::vector<GradientCheck> &checks) {
  bool passed = !checks.empty();
  for (const GradientCheck &check : checks) {
    llvm::outs() << "gradient " << check.parameter << ": " << check.checked << " elements checked";
    if (check.skipped)
      llvm::outs() << ", " << check.skipped << " skipped at kinks";
    llvm::outs() << ", off by " << llvm::format("%.2g", check.worst);
    if (!check.passed)
      llvm::outs() << ": element " << check.index << " is " << formatNumber(check.computed, 8)
                   << ", differences give " << formatNumber(check.expected, 8);
    llvm::outs() << '\n';
    // A parameter whose every element sits at a kink has not been checked.
    passed &= check.passed && check.checked > 0;
  }
  if (checks.empty())
    return fail("@train gives no gradients to check");
  llvm::outs() << (passed ? "gradients agree\n" : "gradients differ\n");
  return passed ? 0 : 1;
}

template <typename Scalar>
static int runModel(mp::ModelOp model, const Inputs &inputs, const RunOptions &options) {
  auto outcome = run<Scalar>(model, program, inputs, options);
  if (failed(outcome))
    return 1;
  if (expectedPath.empty()) {
    printOutcome(llvm::outs(), *outcome, program, sizeof(Scalar), values);
    return 0;
  }
  auto expected = readNumbers(expectedPath);
  if (!expected)
    return fail(llvm::toString(expected.takeError()));
  auto compared = compareOutcome(llvm::outs(), *outcome, program, *expected, tolerance);
  if (!compared)
    return 1;
  if (*compared == 0)
    return fail(expectedPath + ": names nothing that the program gives");
  llvm::outs() << *compared << " tensors agree\n";
  return 0;
}

static int compare(ModuleOp module, const ComparisonOptions &options) {
  auto outcomes = comparePhases(module, options);
  if (failed(outcomes))
    return 1;
  for (const auto &[name, outcome] : *outcomes)
    llvm::outs() << "@" << name << " is the same in all phases: " << outcome.gradients.size()
                 << " gradients\n";
  return 0;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "executes a model in process over reference kernels\n");

  MLIRContext context;
  context.disableMultithreading();
  context.loadDialect<mp::MpDialect>();
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler diagnostics(sources, &context);
  std::string message;
  auto file = openInputFile(modelPath, &message);
  if (!file)
    return fail(message);
  const unsigned buffer = sources.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  FrontendOptions frontend;
  frontend.stdlibDirectory = stdlib;
  OwningOpRef<ModuleOp> module = StringRef(modelPath).ends_with(".mp")
                                     ? buildGraph(context, sources, buffer, frontend)
                                     : parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return 1;
  auto models = module->getOps<mp::ModelOp>();
  if (models.empty())
    return fail(modelPath + ": holds no model");
  mp::ModelOp model = *models.begin();
  mp::ProgramOp found = findProgram(model, program);
  if (!found)
    return fail(model.getSymName() + " has no program " + program);
  if (rows < 1)
    return fail("--rows must be at least 1");

  std::optional<Phase> from = findPhase(fromName), to = findPhase(phaseName);
  if (!from || (!phaseName.empty() && !to))
    return fail("unknown phase " + (from ? phaseName : fromName));
  const bool wide = scalar == ScalarKind::f64 || checkGradientsFlag;
  InputOptions inputOptions{rows, wide ? 8 : 4, seed, low, high, !positive, classes};
  RunOptions options;
  options.rows = rows;
  options.largestBatch = largestBatch;
  options.seed = seed;
  options.lossScale = lossScale;
  options.aliasTransfers = aliasTransfers;
  options.poisonDead = poisonDead;
  options.order = order;
  if (comparePhasesFlag && scalar == ScalarKind::f64)
    return fail("--compare-phases compares every bit of f32, and takes no --scalar=f64");
  if (comparePhasesFlag)
    return compare(*module, {*from, to.value_or(Phase::calls), inputOptions, options, {}});
  Inputs inputs = makeRandomInputs(model, found, inputOptions);
  if (to) {
    PassManager passes(&context);
    addPasses(passes, *from, *to);
    if (failed(passes.run(*module)))
      return 1;
  }
  if (!inputPath.empty()) {
    auto numbers = readNumbers(inputPath);
    if (!numbers)
      return fail(llvm::toString(numbers.takeError()));
    if (llvm::Error error = setInputs(inputs, found, *numbers))
      return fail(llvm::toString(std::move(error)));
  }
  if (checkGradientsFlag) {
    GradientCheckOptions check;
    check.elements = elements;
    check.tolerance = tolerance;
    auto checks = checkGradients(model, inputs, options, check);
    return failed(checks) ? 1 : reportChecks(*checks);
  }
  return wide ? runModel<double>(model, inputs, options) : runModel<float>(model, inputs, options);
}
