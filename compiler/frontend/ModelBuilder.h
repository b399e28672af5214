//===- ModelBuilder.h - One model, from its declaration to a module ---------===//

#ifndef MPARC_FRONTEND_MODELBUILDER_H
#define MPARC_FRONTEND_MODELBUILDER_H

#include "frontend/Train.h"

namespace mparc {

class ModelBuilder {
public:
  explicit ModelBuilder(Session &theSession)
      : session(theSession), instantiator(session), builder(&session.context) {}

  /// Loads the file, checks it, and builds the module; null after errors. Called once.
  mlir::OwningOpRef<mlir::ModuleOp> build(unsigned mainBuffer);

private:
  enum class Mode { Train, Evaluate, Predict };

  bool chooseModel();
  void declareLayers();
  void buildProgram(Mode mode);
  llvm::SmallVector<Tensor> addInputs(mp::ProgramOp program);
  std::optional<Tensor> addInput(mp::ProgramOp program, Evaluator &evaluator,
                                 const ast::Parameter &input);
  std::optional<Tensor> addLoss(mp::ProgramOp program, GraphBuilder &graph, Tensor output);
  bool checkLossLayer();
  void checkLossValue(const Tensor &loss);
  void checkCounts(const DataSettings &data, llvm::ArrayRef<Tensor> inputs, const Tensor &target);
  /// A token data's context is the size of the free name that the model's input has beside its
  /// batch.
  void bindContext();
  /// Rows of tokens are what the model and its loss take. Sets the context where it was left open.
  void checkTokens(DataSettings &data, llvm::ArrayRef<Tensor> inputs, const Tensor &target);
  void addTraining();
  mlir::DictionaryAttr dataAttribute(const std::optional<DataSettings> &data);
  void warnUnused();
  void resolveUnexpanded();
  mlir::Location location(const SourceRange &range) { return session.diagnostics.location(range); }

  Session &session;
  Instantiator instantiator;
  mlir::OpBuilder builder;
  const ast::LayerDecl *declaration = nullptr;
  const ast::TrainDecl *trainDeclaration = nullptr;
  Instance *model = nullptr;
  Instance *loss = nullptr;
  std::optional<TrainSettings> training;
  int64_t classes = 0;
  mp::ModelOp modelOp;
};

} // namespace mparc

#endif // MPARC_FRONTEND_MODELBUILDER_H
