//===- Parser.cpp - Text to syntax tree -----------------------------------===//
//
// text → tokens (Tokens.cpp: keywords, malformed tokens, nesting)
//      → parse tree (the parser generated from grammar/Mp.g4, with the errors of SyntaxErrors.cpp)
//      → syntax tree (AstBuilder.h).
//
//===----------------------------------------------------------------------===//

#include "frontend/Parser.h"
#include "frontend/AstBuilder.h"
#include "frontend/Diagnostics.h"
#include "frontend/SyntaxErrors.h"
#include "frontend/Tokens.h"

#include "llvm/Support/SourceMgr.h"

namespace mparc {
namespace {

/// Hands the tokens to the parser in the form it takes.
std::vector<std::unique_ptr<antlr4::Token>> parserTokens(const std::vector<Token> &tokens) {
  std::vector<std::unique_ptr<antlr4::Token>> result;
  result.reserve(tokens.size());
  for (const Token &token : tokens) {
    bool isEof = token.kind == static_cast<unsigned>(antlr4::Token::EOF);
    auto copy = std::make_unique<antlr4::CommonToken>(isEof ? antlr4::Token::EOF : token.kind);
    copy->setStartIndex(token.begin.offset);
    copy->setStopIndex(isEof ? token.begin.offset : token.endOffset() - 1);
    copy->setLine(token.begin.line);
    copy->setCharPositionInLine(token.begin.column - 1);
    result.push_back(std::move(copy));
  }
  return result;
}

} // namespace

std::unique_ptr<ast::File> parseFile(const llvm::SourceMgr &sources, unsigned buffer,
                                     Diagnostics &diagnostics) {
  llvm::StringRef text = sources.getMemoryBuffer(buffer)->getBuffer();
  unsigned errorsBefore = diagnostics.errorCount();
  TokenList list = tokenize(text, buffer, diagnostics);
  AstBuilder builder(text, buffer, list.damaged, diagnostics);
  std::unique_ptr<ast::File> file;
  if (list.isUnusable) {
    file = builder.build(nullptr);
  } else {
    antlr4::ListTokenSource source(parserTokens(list.tokens));
    antlr4::CommonTokenStream stream(&source);
    grammar::MpParser parser(&stream);
    parser.removeErrorListeners();
    parser.setErrorHandler(std::make_shared<SyntaxErrorStrategy>(list, text, buffer, diagnostics));
    // One token always decides, so the faster prediction is exact; see the head of the grammar.
    parser.getInterpreter<antlr4::atn::ParserATNSimulator>()->setPredictionMode(
        antlr4::atn::PredictionMode::SLL);
    grammar::MpParser::FileContext *tree = parser.file();
    llvm::sort(list.damaged);
    file = builder.build(tree);
  }
  file->isBroken = diagnostics.errorCount() != errorsBefore;
  return file;
}

} // namespace mparc
