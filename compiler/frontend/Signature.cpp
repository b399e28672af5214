//===- Signature.cpp - Types of inputs, results and parameters --------------===//
//
// Types are written over names: those of the layer's compile-time parameters have sizes, others
// stand for whatever the caller's tensor has there. Inside, a tensor's dimensions are called what
// the layer calls them.
//
//===----------------------------------------------------------------------===//

#include "frontend/Evaluator.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace mparc {

Type Evaluator::elementType(const Identifier &name) {
  if (name.text == "f32")
    return session.f32();
  if (name.text == "i32")
    return session.i32();
  if (name.text == "bool")
    return session.boolean();
  if (name.text == "bf16")
    return BFloat16Type::get(&session.context);
  if (name.text == "f16")
    return Float16Type::get(&session.context);
  session.error(name.range, "unknown element type `" + name.text + "`" +
                                didYouMean(name.text, {"f32", "i32", "bool", "bf16", "f16"}));
  return {};
}

mp::DimensionAttr Evaluator::toDimension(const Number &size, SourceRange where,
                                         llvm::StringRef label) {
  std::optional<int64_t> value = size.integerValue();
  if (!value) {
    session.error(where, "a dimension must be an int, got " + describe(Value(size)));
    return {};
  }
  if (*value < 1) {
    session.error(where, "a dimension is at least 1, got " + llvm::Twine(*value));
    return {};
  }
  if (size.factors())
    return mp::DimensionAttr::get(&session.context, label, size.factors().getFactors());
  return mp::getDimension(&session.context, label, *value);
}

/// The name an expression is, if it is one.
static const Identifier *asName(const ast::Expr &expr) {
  auto *name = llvm::dyn_cast<ast::NameExpr>(&expr);
  return name ? &name->name : nullptr;
}

mp::DimensionAttr Evaluator::dimension(const ast::Expr &expr) {
  Value value = evaluateConstant(expr);
  if (isPoison(value))
    return {};
  if (auto *number = std::get_if<Number>(&value))
    return toDimension(*number, expr.range, asName(expr) ? asName(expr)->text : "");
  session.error(expr.range, "a dimension must be an int, got " + describe(value));
  return {};
}

/// The places of a type, in which a name of a list stands for as many as the list has elements.
llvm::SmallVector<Evaluator::TypePlace> Evaluator::placesOf(const ast::TypeExpr &type) {
  llvm::SmallVector<TypePlace> places;
  for (const ast::ExprPtr &expr : type.dimensions) {
    const Identifier *name = asName(*expr);
    llvm::SaveAndRestore mode(wantsConstants, true);
    std::optional<Value> value = name ? lookup(name->text, name->range) : std::nullopt;
    const std::vector<Value> *elements = value ? asList(*value) : nullptr;
    if (!elements) {
      places.push_back({expr.get(), std::nullopt, name ? name->text : ""});
      continue;
    }
    for (const Value &element : *elements)
      places.push_back({expr.get(), element, elements->size() == 1 ? name->text : ""});
  }
  return places;
}

mp::DimensionAttr Evaluator::dimension(const TypePlace &place) {
  if (!place.element)
    return dimension(*place.expr);
  if (auto *number = std::get_if<Number>(&*place.element))
    return toDimension(*number, place.expr->range, place.label);
  session.error(place.expr->range,
                "a dimension must be an int, got " + describe(*place.element) + " in a list");
  return {};
}

bool isAnyTensor(const ast::TypeExpr &type) {
  return type.form == ast::TypeExpr::Form::Plain && type.element.text == "tensor";
}

std::string Evaluator::describeType(const ast::TypeExpr &type) {
  std::string text = type.element.text.str() + "[";
  llvm::StringRef separator;
  for (const TypePlace &place : placesOf(type)) {
    const ast::Expr *expr = place.expr;
    text += separator;
    separator = ", ";
    if (llvm::isa<ast::EllipsisExpr>(*expr)) {
      text += "...";
      continue;
    }
    const Identifier *name = asName(*expr);
    llvm::SaveAndRestore mode(wantsConstants, true);
    std::optional<Value> value;
    if (place.element)
      value = place.element;
    else if (!name)
      value = evaluate(*expr);
    else
      value = lookup(name->text, name->range);
    auto *number = value ? std::get_if<Number>(&*value) : nullptr;
    if (!number || !number->integerValue())
      text += session.text(expr->range);
    else
      text += number->hasBatch() ? number->str() : std::to_string(*number->integerValue());
  }
  return text + "]";
}

