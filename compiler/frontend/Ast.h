//===- Ast.h - The syntax tree of a .mp file ------------------------------===//
//
// What the user wrote, without comments, layout and parentheses. Nothing is resolved: a name is a
// name. Every node owns its children and knows its range; names and literals point into the
// llvm::SourceMgr's buffers, which must outlive the tree.
//
// Shape of the tree: AstExpr.h has the expressions and types; here are statements and declarations.
// Classes carry a kind, so llvm::isa, cast, dyn_cast and llvm::TypeSwitch work. The height of an
// expression is at most maxExpressionHeight and blocks nest at most maxNesting deep, so a recursive
// walk is safe. A chain of `|>`, an `else if` ladder and a list of statements are flat.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_AST_H
#define MPARC_FRONTEND_AST_H

#include "frontend/AstExpr.h"

namespace mparc::ast {

/// `@device(0, 1)`, `@split(batch: 2, out: 4)`, `@recompute`. Which names exist, and their
/// arguments' meaning, the checker says. A RangeExpr may stand as an argument: `@device(0..4)`.
struct Annotation {
  Identifier name;
  std::vector<Argument> arguments;
  /// From the `@` to the end of the arguments.
  SourceRange range;
};

//===----------------------------------------------------------------------===//
// Statements: what stands in the body of a layer, of `forward`, and in blocks in either
//===----------------------------------------------------------------------===//

class Stmt {
public:
  enum class Kind { Param, Binding, Expression, Return, If, For, Group };

  Kind kind() const { return kindValue; }
  virtual ~Stmt() = default;

  /// Of the whole statement with its `;`, without its annotations.
  SourceRange range;
  /// Outermost (first written) first.
  std::vector<Annotation> annotations;

protected:
  explicit Stmt(Kind kind) : kindValue(kind) {}

private:
  Kind kindValue;
};

using StmtPtr = std::unique_ptr<Stmt>;

/// `{ … }`.
struct Block {
  std::vector<StmtPtr> statements;
  SourceRange range;
};

template <Stmt::Kind K> struct StmtOf : Stmt {
  StmtOf() : Stmt(K) {}
  static bool classof(const Stmt *stmt) { return stmt->kind() == K; }
};

/// `param weight: f32[out, in] = kaiming_uniform(fan: in);` or, with `buffer`, state that is not
/// trained. Stands in the body of a layer only, and in blocks there.
struct ParamStmt : StmtOf<Stmt::Kind::Param> {
  bool isBuffer = false;
  Identifier name;
  TypeExpr type;
  /// Null when left out.
  ExprPtr initializer;
};

/// What a binding binds: `h`, or `block[i]`, one index for each enclosing loop it runs over.
struct Target {
  Identifier name;
  std::vector<ExprPtr> indices;
  SourceRange range;
};

/// `name = expr;`, `a, b = expr;`, `block[i] = Block(64, 4);`. In the body of a layer: a sub-layer
/// or a constant; in `forward`: values.
struct BindingStmt : StmtOf<Stmt::Kind::Binding> {
  std::vector<Target> targets;
  ExprPtr value;
};

/// `update(mean, m);`: an expression for its effect. In `forward`; `assert(…);` in the body of a
/// layer too.
struct ExpressionStmt : StmtOf<Stmt::Kind::Expression> {
  ExprPtr expression;
};

/// `return a;`, `return a, b;`. In `forward` only; `return (a, b);` gives one TupleExpr.
struct ReturnStmt : StmtOf<Stmt::Kind::Return> {
  std::vector<ExprPtr> values;
};

/// One rung of an `if` ladder.
struct IfBranch {
  ExprPtr condition;
  Block body;
};

/// `if a { … } else if b { … } else { … }`.
struct IfStmt : StmtOf<Stmt::Kind::If> {
  /// At least one.
  std::vector<IfBranch> branches;
  std::optional<Block> otherwise;
};

/// `for i in first..last { … }`, half open.
struct ForStmt : StmtOf<Stmt::Kind::For> {
  Identifier variable;
  ExprPtr first;
  ExprPtr last;
  Block body;
};

/// `@device(1) { … }`: a group exists for its annotations; it opens no scope.
struct GroupStmt : StmtOf<Stmt::Kind::Group> {
  Block body;
};

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

/// A compile-time parameter of a layer (`in: int = 4`) or an input of `forward` (no default).
struct Parameter {
  Identifier name;
  TypeExpr type;
  /// Null when left out.
  ExprPtr defaultValue;
  SourceRange range;
};

/// `forward(x: f32[..., in]) -> f32[..., out] { … }`.
struct Forward {
  /// The word `forward`.
  Identifier keyword;
  std::vector<Annotation> annotations;
  std::vector<Parameter> inputs;
  /// One, or several: `-> (f32[n], f32[m])`.
  std::vector<TypeExpr> results;
  Block body;
  /// Up to the end of the last result: what a note about the signature points at.
  SourceRange signature;
  SourceRange range;
};

/// `layer Name(parameters) { … }` or `model Name(parameters) { … }`.
struct LayerDecl {
  bool isModel = false;
  std::vector<Annotation> annotations;
  Identifier name;
  std::vector<Parameter> parameters;
  /// The body in order, without `forward`.
  std::vector<StmtPtr> body;
  /// Null when the user left it out.
  std::unique_ptr<Forward> forward;
  SourceRange range;
  /// Something in here could not be parsed and is missing; the error is already reported. Such a
  /// layer's name and parameters may be used, its body should not be checked.
  bool isBroken = false;
};

/// `name = value;` in a `train` block.
struct TrainEntry {
  Identifier name;
  ExprPtr value;
  SourceRange range;
};

/// `train Name { … }`.
struct TrainDecl {
  Identifier model;
  std::vector<TrainEntry> entries;
  SourceRange range;
  /// As LayerDecl::isBroken.
  bool isBroken = false;
};

/// `extern "my_ops.h" op swish(x: f32[...]) -> f32[...] grad swish_grad;`.
struct ExternDecl {
  /// The text between the quotes, escapes resolved.
  std::string header;
  SourceRange headerRange;
  /// The C++ function, `my::swish`, and the name it has in this language: the last part.
  std::string function;
  SourceRange functionRange;
  Identifier name;
  std::vector<Parameter> inputs;
  std::vector<TypeExpr> results;
  /// A C++ function; empty when left out.
  std::string gradient;
  SourceRange gradientRange;
  SourceRange range;
};

/// `import "other.mp";`.
struct ImportDecl {
  /// The text between the quotes, escapes resolved.
  std::string path;
  SourceRange pathRange;
};

/// One file. Declarations of a kind are in the order written.
struct File {
  /// Its number in the llvm::SourceMgr.
  unsigned buffer = 0;
  std::vector<ImportDecl> imports;
  std::vector<std::unique_ptr<LayerDecl>> layers;
  std::vector<std::unique_ptr<TrainDecl>> trains;
  std::vector<std::unique_ptr<ExternDecl>> externs;
  /// Whether any error was found in it; they are all reported.
  bool isBroken = false;
};

} // namespace mparc::ast

#endif // MPARC_FRONTEND_AST_H
