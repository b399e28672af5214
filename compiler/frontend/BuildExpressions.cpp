//===- BuildExpressions.cpp - Expressions of the syntax tree --------------===//

#include "frontend/AstBuilder.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <cmath>
#include <cstdlib>

using namespace mparc::ast;

namespace mparc {

//===----------------------------------------------------------------------===//
// Places and text
//===----------------------------------------------------------------------===//

bool AstBuilder::isWhole(antlr4::ParserRuleContext *context) {
  if (context && !context->exception)
    return true;
  isBroken = true;
  return false;
}

bool AstBuilder::isWritten(antlr4::tree::TerminalNode *node) {
  // A token that the parser made up has no place in the text.
  if (node && node->getSymbol()->getStartIndex() != INVALID_INDEX)
    return true;
  isBroken = true;
  return false;
}

bool AstBuilder::isDamaged(const SourceRange &range) const {
  auto found = llvm::lower_bound(damaged, range.begin.offset);
  return found != damaged.end() && *found < range.end.offset;
}

SourceRange AstBuilder::rangeOf(antlr4::Token *first, antlr4::Token *last) const {
  auto column = [](antlr4::Token *token) {
    return static_cast<uint32_t>(token->getCharPositionInLine()) + 1;
  };
  SourceRange range;
  range.buffer = buffer;
  range.begin = {static_cast<uint32_t>(first->getStartIndex()),
                 static_cast<uint32_t>(first->getLine()), column(first)};
  if (!last || last->getStartIndex() == INVALID_INDEX ||
      last->getStopIndex() + 1 < range.begin.offset)
    last = first;
  auto length = static_cast<uint32_t>(last->getStopIndex() + 1 - last->getStartIndex());
  range.end = {static_cast<uint32_t>(last->getStopIndex() + 1),
               static_cast<uint32_t>(last->getLine()), column(last) + length};
  return range;
}

Identifier AstBuilder::identifier(antlr4::tree::TerminalNode *node) {
  if (!isWritten(node))
    return {};
  SourceRange range = rangeOf(node);
  return {textOf(range), range};
}

std::string AstBuilder::stringValue(antlr4::tree::TerminalNode *node) {
  if (!isWritten(node))
    return {};
  SourceRange range = rangeOf(node);
  llvm::StringRef inside = textOf(range).drop_front();
  // An open string, which is reported already, has no quote to drop.
  if (!inside.consume_back("\""))
    isBroken = true;
  std::string value;
  for (size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\' || i + 1 == inside.size()) {
      value += inside[i];
      continue;
    }
    size_t start = i++;
    switch (inside[i]) {
    case 'n':
      value += '\n';
      break;
    case 't':
      value += '\t';
      break;
    case '"':
    case '\\':
      value += inside[i];
      break;
    default: {
      Position begin = range.begin;
      begin.offset += start + 1;
      begin.column += start + 1;
      Position end{begin.offset + 2, begin.line, begin.column + 2};
      error({buffer, begin, end}, "strings have the escapes `\\\"`, `\\\\`, `\\n` and `\\t` only");
      isBroken = true;
    }
    }
  }
  return value;
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

ExprPtr AstBuilder::finish(ExprPtr expression, unsigned childHeight) {
  expression->height = childHeight + 1;
  if (expression->height <= maxExpressionHeight)
    return expression;
  error(expression->range, llvm::Twine("this expression is more than ") +
                               llvm::Twine(maxExpressionHeight) +
                               " operations deep; bind parts of it to names");
  isBroken = true;
  return nullptr;
}

ExprPtr AstBuilder::buildExpression(Parser::ExpressionContext *context) {
  // A chain of operators leans left and may be long: down its spine first, then up, in a loop.
  llvm::SmallVector<Parser::ExpressionContext *> spine;
  while (true) {
    if (!isWhole(context))
      return nullptr;
    Parser::ExpressionContext *left = nullptr;
    if (auto *binary = dynamic_cast<Parser::BinaryExprContext *>(context))
      left = binary->expression(0);
    else if (auto *suffix = dynamic_cast<Parser::SuffixExprContext *>(context))
      left = suffix->expression();
    else if (auto *pipe = dynamic_cast<Parser::PipeExprContext *>(context))
      left = pipe->expression(0);
    else
      break;
    spine.push_back(context);
    context = left;
  }
  ExprPtr expression = buildTerm(context);
  while (expression && !spine.empty()) {
    context = spine.pop_back_val();
    if (auto *binary = dynamic_cast<Parser::BinaryExprContext *>(context))
      expression = buildBinary(binary, std::move(expression));
    else if (auto *suffix = dynamic_cast<Parser::SuffixExprContext *>(context))
      expression = buildSuffix(suffix->suffix(), std::move(expression));
    else
      expression =
          buildPipe(static_cast<Parser::PipeExprContext *>(context), std::move(expression));
  }
  return expression;
}

ExprPtr AstBuilder::buildTerm(Parser::ExpressionContext *context) {
  if (auto *primary = dynamic_cast<Parser::PrimaryExprContext *>(context))
    return buildPrimary(primary->primary());
  auto *unary = dynamic_cast<Parser::UnaryExprContext *>(context);
  if (!unary) {
    isBroken = true;
    return nullptr;
  }
  auto expression = std::make_unique<UnaryExpr>();
  expression->op = unary->MINUS() ? UnaryOperator::Negate : UnaryOperator::Not;
  expression->opRange = rangeOf(unary->getStart(), unary->getStart());
  expression->operand = buildExpression(unary->expression());
  expression->range = rangeOf(unary);
  if (!expression->operand)
    return nullptr;
  unsigned height = expression->operand->height;
  return finish(std::move(expression), height);
}

ExprPtr AstBuilder::buildPrimary(Parser::PrimaryContext *context) {
  if (!isWhole(context))
    return nullptr;
  if (context->list())
    return buildList(context->list());
  if (context->tuple())
    return buildTuple(context->tuple());
  if (auto *node = context->INTEGER())
    return buildInteger(node);
  if (auto *node = context->FLOAT())
    return buildFloat(node);
  SourceRange range = rangeOf(context);
  if (auto *node = context->STRING()) {
    auto expression = std::make_unique<StringExpr>();
    expression->value = stringValue(node);
    expression->range = range;
    return expression;
  }
  if (context->TRUE() || context->FALSE()) {
    auto expression = std::make_unique<BoolExpr>();
    expression->value = context->TRUE() != nullptr;
    expression->range = range;
    return expression;
  }
  auto expression = std::make_unique<NameExpr>();
  expression->name = identifier(context->NAME());
  expression->range = expression->name.range;
  if (!expression->name)
    return nullptr;
  return expression;
}

ExprPtr AstBuilder::buildInteger(antlr4::tree::TerminalNode *node) {
  if (!isWritten(node))
    return nullptr;
  auto expression = std::make_unique<IntExpr>();
  expression->range = rangeOf(node);
  // What follows the digits of a malformed number is reported already.
  llvm::StringRef digits =
      textOf(expression->range).take_while([](char c) { return c >= '0' && c <= '9'; });
  if (digits.getAsInteger(10, expression->value)) {
    error(expression->range, "the integer does not fit in 64 bits");
    isBroken = true;
    return nullptr;
  }
  return expression;
}

ExprPtr AstBuilder::buildFloat(antlr4::tree::TerminalNode *node) {
  if (!isWritten(node))
    return nullptr;
  auto expression = std::make_unique<FloatExpr>();
  expression->range = rangeOf(node);
  expression->spelling = textOf(expression->range);
  expression->value = std::strtod(expression->spelling.str().c_str(), nullptr);
  if (!std::isfinite(expression->value)) {
    error(expression->range, "the number is larger than a double holds");
    isBroken = true;
    return nullptr;
  }
  return expression;
}

std::vector<ExprPtr>
AstBuilder::buildElements(const std::vector<Parser::ElementContext *> &contexts) {
  std::vector<ExprPtr> elements;
  for (auto *context : contexts) {
    if (!isWhole(context))
      continue;
    if (auto *node = context->ELLIPSIS()) {
      elements.push_back(std::make_unique<EllipsisExpr>());
      elements.back()->range = rangeOf(node);
    } else if (ExprPtr element = buildExpression(context->expression())) {
      elements.push_back(std::move(element));
    }
  }
  return elements;
}

void AstBuilder::checkCommas(antlr4::ParserRuleContext *context) {
  bool wasComma = false;
  for (antlr4::tree::ParseTree *child : context->children) {
    auto *node = dynamic_cast<antlr4::tree::TerminalNode *>(child);
    bool isComma = node && node->getSymbol()->getType() == Parser::COMMA;
    if (isComma && wasComma) {
      error(rangeOf(node), "nothing stands between this `,` and the one before");
      isBroken = true;
    }
    wasComma = isComma;
  }
}

static unsigned maxHeight(const std::vector<ExprPtr> &expressions) {
  unsigned height = 0;
  for (const ExprPtr &expression : expressions)
    height = std::max(height, expression->height);
  return height;
}

ExprPtr AstBuilder::buildList(Parser::ListContext *context) {
  if (!isWhole(context))
    return nullptr;
  checkCommas(context);
  auto expression = std::make_unique<ListExpr>();
  expression->range = rangeOf(context);
  expression->elements = buildElements(context->element());
  unsigned height = maxHeight(expression->elements);
  return finish(std::move(expression), height);
}

ExprPtr AstBuilder::buildTuple(Parser::TupleContext *context) {
  if (!isWhole(context))
    return nullptr;
  auto contexts = context->expression();
  if (contexts.size() == 1)
    return buildExpression(contexts.front());
  auto expression = std::make_unique<TupleExpr>();
  expression->range = rangeOf(context);
  for (auto *element : contexts) {
    expression->elements.push_back(buildExpression(element));
    if (!expression->elements.back())
      return nullptr;
  }
  unsigned height = maxHeight(expression->elements);
  return finish(std::move(expression), height);
}

} // namespace mparc
