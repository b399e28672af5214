//===- BuildGraph.cpp - From text to the graph ------------------------------===//
//
//   text → files (Library) → the model's layers (Instantiate) → its train block (Train)
//        → programs: one walk of the model's forward each (Programs, Forward)
//
//===----------------------------------------------------------------------===//

#include "dialect/MpSchedule.h"
#include "frontend/Frontend.h"
#include "frontend/ModelBuilder.h"
#include "frontend/Names.h"
#include "frontend/ResolveNames.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/thread.h"

#include <map>

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
    if (instance->made.isValid()) {
      std::string text = oneLine(session.text(instance->made));
      if (instance->isArgument)
        text = instance->shown + " = " + text;
      builder.create<mp::LayerOp>(location(instance->made), instance->path, text);
    }
  for (const auto &parameter : session.parameters) {
    if (!parameter->type || parameter->tied)
      continue;
    SmallVector<llvm::StringRef> names(parameter->furtherNames.begin(),
                                       parameter->furtherNames.end());
    builder.create<mp::ParameterOp>(location(parameter->declaration->range), parameter->path,
                                    parameter->type, parameter->initializer, parameter->arguments,
                                    parameter->isUndecayed, parameter->isBuffer(),
                                    names.empty() ? ArrayAttr() : builder.getStrArrayAttr(names));
  }
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

DictionaryAttr ModelBuilder::scheduleAttribute(const std::optional<ScheduleSettings> &schedule) {
  if (!schedule)
    return {};
  SmallVector<NamedAttribute> entries{
      builder.getNamedAttr("kind", builder.getStringAttr(schedule->kind))};
  for (const auto &[name, value] : schedule->numbers) {
    const int64_t *count = std::get_if<int64_t>(&value);
    Attribute attribute = count ? Attribute(builder.getI64IntegerAttr(*count))
                                : Attribute(builder.getF64FloatAttr(std::get<double>(value)));
    entries.push_back(builder.getNamedAttr(name, attribute));
  }
  return builder.getDictionaryAttr(entries);
}

void ModelBuilder::addTraining() {
  SmallVector<NamedAttribute> settings;
  for (const auto &[name, value] : training->hyperparameters) {
    const bool *truth = std::get_if<bool>(&value);
    Attribute attribute = truth ? Attribute(builder.getBoolAttr(*truth))
                                : Attribute(builder.getF64FloatAttr(std::get<double>(value)));
    settings.push_back(builder.getNamedAttr(name, attribute));
  }
  if (training->clipNorm)
    settings.push_back(
        builder.getNamedAttr("clip_norm", builder.getF64FloatAttr(*training->clipNorm)));
  auto op = builder.create<mp::TrainingOp>(
      location(training->range), training->optimizer, builder.getDictionaryAttr(settings),
      training->lossName, training->epochs, training->batch, training->shuffle, training->seed,
      classes, dataAttribute(training->data), dataAttribute(training->testData),
      scheduleAttribute(training->schedule), training->microbatches, training->pipeline,
      training->replicas, training->shardsOptimizer && training->replicas > 1);
  if (training->replicas > 1)
    op->setAttr(mp::kBucketBytes, builder.getI64IntegerAttr(training->bucketBytes));
}

/// A layer that is made but never called: trained parameters would hang in the air.
void ModelBuilder::warnUnused() {
  struct Use {
    Instance *instance;
    bool isUsed;
  };
  std::map<std::pair<unsigned, uint32_t>, Use> used;
  for (const auto &instance : session.instances) {
    if (!instance->made.isValid())
      continue;
    const SourceRange &made = instance->made;
    Use &use = used.try_emplace({made.buffer, made.begin.offset}, Use{instance.get(), false})
                   .first->second;
    use.isUsed |= instance->isUsed || !instance->scope->isUsed ||
                  !instance->memberships.front().owner->isUsed;
  }
  for (const auto &[place, use] : used) {
    llvm::StringRef shown = use.instance->shown;
    // All elements of an array are made by one statement.
    if (!use.instance->isArgument)
      shown = shown.split('[').first;
    // Nor is it the user's business what the standard library makes and does not need.
    if (!use.isUsed && !session.library.isStandard(use.instance->made))
      session.diagnostics.warning(use.instance->made, "`" + shown + "` is never called");
  }
}

void ModelBuilder::resolveUnexpanded() {
  for (const ast::File *file : session.library.userFiles())
    for (const auto &layer : file->layers)
      resolveNames(session, *layer);
}

OwningOpRef<ModuleOp> ModelBuilder::build(unsigned mainBuffer) {
  session.library.load(mainBuffer);
  for (const ast::File *file : session.library.userFiles())
    for (const auto &layer : file->layers)
      instantiator.checkDeclaration(*layer);
  session.externs.declare(session,
                          session.sources.getMemoryBuffer(mainBuffer)->getBufferIdentifier(),
                          session.options.readHeader);
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
  instantiator.resolvePaths();
  if (model->isBroken || session.isStopped()) {
    resolveUnexpanded();
    return {};
  }

  if (training)
    markUndecayed(session, *training);

  const llvm::MemoryBuffer *buffer = session.sources.getMemoryBuffer(mainBuffer);
  OwningOpRef<ModuleOp> module = ModuleOp::create(location(declaration->name.range));
  (*module)->setAttr("mp.source", builder.getStringAttr(buffer->getBufferIdentifier()));
  builder.setInsertionPointToEnd(module->getBody());
  modelOp = builder.create<mp::ModelOp>(location(declaration->name.range), declaration->name.text,
                                        IntegerAttr());
  mlir::Block &body = modelOp.getBody().emplaceBlock();
  builder.setInsertionPointToEnd(&body);
  declareLayers();
  Operation *last = body.empty() ? nullptr : &body.back();
  // What depends on `training` may be wrong in one mode only, so both are built.
  if (canTrain)
    buildProgram(Mode::Train);
  if (canTrain && !session.diagnostics.hasErrors())
    buildProgram(Mode::Evaluate);
  buildProgram(Mode::Predict);
  session.splits.reportUnused(session);
  resolveUnexpanded();
  SmallVector<StringRef> known;
  for (const ast::Parameter &parameter : declaration->parameters)
    known.push_back(parameter.name.text);
  for (const auto &setting : instantiator.freeNames)
    if (!setting.second.isUsed && !session.diagnostics.hasErrors())
      session.error(setting.second.where,
                    "`" + declaration->name.text + "` has no parameter or free dimension `" +
                        setting.first() + "`" + didYouMean(setting.first(), known));
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
