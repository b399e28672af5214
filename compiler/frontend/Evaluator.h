//===- Evaluator.h - Expressions and forwards, evaluated --------------------===//
//
// One Evaluator is one place where names mean something: the body of a layer, one call of a
// `forward`, an entry of a train block. What is known when compiling is computed; what is not
// becomes operations of the graph.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_EVALUATOR_H
#define MPARC_FRONTEND_EVALUATOR_H

#include "frontend/GraphBuilder.h"
#include "frontend/Names.h"
#include "llvm/ADT/DenseSet.h"

namespace mparc {

struct Function;

/// One call of a `forward`: what its names are bound to.
struct Frame {
  struct Local {
    Value value;
    SourceRange where;
    bool isLoopVariable = false;
  };
  llvm::DenseMap<llvm::StringRef, Local> locals;
  /// Values that have a name here; a second name does not replace it.
  llvm::DenseSet<mlir::Value> bound;
  /// Free names of the signature.
  llvm::DenseMap<llvm::StringRef, Number> dimensions;
  /// What `...` stands for, once it is known.
  std::optional<Dimensions> leading;
  /// How many `if`s and `for`s enclose the statement: inside them names may be bound again.
  unsigned conditional = 0;
  /// The loop whose turns are recomputed, each by itself.
  const ast::Stmt *recomputedLoop = nullptr;
  /// What `return` gives, and where it says so; nothing before it.
  struct Result {
    Value value;
    SourceRange where;
  };
  std::optional<std::vector<Result>> results;
  /// Buffers that it has set, and where.
  llvm::DenseMap<ParameterInfo *, SourceRange> updated;
  /// Of the whole `return`.
  SourceRange returned;
};

/// `tensor`: any element type and dimensions, those that the caller's tensor has.
bool isAnyTensor(const ast::TypeExpr &type);

class Evaluator {
public:
  /// Names are those of `instance`, if not null; in a forward `frame` and `graph` are given.
  Evaluator(Session &theSession, Instance *theInstance, Frame *theFrame = nullptr,
            GraphBuilder *theGraph = nullptr)
      : session(theSession), instance(theInstance), frame(theFrame), graph(theGraph) {}

  Session &session;
  Instance *instance;
  Frame *frame;
  GraphBuilder *graph;

  /// The value of an expression; a name shared by a parameter of the layer and a tensor means the
  /// tensor.
  Value evaluate(const ast::Expr &expr);
  /// The same, where something known when compiling is wanted: the name means the parameter.
  Value evaluateConstant(const ast::Expr &expr);
  /// An argument, or the value piped in for it.
  Value evaluate(const Actual &actual);

  /// A constant of the kind wanted, or nothing after an error at the expression. `what` begins the
  /// message: "`in` of `Linear`".
  std::optional<int64_t> integer(const ast::Expr &expr, const llvm::Twine &what);
  std::optional<bool> condition(const ast::Expr &expr);
  /// Converts a value: see above; `where` is for the error.
  std::optional<int64_t> toInteger(const Value &value, SourceRange where, const llvm::Twine &what);
  std::optional<Number> toNumber(const Value &value, SourceRange where, const llvm::Twine &what);

  /// A size as a dimension called `label`, which may be empty. Null after an error.
  mp::DimensionAttr toDimension(const Number &size, SourceRange where, llvm::StringRef label);
  /// The dimension an expression in a type or a list of sizes stands for; null after an error.
  mp::DimensionAttr dimension(const ast::Expr &expr);
  /// The element type a name stands for; null, with an error unless it names no type, otherwise.
  mlir::Type elementType(const Identifier &name);
  /// Of a type that must say it: `tensor` does not.
  mlir::Type elementType(const ast::TypeExpr &type);

  /// The value of a name, or nothing if it has none; errors are the caller's.
  std::optional<Value> lookup(llvm::StringRef name, SourceRange where);
  /// The parameter that a path names: `weight`, `wte.weight`, `block[0].attn.weight`. Null after an
  /// error.
  ParameterInfo *parameter(const ast::Expr &expr, const llvm::Twine &what);
  /// Reports that a name means nothing, and what may have been meant.
  void reportUnknown(const Identifier &name, llvm::StringRef kind);

