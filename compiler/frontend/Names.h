//===- Names.h - Suggestions and the binding of arguments -------------------===//

#ifndef MPARC_FRONTEND_NAMES_H
#define MPARC_FRONTEND_NAMES_H

#include "frontend/DidYouMean.h"
#include "frontend/Session.h"

namespace mparc {

/// A parameter of a layer, an input of `forward`, a parameter of a function.
struct Formal {
  llvm::StringRef name;
  bool isRequired = true;
  /// Where it is declared, if in the user's text.
  SourceRange where;
  /// A tensor of a layer, which an argument may tie to another: never positional.
  bool isTensor = false;
};

/// What a call that makes a layer may give: its parameters in parentheses, then the names of its
/// tensors.
llvm::SmallVector<Formal> formalsOf(const ast::LayerDecl &declaration);

/// What is given for a parameter: an expression, or the value on the left of `|>`.
struct Actual {
  const ast::Expr *expr = nullptr;
  const Value *piped = nullptr;
  SourceRange range;

  explicit operator bool() const { return expr || piped; }
};

/// A call: who is called, and with what.
struct CallSite {
  /// As messages name it, without quotes.
  llvm::StringRef callee;
  SourceRange calleeRange;
  /// Where the callee is declared, if in a file.
  SourceRange declared;
  const Value *piped = nullptr;
  SourceRange pipedRange;
  llvm::ArrayRef<ast::Argument> arguments;
  /// The whole call.
  SourceRange range;
};

/// Matches arguments with parameters: one Actual a Formal, empty where a default is to be used.
/// False after errors, all of them reported.
bool bindArguments(Session &session, const CallSite &call, llvm::ArrayRef<Formal> formals,
                   llvm::SmallVectorImpl<Actual> &actuals);

} // namespace mparc

#endif // MPARC_FRONTEND_NAMES_H
