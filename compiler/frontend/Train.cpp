//===- Train.cpp - What a train block says ----------------------------------===//

#include "frontend/TrainReader.h"

#include <algorithm>

namespace mparc {

static const llvm::StringRef entryNames[] = {
    "data",        "test_data",       "loss",         "optimizer", "lr_schedule",
    "clip_norm",   "no_weight_decay", "epochs",       "batch",     "seed",
    "shuffle",     "replicas",        "microbatches", "schedule",  "shard_optimizer",
    "bucket_bytes"};

static const llvm::StringRef kPipelineSchedules[] = {"gpipe", "1f1b", "interleaved", "zero-bubble"};

/// More are no use to anyone: what replicas wait for grows with the square of their number.
static constexpr int64_t kMostReplicas = 256;

const Identifier *TrainReader::callee(const ast::Expr &value, CallSite &site) {
  const ast::Expr *target = &value;
  if (auto *call = llvm::dyn_cast<ast::CallExpr>(&value)) {
    target = call->callee.get();
    site.arguments = call->arguments;
  }
  auto *name = llvm::dyn_cast<ast::NameExpr>(target);
  if (!name)
    return nullptr;
  site.callee = name->name.text;
  site.calleeRange = target->range;
  site.range = value.range;
  return &name->name;
}

std::optional<double> TrainReader::number(const ast::Expr &expr, const std::string &what) {
  if (auto number = evaluator.toNumber(evaluator.evaluateConstant(expr), expr.range, what))
    return number->doubleValue();
  return std::nullopt;
}

std::optional<int64_t> TrainReader::atLeastOne(llvm::StringRef name, const ast::Expr &value) {
  std::optional<int64_t> number = evaluator.integer(value, "`" + name + "`");
  if (!number || *number >= 1)
    return number;
  session.error(value.range, "`" + name + "` must be at least 1, got " + llvm::Twine(*number));
  return std::nullopt;
}

std::optional<bool> TrainReader::truth(const std::string &what, const ast::Expr &value) {
  Value result = evaluator.evaluateConstant(value);
  if (auto *truth = std::get_if<bool>(&result))
    return *truth;
  if (!isPoison(result))
    session.error(value.range, what + " must be `true` or `false`, got " + describe(result));
  return std::nullopt;
}

void TrainReader::read(llvm::StringRef name, const ast::Expr &value) {
  if (name == "data") {
    settings.data = data(name, value);
  } else if (name == "test_data") {
    settings.testData = data(name, value);
  } else if (name == "loss") {
    loss(value);
  } else if (name == "optimizer") {
    optimizer(value);
  } else if (name == "lr_schedule") {
    schedule(value);
  } else if (name == "clip_norm") {
    clipNorm(value);
  } else if (name == "no_weight_decay") {
    noWeightDecay(value);
  } else if (name == "epochs") {
    settings.epochs = atLeastOne(name, value).value_or(settings.epochs);
  } else if (name == "batch") {
    settings.batch = atLeastOne(name, value).value_or(settings.batch);
  } else if (name == "seed") {
    std::optional<int64_t> seed = evaluator.integer(value, "`seed`");
    if (seed && *seed < 0)
      session.error(value.range, "`seed` must be at least 0, got " + llvm::Twine(*seed));
    else
      settings.seed = seed.value_or(0);
  } else if (name == "shuffle") {
    settings.shuffle = truth("`shuffle`", value).value_or(true);
  } else if (name == "microbatches") {
    settings.microbatches = atLeastOne(name, value).value_or(settings.microbatches);
  } else if (name == "replicas") {
    std::optional<int64_t> count = atLeastOne(name, value);
    if (count && *count > kMostReplicas)
      session.error(value.range, "`replicas` must be at most " + llvm::Twine(kMostReplicas) +
                                     ", got " + llvm::Twine(*count));
    else
      settings.replicas = count.value_or(settings.replicas);
  } else if (name == "schedule") {
    Value schedule = evaluator.evaluateConstant(value);
    auto *text = std::get_if<std::string>(&schedule);
    if (!text) {
      if (!isPoison(schedule))
        session.error(value.range, "`schedule` must be a string, got " + describe(schedule));
    } else if (llvm::is_contained(kPipelineSchedules, *text)) {
      settings.pipeline = *text;
    } else {
      session.error(value.range,
                    "unknown schedule \"" + *text + "\"" + didYouMean(*text, kPipelineSchedules));
    }
  } else if (name == "shard_optimizer") {
    settings.shardsOptimizer = truth("`shard_optimizer`", value).value_or(false);
  } else if (name == "bucket_bytes") {
    settings.bucketBytes = atLeastOne(name, value).value_or(settings.bucketBytes);
  }
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

std::optional<double> readTestPart(Session &session, Evaluator &evaluator, llvm::StringRef entry,
                                   const ast::Expr &expr, const std::string &what) {
  auto part = evaluator.toNumber(evaluator.evaluateConstant(expr), expr.range, what);
  if (!part)
    return std::nullopt;
  if (!(part->doubleValue() >= 0 && part->doubleValue() < 1))
    session.error(expr.range, what + " is a part of the rows, from 0 to below 1");
  else if (entry == "test_data")
    session.error(expr.range, "`test_data` is the test set; it has no part for testing");
  else
    return part->doubleValue();
  return std::nullopt;
}

std::optional<std::string> TrainReader::fileName(const ast::Expr &expr, const std::string &what) {
  Value path = evaluator.evaluateConstant(expr);
  auto *text = std::get_if<std::string>(&path);
  if (text && !text->empty())
    return *text;
  if (!isPoison(path))
    session.error(expr.range, what + " must be a file's name, got " + describe(path));
  return std::nullopt;
}

std::optional<DataSettings> TrainReader::data(llvm::StringRef entry, const ast::Expr &value) {
  CallSite site;
  const Identifier *name = callee(value, site);
  if (!name || (name->text != "csv" && name->text != "npy" && !isTokenData(name->text))) {
    session.error(value.range,
                  "`" + entry +
                      "` is `csv(path)`, `npy(inputs, targets)`, `text(path)` or `tokens(path)`" +
                      (name ? didYouMean(name->text, {"csv", "npy", "text", "tokens"}) : ""));
    return std::nullopt;
  }
  if (isTokenData(name->text))
    return readTokenData(session, evaluator, entry, site);
  bool isCsv = name->text == "csv";
  llvm::SmallVector<Formal> formals{{isCsv ? "path" : "inputs", true, {}}};
  if (isCsv)
    formals.push_back({"inputs", false, {}});
  formals.push_back({"targets", false, {}});
  formals.push_back({"test", false, {}});
  llvm::SmallVector<Actual> actuals;
  if (!bindArguments(session, site, formals, actuals))
    return std::nullopt;
  DataSettings result;
  result.kind = name->text.str();
  for (auto [formal, actual] : llvm::zip(formals, actuals)) {
    if (!actual)
      continue;
    std::string what = "`" + formal.name.str() + "` of `" + name->text.str() + "`";
    bool isPath = formal.name == "path" || (!isCsv && formal.name != "test");
    if (isPath) {
      // Of several inputs a list, a file each.
      llvm::SmallVector<const ast::Expr *> files{actual.expr};
      if (auto *list = llvm::dyn_cast<ast::ListExpr>(actual.expr);
          list && !isCsv && formal.name == "inputs") {
        files.clear();
        for (const ast::ExprPtr &element : list->elements)
          files.push_back(element.get());
      }
      if (formal.name != "targets")
        result.pathsRange = actual.range;
      for (const ast::Expr *file : files)
        if (std::optional<std::string> path = fileName(*file, what))
          formal.name == "targets" ? result.targetsPath = *path : result.paths.emplace_back(*path);
    } else if (formal.name == "test") {
      result.test = readTestPart(session, evaluator, entry, *actual.expr, what);
    } else {
      std::optional<int64_t> count = evaluator.integer(*actual.expr, what);
      if (count && *count < (formal.name == "inputs" ? 1 : 0)) {
        session.error(actual.range,
                      what + " must be a number of columns, got " + llvm::Twine(*count));
        continue;
      }
      (formal.name == "inputs" ? result.inputs : result.targets) = count;
      (formal.name == "inputs" ? result.inputsRange : result.targetsRange) = actual.range;
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Loss
//===----------------------------------------------------------------------===//

void TrainReader::loss(const ast::Expr &value) {
  CallSite site;
  const Identifier *name = callee(value, site);
  settings.loss = nullptr;
  settings.lossRange = value.range;
  settings.lossName.clear();
  if (!name) {
    session.error(value.range, "`loss` is the name of a layer of two inputs, as in `mse`");
    return;
  }
  settings.loss = session.library.find(name->text);
  if (!settings.loss) {
    if (session.library.isBroken())
      return;
    std::vector<llvm::StringRef> known = session.library.names();
    llvm::sort(known);
    session.error(name->range, "unknown loss `" + name->text + "`" + didYouMean(name->text, known));
    return;
  }
  settings.lossName = name->text.str();
  settings.lossArguments = site.arguments;
}

void TrainReader::finish() {
  if (settings.hyperparameters.empty())
    setHyperparameters("adam");
  if (!settings.loss && settings.lossName == "mse")
    settings.loss = session.library.find("mse");
}

TrainSettings readTrain(Session &session, const ast::TrainDecl &train) {
  TrainSettings settings;
  settings.range = train.model.range;
  settings.lossRange = train.model.range;
  TrainReader reader(session, settings);
  llvm::StringMap<const ast::Expr *> replaced;
  for (const auto &[name, text] : session.options.trainEntries) {
    std::string flag = "--" + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    if (const ast::Expr *value = session.library.parseExpression(flag, text)) {
      reader.read(name, *value);
      replaced[name] = value;
    }
  }
  llvm::StringMap<SourceRange> seen;
  for (const ast::TrainEntry &entry : train.entries) {
    llvm::StringRef name = entry.name.text;
    if (!llvm::is_contained(entryNames, name)) {
      session.error(entry.name.range,
                    "unknown entry `" + name + "`" + didYouMean(name, entryNames));
      continue;
    }
    auto [first, isNew] = seen.try_emplace(name, entry.name.range);
    if (!isNew) {
      session.error(entry.name.range, "`" + name + "` is given twice")
          .note(first->second, "first given here");
      continue;
    }
    if (!replaced.count(name))
      reader.read(name, *entry.value);
  }
  reader.finish();
  return settings;
}

} // namespace mparc
