//===- BuildGraph.cpp - From text to the graph ------------------------------===//
//
//   text → files (Library) → the model's layers (Instantiate) → its train block (Train)
//        → programs: one walk of the model's forward each (Forward)
//
//===----------------------------------------------------------------------===//

#include "frontend/Frontend.h"
#include "frontend/Train.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/thread.h"

using namespace mlir;

namespace mparc {

namespace {

class ModelBuilder {
public:
  explicit ModelBuilder(Session &theSession)
      : session(theSession), instantiator(session), builder(&session.context) {}

  OwningOpRef<ModuleOp> build(unsigned mainBuffer);

private:
  enum class Mode { Train, Evaluate, Predict };

  bool chooseModel();
  void declareLayers();
  void buildProgram(Mode mode);
  std::optional<Tensor> addInput(mp::ProgramOp program, GraphBuilder &graph);
  std::optional<Tensor> addLoss(mp::ProgramOp program, GraphBuilder &graph, Tensor output);
  bool checkLossLayer();
  void checkLossValue(const Tensor &loss);
  void checkCounts(const DataSettings &data, const Tensor &input, const Tensor &target);
  void addTraining();
  DictionaryAttr dataAttribute(const std::optional<DataSettings> &data);
  void warnUnused();
  Location location(const SourceRange &range) { return session.diagnostics.location(range); }

