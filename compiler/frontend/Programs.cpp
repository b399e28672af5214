//===- Programs.cpp - What a model does: train, evaluate, predict -----------===//
//
// Each program is one walk of the model's forward; the first two end in the loss.
//
//===----------------------------------------------------------------------===//

#include "frontend/ModelBuilder.h"

#include "llvm/ADT/ScopeExit.h"

using namespace mlir;

namespace mparc {

/// The model's inputs; none after an error.
SmallVector<Tensor> ModelBuilder::addInputs(mp::ProgramOp program) {
  const ast::Forward &forward = *declaration->forward;
  if (forward.inputs.empty())
    session.error(forward.keyword.range, "a model needs an input");
  // Names of dimensions mean the same in all of them.
  Frame frame;
  Evaluator evaluator(session, model, &frame);
  SmallVector<Tensor> inputs;
  for (const ast::Parameter &input : forward.inputs) {
    std::optional<Tensor> tensor = addInput(program, evaluator, input);
    // Without the first there is no batch for the others.
    if (tensor)
      inputs.push_back(*tensor);
    else if (inputs.empty())
      return {};
  }
  if (inputs.size() != forward.inputs.size())
    inputs.clear();
  return inputs;
}

/// An input: its first dimension is the batch, which the first input names; other free names have
/// the sizes that options say.
std::optional<Tensor> ModelBuilder::addInput(mp::ProgramOp program, Evaluator &evaluator,
                                             const ast::Parameter &input) {
  Frame &frame = *evaluator.frame;
  const std::vector<ast::Parameter> &inputs = declaration->forward->inputs;
  Type element = evaluator.elementType(input.type);
  if (!element)
    return std::nullopt;
  if (isLowPrecision(element)) {
    session.error(input.type.element.range, "the input of a model is f32, i32 or bool, not " +
                                                input.type.element.text + "; `cast` rounds it");
    return std::nullopt;
  }
  if (input.type.form != ast::TypeExpr::Form::Tensor || input.type.dimensions.empty()) {
    session.error(input.type.range,
                  "the input of a model has its batch as first dimension, as in `f32[batch, 12]`");
    return std::nullopt;
  }
  Dimensions dimensions;
  bool isFine = true;
  for (auto [index, expr] : llvm::enumerate(input.type.dimensions)) {
    auto *name = llvm::dyn_cast<ast::NameExpr>(expr.get());
    bool isFree =
        name && !model->names.count(name->name.text) && !frame.dimensions.count(name->name.text);
    if (index == 0 && &input != &inputs.front()) {
      auto known = name ? frame.dimensions.find(name->name.text) : frame.dimensions.end();
      if (known == frame.dimensions.end() || !known->second.hasBatch()) {
        SourceRange batch = inputs.front().type.dimensions.front()->range;
        session
            .error(expr->range,
                   "the first dimension of each input of a model is its batch, here `" +
                       session.text(batch) + "`")
            .note(batch, "the batch is named here");
        return std::nullopt;
      }
      dimensions.push_back(evaluator.dimension(*expr));
      continue;
    }
    if (index == 0 && !isFree) {
      session.error(expr->range,
                    "the first dimension of a model's input is its batch, a free name, "
                    "as in `f32[batch, 12]`");
      return std::nullopt;
    }
    if (index == 0) {
      mp::DimensionAttr batch =
          mp::getDimension(&session.context, name->name.text, ShapedType::kDynamic);
      frame.dimensions[name->name.text] = Number::integer(1, batch);
      dimensions.push_back(batch);
      continue;
    }
    if (isFree) {
      llvm::StringRef text = name->name.text;
      auto set = instantiator.freeNames.find(text);
      if (set == instantiator.freeNames.end()) {
        session.error(expr->range, "`" + text + "` is not known; bind it with `--set " + text +
                                       "=…`, or make it a parameter of the model");
        isFine = false;
        continue;
      }
      set->second.isUsed = true;
      frame.dimensions[text] = set->second.size.named(&session.context, text);
    }
    if (llvm::isa<ast::EllipsisExpr>(*expr)) {
      session.error(expr->range, "`...` stands for a caller's dimensions; a model has no caller");
      isFine = false;
      continue;
    }
    mp::DimensionAttr dimension = evaluator.dimension(*expr);
    isFine &= static_cast<bool>(dimension);
    dimensions.push_back(dimension);
  }
  mp::DimensionsAttr dims =
      isFine ? checkDimensions(session, input.type.range, dimensions, "") : mp::DimensionsAttr();
  if (!dims)
    return std::nullopt;
  Location place =
      NameLoc::get(StringAttr::get(&session.context, input.name.text), location(input.name.range));
  mlir::Value argument = program.getBlock().addArgument(
      mp::getTensorType(&session.context, dimensions, element), place);
  return Tensor{argument, dims,
                session.makeOrigin(input.range, "the input `" + input.name.text.str() + "`")};
}

void ModelBuilder::buildProgram(Mode mode) {
  session.startProgram();
  for (const auto &instance : session.instances)
    instance->dropoutCalls = 0;
  llvm::StringRef name = mode == Mode::Train      ? "train"
                         : mode == Mode::Evaluate ? "evaluate"
                                                  : "predict";
  const ast::Forward &forward = *declaration->forward;
  builder.setInsertionPointToEnd(&modelOp.getBody().front());
  auto program = builder.create<mp::ProgramOp>(location(forward.keyword.range), name,
                                               builder.getStrArrayAttr({}));
  mlir::Block &block = program.getBody().emplaceBlock();
  GraphBuilder graph(session, &block);
  graph.at(forward.keyword.range);
  graph.training = mode == Mode::Train;
  SmallVector<Tensor> inputs = addInputs(program);
  if (inputs.empty())
    return;
  std::vector<std::string> names;
  SmallVector<SourceRange> ranges;
  for (const ast::Parameter &input : forward.inputs) {
    names.push_back(input.name.text.str());
    ranges.push_back(input.range);
  }

  if (forward.results.size() != 1) {
    session.error(forward.results[1].range,
                  "a model gives one result, the loss's first input; `" + declaration->name.text +
                      "` is declared to return " + llvm::Twine(forward.results.size()));
    return;
  }
  Evaluator evaluator(session, model, nullptr, &graph);
  Value result = evaluator.callForward(*model, inputs, ranges, forward.keyword.range);
  auto *output = std::get_if<Tensor>(&result);
  if (!output)
    return;
  if (isLowPrecision(output->element())) {
    session.error(forward.results.front().element.range,
                  "the result of a model is f32, i32 or bool, not " + describe(output->element()));
    return;
  }
  if (output->rank() == 0 || !output->dimensions()[0].hasBatch() ||
      output->dimensions()[0].getStaticSize() != 1) {
    session.error(forward.results.front().range,
                  "the first dimension of a model's result must be its batch, got " +
                      describe(*output));
    return;
  }
  SmallVector<mlir::Value> results;
  if (mode != Mode::Train)
    results.push_back(output->value);
  if (mode != Mode::Predict) {
    std::optional<Tensor> value = addLoss(program, graph, *output);
    if (!value)
      return;
    results.push_back(value->value);
    std::string targetName = "target";
    while (llvm::is_contained(names, targetName))
      targetName += "_";
    names.push_back(targetName);
    if (mode == Mode::Train) {
      auto type = cast<RankedTensorType>(block.getArguments().back().getType());
      Tensor target{block.getArguments().back(), cast<mp::DimensionsAttr>(type.getEncoding()),
                    nullptr};
      for (auto *data : {&training->data, &training->testData})
        if (*data && isTokenData((*data)->kind))
          checkTokens(**data, inputs, target);
        else if (*data)
          checkCounts(**data, inputs, target);
    }
  }
  if (mode == Mode::Train)
    graph.finishAssignments();
  program.setNamesAttr(
      builder.getStrArrayAttr(SmallVector<llvm::StringRef>(names.begin(), names.end())));
  graph.builder.create<mp::ReturnOp>(location(forward.keyword.range), results);
  // What nothing uses need not be computed: transposes that products took in, unused bindings.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isMemoryEffectFree(&op) && op.use_empty() && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
}

//===----------------------------------------------------------------------===//
// The loss
//===----------------------------------------------------------------------===//

bool ModelBuilder::checkLossLayer() {
  const ast::LayerDecl &layer = *training->loss;
  if (!instantiator.checkDeclaration(layer))
    return false;
  size_t inputs = layer.forward->inputs.size(), results = layer.forward->results.size();
  if (inputs == 2 && !layer.isModel && results == 1)
    return true;
  if (inputs == 2 && !layer.isModel) {
    session
        .error(training->lossRange, "a loss gives one result; `" + layer.name.text +
                                        "` is declared to return " + llvm::Twine(results))
        .note(layer.forward->signature, "`" + layer.name.text + "` is declared here");
    return false;
  }
  session
      .error(training->lossRange,
             "a loss is a layer of two inputs, the output and the target; `" + layer.name.text +
                 (layer.isModel ? llvm::Twine("` is a model") : "` has " + llvm::Twine(inputs)))
      .note(layer.forward->signature, "`" + layer.name.text + "` is declared here");
  return false;
}

std::optional<Tensor> ModelBuilder::addLoss(mp::ProgramOp program, GraphBuilder &graph,
                                            Tensor output) {
  const ast::Forward &forward = *training->loss->forward;
  graph.at(training->lossRange);
  session.sites.push_back(training->lossRange);
  auto leave = llvm::make_scope_exit([&] { session.sites.pop_back(); });
  // The target's type follows from the output's, by the loss's signature.
  Frame frame;
  Evaluator evaluator(session, loss, &frame, &graph);
  unsigned before = session.diagnostics.errorCount();
  evaluator.bindInput(forward.inputs[0], output, training->lossRange);
  if (session.diagnostics.errorCount() != before)
    return std::nullopt;
  const ast::TypeExpr &type = forward.inputs[1].type;
  Type element = evaluator.elementType(type);
  mp::DimensionsAttr dims = element ? evaluator.typeDimensions(type) : mp::DimensionsAttr();
  if (!dims)
    return std::nullopt;
  if (isLowPrecision(element)) {
    session.error(type.element.range, "the target is f32, i32 or bool, not " + type.element.text);
    return std::nullopt;
  }
  if (dims.getDimensions().empty() || !dims.getDimensions()[0].hasBatch()) {
    session.error(type.range, "the first dimension of the target must be the batch, got " +
                                  describe(element, dims.getDimensions()));
    return std::nullopt;
  }
  Location place =
      NameLoc::get(StringAttr::get(&session.context, "target"), location(training->lossRange));
  mlir::Value argument = program.getBlock().addArgument(
      mp::getTensorType(&session.context, dims.getDimensions(), element), place);
  Tensor target{argument, dims, session.makeOrigin(training->lossRange, "the target")};
  if (training->lossName == "cross_entropy" && session.library.isStandard(*training->loss))
    classes = output.dimensions().back().getSize();
  Value value = evaluator.callForward(
      *loss, {output, target}, {training->lossRange, training->lossRange}, training->lossRange);
  auto *tensor = std::get_if<Tensor>(&value);
  if (!tensor)
    return std::nullopt;
  checkLossValue(*tensor);
  return *tensor;
}

void ModelBuilder::checkLossValue(const Tensor &value) {
  const ast::LayerDecl &layer = *training->loss;
  auto reduce = value.value.getDefiningOp<mp::ReduceOp>();
  bool isSum = reduce && (reduce.getKind() == mp::ReductionKind::sum ||
                          reduce.getKind() == mp::ReductionKind::mean);
  bool isOverBatch =
      isSum && llvm::any_of(mp::getDimensions(reduce.getInput().getType()),
                            [](mp::DimensionAttr dimension) { return dimension.hasBatch(); });
  if (value.rank() == 0 && value.element().isF32() && isOverBatch)
    return;
  session
      .error(training->lossRange,
             "a loss ends in `mean` or `sum` over everything; `" + layer.name.text + "` does not")
      .note(layer.forward->signature, "`" + layer.name.text + "` is declared here");
}

/// Elements a row of the batch.
static int64_t elementsPerRow(const Tensor &tensor) {
  int64_t count = 1;
  for (mp::DimensionAttr dimension : tensor.dimensions())
    count *= dimension.getStaticSize();
  return count;
}

void ModelBuilder::checkCounts(const DataSettings &data, ArrayRef<Tensor> inputs,
                               const Tensor &target) {
  auto check = [&](std::optional<int64_t> given, SourceRange where, ArrayRef<Tensor> tensors,
                   llvm::StringRef what) {
    int64_t expected = 0;
    std::string all;
    for (const Tensor &tensor : tensors) {
      expected += elementsPerRow(tensor);
      all += (all.empty() ? "" : ", ") + describe(tensor);
    }
    if (!given || *given == expected || (*given == 0 && what == "target"))
      return;
    session.error(where, "the " + what + (tensors.size() > 1 ? "s " : " ") + all +
                             (tensors.size() > 1 ? " are " : " is ") + llvm::Twine(expected) +
                             (expected == 1 ? " column" : " columns") + ", got " +
                             llvm::Twine(*given));
  };
  check(data.inputs, data.inputsRange, inputs, "input");
  check(data.targets, data.targetsRange, target, "target");
  auto countOf = [](size_t count, llvm::StringRef noun) {
    return std::to_string(count) + " " + noun.str() + (count == 1 ? "" : "s");
  };
  if (data.kind == "npy" && data.paths.size() != inputs.size())
    session
        .error(data.pathsRange,
               "`" + declaration->name.text + "` has " + countOf(inputs.size(), "input") +
                   ", got " + countOf(data.paths.size(), "file") +
                   "; `npy` takes one each, as in `inputs: [\"a.npy\", \"b.npy\"]`")
        .note(declaration->forward->signature, "the inputs are declared here");
}

} // namespace mparc
