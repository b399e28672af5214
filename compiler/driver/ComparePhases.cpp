// Compares what a model gives in each phase.
#include "driver/ComparePhases.h"

#include "interpreter/Report.h"

using namespace mlir;
using namespace mparc::interpreter;

namespace mparc {

namespace {

/// The programs of a model and what they gave when last run.
class Comparison {
public:
  Comparison(mp::ModelOp model, const ComparisonOptions &options)
      : model_(model), options_(options) {}

  /// Runs all programs; `where` is for messages.
  LogicalResult runAll(StringRef where, const RunOptions &run, bool gradientsAppear);
  Outcomes take() { return std::move(outcomes_); }

private:
  mp::ModelOp model_;
  const ComparisonOptions &options_;
  Outcomes outcomes_;
};

} // namespace

LogicalResult Comparison::runAll(StringRef where, const RunOptions &options, bool gradientsAppear) {
  Outcomes now;
  for (auto program : model_.getBody().getOps<mp::ProgramOp>()) {
    Inputs inputs = makeRandomInputs(model_, program, options_.inputs);
    auto outcome = run<float>(model_, program.getSymName(), inputs, options);
    if (failed(outcome))
      return failure();
    now.emplace_back(program.getSymName().str(), std::move(*outcome));
  }
  for (size_t index = 0; index < outcomes_.size(); ++index) {
    const auto &[name, before] = outcomes_[index];
    std::string difference = describeDifference(before, now[index].second, name, gradientsAppear);
    if (!difference.empty())
      return model_.emitError("@")
             << name << " changes in the phase " << where << ": " << difference;
  }
  outcomes_ = std::move(now);
  return success();
}

FailureOr<Outcomes> comparePhases(ModuleOp module, const ComparisonOptions &options) {
  auto models = module.getOps<mp::ModelOp>();
  if (models.empty())
    return module.emitError("holds no model");
  Comparison comparison(*models.begin(), options);
  Phase before = options.from;
  for (Phase phase : kPhases) {
    if (phase < options.from || phase > options.to)
      continue;
    PassManager passes(module.getContext());
    addPasses(passes, before, phase);
    if (failed(passes.run(module)) ||
        failed(comparison.runAll(getName(phase), options.run, phase == Phase::grad)))
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
    if (failed(comparison.runAll("calls with transfers that copy nothing", variant, false)))
      return failure();
  }
  return comparison.take();
}

} // namespace mparc
