//===- Tokens.cpp - Text to tokens ----------------------------------------===//

#include "frontend/Tokens.h"
#include "frontend/Diagnostics.h"

#include "MpLexer.h"
#include "frontend/AstExpr.h"
#include "llvm/Support/ConvertUTF.h"

namespace mparc {

using Lexer = grammar::MpLexer;

namespace {

/// Feeds the generated lexer the bytes of a buffer, so that its offsets and columns count bytes.
class ByteStream final : public antlr4::CharStream {
public:
  explicit ByteStream(llvm::StringRef contents, size_t start) : text(contents), position(start) {}

  void consume() override { ++position; }
  size_t LA(ssize_t i) override {
    size_t at = position + static_cast<size_t>(i > 0 ? i - 1 : i);
    return at < text.size() ? static_cast<unsigned char>(text[at]) : IntStream::EOF;
  }
  ssize_t mark() override { return -1; }
  void release(ssize_t) override {}
  size_t index() override { return position; }
  void seek(size_t index) override { position = std::min(index, text.size()); }
  size_t size() override { return text.size(); }
  std::string getSourceName() const override { return IntStream::UNKNOWN_SOURCE_NAME; }
  std::string getText(const antlr4::misc::Interval &interval) override {
    return text.slice(interval.a, interval.b + 1).str();
  }
  std::string toString() const override { return text.str(); }

private:
  llvm::StringRef text;
  size_t position;
};

class Tokenizer {
public:
  Tokenizer(llvm::StringRef contents, unsigned number, Diagnostics &reports)
      : text(contents), buffer(number), diagnostics(reports) {}

  TokenList run();

private:
  /// The range of `length` bytes of one line from `begin`.
  SourceRange rangeAt(Position begin, uint32_t length) const {
    Position end{begin.offset + length, begin.line, begin.column + length};
    return {buffer, begin, end};
  }
  llvm::StringRef textOf(const Token &token) const {
    return text.substr(token.begin.offset, token.length);
  }

  void checkEncoding();
  void add(Token token);
  void checkFloats();
  /// Gives a malformed token the kind it resembles and reports it; false if it is to be dropped.
  bool repair(Token &token);
  bool repairStray(Token &token);