  /// Applies annotations, outermost first, to what those outside of them say.
  void applyAnnotations(llvm::ArrayRef<ast::Annotation> annotations, Marks &marks);
  std::optional<Devices> devicesOf(const ast::Annotation &annotation);
  std::optional<SplitMark> splitOf(const ast::Annotation &annotation);
  mlir::Type precisionOf(const ast::Annotation &annotation);

  /// Calls a C++ function of the user's.
  Value callExtern(ExternOp &op, const CallSite &site);
  /// Calls a layer with tensors; the result has the dimensions its signature says.
  Value callLayer(Instance &callee, const CallSite &site);
  Value callForward(Instance &callee, llvm::ArrayRef<Tensor> inputs,
                    llvm::ArrayRef<SourceRange> ranges, SourceRange site);

  /// Signature.cpp: binds the free names of an input's type and gives the tensor the names of the
  /// layer. Nothing after an error.
  std::optional<Tensor> bindInput(const ast::Parameter &input, Tensor tensor, SourceRange where);
  /// A type with all its names known; null after an error.
  mp::DimensionsAttr typeDimensions(const ast::TypeExpr &type);
  /// As the user wrote a type, with the sizes that are known.
  std::string describeType(const ast::TypeExpr &type);

  /// Assert.cpp: whether what the statement demands is so, with an error where it is not; nothing
  /// if it is no `assert`.
  std::optional<bool> runAssert(const ast::ExpressionStmt &stmt);

private:
  /// One place among the dimensions of a type: an expression, or an element of the list that it
  /// names.
  struct TypePlace {
    const ast::Expr *expr;
    std::optional<Value> element;
    llvm::StringRef label;
  };
  llvm::SmallVector<TypePlace> placesOf(const ast::TypeExpr &type);
  mp::DimensionAttr dimension(const TypePlace &place);

  friend class FunctionCall;
  Value name(const ast::NameExpr &expr);
  Value member(const ast::MemberExpr &expr);
  Value index(const ast::IndexExpr &expr);
  Value list(const ast::ListExpr &expr);
  Value unary(const ast::UnaryExpr &expr);
  Value binary(const ast::BinaryExpr &expr);
  Value combine(ast::BinaryOperator op, Value left, Value right, SourceRange where);
  Value combineTensors(ast::BinaryOperator op, Value left, Value right, SourceRange where);
  Value compareConstants(ast::BinaryOperator op, const Value &left, const Value &right,
                         SourceRange where);
  Value pipe(const ast::PipeExpr &expr);
  Value call(const ast::Expr &callee, llvm::ArrayRef<ast::Argument> arguments, const Value *piped,
             SourceRange pipedRange, SourceRange range);
  Value callFunction(const Function &function, const CallSite &site);
  void evaluateArguments(const CallSite &site);

  /// Assert.cpp
  std::optional<std::string> fillIn(const ast::Expr &message);

  /// Update.cpp
  void update(const ast::CallExpr &call);
  ParameterInfo *findBuffer(const ast::Expr &expr);

  /// Forward.cpp
  bool run(const ast::Block &block);
  bool run(const ast::Stmt &stmt);
  bool runAnnotated(const ast::Stmt &stmt);
  bool runIf(const ast::IfStmt &stmt);
  bool runFor(const ast::ForStmt &stmt);
  bool runExpression(const ast::ExpressionStmt &stmt);
  void runBinding(const ast::BindingStmt &stmt);
  /// What one target of a binding gets, checked and called by the target's name.
  void bindTarget(const ast::Target &target, Value value, SourceRange where);
  bool runReturn(const ast::ReturnStmt &stmt);
  void bind(const Identifier &name, Value value);
  Value checkResults();
  Value checkResult(const Frame::Result &result, const ast::TypeExpr &type);

  /// Whether names mean what is known when compiling.
  bool wantsConstants = false;
};

} // namespace mparc

#endif // MPARC_FRONTEND_EVALUATOR_H
