//===- ChooseModel.cpp - Which model of a file is compiled ------------------===//

#include "frontend/ModelBuilder.h"

using namespace mlir;

namespace mparc {

/// "`A`, `B` and `C`"; the first of many.
static std::string listOf(llvm::ArrayRef<llvm::StringRef> names) {
  constexpr size_t most = 10;
  std::string text;
  for (auto [index, name] : llvm::enumerate(names.take_front(most))) {
    bool isLast = index + 1 == names.size();
    text += (index == 0 ? "`" : isLast ? " and `" : ", `") + name.str() + "`";
  }
  if (names.size() > most)
    text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

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
      llvm::SmallVector<llvm::StringRef> names;
      for (const ast::LayerDecl *each : models)
        names.push_back(each->name.text);
      std::string hint = didYouMean(name, names);
      if (hint.empty() && !names.empty())
        hint = "; it has " + listOf(names);
      session.error(start, "there is no model `" + name + "` in this file" + hint);
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
    llvm::SmallVector<llvm::StringRef> names;
    for (const ast::TrainDecl *each : trains)
      names.push_back(each->model.text);
    if (!areTrained)
      for (const ast::LayerDecl *each : models)
        names.push_back(each->name.text);
    std::string choice = "; choose one of " + listOf(names) + " with `--model`";
    Report &report = session.error(
        areTrained ? trains[1]->model.range : models[1]->name.range,
        (areTrained ? "the file trains several models"
                    : "the file has several models and no train block says which is meant") +
            choice);
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

} // namespace mparc