  llvm::StringRef text;
  unsigned buffer;
  Diagnostics &diagnostics;
  TokenList list;
  /// The next token follows one that was dropped.
  bool droppedBefore = false;
};

void Tokenizer::checkEncoding() {
  const auto *start = reinterpret_cast<const llvm::UTF8 *>(text.data());
  const llvm::UTF8 *at = start;
  if (llvm::isLegalUTF8String(&at, start + text.size()))
    return;
  Position position;
  position.offset = static_cast<uint32_t>(at - start);
  llvm::StringRef before = text.take_front(position.offset);
  position.line = static_cast<uint32_t>(before.count('\n')) + 1;
  position.column = static_cast<uint32_t>(position.offset - (before.rfind('\n') + 1)) + 1;
  diagnostics.error(rangeAt(position, 1), "the file is not valid UTF-8 here");
}

bool Tokenizer::repairStray(Token &token) {
  char character = text[token.begin.offset];
  SourceRange range = rangeAt(token.begin, token.length);
  if (character == '\0')
    diagnostics.error(range, "a NUL byte has no place in a program");
  else if (character == '&' || character == '|')
    diagnostics.error(range, llvm::Twine("`") + llvm::Twine(character) +
                                 "` means nothing here; a condition takes `" +
                                 llvm::Twine(character) + llvm::Twine(character) + "`");
  else if (static_cast<unsigned char>(character) < 0x20 || character == 0x7F)
    diagnostics.error(range, "a control character has no place in a program");
  else
    diagnostics.error(range, quote(textOf(token)) + " means nothing here");
  return false;
}

bool Tokenizer::repair(Token &token) {
  llvm::StringRef spelling = textOf(token);
  SourceRange range = rangeAt(token.begin, token.length);
  switch (token.kind) {
  case Lexer::MALFORMED_NAME:
    diagnostics.error(range, quote(spelling) +
                                 " is no name; names have letters A to Z, digits and `_` only");
    token.kind = Lexer::NAME;
    return true;
  case Lexer::MALFORMED_NUMBER:
    diagnostics.error(range, quote(spelling) + " is neither a number nor a name");
    token.kind = Lexer::INTEGER;
    return true;
  case Lexer::MALFORMED_STRING:
    range = rangeAt(token.begin, 1);
    diagnostics.error(range, "this string is not closed on its line");
    token.kind = Lexer::STRING;
    return true;
  case Lexer::MALFORMED_COMMENT:
    range = rangeAt(token.begin, 2);
    diagnostics.error(range, "this comment is not closed");
    return false;
  case Lexer::MALFORMED_HASH:
    range = rangeAt(token.begin, 1);
    diagnostics.error(range, "`#` means nothing here; a comment begins with `//`");
    return false;
  case Lexer::MALFORMED_QUOTES:
    diagnostics.error(range, "a string stands in double quotes");
    token.kind = Lexer::STRING;
    return true;
  default:
    return repairStray(token);
  }
}

void Tokenizer::add(Token token) {
  if (token.kind == Lexer::LINE_COMMENT || token.kind == Lexer::BLOCK_COMMENT) {
    list.comments.push_back(token);
    return;
  }
  token.isReported = droppedBefore;
  droppedBefore = false;
  if (token.kind >= Lexer::MALFORMED_NAME) {
    bool endsLine = token.kind == Lexer::MALFORMED_STRING;
    list.damaged.push_back(token.begin.offset);
    if (!repair(token)) {
      droppedBefore = true;
      return;
    }
    token.isReported = true;
    // An open string has swallowed what ended the statement.
    droppedBefore = endsLine;
  }
  list.tokens.push_back(token);
}

/// Joins `1` `.` and `.` `5` to floats, saying that the language has none such.
void Tokenizer::checkFloats() {
  std::vector<Token> joined;
  for (size_t i = 0; i < list.tokens.size(); ++i) {
    Token token = list.tokens[i];
    const Token *next = i + 1 < list.tokens.size() ? &list.tokens[i + 1] : nullptr;
    bool touchesNext = next && next->begin.offset == token.endOffset();
    if (token.kind == Lexer::INTEGER && touchesNext && next->kind == Lexer::DOT) {
      diagnostics.error(rangeAt(token.begin, token.length + 1),
                        "a float has a digit on both sides of the point; write `" + textOf(token) +
                            ".0`");
    } else if (token.kind == Lexer::DOT && touchesNext && next->kind == Lexer::INTEGER) {
      // After a value the point is meant as a path's.
      const Token *before = joined.empty() ? nullptr : &joined.back();
      bool isPath = before && before->endOffset() == token.begin.offset &&
                    (isWord(before->kind) || before->kind == Lexer::RIGHT_BRACKET ||
                     before->kind == Lexer::RIGHT_PAREN);
      if (isPath)
        diagnostics.error(rangeAt(token.begin, 1 + next->length),
                          "a number cannot follow a point; an index is written `[" + textOf(*next) +
                              "]`");
      else
        diagnostics.error(rangeAt(token.begin, 1 + next->length),
                          "a float has a digit on both sides of the point; write `0." +
                              textOf(*next) + "`");
      if (isPath) {
        // The path so far stands.
        ++i;
        continue;
      }
    } else {
      joined.push_back(token);
      continue;
    }
    token.kind = Lexer::FLOAT;
    token.length += next->length;
    token.isReported = true;
    joined.push_back(token);
    ++i;
  }
  list.tokens = std::move(joined);
}

TokenList Tokenizer::run() {
  if (text.size() > maxSourceSize) {
    diagnostics.error(rangeAt({}, 0), "the file is larger than 4 MiB");
    list.isUnusable = true;
    return std::move(list);
  }
  checkEncoding();
  ByteStream stream(text, 0);
  if (text.starts_with("\xEF\xBB\xBF"))
    stream.seek(3);
  Lexer lexer(&stream);
  lexer.removeErrorListeners();
  Position lineStart;
  while (true) {
    std::unique_ptr<antlr4::Token> next = lexer.nextToken();
    Token token;
    token.kind = static_cast<unsigned>(next->getType());
    token.begin.offset = static_cast<uint32_t>(next->getStartIndex());
    // Columns are counted here, not by the lexer, which does not know of the byte order mark.
    if (static_cast<uint32_t>(next->getLine()) != lineStart.line) {
      lineStart.line = static_cast<uint32_t>(next->getLine());
      lineStart.offset = static_cast<uint32_t>(text.rfind('\n', token.begin.offset) + 1);
    }
    token.begin.line = lineStart.line;
    token.begin.column = token.begin.offset - lineStart.offset + 1;
    if (next->getType() == antlr4::Token::EOF) {
      token.kind = static_cast<unsigned>(antlr4::Token::EOF);
      token.isReported = droppedBefore;
      list.tokens.push_back(token);
      break;
    }
    token.length = static_cast<uint32_t>(next->getStopIndex() + 1 - next->getStartIndex());
    add(token);
  }
  checkFloats();
  classifyKeywords(list.tokens);
  if (const Token *token = findTooDeep(list.tokens, ast::maxNesting)) {
    diagnostics.error(rangeAt(token->begin, token->length), llvm::Twine("this nests deeper than ") +
                                                                llvm::Twine(ast::maxNesting) +
                                                                " levels");
    list.isUnusable = true;
  }
  return std::move(list);
}

} // namespace

TokenList tokenize(llvm::StringRef text, unsigned buffer, Diagnostics &diagnostics) {
  return Tokenizer(text, buffer, diagnostics).run();
}

std::string quote(llvm::StringRef text, size_t maxLength) {
  std::string quoted = "`";
  for (char character : text.take_front(maxLength))
    quoted += static_cast<unsigned char>(character) < 0x20 || character == 0x7F ? ' ' : character;
  if (text.size() > maxLength) {
    // Not in the middle of a code point.
    while (!quoted.empty() && (static_cast<unsigned char>(quoted.back()) & 0xC0) == 0x80)
      quoted.pop_back();
    if (static_cast<unsigned char>(quoted.back()) >= 0xC0)
      quoted.pop_back();
    quoted += "…";
  }
  const auto *bytes = reinterpret_cast<const llvm::UTF8 *>(quoted.data());
  if (!llvm::isLegalUTF8String(&bytes, bytes + quoted.size()))
    return "this";
  return quoted + "`";
}

} // namespace mparc
