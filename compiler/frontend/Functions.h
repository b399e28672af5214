//===- Functions.h - The functions of the language --------------------------===//

#ifndef MPARC_FRONTEND_FUNCTIONS_H
#define MPARC_FRONTEND_FUNCTIONS_H

#include "frontend/Evaluator.h"

namespace mparc {

class FunctionCall;

/// A function: its parameters, and how a call of it becomes operations.
struct Function {
  /// How an argument is read.
  enum class Kind {
    /// A value, evaluated before the function is built.
    Plain,
    /// A dimension's name or position, or a list of them.
    Dimension,
    /// A list of sizes, of tensors, of positions.
    List,
    /// The name of an element type.
    Type,
  };
  struct Parameter {
    llvm::StringRef name;
    Kind kind = Kind::Plain;
    bool isRequired = true;
  };

  llvm::StringRef name;
  llvm::SmallVector<Parameter, 4> parameters;
  Value (*build)(FunctionCall &call);
  /// On numbers: what it computes when compiling; null if it takes tensors only.
  double (*onNumbers)(llvm::ArrayRef<double>) = nullptr;
  /// Whether `build` needs no graph: what it takes and gives is known when compiling.
  bool isConstant = false;
};

/// The function of that name, or null.
const Function *findFunction(llvm::StringRef name);
llvm::ArrayRef<llvm::StringRef> functionNames();

/// One call of a function. The getters report what is wrong with an argument and then return
/// nothing; a default is used where none is given.
class FunctionCall {
public:
  FunctionCall(Evaluator &caller, const Function &called, const CallSite &callSite)
      : evaluator(caller), session(caller.session), function(called), site(callSite) {}

  Evaluator &evaluator;
  Session &session;
  const Function &function;
  const CallSite &site;
  llvm::SmallVector<Actual> actuals;
  /// Of the plain arguments.
  llvm::SmallVector<Value> values;

  GraphBuilder &graph() { return *evaluator.graph; }
  bool isGiven(unsigned index) const { return static_cast<bool>(actuals[index]); }
  SourceRange where(unsigned index) const { return actuals[index].range; }
  /// "`p` of `dropout`"
  std::string what(unsigned index) const;

  std::optional<Tensor> tensor(unsigned index);
  /// The tensor with f32 elements, as functions of real numbers want it.
  std::optional<Tensor> real(unsigned index);
  std::optional<double> number(unsigned index, double otherwise);
  std::optional<int64_t> integer(unsigned index);
  std::optional<bool> boolean(unsigned index, bool otherwise);
  std::optional<std::string> text(unsigned index, llvm::StringRef otherwise);
  /// The position of a dimension of `x`.
  std::optional<int64_t> dimension(unsigned index, const Tensor &x, int64_t otherwise = -1);
  /// Positions, ascending; all of them where none is given.
  std::optional<llvm::SmallVector<int64_t>> dimensions(unsigned index, const Tensor &x);
  /// The elements of a list, `...` spelled out by the caller.
  const ast::ListExpr *list(unsigned index);
  /// What a list of sizes stands for: `...` is the signature's leading dimensions; -1, once, is
  /// null.
  std::optional<Dimensions> shape(unsigned index);
  std::optional<int64_t> position(const ast::Expr &expr, const Tensor &x);
  std::optional<int64_t> namedPosition(const ast::NameExpr &name, const Tensor &x);

  Report &error(const llvm::Twine &message) { return session.error(site.range, message); }
};

/// Each file of functions adds its own to the table.
using FunctionTable = std::vector<Function>;
void addElementwiseFunctions(FunctionTable &table);
void addShapeFunctions(FunctionTable &table);
void addReductionFunctions(FunctionTable &table);
void addNormalizationFunctions(FunctionTable &table);
void addProductFunctions(FunctionTable &table);
void addIndexingFunctions(FunctionTable &table);
void addAttentionFunctions(FunctionTable &table);
void addConvolutionFunctions(FunctionTable &table);
void addPoolFunctions(FunctionTable &table);
void addListFunctions(FunctionTable &table);
/// One entry; parameters as in "x, dim?:d, keepdim?": `?` optional, `:d` a dimension, `:l` a list,
/// `:t` a type.
void add(FunctionTable &table, llvm::StringRef name, llvm::StringRef parameters,
         Value (*build)(FunctionCall &), double (*onNumbers)(llvm::ArrayRef<double>) = nullptr);

} // namespace mparc

#endif // MPARC_FRONTEND_FUNCTIONS_H
