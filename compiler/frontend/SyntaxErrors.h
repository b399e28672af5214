//===- SyntaxErrors.h - What the parser says and where it goes on ---------===//
//
// Private to the front end. Replaces ANTLR's error strategy: own words, the narrowest place, and
// recovery at the ends of statements and blocks, so that one mistake is one error and what follows
// is still read.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_SYNTAXERRORS_H
#define MPARC_FRONTEND_SYNTAXERRORS_H

#include "frontend/Tokens.h"

#include "antlr4-runtime.h"
#include "llvm/ADT/Twine.h"

namespace mparc {

/// Tokens have kinds, of which ANTLR's own function would take the signed or the unsigned.
inline bool has(const antlr4::misc::IntervalSet &set, size_t kind) { return set.contains(kind); }

class SyntaxErrorStrategy final : public antlr4::DefaultErrorStrategy {
public:
  /// `list` has the parser's tokens, index by index, and receives what is skipped as damaged;
  /// `contents` are those of buffer number `number`.
  SyntaxErrorStrategy(TokenList &list, llvm::StringRef contents, unsigned number,
                      Diagnostics &reports)
      : tokens(list.tokens), text(contents), buffer(number), diagnostics(reports),
        damaged(list.damaged) {}

  void reportError(antlr4::Parser *parser, const antlr4::RecognitionException &error) override;
  void recover(antlr4::Parser *parser, std::exception_ptr error) override;
  antlr4::Token *recoverInline(antlr4::Parser *parser) override;
  void sync(antlr4::Parser *parser) override;

private:
  void reportMissingToken(antlr4::Parser *parser) override;
  /// The token that the parser takes as standing there; it has no place in the text.
  antlr4::Token *getMissingSymbol(antlr4::Parser *parser) override;

  /// Says what is wrong at token `at`, where `expected` could have stood.
  void report(size_t at, const antlr4::misc::IntervalSet &expected,
              antlr4::ParserRuleContext *context);
  /// Says it if a person's usual slip explains token `at`; false otherwise.
  bool reportSlip(size_t at, const antlr4::misc::IntervalSet &expected);
  void reportUnclosed(size_t at, unsigned closing, const llvm::Twine &message);

  /// Skips to where a statement or declaration may end or begin; over whole `{ … }` unless
  /// `stopAtBrace`; not beyond a `)` or `]` that closes what was open before, if `stopAtClosing`.
  void skip(antlr4::Parser *parser, bool stopAtBrace, bool stopAtClosing);

  llvm::StringRef textOf(size_t at) const {
    return text.substr(tokens[at].begin.offset, tokens[at].length);
  }
  /// Token `at` as a message names it.
  std::string describe(size_t at) const;
  SourceRange rangeOf(size_t at) const;
  /// The empty range right after the token before `at`.
  SourceRange rangeBefore(size_t at) const;
  bool isOnNewLine(size_t at) const {
    return at == 0 || tokens[at].begin.line != tokens[at - 1].begin.line;
  }

  const std::vector<Token> &tokens;
  llvm::StringRef text;
  unsigned buffer;
  Diagnostics &diagnostics;
  std::vector<uint32_t> &damaged;
  std::vector<std::unique_ptr<antlr4::Token>> missingTokens;
};

} // namespace mparc

#endif // MPARC_FRONTEND_SYNTAXERRORS_H
