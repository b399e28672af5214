//===- BuildOperators.cpp - Calls, paths and operators of the syntax tree -===//

#include "frontend/AstBuilder.h"

using namespace mparc::ast;

namespace mparc {

Argument AstBuilder::buildArgument(Parser::ExpressionContext *first,
                                   Parser::ExpressionContext *second) {
  Argument argument;
  ExprPtr value = buildExpression(first);
  if (second) {
    if (auto *name = llvm::dyn_cast_or_null<NameExpr>(value.get())) {
      argument.name = name->name;
    } else if (value) {
      error(value->range, "the name of an argument is a plain name");
      isBroken = true;
    }
    value = buildExpression(second);
  }
  argument.value = std::move(value);
  return argument;
}

ExprPtr AstBuilder::buildSuffix(Parser::SuffixContext *context, ExprPtr base) {
  if (!isWhole(context))
    return nullptr;
  unsigned height = base->height;
  SourceRange range = join(base->range, rangeOf(context));
  if (auto *suffix = dynamic_cast<Parser::MemberSuffixContext *>(context)) {
    auto expression = std::make_unique<MemberExpr>();
    expression->range = range;
    expression->base = std::move(base);
    expression->member = identifier(suffix->NAME());
    return expression->member ? finish(std::move(expression), height) : nullptr;
  }
  if (auto *suffix = dynamic_cast<Parser::IndexSuffixContext *>(context)) {
    auto expression = std::make_unique<IndexExpr>();
    expression->range = range;
    expression->base = std::move(base);
    expression->index = buildExpression(suffix->expression());
    if (!expression->index)
      return nullptr;
    height = std::max(height, expression->index->height);
    return finish(std::move(expression), height);
  }
  auto *suffix = dynamic_cast<Parser::CallSuffixContext *>(context);
  if (!suffix) {
    isBroken = true;
    return nullptr;
  }
  checkCommas(suffix);
  auto expression = std::make_unique<CallExpr>();
  expression->range = range;
  expression->callee = std::move(base);
  for (auto *argumentContext : suffix->argument()) {
    if (!isWhole(argumentContext))
      return nullptr;
    Argument argument =
        buildArgument(argumentContext->expression(0), argumentContext->expression(1));
    if (!argument.value)
      return nullptr;
    argument.range = rangeOf(argumentContext);
    height = std::max(height, argument.value->height);
    expression->arguments.push_back(std::move(argument));
  }
  return finish(std::move(expression), height);
}

static BinaryOperator binaryOperator(size_t kind) {
  using Parser = grammar::MpParser;
  switch (kind) {
  case Parser::OR:
    return BinaryOperator::Or;
  case Parser::AND:
    return BinaryOperator::And;
  case Parser::EQUAL:
    return BinaryOperator::Equal;
  case Parser::NOT_EQUAL:
    return BinaryOperator::NotEqual;
  case Parser::LESS:
    return BinaryOperator::Less;
  case Parser::LESS_EQUAL:
    return BinaryOperator::LessEqual;
  case Parser::GREATER:
    return BinaryOperator::Greater;
  case Parser::GREATER_EQUAL:
    return BinaryOperator::GreaterEqual;
  case Parser::PLUS:
    return BinaryOperator::Add;
  case Parser::MINUS:
    return BinaryOperator::Subtract;
  case Parser::STAR:
    return BinaryOperator::Multiply;
  case Parser::SLASH:
    return BinaryOperator::Divide;
  default:
    return BinaryOperator::Remainder;
  }
}

/// The operator between the two operands; null where the parser recovered.
static antlr4::tree::TerminalNode *operatorOf(antlr4::ParserRuleContext *context) {
  return context && context->children.size() >= 2
             ? dynamic_cast<antlr4::tree::TerminalNode *>(context->children[1])
             : nullptr;
}

ExprPtr AstBuilder::buildBinary(Parser::BinaryExprContext *context, ExprPtr left) {
  antlr4::tree::TerminalNode *node = operatorOf(context);
  if (!isWritten(node))
    return nullptr;
  auto expression = std::make_unique<BinaryExpr>();
  expression->op = binaryOperator(node->getSymbol()->getType());
  expression->opRange = rangeOf(node);
  expression->range = rangeOf(context);
  expression->left = std::move(left);
  expression->right = buildExpression(context->expression(1));
  if (!expression->right)
    return nullptr;
  // A comparison on the left that stands in parentheses is a primary to the parser.
  auto *leftContext = dynamic_cast<Parser::BinaryExprContext *>(context->expression(0));
  antlr4::tree::TerminalNode *leftNode = operatorOf(leftContext);
  if (isComparison(expression->op) && leftNode &&
      isComparison(binaryOperator(leftNode->getSymbol()->getType()))) {
    error(expression->opRange, "comparisons do not chain; join two with `&&`")
        .note(rangeOf(leftNode), "the first comparison");
    isBroken = true;
  }
  unsigned height = std::max(expression->left->height, expression->right->height);
  return finish(std::move(expression), height);
}

ExprPtr AstBuilder::buildPipe(Parser::PipeExprContext *context, ExprPtr left) {
  ExprPtr stage = buildExpression(context->expression(1));
  if (!stage)
    return nullptr;
  if (!llvm::isa<NameExpr, MemberExpr, IndexExpr, CallExpr>(stage.get())) {
    error(stage->range, "the right side of `|>` is a name, a path or a call");
    isBroken = true;
    return nullptr;
  }
  // `a |> b |> c` grows one node. A pipe in parentheses is another expression, as the user wrote
  // it.
  auto *leftContext = dynamic_cast<Parser::PipeExprContext *>(context->expression(0));
  unsigned height = std::max(left->height, stage->height + 1);
  SourceRange range = rangeOf(context);
  if (auto *pipe = llvm::dyn_cast<PipeExpr>(left.get()); pipe && leftContext) {
    pipe->stages.push_back(std::move(stage));
    pipe->range = range;
    return finish(std::move(left), height - 1);
  }
  auto expression = std::make_unique<PipeExpr>();
  expression->range = range;
  height = std::max(left->height, stage->height);
  expression->source = std::move(left);
  expression->stages.push_back(std::move(stage));
  return finish(std::move(expression), height);
}

ExprPtr AstBuilder::buildPath(Parser::PathContext *context) {
  if (!isWhole(context))
    return nullptr;
  auto name = std::make_unique<NameExpr>();
  name->name = identifier(context->NAME());
  name->range = name->name.range;
  if (!name->name)
    return nullptr;
  ExprPtr expression = std::move(name);
  for (auto *suffix : context->suffix())
    if (expression)
      expression = buildSuffix(suffix, std::move(expression));
  return expression;
}

//===----------------------------------------------------------------------===//
// Spelling
//===----------------------------------------------------------------------===//

llvm::StringRef ast::spelling(UnaryOperator op) { return op == UnaryOperator::Negate ? "-" : "!"; }

llvm::StringRef ast::spelling(BinaryOperator op) {
  switch (op) {
  case BinaryOperator::Or:
    return "||";
  case BinaryOperator::And:
    return "&&";
  case BinaryOperator::Equal:
    return "==";
  case BinaryOperator::NotEqual:
    return "!=";
  case BinaryOperator::Less:
    return "<";
  case BinaryOperator::LessEqual:
    return "<=";
  case BinaryOperator::Greater:
    return ">";
  case BinaryOperator::GreaterEqual:
    return ">=";
  case BinaryOperator::Add:
    return "+";
  case BinaryOperator::Subtract:
    return "-";
  case BinaryOperator::Multiply:
    return "*";
  case BinaryOperator::Divide:
    return "/";
  case BinaryOperator::Remainder:
    return "%";
  }
  return "";
}

} // namespace mparc
