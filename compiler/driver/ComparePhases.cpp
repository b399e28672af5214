// Compares what a model gives in each phase.
#include "driver/ComparePhases.h"

#include "dialect/Groups.h"
#include "interpreter/Report.h"

#include "mlir/IR/TypeUtilities.h"

#include <cmath>

using namespace mlir;
using namespace mparc::interpreter;

namespace mparc {

FailureOr<Outcomes> runPrograms(ModuleOp module, const InputOptions &inputOptions,
                                const RunOptions &options, KeptInputs *kept) {
  Outcomes outcomes;
  for (auto model : module.getOps<mp::ModelOp>())
    for (auto program : model.getBody().getOps<mp::ProgramOp>()) {
      const bool isKept = kept && kept->contains(program.getSymName());
      Inputs inputs = isKept ? kept->lookup(program.getSymName())
                             : makeRandomInputs(model, program, inputOptions);
      if (kept && !isKept)
        (*kept)[program.getSymName()] = inputs;
      auto outcome = run<float>(model, program.getSymName(), inputs, options);
      if (failed(outcome))
        return failure();
      outcomes.emplace_back(program.getSymName().str(), std::move(*outcome));
    }
  return outcomes;
}

std::string describeDifference(const Outcomes &a, const Outcomes &b, bool onlyCommon,
                               double tolerance) {
  if (a.size() != b.size())
    return "another number of programs";
  for (size_t index = 0; index < a.size(); ++index) {
    const std::string &name = a[index].first;
    std::string difference = name != b[index].first
                                 ? "is " + b[index].first
                                 : interpreter::describeDifference(a[index].second, b[index].second,
                                                                   name, onlyCommon, tolerance);
    if (!difference.empty())
      return "@" + name + ": " + difference;
  }
  return {};
}

namespace {

/// What a model gave when last run.
class Comparison {
public:
  Comparison(ModuleOp module, const ComparisonOptions &options)
      : module_(module), options_(options) {}

  /// Runs all programs; `where` is for messages.
  LogicalResult runAll(StringRef where, const RunOptions &options, bool gradientsAppear,
                       double tolerance = 0);
  /// Whether training is of each part of the batch by itself from here on: another result.
  bool beginsParts();
  const KeptInputs &inputs() const { return inputs_; }
  Outcomes take() { return std::move(outcomes_); }

private:
  ModuleOp module_;
  const ComparisonOptions &options_;
  KeptInputs inputs_; // those of the first phase: what is cut does not tell what integers count
  Outcomes outcomes_;
  bool isFirst_ = true;
  bool isOfParts_ = false;
};

} // namespace

bool Comparison::beginsParts() {
  bool isOfParts = false;
  module_.walk([&](mp::ProgramOp program) {
    auto rows = program->getAttrOfType<IntegerAttr>(mp::kRowsAPart);
    isOfParts |= rows && rows.getInt() == 0;
  });
  return isOfParts && !std::exchange(isOfParts_, true);
}

LogicalResult Comparison::runAll(StringRef where, const RunOptions &options, bool gradientsAppear,
                                 double tolerance) {
  auto now = runPrograms(module_, options_.inputs, options, &inputs_);
  if (failed(now))
    return failure();
  if (beginsParts())
    for (auto [before, after] : llvm::zip(outcomes_, *now))
      if (after.first == "train")
        before.second = after.second;
  if (!isFirst_) {
    std::string difference = describeDifference(outcomes_, *now, gradientsAppear, tolerance);
    if (!difference.empty())
      return module_.emitError("results change in the phase ") << where << ": " << difference;
  }
  isFirst_ = false;
  outcomes_ = std::move(*now);
  return success();
}

static bool isRounded(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isBF16() || element.isF16();
}

double toleranceOfSums(mp::ModelOp model) {
  if (!mp::regroupsSums(model))
    return 0;
  bool rounds = false;
  model.walk([&](Operation *op) { rounds |= llvm::any_of(op->getResultTypes(), isRounded); });
  return rounds ? std::ldexp(1.0, -8) : 1e-4;
}

/// The turns of microbatches, in the order and the memory that the schedule gives them, against one
/// microbatch after the other.
static LogicalResult compareTurns(ModuleOp module, const ComparisonOptions &options,
                                  const KeptInputs &inputs) {
  bool hasTurns = false;
  module.walk([&](mp::ProgramOp program) {
    auto microbatches = program->getAttrOfType<IntegerAttr>(mp::kMicrobatches);
    hasTurns |= microbatches && microbatches.getInt() > 1 && program->hasAttr(mp::kRowsAPart);
  });
  if (!hasTurns)
    return success();
  RunOptions run = options.run;
  run.order = RunOptions::Order::microbatches;
  KeptInputs kept = inputs;
  auto expected = runPrograms(module, options.inputs, run, &kept);
  run.order = RunOptions::Order::turns;
  for (bool alias : {false, true}) {
    run.aliasTransfers = alias;
    auto outcomes = runPrograms(module, options.inputs, run, &kept);
    if (failed(expected) || failed(outcomes))
      return failure();
    std::string difference = describeDifference(*outcomes, *expected);
    if (!difference.empty())
      return module.emitError("results change in the turns of microbatches")
             << (alias ? ", with transfers that copy nothing: " : ": ") << difference;
  }
  return success();
}

FailureOr<Outcomes> comparePhases(ModuleOp module, const ComparisonOptions &options) {
  auto models = module.getOps<mp::ModelOp>();
  if (models.empty())
    return module.emitError("holds no model");
  Comparison comparison(module, options);
  Phase before = options.from;
  for (Phase phase : kPhases) {
    if (phase < options.from || phase > options.to)
      continue;
    PassManager passes(module.getContext());
    addPasses(passes, before, phase);
    if (failed(passes.run(module)) ||
        (options.inspect && failed(options.inspect(phase, *models.begin()))) ||
        failed(comparison.runAll(getName(phase), options.run, phase == Phase::grad,
                                 phase == Phase::split ? toleranceOfSums(*models.begin()) : 0)))
      return failure();
    before = phase;
  }
  if (options.to == Phase::calls) {
    RunOptions variant = options.run;
    variant.poisonDead = true;
    if (failed(comparison.runAll("calls with dead buffers poisoned", variant, false)))
      return failure();
    variant.aliasTransfers = true;
    variant.largestBatch = options.run.rows + 64;
    if (failed(comparison.runAll("calls with transfers that copy nothing", variant, false)) ||
        failed(compareTurns(module, options, comparison.inputs())))
      return failure();
  }
  return comparison.take();
}

} // namespace mparc
