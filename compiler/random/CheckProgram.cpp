// Runs a random program in all the ways that must agree.
#include "random/CheckProgram.h"

#include "dialect/MpSchedule.h"
#include "driver/ComparePhases.h"
#include "frontend/Frontend.h"
#include "interpreter/CheckGradients.h"

#include "llvm/Support/SourceMgr.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace mparc::interpreter;

namespace mparc::random {

namespace {

/// One check: a context of its own, and what diagnostics said.
class Check {
public:
  Check(const std::vector<Statement> &file, const CheckOptions &options)
      : file_(file), options_(options),
        handler_(&context_, [this](Diagnostic &diagnostic) { note(diagnostic); }) {
    context_.disableMultithreading();
    context_.loadDialect<mp::MpDialect>();
    inputs_.rows = run_.rows = options.rows;
    inputs_.seed = run_.seed = options.seed;
    run_.lossScale = 64; // few gradients are then too large for f16
  }

  Verdict run();
  /// Whether @train is worked through in parts.
  bool cutsRows();
  /// Whether a tensor has the name twice by which it is to be cut, which the language refuses.
  bool namesTwice() {
    return !build({}) && message_.find(" twice: in dimension ") != std::string::npos;
  }

private:
  OwningOpRef<ModuleOp> build(Form form);
  LogicalResult checkPlaced();
  /// As written in another form it gives the same bits; `what` is the difference of form.
  LogicalResult checkForm(Form form, StringRef what);
  LogicalResult checkParts();
  LogicalResult checkReplicas();
  bool isClose(const Outcomes &a, const Outcomes &b) const;
  LogicalResult checkGradients();
  LogicalResult countTransfers(mp::ModelOp model);
  LogicalResult lower(ModuleOp module, Phase to);

  void note(Diagnostic &diagnostic) {
    // Notes print the operation; the first error says what is wrong.
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && message_.empty())
      message_ = diagnostic.str();
  }
  LogicalResult fail(const Twine &message) {
    if (message_.empty())
      message_ = message.str();
    return failure();
  }

  const std::vector<Statement> &file_;
  const CheckOptions &options_;
  MLIRContext context_{MLIRContext::Threading::DISABLED};
  std::string message_;
  ScopedDiagnosticHandler handler_;
  InputOptions inputs_;
  RunOptions run_;
  Outcomes placed_;
  double tolerance_ = 0; // of sums whose terms the devices of a group have
  Verdict verdict_;
};

} // namespace

OwningOpRef<ModuleOp> Check::build(Form form) {
  llvm::SourceMgr sources;
  unsigned buffer = sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(print(file_, form), "random.mp"), llvm::SMLoc());
  FrontendOptions options;
  options.stdlibDirectory = options_.stdlibDirectory;
  return buildGraph(context_, sources, buffer, options);
}

LogicalResult Check::lower(ModuleOp module, Phase to) {
  PassManager passes(&context_);
  addPasses(passes, Phase::graph, to);
  return passes.run(module);
}

LogicalResult Check::countTransfers(mp::ModelOp model) {
  for (auto program : model.getBody().getOps<mp::ProgramOp>()) {
    llvm::DenseSet<std::pair<Value, int64_t>> moved;
    for (auto transfer : program.getBlock().getOps<mp::TransferOp>()) {
      ++verdict_.transfers;
      if (transfer.getResult().use_empty())
        return transfer.emitError("moves a value that nothing reads");
      if (transfer.getInput().getDefiningOp<mp::TransferOp>())
        return transfer.emitError("moves a value by way of another device");
      if (!moved.insert({transfer.getInput(), *mp::getDevice(transfer)}).second)
        return transfer.emitError("moves a value a second time to device ")
               << *mp::getDevice(transfer);
    }
  }
  return success();
}

