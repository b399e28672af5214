//===- TrainOptimizer.cpp - How a train block updates parameters ------------===//
//
// The optimizer, the schedule of its learning rate, the clipping of gradients, and what weight
// decay leaves alone. Names and defaults are those of torch.optim where not said otherwise.
//
//===----------------------------------------------------------------------===//

#include "frontend/TrainReader.h"

#include "llvm/Support/Error.h"
#include "llvm/Support/GlobPattern.h"

#include <cmath>

namespace mparc {

namespace {

/// A parameter of an optimizer.
struct Hyperparameter {
  llvm::StringRef name;
  std::variant<double, bool> otherwise;
};

struct OptimizerForm {
  llvm::StringRef name;
  std::vector<Hyperparameter> parameters; // in the order of positions
};

} // namespace

static const std::vector<OptimizerForm> &optimizerForms() {
  static const std::vector<OptimizerForm> forms = {
      {"sgd",
       {{"lr", 1e-3},
        {"momentum", 0.0},
        {"weight_decay", 0.0},
        {"dampening", 0.0},
        {"nesterov", false}}},
      {"adam",
       {{"lr", 1e-3}, {"betas", 0.0}, {"eps", 1e-8}, {"weight_decay", 0.0}, {"amsgrad", false}}},
      {"adamw",
       {{"lr", 1e-3}, {"betas", 0.0}, {"eps", 1e-8}, {"weight_decay", 0.01}, {"amsgrad", false}}},
      {"adagrad",
       {{"lr", 1e-2},
        {"lr_decay", 0.0},
        {"weight_decay", 0.0},
        {"initial_accumulator_value", 0.0},
        {"eps", 1e-10}}},
      {"rmsprop",
       {{"lr", 1e-2},
        {"alpha", 0.99},
        {"eps", 1e-8},
        {"weight_decay", 0.0},
        {"momentum", 0.0},
        {"centered", false}}},
  };
  return forms;
}

static const OptimizerForm *findOptimizer(llvm::StringRef name) {
  for (const OptimizerForm &form : optimizerForms())
    if (form.name == name)
      return &form;
  return nullptr;
}

static bool fits(double number, Range range) {
  if (!std::isfinite(number))
    return false;
  switch (range) {
  case Range::atLeastZero:
    return number >= 0;
  case Range::aboveZero:
    return number > 0;
  case Range::belowOne:
    return number >= 0 && number < 1;
  case Range::any:
    return true;
  }
  llvm_unreachable("all ranges are listed");
}

static std::string rangeText(Range range) {
  switch (range) {
  case Range::atLeastZero:
    return "at least 0";
  case Range::aboveZero:
    return "above 0";
  case Range::belowOne:
    return "at least 0 and below 1";
  case Range::any:
    return "finite";
  }
  llvm_unreachable("all ranges are listed");
}

std::optional<double> TrainReader::number(const ast::Expr &expr, const std::string &what,
                                          Range range) {
  std::optional<double> given = number(expr, what);
  if (!given || fits(*given, range))
    return given;
  session.error(expr.range,
                what + " must be " + rangeText(range) + ", got " + Number::real(*given).str());
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The optimizer
//===----------------------------------------------------------------------===//

void TrainReader::setHyperparameters(llvm::StringRef optimizer) {
  settings.optimizer = optimizer.str();
  settings.hyperparameters.clear();
  for (const Hyperparameter &parameter : findOptimizer(optimizer)->parameters) {
    if (parameter.name == "betas") {
      settings.hyperparameters.emplace_back("beta1", 0.9);
      settings.hyperparameters.emplace_back("beta2", 0.999);
    } else if (std::holds_alternative<double>(parameter.otherwise)) {
      settings.hyperparameters.emplace_back(parameter.name.str(), parameter.otherwise);
    } // a switch is said where it is on
  }
}

static void set(TrainSettings &settings, llvm::StringRef name, std::optional<double> value) {
  for (auto &[known, slot] : settings.hyperparameters)
    if (known == name && value)
      slot = *value;
}

static double get(const TrainSettings &settings, llvm::StringRef name) {
  for (const auto &[known, value] : settings.hyperparameters)
    if (known == name)
      return std::get<double>(value);
  return 0;
}

void TrainReader::readBetas(const Actual &actual, const std::string &what) {
  auto *pair = llvm::dyn_cast<ast::TupleExpr>(actual.expr);
  if (!pair || pair->elements.size() != 2) {
    session.error(actual.range, what + " must be two numbers, as in `(0.9, 0.999)`");
    return;
  }
  set(settings, "beta1", number(*pair->elements[0], what, Range::belowOne));
  set(settings, "beta2", number(*pair->elements[1], what, Range::belowOne));
}

/// As torch refuses it.
void TrainReader::checkNesterov(SourceRange where) {
  if (get(settings, "momentum") == 0 || get(settings, "dampening") != 0)
    session.error(where, "`nesterov` of `sgd` needs a momentum above 0, and no dampening");
}

void TrainReader::optimizer(const ast::Expr &value) {
  CallSite site;
  const Identifier *name = callee(value, site);
  const OptimizerForm *form = name ? findOptimizer(name->text) : nullptr;
  if (!form) {
    llvm::SmallVector<llvm::StringRef> names;
    for (const OptimizerForm &known : optimizerForms())
      names.push_back(known.name);
    if (name)
      session.error(name->range,
                    "unknown optimizer `" + name->text + "`" + didYouMean(name->text, names));
    else
      session.error(value.range, "`optimizer` is `sgd`, `adam`, `adamw`, `adagrad` or `rmsprop`, "
                                 "as in `adam(lr: 1e-3)`");
    return;
  }
  llvm::SmallVector<Formal> formals;
  for (const Hyperparameter &parameter : form->parameters)
    formals.push_back({parameter.name, false, {}});
  llvm::SmallVector<Actual> actuals;
  if (!bindArguments(session, site, formals, actuals))
    return;
  setHyperparameters(form->name);
  SourceRange nesterov;
  bool isNesterov = false;
  for (auto [parameter, actual] : llvm::zip(form->parameters, actuals)) {
    if (!actual)
      continue;
    std::string what = "`" + parameter.name.str() + "` of `" + form->name.str() + "`";
    if (parameter.name == "betas") {
      readBetas(actual, what);
    } else if (std::holds_alternative<double>(parameter.otherwise)) {
      set(settings, parameter.name, number(*actual.expr, what, Range::atLeastZero));
    } else if (std::optional<bool> given = truth(what, *actual.expr)) {
      if (!*given)
        continue;
      settings.hyperparameters.emplace_back(parameter.name.str(), true);
      if (parameter.name == "nesterov") {
        nesterov = actual.range;
        isNesterov = true;
      }
    }
  }
  if (isNesterov)
    checkNesterov(nesterov);
}

//===----------------------------------------------------------------------===//
// The learning rate's schedule
//===----------------------------------------------------------------------===//

namespace {

struct ScheduleParameter {
  llvm::StringRef name;
  bool isRequired = false;
  bool isInteger = true;
  int64_t least = 0;                // of an integer
  Range range = Range::atLeastZero; // of a number
};

struct ScheduleForm {
  llvm::StringRef name;
  std::vector<ScheduleParameter> parameters;
};

} // namespace

static const std::vector<ScheduleForm> &scheduleForms() {
  static const ScheduleParameter steps{"steps", false, true, 1}, warmup{"warmup"};
  static const std::vector<ScheduleForm> forms = {
      {"constant", {warmup}},
      {"cosine", {steps, {"min", false, false}, warmup}},
      {"linear", {steps, {"start_factor", false, false}, {"end_factor", false, false}, warmup}},
      {"step", {{"every", true, true, 1}, {"gamma", false, false, 0, Range::aboveZero}, warmup}},
  };
  return forms;
}

void TrainReader::schedule(const ast::Expr &value) {
  CallSite site;
  const Identifier *name = callee(value, site);
  const ScheduleForm *form = nullptr;
  llvm::SmallVector<llvm::StringRef> names;
  for (const ScheduleForm &known : scheduleForms()) {
    names.push_back(known.name);
    if (name && known.name == name->text)
      form = &known;
  }
  if (!form) {
    if (name)
      session.error(name->range, "unknown schedule of the learning rate `" + name->text + "`" +
                                     didYouMean(name->text, names));
    else
      session.error(value.range, "`lr_schedule` is `constant`, `cosine`, `linear` or `step`, as in "
                                 "`cosine(warmup: 100)`");
    return;
  }
  llvm::SmallVector<Formal> formals;
  for (const ScheduleParameter &parameter : form->parameters)
    formals.push_back({parameter.name, parameter.isRequired, {}});
  llvm::SmallVector<Actual> actuals;
  if (!bindArguments(session, site, formals, actuals))
    return;
  ScheduleSettings result{form->name.str(), {}};
  std::optional<int64_t> steps, warmup;
  for (auto [parameter, actual] : llvm::zip(form->parameters, actuals)) {
    if (!actual)
      continue;
    std::string what = "`" + parameter.name.str() + "` of `" + form->name.str() + "`";
    if (!parameter.isInteger) {
      if (std::optional<double> given = number(*actual.expr, what, parameter.range))
        result.numbers.emplace_back(parameter.name.str(), *given);
      continue;
    }
    std::optional<int64_t> count = evaluator.integer(*actual.expr, what);
    if (!count)
      continue;
    if (*count < parameter.least) {
      session.error(actual.range, what + " must be at least " + std::to_string(parameter.least) +
                                      ", got " + std::to_string(*count));
      continue;
    }
    result.numbers.emplace_back(parameter.name.str(), *count);
    if (parameter.name == "steps")
      steps = count;
    if (parameter.name == "warmup")
      warmup = count;
  }
  if (steps && warmup && *warmup >= *steps)
    session.error(value.range, "`warmup` of `" + form->name.str() + "` must be below its " +
                                   std::to_string(*steps) + " steps, got " +
                                   std::to_string(*warmup));
  settings.schedule = std::move(result);
}

//===----------------------------------------------------------------------===//
// Clipping, and what does not decay
//===----------------------------------------------------------------------===//

void TrainReader::clipNorm(const ast::Expr &value) {
  settings.clipNorm = number(value, "`clip_norm`", Range::aboveZero);
}

void TrainReader::noWeightDecay(const ast::Expr &value) {
  auto *list = llvm::dyn_cast<ast::ListExpr>(&value);
  if (!list) {
    session.error(value.range,
                  "`no_weight_decay` is a list of patterns of parameters' paths, as in "
                  "`[\"*.bias\"]`");
    return;
  }
  for (const auto &element : list->elements) {
    Value pattern = evaluator.evaluateConstant(*element);
    if (auto *text = std::get_if<std::string>(&pattern))
      settings.noWeightDecay.push_back({*text, element->range});
    else if (!isPoison(pattern))
      session.error(element->range,
                    "a pattern of `no_weight_decay` must be a string, got " + describe(pattern));
  }
}

void markUndecayed(Session &session, const TrainSettings &settings) {
  for (const ParameterPattern &pattern : settings.noWeightDecay) {
    llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(pattern.text, 1024);
    if (!glob) {
      session.error(pattern.where, "the pattern \"" + pattern.text +
                                       "\" cannot be read: " + llvm::toString(glob.takeError()));
      continue;
    }
    bool isUsed = false;
    // One of several names of a tied tensor is enough.
    for (const auto &parameter : session.parameters)
      if (glob->match(parameter->path)) {
        ParameterInfo &tensor = parameter->tied ? *parameter->tied : *parameter;
        isUsed = tensor.isUndecayed = true;
      }
    if (!isUsed)
      session.error(pattern.where,
                    "no parameter's path matches the pattern `" + pattern.text + "`");
  }
}

} // namespace mparc
