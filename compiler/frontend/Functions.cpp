//===- Functions.cpp - The table of functions, and how arguments are read ---===//

#include "frontend/Functions.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace mparc {

void add(FunctionTable &table, llvm::StringRef name, llvm::StringRef parameters,
         Value (*build)(FunctionCall &), double (*onNumbers)(ArrayRef<double>)) {
  Function function{name, {}, build, onNumbers};
  llvm::SmallVector<llvm::StringRef> parts;
  parameters.split(parts, ", ");
  for (llvm::StringRef part : parts) {
    Function::Parameter parameter;
    if (part.consume_back(":d"))
      parameter.kind = Function::Kind::Dimension;
    else if (part.consume_back(":l"))
      parameter.kind = Function::Kind::List;
    else if (part.consume_back(":t"))
      parameter.kind = Function::Kind::Type;
    parameter.isRequired = !part.consume_back("?");
    parameter.name = part;
    function.parameters.push_back(parameter);
  }
  table.push_back(std::move(function));
}

namespace {
struct Table {
  FunctionTable functions;
  llvm::StringMap<const Function *> byName;
  std::vector<llvm::StringRef> names;

  Table() {
    addElementwiseFunctions(functions);
    addShapeFunctions(functions);
    addReductionFunctions(functions);
    addNormalizationFunctions(functions);
    addProductFunctions(functions);
    addIndexingFunctions(functions);
    addAttentionFunctions(functions);
    addConvolutionFunctions(functions);
    addPoolFunctions(functions);
    addListFunctions(functions);
    for (const Function &function : functions) {
      byName[function.name] = &function;
      names.push_back(function.name);
    }
  }
};
} // namespace

static const Table &table() {
  static const Table theTable;
  return theTable;
}

const Function *findFunction(llvm::StringRef name) { return table().byName.lookup(name); }
ArrayRef<llvm::StringRef> functionNames() { return table().names; }

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

std::string FunctionCall::what(unsigned index) const {
  return ("`" + function.parameters[index].name + "` of `" + function.name + "`").str();
}

std::optional<Tensor> FunctionCall::tensor(unsigned index) {
  Value &value = values[index];
  if (auto *found = std::get_if<Tensor>(&value))
    return *found;
  if (isPoison(value))
    return std::nullopt;
  if (auto *number = std::get_if<Number>(&value)) {
    Type element = number->isInteger() && !number->hasBatch() ? session.i32() : session.f32();
    return graph().constant(*number, session.dims({}), element);
  }
  if (auto *truth = std::get_if<bool>(&value))
    return graph().constant(*truth, session.dims({}));
  std::string got = actuals[index].expr && llvm::isa<ast::ListExpr>(actuals[index].expr)
                        ? "a list"
                        : describe(value);
  session.error(where(index), what(index) + " must be a tensor, got " + got);
  return std::nullopt;
}

std::optional<Tensor> FunctionCall::real(unsigned index) {
  std::optional<Tensor> x = tensor(index);
  if (x)
    x = graph().cast(*x, session.f32());
  return x;
}

std::optional<double> FunctionCall::number(unsigned index, double otherwise) {
  if (!isGiven(index))
    return otherwise;
  if (std::optional<Number> number = evaluator.toNumber(values[index], where(index), what(index)))
    return number->doubleValue();
  return std::nullopt;
}

std::optional<int64_t> FunctionCall::integer(unsigned index) {
  return evaluator.toInteger(values[index], where(index), what(index));
}

std::optional<bool> FunctionCall::boolean(unsigned index, bool otherwise) {
  if (!isGiven(index))
    return otherwise;
  if (auto *truth = std::get_if<bool>(&values[index]))
    return *truth;
  session.error(where(index), what(index) + " must be a bool, got " + describe(values[index]));
  return std::nullopt;
}