LogicalResult Check::checkPlaced() {
  auto module = build({});
  if (!module) {
    verdict_.kind = Verdict::Kind::refused;
    return fail("the front end refuses it and does not say why");
  }
  ComparisonOptions comparison;
  comparison.inputs = inputs_;
  comparison.run = run_;
  comparison.inspect = [this](Phase phase, mp::ModelOp model) {
    tolerance_ = std::max(tolerance_, toleranceOfSums(model));
    return phase == Phase::transferred ? countTransfers(model) : success();
  };
  auto outcomes = comparePhases(*module, comparison);
  if (failed(outcomes))
    return failure();
  placed_ = std::move(*outcomes);
  for (const auto &[name, outcome] : placed_)
    if (name == "train")
      verdict_.isFinite = std::isfinite(outcome.returned.front().get(0));
  return success();
}

/// Whether what the programs gave is the same but for rounding.
bool Check::isClose(const Outcomes &a, const Outcomes &b) const {
  const double tolerance = std::max(1e-3, tolerance_);
  for (size_t program = 0; program < a.size(); ++program) {
    const Outcome &x = a[program].second, &y = b[program].second;
    auto close = [&](const Tensor &p, const Tensor &q) {
      double largest = 1e-2, worst = 0;
      for (int64_t index = 0; index < p.count(); ++index) {
        largest = std::max(largest, std::abs(p.get(index)));
        worst = std::max(worst, std::abs(p.get(index) - q.get(index)));
      }
      return worst <= tolerance * largest;
    };
    for (size_t index = 0; index < x.gradients.size(); ++index)
      if (!close(x.gradients[index].second, y.gradients[index].second))
        return false;
    for (size_t index = 0; index < x.buffers.size(); ++index)
      if (!close(x.buffers[index].second, y.buffers[index].second))
        return false;
    for (size_t index = 0; index < x.returned.size(); ++index)
      if (!close(x.returned[index], y.returned[index]))
        return false;
  }
  return true;
}

LogicalResult Check::checkForm(Form form, StringRef what) {
  auto module = build(form);
  if (!module || failed(lower(*module, Phase::calls)))
    return fail("cannot be compiled in another form: " + what);
  auto outcomes = runPrograms(*module, inputs_, run_);
  if (failed(outcomes))
    return failure();
  if (tolerance_ > 0)
    return isClose(*outcomes, placed_) || !verdict_.isFinite
               ? success()
               : fail(what + " changes a result by more than rounding");
  std::string difference = describeDifference(*outcomes, placed_);
  return difference.empty() ? success() : fail(what + " changes a result: " + difference);
}

LogicalResult Check::checkParts() {
  std::vector<Outcomes> outcomes;
  for (Form form : {Form{}, Form{true}}) {
    auto module = build(form);
    if (!module || failed(lower(*module, Phase::fused)))
      return fail("cannot be compiled for parts");
    module->walk([&](mp::ProgramOp program) {
      auto rows = program->getAttrOfType<IntegerAttr>(mp::kRowsAPart);
      if (rows && rows.getInt() > 0)
        program->setAttr(mp::kRowsAPart, Builder(&context_).getI64IntegerAttr(2));
    });
    ComparisonOptions comparison;
    comparison.from = Phase::fused;
    comparison.inputs = inputs_;
    comparison.run = run_;
    auto compared = comparePhases(*module, comparison);
    if (failed(compared))
      return failure();
    outcomes.push_back(std::move(*compared));
  }
  std::string difference = describeDifference(outcomes[0], outcomes[1]);
  if (!difference.empty() && !(tolerance_ > 0 && isClose(outcomes[0], outcomes[1])))
    return fail("placement changes a result in parts: " + difference);
  return isClose(placed_, outcomes[0]) ? success() : fail("a batch in parts gives other results");
}

