//===- Tokens.h - Text to tokens ------------------------------------------===//
//
// Private to the front end. Runs the generated lexer over the bytes of a buffer and decides what a
// grammar says badly: which words are keywords where they stand, what a malformed token resembles,
// and whether the nesting is one the parser can follow.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_TOKENS_H
#define MPARC_FRONTEND_TOKENS_H

#include "frontend/Source.h"

#include <string>
#include <vector>

namespace mparc {

class Diagnostics;

/// In bytes. Larger sources are refused: memory and time stay within what a machine has.
constexpr size_t maxSourceSize = 4u << 20;

/// One token; its text lies on one line unless it is a block comment.
struct Token {
  /// A constant of grammar::MpLexer, never one of the MALFORMED ones.
  unsigned kind = 0;
  uint32_t length = 0;
  Position begin;
  /// An error was reported at this token or between the one before and it; what the parser has to
  /// say about this place is a consequence.
  bool isReported = false;

  uint32_t endOffset() const { return begin.offset + length; }
};

struct TokenList {
  /// What the parser sees, the last one of kind EOF.
  std::vector<Token> tokens;
  /// In order; a comment stands before the first token whose offset is larger.
  std::vector<Token> comments;
  /// Offsets of what is not parsed as it is written; each is reported.
  std::vector<uint32_t> damaged;
  /// The text cannot be parsed; why is reported.
  bool isUnusable = false;
};

/// Splits `text`, the contents of buffer number `buffer`, and records what is malformed.
TokenList tokenize(llvm::StringRef text, unsigned buffer, Diagnostics &diagnostics);

/// Makes a NAME of every keyword out of its position. The last token is EOF.
void classifyKeywords(std::vector<Token> &tokens);

/// The first token at which brackets and prefix operators nest deeper than `limit`; null if none
/// does.
const Token *findTooDeep(const std::vector<Token> &tokens, unsigned limit);

/// Whether `kind` is a name or a word that could be one.
bool isWord(unsigned kind);

/// Text fit for a message: quoted, shortened to `maxLength` bytes, on one line.
std::string quote(llvm::StringRef text, size_t maxLength = 40);

} // namespace mparc

#endif // MPARC_FRONTEND_TOKENS_H