std::optional<std::string> FunctionCall::text(unsigned index, llvm::StringRef otherwise) {
  if (!isGiven(index))
    return otherwise.str();
  if (auto *found = std::get_if<std::string>(&values[index]))
    return *found;
  session.error(where(index), what(index) + " must be a string, got " + describe(values[index]));
  return std::nullopt;
}

const ast::ListExpr *FunctionCall::list(unsigned index) {
  if (actuals[index].expr)
    if (auto *list = llvm::dyn_cast<ast::ListExpr>(actuals[index].expr))
      return list;
  session.error(where(index), what(index) + " must be a list in brackets");
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Dimensions
//===----------------------------------------------------------------------===//

/// A dimension is called by its label, or by the name of its only factor.
static bool isCalled(mp::DimensionAttr dimension, llvm::StringRef name) {
  return dimension.getLabel() == name ||
         (dimension.getFactors().size() == 1 && dimension.getFactors().front().getName() == name);
}

static std::string namesOf(const Tensor &x) {
  std::string text;
  for (mp::DimensionAttr dimension : x.dimensions())
    text += (text.empty() ? "" : ", ") + dimension.str();
  return "[" + text + "]";
}

/// The only dimension of `x` that `matches`; -1 where none does. Two are an error.
template <typename Predicate>
static std::optional<int64_t> onlyDimension(Session &session, const ast::NameExpr &name,
                                            const Tensor &x, Predicate matches) {
  int64_t found = -1;
  for (auto [index, dimension] : llvm::enumerate(x.dimensions())) {
    if (!matches(dimension))
      continue;
    if (found >= 0) {
      session.error(name.range, "`" + name.name.text + "` names dimensions " + llvm::Twine(found) +
                                    " and " + llvm::Twine(index) + " of " + describe(x) + " " +
                                    namesOf(x));
      return std::nullopt;
    }
    found = static_cast<int64_t>(index);
  }
  return found;
}

std::optional<int64_t> FunctionCall::namedPosition(const ast::NameExpr &name, const Tensor &x) {
  std::optional<int64_t> at = onlyDimension(
      session, name, x, [&](mp::DimensionAttr each) { return isCalled(each, name.name.text); });
  if (!at || *at >= 0)
    return at;
  // A compile-time value: as `h` of `h = Linear(w, w)(x)` has a dimension of the factors that `w`
  // has, `w` is a name of it, whatever the layer that made it calls it; else `w` is a position.
  std::optional<Value> value = evaluator.lookup(name.name.text, name.range);
  if (value && isPoison(*value))
    return std::nullopt;
  auto *number = value ? std::get_if<Number>(&*value) : nullptr;
  if (number && number->factors()) {
    at = onlyDimension(session, name, x, [&](mp::DimensionAttr each) {
      return each.getFactors() == number->factors().getFactors();
    });
    if (!at || *at >= 0)
      return at;
  }
  at = number && !number->hasBatch() ? number->integerValue() : std::nullopt;
  if (at && *at >= -x.rank() && *at < x.rank())
    return at;
  if (at) {
    session.error(name.range, describe(x) + " has no dimension `" + name.name.text +
                                  "`, and none in position " + llvm::Twine(*at));
    return std::nullopt;
  }
  llvm::SmallVector<llvm::StringRef> known;
  for (mp::DimensionAttr dimension : x.dimensions())
    if (!dimension.getLabel().empty())
      known.push_back(dimension.getLabel());
  session.error(name.range, describe(x) + " has no dimension `" + name.name.text + "`" +
                                didYouMean(name.name.text, known));
  return std::nullopt;
}

std::optional<int64_t> FunctionCall::position(const ast::Expr &expr, const Tensor &x) {
  auto *name = llvm::dyn_cast<ast::NameExpr>(&expr);
  std::optional<int64_t> at =
      name ? namedPosition(*name, x) : evaluator.integer(expr, "a dimension");
  if (!at)
    return std::nullopt;
  if (*at < -x.rank() || *at >= x.rank()) {
    session.error(expr.range, describe(x) + " has no dimension " + llvm::Twine(*at));
    return std::nullopt;
  }
  return *at < 0 ? *at + x.rank() : *at;
}

std::optional<int64_t> FunctionCall::dimension(unsigned index, const Tensor &x, int64_t otherwise) {
  if (isGiven(index) && actuals[index].expr)
    return position(*actuals[index].expr, x);
  if (x.rank() == 0) {
    session.error(site.range, "a scalar has no dimensions");
    return std::nullopt;
  }
  return otherwise < 0 ? otherwise + x.rank() : otherwise;
}

std::optional<llvm::SmallVector<int64_t>> FunctionCall::dimensions(unsigned index,
                                                                   const Tensor &x) {
  llvm::SmallVector<int64_t> result;
  const ast::Expr *expr = isGiven(index) ? actuals[index].expr : nullptr;
  auto *name = llvm::dyn_cast_or_null<ast::NameExpr>(expr);
  if (!expr || (name && name->name.text == "none")) {
    for (int64_t each = 0; each < x.rank(); ++each)
      result.push_back(each);
    return result;
  }
  llvm::SmallVector<const ast::Expr *> elements;
  if (auto *list = llvm::dyn_cast<ast::ListExpr>(expr)) {
    for (const ast::ExprPtr &element : list->elements)
      elements.push_back(element.get());
  } else {
    elements.push_back(expr);
  }
  for (const ast::Expr *element : elements) {
    std::optional<int64_t> at = position(*element, x);
    if (!at)
      return std::nullopt;
    if (llvm::is_contained(result, *at)) {
      session.error(element->range, "dimension " + llvm::Twine(*at) + " is given twice");
      return std::nullopt;
    }
    result.push_back(*at);
  }
  llvm::sort(result);
  return result;
}

std::optional<Dimensions> FunctionCall::shape(unsigned index) {
  Dimensions result;
  bool isFine = true, hasRest = false;
  auto add = [&](const Value &value, SourceRange range, llvm::StringRef label) {
    auto *number = std::get_if<Number>(&value);
    if (number && !number->hasBatch() && number->integerValue() == -1) {
      if (hasRest) {
        session.error(range, "-1 stands twice in one list of sizes");
        isFine = false;
      }
      hasRest = true;
      result.push_back({});
      return;
    }
    mp::DimensionAttr dimension;
    if (number)
      dimension = evaluator.toDimension(*number, range, label);
    else if (!isPoison(value))
      session.error(range, "a size must be an int, got " + describe(value));
    isFine &= static_cast<bool>(dimension);
    result.push_back(dimension);
  };
  // The sizes may be a list that has a name.
  const ast::Expr *whole = actuals[index].expr;
  if (whole && !llvm::isa<ast::ListExpr>(whole)) {
    Value named = evaluator.evaluateConstant(*whole);
    const std::vector<Value> *elements = asList(named);
    if (!elements) {
      if (!isPoison(named))
        list(index);
      return std::nullopt;
    }
    for (const Value &element : *elements)
      add(element, whole->range, "");
    return isFine ? std::optional(result) : std::nullopt;
  }
  const ast::ListExpr *sizes = list(index);
  if (!sizes)
    return std::nullopt;
  for (const ast::ExprPtr &expr : sizes->elements) {
    if (llvm::isa<ast::EllipsisExpr>(*expr)) {
      if (evaluator.frame && evaluator.frame->leading) {
        llvm::append_range(result, *evaluator.frame->leading);
        continue;
      }
      session.error(expr->range, "`...` stands in no input of this signature");
      isFine = false;
      continue;
    }
    auto *name = llvm::dyn_cast<ast::NameExpr>(expr.get());
    add(evaluator.evaluateConstant(*expr), expr->range, name ? name->name.text : "");
  }
  if (!isFine)
    return std::nullopt;
  return result;
}

} // namespace mparc