LogicalResult Check::checkReplicas() {
  std::vector<Outcomes> outcomes;
  bool isOfEachPart = false;
  for (bool shared : {false, true}) {
    auto module = build({});
    if (!module || failed(lower(*module, Phase::fused)))
      return fail("cannot be compiled for replicas");
    bool cut = false;
    module->walk([&](mp::ProgramOp program) {
      auto rows = program->getAttrOfType<IntegerAttr>(mp::kRowsAPart);
      cut |= rows && program.getSymName() == "train";
      isOfEachPart |= rows && rows.getInt() == 0;
    });
    if (!cut) // rows depend on one another, or nothing is trained
      return success();
    module->walk([&](mp::TrainingOp training) {
      training.setReplicas(3); // of four rows: one has two
      training.setSharded(shared);
      training->setAttr(mp::kBucketBytes, Builder(&context_).getI64IntegerAttr(64));
    });
    PassManager passes(&context_);
    addPasses(passes, Phase::fused, Phase::calls);
    RunOptions run = run_;
    run.order = RunOptions::Order::turns;
    auto outcome = failed(passes.run(*module)) ? FailureOr<Outcomes>(failure())
                                               : runPrograms(*module, inputs_, run);
    if (failed(outcome))
      return fail("replicas cannot be carried out");
    outcomes.push_back(std::move(*outcome));
  }
  std::string difference = describeDifference(outcomes[0], outcomes[1]);
  if (!difference.empty())
    return fail("sharing out the optimiser changes a result: " + difference);
  return isOfEachPart || isClose(placed_, outcomes[0]) ? success()
                                                       : fail("replicas give other results");
}

LogicalResult Check::checkGradients() {
  Form exact;
  exact.exact = true;
  auto module = build(exact);
  if (!module || failed(lower(*module, Phase::grad)))
    return fail("cannot be differentiated");
  mp::ModelOp model = *module->getOps<mp::ModelOp>().begin();
  if (!findProgram(model, "train")) // made small, a program may train no more
    return success();
  InputOptions wide = inputs_;
  wide.realBytes = 8;
  Inputs inputs = makeRandomInputs(model, findProgram(model, "train"), wide);
  GradientCheckOptions check;
  check.elements = 3;
  check.tolerance = 1e-5;
  auto checks = interpreter::checkGradients(model, inputs, run_, check);
  if (failed(checks))
    return failure();
  for (const GradientCheck &each : *checks) {
    verdict_.differences += each.checked;
    if (!each.passed)
      return fail("gradient " + each.parameter + " element " + Twine(each.index) + " is " +
                  formatNumber(each.computed, 8) + ", finite differences give " +
                  formatNumber(each.expected, 8));
  }
  return success();
}

Verdict Check::run() {
  Form kept;
  kept.keepsAll = true;
  const bool recomputes = print(file_, {}) != print(file_, kept);
  const bool passed =
      succeeded(checkPlaced()) && succeeded(checkForm({true}, "placement")) &&
      (!recomputes || succeeded(checkForm(kept, "recomputation"))) &&
      (!options_.parts || !verdict_.isFinite || succeeded(checkParts())) &&
      (!options_.replicas || !verdict_.isFinite || succeeded(checkReplicas())) &&
      (!options_.finiteDifferences || !verdict_.isFinite || succeeded(checkGradients()));
  if (!passed && verdict_.kind == Verdict::Kind::passed)
    verdict_.kind = Verdict::Kind::failed;
  verdict_.message = message_;
  return verdict_;
}

bool Check::cutsRows() {
  auto module = build({});
  if (!module || failed(lower(*module, Phase::fused)))
    return false;
  bool cut = false;
  module->walk([&](mp::ProgramOp program) { cut |= program->hasAttr(mp::kRowsAPart); });
  return cut;
}

void dropMicrobatches(std::vector<Statement> &file, const CheckOptions &options) {
  std::vector<Statement> &entries = file.back().body; // of the train block
  auto counts = llvm::find_if(entries, [](const Statement &entry) {
    return llvm::StringRef(entry.text).starts_with("microbatches");
  });
  if (counts == entries.end())
    return;
  Statement count = *counts;
  entries.erase(counts);
  if (Check(file, options).cutsRows())
    entries.push_back(std::move(count));
}

static void clearNamedSplits(std::vector<Statement> &statements) {
  for (Statement &statement : statements) {
    if (statement.split != "batch")
      statement.split.clear();
    clearNamedSplits(statement.body);
    clearNamedSplits(statement.other);
  }
}

void dropSplits(std::vector<Statement> &file, const CheckOptions &options) {
  if (Check(file, options).namesTwice())
    clearNamedSplits(file);
}

Verdict check(const std::vector<Statement> &file, const CheckOptions &options) {
  return Check(file, options).run();
}

} // namespace mparc::random
