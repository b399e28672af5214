//===- Arguments.cpp - What is given for a layer's compile-time parameters --===//
//
// Numbers, strings and lists of them are computed; a layer given as an argument is made here, once,
// before the body of the layer that it is given to. That layer owns it: the name of the parameter
// is its name, until the owner's body gives it another (`block = inner;`) or hands it on.
//
//===----------------------------------------------------------------------===//

#include "frontend/Instantiate.h"

using namespace mlir;

namespace mparc {

const ast::LayerDecl *Instantiator::findMade(const Evaluator &evaluator, const ast::Expr &callee) {
  auto *name = llvm::dyn_cast<ast::NameExpr>(&callee);
  if (!name || (evaluator.instance && evaluator.instance->names.count(name->name.text)))
    return nullptr;
  return session.library.find(name->name.text);
}

Value Instantiator::makeValue(Evaluator &evaluator, const ast::Expr &expr, const Membership &name,
                              const std::string &shown) {
  if (auto *list = llvm::dyn_cast<ast::ListExpr>(&expr)) {
    std::vector<Value> elements;
    bool isFine = true;
    for (auto [index, element] : llvm::enumerate(list->elements)) {
      std::string position = std::to_string(index);
      Membership own = name;
      own.name += "." + position;
      elements.push_back(Poison());
      if (llvm::isa<ast::ListExpr>(*element))
        session.error(element->range, "a list holds no lists");
      else
        elements.back() = makeValue(evaluator, *element, own, shown + "[" + position + "]");
      isFine &= !isPoison(elements.back());
    }
    return isFine ? makeList(std::move(elements)) : Value(Poison());
  }
  if (auto *call = llvm::dyn_cast<ast::CallExpr>(&expr)) {
    if (const ast::LayerDecl *declaration = findMade(evaluator, *call->callee)) {
      Made made{name, expr.range, shown, true};
      Instance *layer = makeLayer(evaluator, *declaration, *call, made);
      return layer ? Value(layer) : Value(Poison());
    }
  } else if (findMade(evaluator, expr)) {
    llvm::StringRef text = session.text(expr.range);
    session.error(expr.range, "`" + text + "` is a layer; make one with `" + text + "(…)`");
    return Poison();
  }
  return adopt(evaluator, evaluator.evaluateConstant(expr), expr.range, name);
}

Value Instantiator::adopt(const Evaluator &evaluator, Value value, SourceRange where,
                          const Membership &name) {
  if (auto *layer = std::get_if<Instance *>(&value)) {
    giveName(evaluator.instance, **layer, name);
    return value;
  }
  if (auto *array = std::get_if<ArrayRefValue>(&value)) {
    std::vector<Value> elements;
    for (const auto &[indices, layer] : array->array->elements) {
      if (!std::equal(array->indices.begin(), array->indices.end(), indices.begin()))
        continue;
      if (indices.size() != array->indices.size() + 1) {
        session.error(where, "`" + array->array->name +
                                 "` has elements of several indices; a list has one");
        return Poison();
      }
      layer->isUsed = true;
      elements.push_back(layer);
    }
    value = makeList(std::move(elements));
  }
  if (const std::vector<Value> *elements = asList(value))
    for (auto [index, element] : llvm::enumerate(*elements))
      if (auto *layer = std::get_if<Instance *>(&element)) {
        Membership own = name;
        own.name += "." + std::to_string(index);
        giveName(evaluator.instance, **layer, own);
      }
  return value;
}

void Instantiator::giveName(const Instance *giver, Instance &layer, const Membership &name) {
  for (Membership &known : layer.memberships)
    if (known.isProvisional && known.owner == giver) {
      known = name;
      return;
    }
  layer.memberships.push_back(name);
}

//===----------------------------------------------------------------------===//
// Conversion to the types of parameters
//===----------------------------------------------------------------------===//

/// "an int", "a list of layers".
static std::string describeType(const ast::TypeExpr &type) {
  llvm::StringRef element = type.element.text;
  if (element == "any" && type.form != ast::TypeExpr::Form::List)
    return "a number, a bool, a string or a list of these";
  if (type.form == ast::TypeExpr::Form::List)
    return ("a list of " + element + "s").str();
  return ((element == "int" ? "an " : "a ") + element).str();
}

/// A value as an element of the type, or nothing if it is none.
static std::optional<Value> convertElement(const Value &value, llvm::StringRef type) {
  auto *number = std::get_if<Number>(&value);
  if (number && !number->hasBatch()) {
    if (type == "float")
      return value;
    if (type == "int" && number->integerValue())
      return number->isInteger() ? *number
                                 : Number::integer(*number->integerValue(), number->factors());
  }
  if ((type == "bool" && std::holds_alternative<bool>(value)) ||
      (type == "string" && std::holds_alternative<std::string>(value)) ||
      (type == "layer" && std::holds_alternative<Instance *>(value)))
    return value;
  return std::nullopt;
}

/// What a parameter of type `any` takes: anything but tensors and layers.
static bool isConstant(const Value &value) {
  if (const std::vector<Value> *elements = asList(value))
    return llvm::all_of(*elements, isConstant);
  auto *number = std::get_if<Number>(&value);
  return (number && !number->hasBatch()) || std::holds_alternative<bool>(value) ||
         std::holds_alternative<std::string>(value) || std::holds_alternative<None>(value);
}

/// An int of that parameter goes by its name, unless it is made of others that have names.
Number Instantiator::nameNumber(const Number &number, const ast::Parameter &parameter,
                                const Instance &owner) {
  Number named = number.named(&session.context, parameter.name.text);
  if (named.factors() && named.factors().getFactors().size() > 1)
    session.splits.noteProduct(parameter.name.text, owner.name(), named.factors(), parameter.range);
  return named;
}

std::optional<Value> Instantiator::convert(Evaluator &evaluator, const ast::Parameter &parameter,
                                           Instance &owner, const ast::Expr &expr) {
  llvm::StringRef type = parameter.type.element.text, name = parameter.name.text;
  bool isList = parameter.type.form == ast::TypeExpr::Form::List;
  Value value = type == "layer" ? makeValue(evaluator, expr, {&owner, name.str(), true}, name.str())
                                : evaluator.evaluateConstant(expr);
  if (isPoison(value))
    return std::nullopt;
  std::string of = "`" + name.str() + "` of `" + owner.name().str() + "` is ";
  const std::vector<Value> *elements = asList(value);
  if (type == "any" && !isList && isConstant(value))
    return value;
  if (!isList) {
    if (std::optional<Value> converted = convertElement(value, type)) {
      if (auto *number = std::get_if<Number>(&*converted); number && type == "int")
        *converted = nameNumber(*number, parameter, owner);
      return converted;
    }
  } else if (elements) {
    std::vector<Value> list;
    for (auto [index, element] : llvm::enumerate(*elements)) {
      if (std::optional<Value> converted = convertElement(element, type)) {
        list.push_back(std::move(*converted));
        continue;
      }
      auto *written = llvm::dyn_cast<ast::ListExpr>(&expr);
      session
          .error(written ? written->elements[index]->range : expr.range,
                 of + describeType(parameter.type) + ", got " + describe(element) + " in it")
          .note(parameter.range, "`" + name + "` is declared here");
      return std::nullopt;
    }
    return makeList(std::move(list));
  } else if (std::optional<Value> only =
                 type == "layer" ? std::nullopt : convertElement(value, type)) {
    if (auto *number = std::get_if<Number>(&*only); number && type == "int")
      *only = nameNumber(*number, parameter, owner);
    return makeList({std::move(*only)});
  }
  session.error(expr.range, of + describeType(parameter.type) + ", got " + describe(value))
      .note(parameter.range, "`" + name + "` is declared here");
  return std::nullopt;
}

bool Instantiator::bindParameters(Instance &instance, Evaluator &caller, const CallSite &site) {
  const ast::LayerDecl &declaration = *instance.declaration;
  llvm::SmallVector<Formal> formals = formalsOf(declaration);
  llvm::SmallVector<Actual> actuals;
  if (!bindArguments(session, site, formals, actuals))
    return false;
  bool isFine = true;
  Evaluator own(session, &instance);
  for (auto [parameter, actual] : llvm::zip(declaration.parameters, actuals)) {
    std::optional<Value> value = actual
                                     ? convert(caller, parameter, instance, *actual.expr)
                                     : convert(own, parameter, instance, *parameter.defaultValue);
    isFine &= value.has_value();
    instance.names[parameter.name.text] = {value.value_or(Poison()), parameter.name.range};
  }
  for (auto [formal, actual] : llvm::zip(formals, actuals))
    if (formal.isTensor && actual)
      isFine &= addTie(instance, formal.name, caller, *actual.expr);
  return isFine;
}

} // namespace mparc
