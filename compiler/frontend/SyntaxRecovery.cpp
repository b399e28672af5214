//===- SyntaxRecovery.cpp - Where the parser goes on after an error -------===//

#include "frontend/Diagnostics.h"
#include "frontend/SyntaxErrors.h"

#include "MpParser.h"

namespace mparc {

using MpParser = grammar::MpParser;

namespace {

bool isTopLevelKeyword(size_t kind) {
  switch (kind) {
  case MpParser::IMPORT:
  case MpParser::EXTERN:
  case MpParser::LAYER:
  case MpParser::MODEL:
  case MpParser::TRAIN:
    return true;
  default:
    return false;
  }
}

/// Keywords are classified by position, so one of these is a safe place to go on.
bool isStatementKeyword(size_t kind) {
  switch (kind) {
  case MpParser::FORWARD:
  case MpParser::PARAM:
  case MpParser::BUFFER:
  case MpParser::RETURN:
  case MpParser::IF:
  case MpParser::FOR:
    return true;
  default:
    return isTopLevelKeyword(kind);
  }
}

/// Whether a rule ends in a `;` of its own.
bool endsInSemicolon(size_t rule) {
  switch (rule) {
  case MpParser::RuleImportDecl:
  case MpParser::RuleExternDecl:
  case MpParser::RuleTrainEntry:
  case MpParser::RuleParamStmt:
  case MpParser::RuleReturnStmt:
  case MpParser::RuleSimpleStmt:
    return true;
  default:
    return false;
  }
}

/// Whether a rule has a header before a `{`.
bool hasHeader(size_t rule) {
  switch (rule) {
  case MpParser::RuleLayerDecl:
  case MpParser::RuleTrainDecl:
  case MpParser::RuleForwardDecl:
  case MpParser::RuleIfStmt:
  case MpParser::RuleElseBranch:
  case MpParser::RuleForStmt:
    return true;
  default:
    return false;
  }
}

/// Whether a bracket that the rule has read is not closed yet.
bool isOpen(antlr4::ParserRuleContext *context) {
  int open = 0;
  for (antlr4::tree::ParseTree *child : context->children) {
    auto *node = dynamic_cast<antlr4::tree::TerminalNode *>(child);
    if (!node)
      continue;
    size_t kind = node->getSymbol()->getType();
    open += kind == MpParser::LEFT_PAREN || kind == MpParser::LEFT_BRACKET;
    open -= kind == MpParser::RIGHT_PAREN || kind == MpParser::RIGHT_BRACKET;
  }
  return open > 0;
}

} // namespace

void SyntaxErrorStrategy::reportError(antlr4::Parser *parser,
                                      const antlr4::RecognitionException &error) {
  if (inErrorRecoveryMode(parser))
    return;
  beginErrorCondition(parser);
  report(error.getOffendingToken()->getTokenIndex(), error.getExpectedTokens(),
         parser->getContext());
}

void SyntaxErrorStrategy::reportMissingToken(antlr4::Parser *parser) {
  if (inErrorRecoveryMode(parser))
    return;
  beginErrorCondition(parser);
  report(parser->getCurrentToken()->getTokenIndex(), getExpectedTokens(parser),
         parser->getContext());
}

antlr4::Token *SyntaxErrorStrategy::getMissingSymbol(antlr4::Parser *parser) {
  size_t kind = static_cast<size_t>(getExpectedTokens(parser).getMinElement());
  auto token = std::make_unique<antlr4::CommonToken>(kind);
  token->setStartIndex(INVALID_INDEX);
  token->setStopIndex(INVALID_INDEX);
  missingTokens.push_back(std::move(token));
  return missingTokens.back().get();
}

antlr4::Token *SyntaxErrorStrategy::recoverInline(antlr4::Parser *parser) {
  if (inErrorRecoveryMode(parser))
    throw antlr4::InputMismatchException(parser);
  antlr4::misc::IntervalSet expected = getExpectedTokens(parser);
  size_t at = parser->getCurrentToken()->getTokenIndex();
  unsigned kind = tokens[at].kind;
  bool isClosing = has(expected, MpParser::RIGHT_PAREN) || has(expected, MpParser::RIGHT_BRACKET);
  bool isBoundary =
      kind == MpParser::SEMICOLON || kind == MpParser::LEFT_BRACE || kind == MpParser::RIGHT_BRACE;
  if (has(expected, MpParser::LEFT_BRACE) || (isClosing && !isBoundary)) {
    // What stands before the mark is dropped, so that what stands after it is read.
    reportMissingToken(parser);
    skip(parser, /*stopAtBrace=*/!isClosing, /*stopAtClosing=*/isClosing);
    antlr4::Token *found = parser->getCurrentToken();
    if (!has(expected, found->getType()))
      throw antlr4::InputMismatchException(parser);
    endErrorCondition(parser);
    parser->consume();
    return found;
  }
  // The parser goes on as if the mark stood there when what follows looks like the next thing.
  bool insert;
  if (has(expected, MpParser::SEMICOLON))
    insert = isOnNewLine(at) || kind == MpParser::RIGHT_BRACE || isStatementKeyword(kind);
  else if (isClosing)
    insert = true;
  else
    insert = !has(expected, MpParser::RIGHT_BRACE) && singleTokenInsertion(parser);
  if (!insert)
    throw antlr4::InputMismatchException(parser);
  reportMissingToken(parser);
  return getMissingSymbol(parser);
}

void SyntaxErrorStrategy::skip(antlr4::Parser *parser, bool stopAtBrace, bool stopAtClosing) {
  size_t braces = 0;
  size_t brackets = 0;
  while (true) {
    size_t at = parser->getCurrentToken()->getTokenIndex();
    unsigned kind = tokens[at].kind;
    if (kind == static_cast<unsigned>(antlr4::Token::EOF))
      return;
    bool opens = kind == MpParser::LEFT_PAREN || kind == MpParser::LEFT_BRACKET;
    bool closes = kind == MpParser::RIGHT_PAREN || kind == MpParser::RIGHT_BRACKET;
    if (!diagnostics.isFull()) {
      if (isTopLevelKeyword(kind))
        return;
      bool startsLine = isOnNewLine(at) && at + 1 < tokens.size() &&
                        (kind == MpParser::AT ||
                         (kind == MpParser::NAME && tokens[at + 1].kind == MpParser::ASSIGN));
      if (braces == 0 && (kind == MpParser::SEMICOLON || kind == MpParser::RIGHT_BRACE ||
                          isStatementKeyword(kind) || startsLine ||
                          (kind == MpParser::LEFT_BRACE && stopAtBrace) ||
                          (closes && brackets == 0 && stopAtClosing)))
        return;
    }
    damaged.push_back(tokens[at].begin.offset);
    parser->consume();
    brackets += opens;
    if (closes && brackets > 0)
      --brackets;
    if (kind == MpParser::LEFT_BRACE) {
      ++braces;
    } else if (kind == MpParser::RIGHT_BRACE && braces > 0) {
      --braces;
      if (braces == 0 && !diagnostics.isFull())
        return;
    }
  }
}

void SyntaxErrorStrategy::recover(antlr4::Parser *parser, std::exception_ptr) {
  antlr4::ParserRuleContext *context = parser->getContext();
  size_t rule = context->getRuleIndex();
  bool stopAtBrace = true;
  bool isOuterOpen = false;
  for (antlr4::tree::ParseTree *node = context; node; node = node->parent) {
    auto *nodeContext = static_cast<antlr4::ParserRuleContext *>(node);
    size_t nodeRule = nodeContext->getRuleIndex();
    isOuterOpen |= node != context && isOpen(nodeContext);
    if (endsInSemicolon(nodeRule)) {
      stopAtBrace = false;
      break;
    }
    if (hasHeader(nodeRule))
      break;
  }
  // A bracket that this rule opened is closed; one that an outer rule opened is left to it.
  bool isSelfOpen = isOpen(context);
  skip(parser, stopAtBrace, isSelfOpen || isOuterOpen);
  size_t kind = parser->getCurrentToken()->getType();
  if (isSelfOpen && (kind == MpParser::RIGHT_PAREN || kind == MpParser::RIGHT_BRACKET))
    parser->consume();
  if (endsInSemicolon(rule) && parser->getCurrentToken()->getType() == MpParser::SEMICOLON) {
    parser->consume();
    endErrorCondition(parser);
  }
}

void SyntaxErrorStrategy::sync(antlr4::Parser *parser) {
  // Only loops over statements, entries and declarations can skip what does not belong there.
  size_t rule = parser->getContext()->getRuleIndex();
  bool isFile = rule == MpParser::RuleFile;
  if (!isFile && rule != MpParser::RuleLayerDecl && rule != MpParser::RuleBlock &&
      rule != MpParser::RuleTrainDecl)
    return;
  const antlr4::atn::ATN &atn = parser->getATN();
  const antlr4::misc::IntervalSet &next = atn.nextTokens(atn.states[parser->getState()]);
  bool isLoop = isFile || (has(next, MpParser::RIGHT_BRACE) && has(next, MpParser::NAME));
  if (!isLoop)
    return;
  while (true) {
    size_t at = parser->getCurrentToken()->getTokenIndex();
    unsigned kind = tokens[at].kind;
    bool isEnd =
        kind == static_cast<unsigned>(antlr4::Token::EOF) || (!isFile && isTopLevelKeyword(kind));
    if (isEnd)
      return;
    if (has(next, kind)) {
      endErrorCondition(parser);
      return;
    }
    bool isSaid = inErrorRecoveryMode(parser) || tokens[at].isReported;
    beginErrorCondition(parser);
    if (!isSaid && !reportSlip(at, next)) {
      if (isFile && kind == MpParser::RIGHT_BRACE)
        diagnostics.error(rangeOf(at), "this `}` closes nothing");
      else
        diagnostics.error(rangeOf(at),
                          llvm::Twine("expected ") +
                              (isFile ? "`layer`, `model`, `train` or `import`"
                               : rule == MpParser::RuleTrainDecl ? "an entry `name = value;`"
                                                                 : "a statement") +
                              ", got " + describe(at));
    }
    // The offending token itself may be one at which skipping would stop.
    damaged.push_back(tokens[at].begin.offset);
    if (kind != MpParser::LEFT_BRACE)
      parser->consume();
    bool skipped =
        (kind == MpParser::SEMICOLON || kind == MpParser::RIGHT_BRACE) && !diagnostics.isFull();
    if (!skipped) {
      skip(parser, /*stopAtBrace=*/false, /*stopAtClosing=*/false);
      if (parser->getCurrentToken()->getType() == MpParser::SEMICOLON)
        parser->consume();
    }
    endErrorCondition(parser);
  }
}

} // namespace mparc