  Session &session;
  Instantiator instantiator;
  OpBuilder builder;
  const ast::LayerDecl *declaration = nullptr;
  const ast::TrainDecl *trainDeclaration = nullptr;
  Instance *model = nullptr;
  Instance *loss = nullptr;
  std::optional<TrainSettings> training;
  int64_t classes = 0;
  mp::ModelOp modelOp;
};

} // namespace

//===----------------------------------------------------------------------===//
// Which model
//===----------------------------------------------------------------------===//

bool ModelBuilder::chooseModel() {
  llvm::SmallVector<const ast::LayerDecl *> models;
  llvm::SmallVector<const ast::TrainDecl *> trains;
  ArrayRef<const ast::File *> files = session.library.userFiles();
  // What the main file declares counts; what it imports, if it declares nothing.
  for (const ast::File *file : files) {
    for (const auto &layer : file->layers)
      if (layer->isModel && (models.empty() || file == files.front()))
        models.push_back(layer.get());
    for (const auto &train : file->trains)
      if (trains.empty() || file == files.front())
        trains.push_back(train.get());
  }
  SourceRange start{files.front()->buffer, {0, 1, 1}, {0, 1, 1}};
  bool isFine = true;
  llvm::StringMap<const ast::TrainDecl *> trained;
  for (const ast::TrainDecl *train : trains) {
    const ast::LayerDecl *target = session.library.find(train->model.text);
    auto [first, isNew] = trained.try_emplace(train->model.text, train);
    if (!isNew) {
      isFine = false;
      session.error(train->model.range, "`" + train->model.text + "` has two train blocks")
          .note(first->second->model.range, "the first is here");
    } else if (!target && !session.library.isBroken()) {
      isFine = false;
      llvm::SmallVector<llvm::StringRef> names;
      for (const ast::LayerDecl *each : models)
        names.push_back(each->name.text);
      session.error(train->model.range, "unknown model `" + train->model.text + "`" +
                                            didYouMean(train->model.text, names));
    } else if (target && !target->isModel) {
      isFine = false;
      session.error(train->model.range, "`" + train->model.text + "` is a layer, not a model")
          .note(target->name.range, "declared here");
    }
  }
  if (!isFine)
    return false;
  if (const std::string &name = session.options.modelName; !name.empty()) {
    declaration = session.library.find(name);
    if (!declaration || !declaration->isModel) {
      session.error(start, "there is no model `" + name + "`");
      return false;
    }
  } else if (trained.size() == 1) {
    declaration = session.library.find(trains.front()->model.text);
  } else if (models.size() == 1 && trained.empty()) {
    declaration = models.front();
  } else if (!session.library.isBroken()) {
    if (models.empty()) {
      session.error(start, "there is no model in this file");
      return false;
    }
    bool areTrained = !trained.empty();
    Report &report = session.error(
        areTrained ? trains[1]->model.range : models[1]->name.range,
        areTrained ? "the file trains several models; one file trains one"
                   : "the file has several models and no train block says which is meant");
    if (areTrained)
      report.note(trains[0]->model.range, "another is trained here");
    else
      report.note(models[0]->name.range, "another is declared here");
    return false;
  }
  if (!declaration)
    return false;
  trainDeclaration = trained.lookup(declaration->name.text);
  return true;
}

//===----------------------------------------------------------------------===//
// The programs
//===----------------------------------------------------------------------===//

/// The model's input: its first free name is the batch, others have the sizes that options say.
std::optional<Tensor> ModelBuilder::addInput(mp::ProgramOp program, GraphBuilder &graph) {
  const ast::Forward &forward = *declaration->forward;
  if (forward.inputs.size() != 1) {
    if (forward.inputs.empty())
      session.error(forward.keyword.range, "a model needs an input");
    else
      session.unsupported(forward.inputs[1].range, "a model of several inputs is");
    return std::nullopt;
  }
  const ast::Parameter &input = forward.inputs.front();
  Frame frame;
  Evaluator evaluator(session, model, &frame);
  Type element = evaluator.elementType(input.type.element);
  if (!element)
    return std::nullopt;
  if (input.type.form != ast::TypeExpr::Form::Tensor || input.type.dimensions.empty()) {
    session.error(input.type.range,
                  "the input of a model has its batch as first dimension, as in `f32[batch, 12]`");
    return std::nullopt;
  }
  Dimensions dimensions;
  bool isFine = true, hasBatch = false;
  for (auto [index, expr] : llvm::enumerate(input.type.dimensions)) {
    auto *name = llvm::dyn_cast<ast::NameExpr>(expr.get());
    bool isFree =
        name && !model->names.count(name->name.text) && !frame.dimensions.count(name->name.text);
    if (index == 0 && !isFree) {
      session.error(expr->range,
                    "the first dimension of a model's input is its batch, a free name, "
                    "as in `f32[batch, 12]`");
      return std::nullopt;
    }
    if (isFree && !hasBatch) {
      hasBatch = true;
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
      frame.dimensions[text] = set->second.first.named(&session.context, text);
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
  Block &block = program.getBody().emplaceBlock();
  GraphBuilder graph(session, &block);
  graph.at(forward.keyword.range);
  graph.training = mode == Mode::Train;
  std::optional<Tensor> input = addInput(program, graph);
  if (!input)
    return;
  std::vector<llvm::StringRef> names{forward.inputs.front().name.text};

  Evaluator evaluator(session, model, nullptr, &graph);
  Value result =
      evaluator.callForward(*model, *input, forward.inputs.front().range, forward.keyword.range);
  auto *output = std::get_if<Tensor>(&result);
  if (!output)
    return;
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
    names.push_back(names.front() == "target" ? "target_" : "target");
    if (mode == Mode::Train) {
      Tensor target{block.getArgument(1),
                    cast<mp::DimensionsAttr>(
                        cast<RankedTensorType>(block.getArgument(1).getType()).getEncoding()),
                    nullptr};
      for (const auto &data : {training->data, training->testData})
        if (data)
          checkCounts(*data, *input, target);
    }
  }
  program.setNamesAttr(builder.getStrArrayAttr(names));
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
  size_t inputs = layer.forward->inputs.size();
  if (inputs == 2 && !layer.isModel)
    return true;
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
  // The target's type follows from the output's, by the loss's signature.
  Frame frame;
  Evaluator evaluator(session, loss, &frame, &graph);
  unsigned before = session.diagnostics.errorCount();
  evaluator.bindInput(forward.inputs[0], output, training->lossRange);
  if (session.diagnostics.errorCount() != before)
    return std::nullopt;
  const ast::TypeExpr &type = forward.inputs[1].type;
  Type element = evaluator.elementType(type.element);
  mp::DimensionsAttr dims = element ? evaluator.typeDimensions(type) : mp::DimensionsAttr();
  if (!dims)
    return std::nullopt;
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

void ModelBuilder::checkCounts(const DataSettings &data, const Tensor &input,
                               const Tensor &target) {
  auto check = [&](std::optional<int64_t> given, SourceRange where, const Tensor &tensor,
                   llvm::StringRef what) {
    int64_t expected = elementsPerRow(tensor);
    if (!given || *given == expected || (*given == 0 && what == "target"))
      return;
    session.error(where, "the " + what + " " + describe(tensor) + " is " + llvm::Twine(expected) +
                             (expected == 1 ? " column" : " columns") + ", got " +
                             llvm::Twine(*given));
  };
  check(data.inputs, data.inputsRange, input, "input");
  check(data.targets, data.targetsRange, target, "target");
}

//===----------------------------------------------------------------------===//
// What else the module holds
//===----------------------------------------------------------------------===//

/// A statement as one line, without its `;`.
static std::string oneLine(llvm::StringRef text) {
  std::string result;
  while (!text.empty()) {
    if (text.starts_with("//"))
      text = text.drop_until([](char c) { return c == '\n'; });
    else if (text.starts_with("/*"))
      text = text.split("*/").second;
    if (text.empty())
      break;
    if (std::isspace(static_cast<unsigned char>(text.front()))) {
      if (!result.empty() && result.back() != ' ' && result.back() != '(')
        result += ' ';
    } else {
      result += text.front();
    }
    text = text.drop_front();
  }
  return llvm::StringRef(result).rtrim("; ").str();
}

void ModelBuilder::declareLayers() {
  for (const auto &instance : session.instances)
    if (instance->statement)
      builder.create<mp::LayerOp>(location(instance->statement->range), instance->path,
                                  oneLine(session.text(instance->statement->range)));
  for (const auto &parameter : session.parameters)
    if (parameter->type)
      builder.create<mp::ParameterOp>(location(parameter->declaration->range), parameter->path,
                                      parameter->type, parameter->initializer,
                                      parameter->arguments);
}

DictionaryAttr ModelBuilder::dataAttribute(const std::optional<DataSettings> &data) {
  SmallVector<NamedAttribute> entries;
  if (data) {
    auto add = [&](llvm::StringRef name, Attribute value) {
      entries.push_back(builder.getNamedAttr(name, value));
    };
    add("kind", builder.getStringAttr(data->kind));
    add("path", builder.getStringAttr(data->path));
    if (!data->targetsPath.empty())
      add("targets_path", builder.getStringAttr(data->targetsPath));
    if (data->inputs)
      add("inputs", builder.getI64IntegerAttr(*data->inputs));
    if (data->targets)
      add("targets", builder.getI64IntegerAttr(*data->targets));
    if (data->test)
      add("test", builder.getF64FloatAttr(*data->test));
  }
  return builder.getDictionaryAttr(entries);
}

void ModelBuilder::addTraining() {
  SmallVector<NamedAttribute> settings;
  for (const auto &[name, value] : training->hyperparameters)
    settings.push_back(builder.getNamedAttr(name, builder.getF64FloatAttr(value)));
  builder.create<mp::TrainingOp>(
      location(training->range), training->optimizer, builder.getDictionaryAttr(settings),
      training->lossName, training->epochs, training->batch, training->shuffle, training->seed,
      classes, dataAttribute(training->data), dataAttribute(training->testData));
}

/// A layer that is made but never called: trained parameters would hang in the air.
void ModelBuilder::warnUnused() {
  llvm::DenseMap<const ast::BindingStmt *, bool> used;
  for (const auto &instance : session.instances)
    if (instance->statement)
      used[instance->statement] |= instance->isUsed || !instance->parent->isUsed;
  for (const auto &[statement, isUsed] : used)
    if (!isUsed)
      session.diagnostics.warning(statement->range,
                                  "`" + statement->targets.front().name.text + "` is never called");
}

OwningOpRef<ModuleOp> ModelBuilder::build(unsigned mainBuffer) {
  session.library.load(mainBuffer);
  for (const ast::File *file : session.library.userFiles()) {
    for (const auto &layer : file->layers)
      instantiator.checkDeclaration(*layer);
    for (const auto &external : file->externs)
      session.unsupported(external->range, "`extern` is");
  }
  if (!chooseModel())
    return {};
  if (trainDeclaration && !trainDeclaration->isBroken)
    training = readTrain(session, *trainDeclaration);
  model = instantiator.makeModel(*declaration);
  bool canTrain = training && training->loss && checkLossLayer();
  if (canTrain) {
    CallSite site;
    site.callee = training->loss->name.text;
    site.calleeRange = site.range = training->lossRange;
    site.declared = training->loss->name.range;
    site.arguments = training->lossArguments;
    loss = instantiator.makeLoss(*training->loss, site);
    canTrain = loss;
  }
  if (model->isBroken || session.isStopped())
    return {};

  const llvm::MemoryBuffer *buffer = session.sources.getMemoryBuffer(mainBuffer);
  OwningOpRef<ModuleOp> module = ModuleOp::create(location(declaration->name.range));
  (*module)->setAttr("mp.source", builder.getStringAttr(buffer->getBufferIdentifier()));
  builder.setInsertionPointToEnd(module->getBody());
  modelOp = builder.create<mp::ModelOp>(location(declaration->name.range), declaration->name.text,
                                        IntegerAttr());
  Block &body = modelOp.getBody().emplaceBlock();
  builder.setInsertionPointToEnd(&body);
  declareLayers();
  Operation *last = body.empty() ? nullptr : &body.back();
  // What depends on `training` may be wrong in one mode only, so both are built.
  if (canTrain)
    buildProgram(Mode::Train);
  if (canTrain && !session.diagnostics.hasErrors())
    buildProgram(Mode::Evaluate);
  buildProgram(Mode::Predict);
  if (session.diagnostics.hasErrors())
    return {};
  if (training) {
    if (last)
      builder.setInsertionPointAfter(last);
    else
      builder.setInsertionPointToStart(&body);
    addTraining();
  }
  warnUnused();
  return module;
}

OwningOpRef<ModuleOp> buildGraph(MLIRContext &context, llvm::SourceMgr &sources,
                                 unsigned mainBuffer, const FrontendOptions &options) {
  context.loadDialect<mp::MpDialect>();
  OwningOpRef<ModuleOp> module;
  // Expressions and layers nest as deep as the language allows, which is more than the stack of a
  // program's first thread holds.
  llvm::thread worker(std::optional<unsigned>(512u << 20), [&] {
    Session session(context, sources, options);
    module = ModelBuilder(session).build(mainBuffer);
    if (session.diagnostics.hasErrors())
      module = {};
    session.diagnostics.emit();
  });
  worker.join();
  if (module && failed(verify(*module)))
    module = {};
  return module;
}

} // namespace mparc
