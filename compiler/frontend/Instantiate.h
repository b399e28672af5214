//===- Instantiate.h - Layers made with arguments ---------------------------===//

#ifndef MPARC_FRONTEND_INSTANTIATE_H
#define MPARC_FRONTEND_INSTANTIATE_H

#include "frontend/Evaluator.h"

namespace mparc {

class Instantiator {
public:
  explicit Instantiator(Session &theSession) : session(theSession) {}

  /// What can be said about a declaration without arguments: the types of its parameters, names
  /// given twice, a missing forward. Reported once; false if anything is wrong.
  bool checkDeclaration(const ast::LayerDecl &declaration);

  /// The model with its parameters' defaults, or what `--set` says; null after errors so bad that
  /// nothing of it can be used.
  Instance *makeModel(const ast::LayerDecl &declaration);
  /// The loss, with the arguments of the train block's entry.
  Instance *makeLoss(const ast::LayerDecl &declaration, const CallSite &site);

  /// Values of `--set` that are no parameters of the model: free names of its dimensions.
  struct FreeName {
    Number size;
    SourceRange where;
    bool isUsed = false;
  };
  llvm::StringMap<FreeName> freeNames;

private:
  /// State of a walk over a body.
  struct Body {
    Evaluator &evaluator;
    Marks marks;
    unsigned conditional = 0;
  };

  Instance &create(const ast::LayerDecl &declaration, Instance *parent, std::string path);
  bool bindParameters(Instance &instance, Evaluator &caller, const CallSite &site);
  std::optional<Value> convert(Evaluator &evaluator, const ast::Parameter &parameter,
                               llvm::StringRef owner, const ast::Expr &expr);
  /// `marks`: of the statement that makes the layer.
  void expand(Instance &instance, const Marks &marks = {});
  void run(Body &body, const ast::Block &block);
  void run(Body &body, llvm::ArrayRef<ast::StmtPtr> statements);
  void run(Body &body, const ast::Stmt &stmt);
  void addParameter(Body &body, const ast::ParamStmt &stmt);
  void initialize(Body &body, ParameterInfo &parameter, const ast::ParamStmt &stmt);
  void checkWholeStart(const ParameterInfo &parameter, mlir::Type element);
  void addBinding(Body &body, const ast::BindingStmt &stmt);
  void addLayer(Body &body, const ast::BindingStmt &stmt, const ast::LayerDecl &declaration,
                const ast::CallExpr &call);
  void addConstant(Body &body, const ast::BindingStmt &stmt);
  bool isFree(Body &body, const Identifier &name);
  bool refuseRecursion(Instance &parent, const ast::LayerDecl &declaration, SourceRange where);

  Session &session;
  llvm::DenseMap<const ast::LayerDecl *, bool> checkedDeclarations;
};

} // namespace mparc

#endif // MPARC_FRONTEND_INSTANTIATE_H
