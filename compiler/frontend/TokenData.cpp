//===- TokenData.cpp - Data that is one sequence of tokens ------------------===//
//
// `text` and `tokens` give windows of `context` tokens, and as targets the tokens that follow each.
// What they say about shapes is bound to the model here: the free name that the model's input has
// beside its batch is the context.
//
//===----------------------------------------------------------------------===//

#include "frontend/ModelBuilder.h"

using namespace mlir;

namespace mparc {

bool isTokenData(llvm::StringRef kind) { return kind == "text" || kind == "tokens"; }

std::optional<DataSettings> readTokenData(Session &session, Evaluator &evaluator,
                                          llvm::StringRef entry, const CallSite &site) {
  bool isText = site.callee == "text";
  llvm::SmallVector<Formal> formals{{"path", true, {}}, {"context", false, {}}};
  if (!isText)
    formals.push_back({"type", false, {}});
  formals.push_back({"test", false, {}});
  llvm::SmallVector<Actual> actuals;
  if (!bindArguments(session, site, formals, actuals))
    return std::nullopt;
  DataSettings result;
  result.kind = site.callee.str();
  result.inputsRange = result.targetsRange = site.range;
  for (auto [formal, actual] : llvm::zip(formals, actuals)) {
    if (!actual)
      continue;
    std::string what = "`" + formal.name.str() + "` of `" + result.kind + "`";
    if (formal.name == "context") {
      std::optional<int64_t> context = evaluator.integer(*actual.expr, what);
      if (context && *context < 1)
        session.error(actual.range, what + " must be at least 1, got " + llvm::Twine(*context));
      else
        result.context = context;
      result.inputsRange = actual.range;
      continue;
    }
    if (formal.name == "test") {
      result.test = readTestPart(session, evaluator, entry, *actual.expr, what);
      continue;
    }
    Value value = evaluator.evaluateConstant(*actual.expr);
    auto *text = std::get_if<std::string>(&value);
    bool isPath = formal.name == "path";
    if (text && isPath && !text->empty())
      result.paths = {*text};
    else if (text && !isPath && (*text == "u8" || *text == "u16" || *text == "i32"))
      result.tokenType = *text;
    else if (!isPoison(value))
      session.error(actual.range,
                    what +
                        (isPath ? " must be a file's name, got "
                                : " must be \"u8\", \"u16\" or \"i32\", got ") +
                        (text && !text->empty() ? "\"" + *text + "\"" : describe(value)));
  }
  return result;
}

void ModelBuilder::bindContext() {
  const std::optional<DataSettings> &data = training->data ? training->data : training->testData;
  const ast::Forward *forward = declaration->forward.get();
  if (!data || !data->context || !forward || forward->inputs.empty())
    return;
  bool hasBatch = false;
  for (const ast::ExprPtr &expr : forward->inputs.front().type.dimensions) {
    auto *name = llvm::dyn_cast<ast::NameExpr>(expr.get());
    if (!name || model->names.count(name->name.text))
      continue;
    if (hasBatch) {
      // What `--set` says is held against the context with the shape.
      instantiator.freeNames.try_emplace(
          name->name.text,
          Instantiator::FreeName{Number::integer(*data->context), data->inputsRange, false});
      return;
    }
    hasBatch = true;
  }
}

void ModelBuilder::checkTokens(DataSettings &data, ArrayRef<Tensor> inputs, const Tensor &target) {
  if (inputs.size() > 1) {
    session
        .error(data.inputsRange, "`" + data.kind + "` gives one input; `" + declaration->name.text +
                                     "` has " + llvm::Twine(inputs.size()))
        .note(declaration->forward->signature, "the inputs are declared here");
    return;
  }
  const Tensor &input = inputs.front();
  auto isWindow = [&](const Tensor &tensor) {
    return tensor.element().isInteger(32) && tensor.rank() == 2 &&
           tensor.dimensions()[0].getStaticSize() == 1 &&
           (!data.context || tensor.dimensions()[1].getSize() == *data.context);
  };
  llvm::StringRef batch = input.dimensions()[0].getFactors().front().getName();
  std::string window =
      ("i32[" + batch + ", " + (data.context ? std::to_string(*data.context) : "context") + "]")
          .str();
  if (!isWindow(input)) {
    session
        .error(data.inputsRange,
               "`" + data.kind + "` gives " + window + ", the model takes " + describe(input))
        .note(declaration->forward->inputs.front().range, "the input is declared here");
    return;
  }
  data.context = input.dimensions()[1].getSize();
  if (!isWindow(target))
    session
        .error(training->lossRange, "`" + training->lossName + "` compares with a target " +
                                        describe(target) + ", but the next tokens are " +
                                        describe(input))
        .note(data.targetsRange, "the tokens come from here");
}

} // namespace mparc
