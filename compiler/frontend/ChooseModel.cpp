//===- ChooseModel.cpp - Which model of a file is compiled ------------------===//

#include "frontend/ModelBuilder.h"

using namespace mlir;

namespace mparc {

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

} // namespace mparc
