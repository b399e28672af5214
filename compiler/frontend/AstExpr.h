//===- AstExpr.h - Expressions and types of the syntax tree ---------------===//
//
// See Ast.h.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_ASTEXPR_H
#define MPARC_FRONTEND_ASTEXPR_H

#include "frontend/Source.h"
#include "llvm/Support/Casting.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mparc::ast {

/// Brackets, blocks and prefix operators nest no deeper; checked on the tokens, before parsing.
constexpr unsigned maxNesting = 256;
/// The most nodes from an expression's root to a leaf. A sum of n terms has height n.
constexpr unsigned maxExpressionHeight = 1024;

class Expr {
public:
  enum class Kind {
    Int,
    Float,
    String,
    Bool,
    Name,
    Ellipsis,
    List,
    Tuple,
    Range,
    Unary,
    Binary,
    Pipe,
    Call,
    Index,
    Member,
  };

  Kind kind() const { return kindValue; }
  virtual ~Expr() = default;

  /// Without enclosing parentheses.
  SourceRange range;
  /// Nodes on the longest way to a leaf, this one included.
  unsigned height = 1;

protected:
  explicit Expr(Kind kind) : kindValue(kind) {}

private:
  Kind kindValue;
};

using ExprPtr = std::unique_ptr<Expr>;

template <Expr::Kind K> struct ExprOf : Expr {
  ExprOf() : Expr(K) {}
  static bool classof(const Expr *expr) { return expr->kind() == K; }
};

/// `12`. Never negative: a minus sign is a UnaryExpr.
struct IntExpr : ExprOf<Expr::Kind::Int> {
  int64_t value = 0;
};

/// `1e-3`.
struct FloatExpr : ExprOf<Expr::Kind::Float> {
  /// The nearest double.
  double value = 0;
  /// As written, for arithmetic that rounds once.
  llvm::StringRef spelling;
};

/// `"none"`.
struct StringExpr : ExprOf<Expr::Kind::String> {
  /// Between the quotes, escapes resolved.
  std::string value;
};

/// `true`, `false`.
struct BoolExpr : ExprOf<Expr::Kind::Bool> {
  bool value = false;
};

/// `x`.
struct NameExpr : ExprOf<Expr::Kind::Name> {
  Identifier name;
};

/// `...`: an element of a list or of a type's dimensions only.
struct EllipsisExpr : ExprOf<Expr::Kind::Ellipsis> {};

/// `[batch, heads, -1]`; may be empty.
struct ListExpr : ExprOf<Expr::Kind::List> {
  std::vector<ExprPtr> elements;
};

/// `(0.9, 0.999)`: two elements or more.
struct TupleExpr : ExprOf<Expr::Kind::Tuple> {
  std::vector<ExprPtr> elements;
};

/// `0..4`: an argument of an annotation only.
struct RangeExpr : ExprOf<Expr::Kind::Range> {
  ExprPtr first;
  ExprPtr last;
};

enum class UnaryOperator { Negate, Not };

/// `-x`, `!x`.
struct UnaryExpr : ExprOf<Expr::Kind::Unary> {
  UnaryOperator op = UnaryOperator::Negate;
  SourceRange opRange;
  ExprPtr operand;
};

enum class BinaryOperator {
  Or,
  And,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  Add,
  Subtract,
  Multiply,
  Divide,
  Remainder,
};

inline bool isComparison(BinaryOperator op) {
  return op >= BinaryOperator::Equal && op <= BinaryOperator::GreaterEqual;
}

/// The operator as the user writes it: `<=`.
llvm::StringRef spelling(UnaryOperator op);
llvm::StringRef spelling(BinaryOperator op);

/// `a + b`. Chains of one precedence lean left.
struct BinaryExpr : ExprOf<Expr::Kind::Binary> {
  BinaryOperator op = BinaryOperator::Add;
  SourceRange opRange;
  ExprPtr left;
  ExprPtr right;
};

/// `x |> layer1 |> relu |> dropout(0.1)`: flat, however long.
struct PipeExpr : ExprOf<Expr::Kind::Pipe> {
  ExprPtr source;
  /// At least one; each a NameExpr, MemberExpr, IndexExpr or CallExpr. A CallExpr receives the
  /// value as its first argument, the others are called with it.
  std::vector<ExprPtr> stages;
};

/// `value` or `name: value`.
struct Argument {
  std::optional<Identifier> name;
  ExprPtr value;
  SourceRange range;
};

/// `Linear(12, 256, bias: false)`, `block[i](x)`.
struct CallExpr : ExprOf<Expr::Kind::Call> {
  ExprPtr callee;
  std::vector<Argument> arguments;
};

/// `block[i]`.
struct IndexExpr : ExprOf<Expr::Kind::Index> {
  ExprPtr base;
  ExprPtr index;
};

/// `wte.weight`.
struct MemberExpr : ExprOf<Expr::Kind::Member> {
  ExprPtr base;
  Identifier member;
};

/// A type as written. `int`, `layer`: a Plain name. `f32[batch, 12]`, `f32[]`: a Tensor; its
/// dimensions are expressions, or EllipsisExpr. `[int]`, and `int[]` for a compile-time parameter
/// of a layer: a List of the element.
struct TypeExpr {
  enum class Form { Plain, Tensor, List };
  Form form = Form::Plain;
  Identifier element;
  std::vector<ExprPtr> dimensions;
  SourceRange range;
};

} // namespace mparc::ast

#endif // MPARC_FRONTEND_ASTEXPR_H
