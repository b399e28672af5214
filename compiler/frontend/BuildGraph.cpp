//===- BuildGraph.cpp - From text to the graph ------------------------------===//
//
//   text → files (Library) → the model's layers (Instantiate) → its train block (Train)
//        → programs: one walk of the model's forward each (Programs, Forward)
//
//===----------------------------------------------------------------------===//

#include "frontend/Frontend.h"
#include "frontend/ModelBuilder.h"
#include "frontend/ResolveNames.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/thread.h"

using namespace mlir;

namespace mparc {

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
                                      parameter->type, parameter->initializer, parameter->arguments,
                                      parameter->isBuffer());
}

DictionaryAttr ModelBuilder::dataAttribute(const std::optional<DataSettings> &data) {
  SmallVector<NamedAttribute> entries;
  if (data) {
    auto add = [&](llvm::StringRef name, Attribute value) {
      entries.push_back(builder.getNamedAttr(name, value));
    };
    add("kind", builder.getStringAttr(data->kind));
    if (data->paths.size() == 1)
      add("path", builder.getStringAttr(data->paths.front()));
    else
      add("path", builder.getStrArrayAttr(
                      SmallVector<llvm::StringRef>(data->paths.begin(), data->paths.end())));
    if (!data->targetsPath.empty())
      add("targets_path", builder.getStringAttr(data->targetsPath));
    if (data->inputs)
      add("inputs", builder.getI64IntegerAttr(*data->inputs));
    if (data->targets)
      add("targets", builder.getI64IntegerAttr(*data->targets));
    if (data->test)
      add("test", builder.getF64FloatAttr(*data->test));
    if (data->context)
      add("context", builder.getI64IntegerAttr(*data->context));
    if (!data->tokenType.empty())
      add("token_type", builder.getStringAttr(data->tokenType));
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

void ModelBuilder::resolveUnexpanded() {
  for (const ast::File *file : session.library.userFiles())
    for (const auto &layer : file->layers)
      resolveNames(session, *layer);
}

OwningOpRef<ModuleOp> ModelBuilder::build(unsigned mainBuffer) {
  session.library.load(mainBuffer);
  for (const ast::File *file : session.library.userFiles()) {
    for (const auto &layer : file->layers)
      instantiator.checkDeclaration(*layer);
    for (const auto &external : file->externs)
      session.unsupported(external->range, "`extern` is");
  }
  if (!chooseModel()) {
    resolveUnexpanded();
    return {};
  }
  if (trainDeclaration && !trainDeclaration->isBroken)
    training = readTrain(session, *trainDeclaration);
  model = instantiator.makeModel(*declaration);
  if (training)
    bindContext();
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
  if (model->isBroken || session.isStopped()) {
    resolveUnexpanded();
    return {};
  }

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
  resolveUnexpanded();
  for (const auto &setting : instantiator.freeNames)
    if (!setting.second.isUsed && !session.diagnostics.hasErrors())
      session.error(setting.second.where, "`" + declaration->name.text +
                                              "` has no parameter or free "
                                              "dimension `" +
                                              setting.first() + "`");
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
