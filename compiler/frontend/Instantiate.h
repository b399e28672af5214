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

  /// Gives all layers and parameters their paths, and layers their devices. Once, when the model
  /// and the loss are made.
  void resolvePaths();

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
    /// An `assert` does not hold: the rest was written for arguments that fit.
    bool isRefused = false;
  };

  /// How a text makes a layer.
  struct Made {
    Membership name;
    /// A statement or, if `isArgument`, an expression.
    SourceRange where;
    /// "block[3]", "layers[1]".
    std::string shown;
    bool isArgument = false;
    /// Of the statement.
    Marks marks = {};
  };

  /// `scope`: the layer whose text makes it; null for the model and the loss, which have no name.
  Instance &create(const ast::LayerDecl &declaration, Instance *scope, const Membership &name);
  bool refuseDepth(const Instance &scope, const Instance &owner, const ast::LayerDecl &declaration,
                   SourceRange where);
  /// A layer made by a call in the evaluator's text; null where there are too many.
  Instance *makeLayer(Evaluator &evaluator, const ast::LayerDecl &declaration,
                      const ast::CallExpr &call, const Made &made);

  // Arguments.cpp
  bool bindParameters(Instance &instance, Evaluator &caller, const CallSite &site);
  Number nameNumber(const Number &number, const ast::Parameter &parameter, const Instance &owner);
  /// An argument as the parameter's type; layers in it belong to `owner`.
  std::optional<Value> convert(Evaluator &evaluator, const ast::Parameter &parameter,
                               Instance &owner, const ast::Expr &expr);
  /// The layer that a call of this makes; null if the name means something else here.
  const ast::LayerDecl *findMade(const Evaluator &evaluator, const ast::Expr &callee);
  /// The value of an expression that may make layers, under `name`; those of a list under its
  /// positions.
  Value makeValue(Evaluator &evaluator, const ast::Expr &expr, const Membership &name,
                  const std::string &shown);
  /// Names the layers of a value that are made already; an array of them becomes a list.
  Value adopt(const Evaluator &evaluator, Value value, SourceRange where, const Membership &name);
  void giveName(const Instance *giver, Instance &layer, const Membership &name);

  // Ties.cpp
  /// `weight: wte.weight`: the tensor of that name, when the body declares it, is to be this one.
  bool addTie(Instance &instance, llvm::StringRef name, Evaluator &caller, const ast::Expr &expr);
  /// Makes a declared parameter the end of a tie; false where the shapes differ.
  bool tie(ParameterInfo &parameter, const mp::DimensionsAttr &dims, Tie &tie);
  void refuseUnusedTies(const Instance &instance);

  // Paths.cpp
  void resolve(Instance &instance);
  /// `marks`: of the statement that makes the layer.
  void expand(Instance &instance, const Marks &marks = {});
  void run(Body &body, const ast::Block &block);
  void run(Body &body, llvm::ArrayRef<ast::StmtPtr> statements);
  void run(Body &body, const ast::Stmt &stmt);
  void addParameter(Body &body, const ast::ParamStmt &stmt);
  void initialize(Body &body, ParameterInfo &parameter, const ast::ParamStmt &stmt);
  void checkZeroRow(const ParameterInfo &parameter, const mp::DimensionsAttr &dims);
  void checkWholeStart(const ParameterInfo &parameter, mlir::Type element);
  void addBinding(Body &body, const ast::BindingStmt &stmt);
  struct Slot;
  /// Where a statement puts a layer, if nothing is there yet.
  std::optional<Slot> reserve(Body &body, const ast::Target &target);
  void fill(Body &body, const Slot &slot, Instance &layer);
  void addLayer(Body &body, const ast::BindingStmt &stmt, const ast::LayerDecl &declaration,
                const ast::CallExpr &call);
  /// `block = inner;`: a name for a layer that is made already.
  void nameLayer(Body &body, const ast::BindingStmt &stmt, Instance &layer);
  void addConstant(Body &body, const ast::BindingStmt &stmt, Value value);
  bool isFree(Body &body, const Identifier &name);

  Session &session;
  llvm::DenseMap<const ast::LayerDecl *, bool> checkedDeclarations;
};

} // namespace mparc

#endif // MPARC_FRONTEND_INSTANTIATE_H
