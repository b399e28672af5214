//===- SyntaxErrors.cpp - What the parser says ----------------------------===//

#include "frontend/SyntaxErrors.h"
#include "frontend/Diagnostics.h"

#include "MpParser.h"

namespace mparc {

using MpParser = grammar::MpParser;

namespace {

/// What ends in the missing `;`.
llvm::StringRef statementName(size_t rule) {
  switch (rule) {
  case MpParser::RuleImportDecl:
    return "the import";
  case MpParser::RuleExternDecl:
  case MpParser::RuleFunction:
    return "the declaration";
  case MpParser::RuleTrainEntry:
    return "the entry";
  case MpParser::RuleParamStmt:
    return "the declaration";
  default:
    return "the statement";
  }
}

bool takesParameters(size_t rule) {
  return rule == MpParser::RuleParameterList || rule == MpParser::RuleExternDecl ||
         rule == MpParser::RuleForwardDecl;
}

bool isOperator(size_t kind) { return kind >= MpParser::PIPE && kind <= MpParser::PERCENT; }

/// What stands between the brackets that the rule opens.
llvm::StringRef itemName(size_t rule) {
  switch (rule) {
  case MpParser::RuleParameterList:
  case MpParser::RuleExternDecl:
    return "the parameter";
  case MpParser::RuleForwardDecl:
    return "the input";
  case MpParser::RuleSuffix:
  case MpParser::RuleAnnotation:
    return "the argument";
  case MpParser::RuleDimensions:
    return "the dimension";
  case MpParser::RuleList:
    return "the element";
  case MpParser::RuleResults:
    return "the type";
  default:
    return "the expression";
  }
}

} // namespace

std::string SyntaxErrorStrategy::describe(size_t at) const {
  if (tokens[at].kind == static_cast<unsigned>(antlr4::Token::EOF))
    return "the end of the file";
  return quote(textOf(at));
}

SourceRange SyntaxErrorStrategy::rangeOf(size_t at) const {
  const Token &token = tokens[at];
  if (token.kind == static_cast<unsigned>(antlr4::Token::EOF))
    return rangeBefore(at);
  Position end{token.endOffset(), token.begin.line, token.begin.column + token.length};
  return {buffer, token.begin, end};
}

SourceRange SyntaxErrorStrategy::rangeBefore(size_t at) const {
  if (at == 0)
    return {buffer, tokens[0].begin, tokens[0].begin};
  const Token &token = tokens[at - 1];
  Position end{token.endOffset(), token.begin.line, token.begin.column + token.length};
  return {buffer, end, end};
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

bool SyntaxErrorStrategy::reportSlip(size_t at, const antlr4::misc::IntervalSet &expected) {
  unsigned kind = tokens[at].kind;
  llvm::StringRef spelling = textOf(at);
  bool expectsOperator =
      has(expected, MpParser::SEMICOLON) || has(expected, MpParser::RIGHT_PAREN) ||
      has(expected, MpParser::RIGHT_BRACKET) || has(expected, MpParser::LEFT_BRACE);
  if (kind == MpParser::AT && expectsOperator && !isOnNewLine(at)) {
    diagnostics.error(rangeOf(at), "there is no infix `@`; a matrix product is `matmul(a, b)`");
  } else if (kind == MpParser::RANGE && !has(expected, MpParser::NAME)) {
    diagnostics.error(rangeOf(at), "a range stands in a `for` or an annotation only");
  } else if (kind == MpParser::ELLIPSIS) {
    diagnostics.error(rangeOf(at), "`...` stands in a list of dimensions only");
  } else if (kind == MpParser::ASSIGN && has(expected, MpParser::LEFT_BRACE)) {
    diagnostics.error(rangeOf(at), "`=` binds a name; equality is `==`");
  } else if (at + 1 < tokens.size() && tokens[at + 1].kind == MpParser::ASSIGN &&
             tokens[at + 1].begin.offset == tokens[at].endOffset() && spelling.size() == 1 &&
             llvm::StringRef("+-*/%").contains(spelling)) {
    diagnostics.error(rangeOf(at),
                      "there is no `" + spelling + "=`; write `x = x " + spelling + " …`");
  } else if (kind == MpParser::NAME && expectsOperator && !isOnNewLine(at) && spelling == "and") {
    diagnostics.error(rangeOf(at), "there is no `and`; write `&&`");
  } else if (kind == MpParser::NAME && expectsOperator && !isOnNewLine(at) && spelling == "or") {
    diagnostics.error(rangeOf(at), "there is no `or`; write `||`");
  } else if (kind == MpParser::ELSE) {
    diagnostics.error(rangeOf(at), "`else` without an `if` before it");
  } else if (kind != static_cast<unsigned>(antlr4::Token::EOF) && at > 0 &&
             tokens[at - 1].kind == MpParser::NAME && textOf(at - 1) == "not" && expectsOperator &&
             !isOnNewLine(at)) {
    diagnostics.error(rangeOf(at - 1), "there is no `not`; write `!`");
  } else {
    return false;
  }
  return true;
}

void SyntaxErrorStrategy::reportUnclosed(size_t at, unsigned closing, const llvm::Twine &message) {
  unsigned opening = closing == MpParser::RIGHT_PAREN     ? MpParser::LEFT_PAREN
                     : closing == MpParser::RIGHT_BRACKET ? MpParser::LEFT_BRACKET
                                                          : MpParser::LEFT_BRACE;
  Report &report = diagnostics.error(rangeBefore(at), message);
  // The innermost bracket of the kind that is open here.
  size_t closed = 0;
  for (size_t i = at; i-- > 0;) {
    if (tokens[i].kind == closing) {
      ++closed;
    } else if (tokens[i].kind == opening && closed-- == 0) {
      if (tokens[i].begin.line != report.range.begin.line)
        report.note(rangeOf(i), "to close this");
      return;
    }
  }
}

void SyntaxErrorStrategy::report(size_t at, const antlr4::misc::IntervalSet &expected,
                                 antlr4::ParserRuleContext *context) {
  if (tokens[at].isReported || reportSlip(at, expected))
    return;
  size_t rule = context->getRuleIndex();
  auto may = [&](size_t kind) { return has(expected, kind); };
  std::string got = ", got " + describe(at);
  unsigned before = at > 0 ? tokens[at - 1].kind : static_cast<unsigned>(MpParser::SEMICOLON);
  bool mayClose = may(MpParser::RIGHT_PAREN) || may(MpParser::RIGHT_BRACKET);
  bool isClosing =
      tokens[at].kind == MpParser::RIGHT_PAREN || tokens[at].kind == MpParser::RIGHT_BRACKET;
  bool beginsItem = before == MpParser::COMMA || before == MpParser::LEFT_PAREN ||
                    before == MpParser::LEFT_BRACKET;

  if (rule == MpParser::RuleSimpleStmt && isOperator(tokens[at].kind) &&
      !static_cast<MpParser::SimpleStmtContext *>(context)->ASSIGN())
    diagnostics.error(rangeOf(context->getStart()->getTokenIndex()),
                      "this statement does nothing; a value is bound by `name = value;`");
  else if (may(MpParser::INTEGER) && before == MpParser::COMMA && isClosing)
    diagnostics.error(rangeOf(at - 1), "a `,` with nothing after it");
  else if (mayClose && beginsItem && takesParameters(rule))
    diagnostics.error(rangeOf(at),
                      llvm::Twine("expected ") +
                          (rule == MpParser::RuleForwardDecl ? "an input" : "a parameter") + got);
  else if (may(MpParser::INTEGER) || (mayClose && beginsItem))
    diagnostics.error(rangeOf(at), "expected an expression" + got);
  else if (may(MpParser::FORWARD))
    diagnostics.error(rangeOf(at), "expected a statement after the annotation" + got);
  else if (may(MpParser::LAYER))
    diagnostics.error(rangeOf(at), "expected a layer or a model after the annotation" + got);
  else if (may(MpParser::ASSIGN) && !may(MpParser::RIGHT_PAREN) && rule == MpParser::RuleTrainEntry)
    diagnostics.error(rangeBefore(at), "expected `=` and a value after the name of the entry");
  else if (rule == MpParser::RuleSimpleStmt && before == MpParser::NAME &&
           !static_cast<MpParser::SimpleStmtContext *>(context)->ASSIGN())
    diagnostics.error(rangeBefore(at), "expected `=` and a value after the name");
  else if (may(MpParser::SEMICOLON))
    diagnostics.error(rangeBefore(at), "expected `;` after " + statementName(rule));
  else if (may(MpParser::RIGHT_PAREN) && !may(MpParser::NAME))
    reportUnclosed(at, MpParser::RIGHT_PAREN, "expected `,` or `)` after " + itemName(rule));
  else if (may(MpParser::RIGHT_BRACKET) && rule == MpParser::RuleSuffix)
    reportUnclosed(at, MpParser::RIGHT_BRACKET, "expected `]` after the index");
  else if (may(MpParser::RIGHT_BRACKET) && !may(MpParser::NAME))
    reportUnclosed(at, MpParser::RIGHT_BRACKET,
                   rule == MpParser::RuleType ? llvm::Twine("expected `]` after the type")
                                              : "expected `,` or `]` after " + itemName(rule));
  else if (may(MpParser::RIGHT_BRACE))
    reportUnclosed(at, MpParser::RIGHT_BRACE, "expected `}`" + got);
  else if (may(MpParser::NAME) && may(MpParser::LEFT_BRACKET))
    diagnostics.error(rangeOf(at), "expected a type" + got);
  else if (may(MpParser::LEFT_BRACE))
    diagnostics.error(rangeBefore(at), "expected `{`" + got);
  else if (may(MpParser::NAME) && rule == MpParser::RuleAnnotation)
    diagnostics.error(rangeOf(at), "expected the name of an annotation after `@`" + got);
  else if (may(MpParser::NAME))
    diagnostics.error(rangeOf(at), "expected a name" + got);
  else if (may(MpParser::COLON))
    diagnostics.error(rangeBefore(at), "expected `:` and a type after the name");
  else if (may(MpParser::ARROW))
    diagnostics.error(rangeBefore(at), "expected `->` and the type of the result");
  else if (may(MpParser::IN))
    diagnostics.error(rangeBefore(at), "expected `in` after the name of the loop");
  else if (may(MpParser::RANGE))
    diagnostics.error(rangeBefore(at), "expected `..` and the end of the range");
  else if (may(MpParser::LEFT_PAREN))
    diagnostics.error(rangeBefore(at), "expected `(`" + got);
  else if (may(MpParser::STRING))
    diagnostics.error(rangeOf(at), "expected the name of a file in double quotes" + got);
  else if (may(MpParser::OP))
    diagnostics.error(rangeBefore(at), "expected `op` after the name of the header");
  else
    diagnostics.error(rangeOf(at), describe(at) + " has no place here");
}

} // namespace mparc