std::optional<Tensor> Evaluator::bindInput(const ast::Parameter &input, Tensor tensor,
                                           SourceRange where) {
  const ast::TypeExpr &type = input.type;
  if (isAnyTensor(type))
    return tensor;
  Type element = elementType(type.element);
  if (!element)
    return std::nullopt;
  if (type.form != ast::TypeExpr::Form::Tensor) {
    session.error(type.range,
                  "the type of an input must have dimensions, as in `f32[batch, 12]`; a "
                  "scalar is `" +
                      type.element.text + "[]`");
    return std::nullopt;
  }
  std::string whole = describe(tensor);
  ArrayRef<mp::DimensionAttr> given = tensor.dimensions();
  llvm::SmallVector<TypePlace> places = placesOf(type);
  size_t ellipses = llvm::count_if(
      places, [](const TypePlace &place) { return llvm::isa<ast::EllipsisExpr>(*place.expr); });
  if (ellipses > 1) {
    session.error(type.range, "`...` stands twice in one type");
    return std::nullopt;
  }
  size_t fixed = places.size() - ellipses;
  bool fits = ellipses ? given.size() >= fixed : given.size() == fixed;
  bool isWrongElement = element != tensor.element();
  Dimensions dimensions;
  // Of a single wrong last dimension, what was expected and what came.
  std::optional<std::pair<int64_t, int64_t>> lastSizes;
  int wrong = 0;
  bool isPoisoned = false;
  size_t next = 0;
  for (auto [index, place] : llvm::enumerate(places)) {
    const ast::Expr *expr = place.expr;
    if (llvm::isa<ast::EllipsisExpr>(*expr)) {
      size_t count = fits ? given.size() - fixed : 0;
      Dimensions leading(given.slice(fits ? next : 0, count));
      if (frame->leading && fits && !haveSameSizes(*frame->leading, leading))
        ++wrong;
      if (!frame->leading)
        frame->leading = leading;
      llvm::append_range(dimensions, *frame->leading);
      next += count;
      continue;
    }
    mp::DimensionAttr caller = fits ? given[next++] : mp::DimensionAttr();
    mp::DimensionAttr declared;
    const Identifier *name = asName(*expr);
    if (name && !instance->names.count(name->text) && !frame->dimensions.count(name->text)) {
      // A free name: it is what the caller has there.
      if (!caller)
        continue;
      ArrayRef<mp::FactorAttr> factors = caller.getFactors();
      bool hasNames = llvm::any_of(factors, [](mp::FactorAttr f) { return !f.getName().empty(); });
      mp::DimensionAttr own =
          hasNames ? mp::DimensionAttr::get(&session.context, name->text, factors)
                   : mp::getDimension(&session.context, name->text, caller.getStaticSize());
      frame->dimensions[name->text] = Number::integer(own.getStaticSize(), own);
      dimensions.push_back(own);
      continue;
    }
    declared = dimension(place);
    if (!declared) {
      isPoisoned = true;
      continue;
    }
    if (caller && !haveSameSize(caller, declared)) {
      ++wrong;
      if (index + 1 == places.size() && !caller.hasBatch() && !declared.hasBatch())
        lastSizes = {declared.getSize(), caller.getSize()};
    }
    dimensions.push_back(caller && haveSameSize(caller, declared) && !isNamed(declared) ? caller
                                                                                        : declared);
  }
  if (isPoisoned)
    return std::nullopt;
  if (fits && !wrong && !isWrongElement)
    return Tensor{tensor.value, session.dims(dimensions), tensor.origin};

  std::string callee = "`" + instance->name().str() + "`";
  std::string message;
  if (fits && wrong == 1 && lastSizes && !isWrongElement)
    message = callee + " expects " + std::to_string(lastSizes->first) + " inputs, got " +
              std::to_string(lastSizes->second) + ": " + whole + " is not " + describeType(type);
  else
    message = callee + " expects " + describeType(type) + ", got " + whole;
  Report &report = session.error(where, message);
  if (instance->made.isValid())
    report.note(instance->origin.where, instance->origin.what + " is made here");
  else if (instance->isExtern)
    report.note(instance->origin.where, instance->origin.what + " is declared here");
  if (tensor.origin)
    report.note(tensor.origin->where, tensor.origin->what + " gives " + whole);
  // With the shape that it should have, the rest of the program can be checked.
  if (!fits && ellipses && !frame->leading)
    return std::nullopt;
  if (!fits && dimensions.size() < fixed)
    return std::nullopt;
  return graph->placeholder(session.dims(dimensions), element);
}

Type Evaluator::elementType(const ast::TypeExpr &type) {
  if (!isAnyTensor(type))
    return elementType(type.element);
  session.error(type.range, "`tensor` stands for what a caller gives; here a type has dimensions, "
                            "as in `f32[12]`");
  return {};
}

mp::DimensionsAttr Evaluator::typeDimensions(const ast::TypeExpr &type) {
  if (type.form != ast::TypeExpr::Form::Tensor) {
    session.error(type.range, "expected a tensor's type, as in `" + type.element.text + "[" +
                                  "12]`; a scalar is `f32[]`");
    return {};
  }
  Dimensions dimensions;
  bool isFine = true;
  for (const TypePlace &place : placesOf(type)) {
    const ast::Expr *expr = place.expr;
    if (llvm::isa<ast::EllipsisExpr>(*expr)) {
      if (frame && frame->leading) {
        llvm::append_range(dimensions, *frame->leading);
        continue;
      }
      session.error(expr->range, frame ? "`...` stands in no input of this signature"
                                       : "`...` may stand in the types of `forward` only");
      isFine = false;
      continue;
    }
    mp::DimensionAttr dimension;
    const Identifier *name = asName(*expr);
    llvm::SaveAndRestore mode(wantsConstants, true);
    if (name && !lookup(name->text, name->range)) {
      session.markUnknown(name->range);
      llvm::SmallVector<llvm::StringRef> known;
      if (frame)
        for (const auto &entry : frame->dimensions)
          known.push_back(entry.first);
      for (const auto &entry : instance->names)
        known.push_back(entry.first);
      llvm::sort(known);
      std::string hint = didYouMean(name->text, known);
      if (hint.empty())
        hint = "; a free dimension may first appear only in an input of `forward`";
      session.error(name->range, "unknown dimension `" + name->text + "`" + hint);
    } else {
      dimension = this->dimension(place);
    }
    isFine &= static_cast<bool>(dimension);
    dimensions.push_back(dimension);
  }
  if (!isFine)
    return {};
  return checkDimensions(session, type.range, dimensions, "");
}

} // namespace mparc
