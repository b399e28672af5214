//===- BuildDeclarations.cpp - Declarations of the syntax tree ------------===//

#include "frontend/AstBuilder.h"

using namespace mparc::ast;

namespace mparc {

std::unique_ptr<File> AstBuilder::build(Parser::FileContext *context) {
  file = std::make_unique<File>();
  file->buffer = buffer;
  if (context)
    for (auto *declaration : context->declaration())
      addDeclaration(declaration);
  return std::move(file);
}

void AstBuilder::addDeclaration(Parser::DeclarationContext *context) {
  isBroken = false;
  std::vector<Annotation> annotations = buildAnnotations(context->annotation());
  if (auto *import = context->importDecl()) {
    addImport(import);
  } else if (auto *external = context->externDecl()) {
    addExtern(external);
  } else if (auto *declaration = context->layerDecl()) {
    addLayer(declaration, std::move(annotations));
  } else if (auto *train = context->trainDecl()) {
    for (const Annotation &annotation : annotations)
      error(annotation.range, "an annotation stands before a layer or a model, not before `train`");
    addTrain(train);
  }
}

void AstBuilder::addImport(Parser::ImportDeclContext *context) {
  ImportDecl import;
  import.path = stringValue(context->STRING());
  if (context->exception || isBroken)
    return;
  import.pathRange = rangeOf(context->STRING());
  file->imports.push_back(std::move(import));
}

/// `my::swish`, without spaces.
std::string AstBuilder::functionName(Parser::FunctionContext *context) {
  std::string text;
  for (antlr4::tree::TerminalNode *part : context->NAME())
    text += (text.empty() ? "" : "::") + identifier(part).text.str();
  return text;
}

void AstBuilder::addExtern(Parser::ExternDeclContext *context) {
  auto declaration = std::make_unique<ExternDecl>();
  if (!isWhole(context) || !isWhole(context->function(0)) ||
      (context->GRAD() && !isWhole(context->function(1))) || context->function(0)->NAME().empty())
    return;
  declaration->range = rangeOf(context);
  declaration->header = stringValue(context->STRING());
  declaration->function = functionName(context->function(0));
  declaration->functionRange = rangeOf(context->function(0));
  declaration->name = identifier(context->function(0)->NAME().back());
  checkCommas(context);
  declaration->inputs = buildParameters(context->parameter(), /*isLayers=*/false);
  declaration->results = buildResults(context->results());
  if (context->GRAD()) {
    declaration->gradient = functionName(context->function(1));
    declaration->gradientRange = rangeOf(context->function(1));
  }
  if (isBroken || isDamaged(declaration->range))
    return;
  declaration->headerRange = rangeOf(context->STRING());
  file->externs.push_back(std::move(declaration));
}

void AstBuilder::addLayer(Parser::LayerDeclContext *context, std::vector<Annotation> annotations) {
  auto declaration = std::make_unique<LayerDecl>();
  layer = declaration.get();
  layer->isModel = context->MODEL() != nullptr;
  layer->annotations = std::move(annotations);
  layer->range = rangeOf(context);
  layer->name = identifier(context->NAME());
  if (context->exception)
    isBroken = true;
  if (auto *list = context->parameterList()) {
    if (list->exception)
      isBroken = true;
    checkCommas(list);
    layer->parameters = buildParameters(list->parameter(), /*isLayers=*/true);
  }
  for (auto *statement : context->statement())
    addStatement(statement, layer->body, Place::LayerBody);
  layer->isBroken = isBroken || isDamaged(layer->range);
  layer = nullptr;
  // Without a name nobody can refer to it.
  if (declaration->name)
    file->layers.push_back(std::move(declaration));
}

void AstBuilder::addTrain(Parser::TrainDeclContext *context) {
  auto declaration = std::make_unique<TrainDecl>();
  declaration->range = rangeOf(context);
  declaration->model = identifier(context->NAME());
  if (context->exception)
    isBroken = true;
  for (auto *entryContext : context->trainEntry()) {
    if (!isWhole(entryContext))
      continue;
    TrainEntry entry;
    entry.name = identifier(entryContext->NAME());
    entry.value = buildExpression(entryContext->expression());
    entry.range = rangeOf(entryContext);
    if (entry.name && entry.value)
      declaration->entries.push_back(std::move(entry));
  }
  declaration->isBroken = isBroken || isDamaged(declaration->range);
  if (declaration->model)
    file->trains.push_back(std::move(declaration));
}

void AstBuilder::addForward(Parser::ForwardDeclContext *context,
                            std::vector<Annotation> annotations, Place place) {
  auto forward = std::make_unique<Forward>();
  antlr4::tree::TerminalNode *keyword = context->FORWARD();
  if (!isWritten(keyword))
    return;
  forward->keyword = {textOf(rangeOf(keyword)), rangeOf(keyword)};
  forward->annotations = std::move(annotations);
  if (context->exception)
    isBroken = true;
  checkCommas(context);
  forward->inputs = buildParameters(context->parameter(), /*isLayers=*/false);
  forward->results = buildResults(context->results());
  forward->body = buildBlock(context->block(), Place::Forward);
  forward->range = rangeOf(context);
  forward->signature = context->results()
                           ? join(forward->keyword.range, rangeOf(context->results()))
                           : forward->keyword.range;
  if (place == Place::Forward) {
    error(forward->keyword.range, "`forward` stands in a layer's body, not in another `forward`");
  } else if (place == Place::LayerBlock) {
    error(forward->keyword.range,
          "`forward` stands directly in the layer's body, not in a block of it");
  } else if (layer->forward) {
    error(forward->keyword.range, "a layer has one `forward`")
        .note(layer->forward->keyword.range, "the first one");
  } else {
    layer->forward = std::move(forward);
    return;
  }
  isBroken = true;
}

std::vector<Parameter>
AstBuilder::buildParameters(const std::vector<Parser::ParameterContext *> &contexts,
                            bool isLayers) {
  std::vector<Parameter> parameters;
  for (auto *context : contexts) {
    if (!isWhole(context))
      continue;
    Parameter parameter;
    parameter.name = identifier(context->NAME());
    parameter.type = buildType(context->type());
    parameter.range = rangeOf(context);
    if (auto *value = context->expression()) {
      parameter.defaultValue = buildExpression(value);
      if (!isLayers && parameter.defaultValue) {
        error(parameter.defaultValue->range, "an input has no default");
        isBroken = true;
      }
    }
    // `int[]` is another way to write `[int]` where tensors cannot stand.
    TypeExpr &type = parameter.type;
    if (isLayers && type.form == TypeExpr::Form::Tensor && type.dimensions.empty())
      type.form = TypeExpr::Form::List;
    if (parameter.name)
      parameters.push_back(std::move(parameter));
  }
  return parameters;
}

std::vector<TypeExpr> AstBuilder::buildResults(Parser::ResultsContext *context) {
  std::vector<TypeExpr> results;
  if (!isWhole(context))
    return results;
  for (auto *type : context->type())
    results.push_back(buildType(type));
  return results;
}

TypeExpr AstBuilder::buildType(Parser::TypeContext *context) {
  TypeExpr type;
  if (!isWhole(context))
    return type;
  type.element = identifier(context->NAME());
  type.range = rangeOf(context);
  if (context->LEFT_BRACKET()) {
    type.form = TypeExpr::Form::List;
  } else if (auto *dimensions = context->dimensions()) {
    type.form = TypeExpr::Form::Tensor;
    if (isWhole(dimensions)) {
      checkCommas(dimensions);
      type.dimensions = buildElements(dimensions->element());
    }
  }
  return type;
}

std::vector<Annotation>
AstBuilder::buildAnnotations(const std::vector<Parser::AnnotationContext *> &contexts) {
  std::vector<Annotation> annotations;
  for (auto *context : contexts) {
    Annotation annotation = buildAnnotation(context);
    if (annotation.name)
      annotations.push_back(std::move(annotation));
  }
  return annotations;
}

Annotation AstBuilder::buildAnnotation(Parser::AnnotationContext *context) {
  Annotation annotation;
  if (!isWhole(context))
    return annotation;
  annotation.name = identifier(context->NAME());
  annotation.range = rangeOf(context);
  checkCommas(context);
  for (auto *argumentContext : context->annotationArgument()) {
    if (!isWhole(argumentContext))
      continue;
    bool isNamed = argumentContext->COLON() != nullptr;
    Argument argument = buildArgument(argumentContext->expression(0),
                                      isNamed ? argumentContext->expression(1) : nullptr);
    argument.range = rangeOf(argumentContext);
    if (argumentContext->RANGE() && argument.value) {
      auto range = std::make_unique<RangeExpr>();
      range->first = std::move(argument.value);
      range->last = buildExpression(argumentContext->expression(isNamed ? 2 : 1));
      if (range->last) {
        range->range = join(range->first->range, range->last->range);
        range->height = std::max(range->first->height, range->last->height) + 1;
        argument.value = std::move(range);
      }
    }
    if (argument.value)
      annotation.arguments.push_back(std::move(argument));
  }
  return annotation;
}

} // namespace mparc
