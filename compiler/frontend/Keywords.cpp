//===- Keywords.cpp - Which words are keywords where they stand -----------===//
//
// A keyword is one only in its position: `param weight: …` declares a parameter, `param = 4;` binds
// the name `param`. Each rule looks at the neighbours of the word, and prefers the keyword where
// text could otherwise not be correct, so that a missing `;` or `}` costs one error and not a page.
//
//===----------------------------------------------------------------------===//

#include "frontend/Tokens.h"

#include "MpLexer.h"
#include "llvm/ADT/SmallVector.h"

namespace mparc {

using Lexer = grammar::MpLexer;

namespace {

bool isOpening(unsigned kind) {
  return kind == Lexer::LEFT_PAREN || kind == Lexer::LEFT_BRACKET || kind == Lexer::LEFT_BRACE;
}

bool isClosing(unsigned kind) {
  return kind == Lexer::RIGHT_PAREN || kind == Lexer::RIGHT_BRACKET || kind == Lexer::RIGHT_BRACE;
}

class KeywordClassifier {
public:
  explicit KeywordClassifier(std::vector<Token> &list) : tokens(list) {}

  void run() {
    matchParentheses();
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      updateStart(i);
      if (tokens[i].kind == Lexer::LEFT_BRACE)
        ++braces;
      else if (tokens[i].kind == Lexer::RIGHT_BRACE && braces > 0)
        --braces;
      if (isWord(tokens[i].kind) && tokens[i].kind != Lexer::NAME && !isKeyword(i))
        tokens[i].kind = Lexer::NAME;
    }
  }

private:
  unsigned kindAt(size_t i) const {
    return i < tokens.size() ? tokens[i].kind : static_cast<unsigned>(antlr4::Token::EOF);
  }

  /// For each opening parenthesis, the index of the token after its partner.
  void matchParentheses() {
    after.assign(tokens.size(), tokens.size());
    llvm::SmallVector<size_t> open;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i].kind == Lexer::LEFT_PAREN) {
        open.push_back(i);
      } else if (tokens[i].kind == Lexer::RIGHT_PAREN && !open.empty()) {
        after[open.pop_back_val()] = i + 1;
      }
    }
  }

  /// Sets `atStart`: whether token `i` may begin a statement or a declaration.
  void updateStart(size_t i) {
    unsigned before = i ? kindAt(i - 1) : static_cast<unsigned>(Lexer::SEMICOLON);
    atStart = before == Lexer::SEMICOLON || before == Lexer::LEFT_BRACE ||
              before == Lexer::RIGHT_BRACE || i == annotationEnd;
    if (before == Lexer::AT)
      annotationEnd = kindAt(i + 1) == Lexer::LEFT_PAREN ? after[i + 1] : i + 1;
  }

  bool isKeyword(size_t i) const {
    unsigned before = i ? kindAt(i - 1) : static_cast<unsigned>(Lexer::SEMICOLON);
    unsigned next = kindAt(i + 1);
    // A name is expected there, whatever the word.
    if (before == Lexer::AT || before == Lexer::DOT || before == Lexer::DOUBLE_COLON ||
        before == Lexer::FOR || isDeclaring(before))
      return false;
    switch (tokens[i].kind) {
    case Lexer::LAYER:
    case Lexer::MODEL:
    case Lexer::TRAIN:
    case Lexer::PARAM:
    case Lexer::BUFFER:
      // Two words in a row are correct nowhere else; outside braces nothing begins with a name.
      return isWord(next) || (atStart && braces == 0 && !isBodyOnly(tokens[i].kind));
    case Lexer::GRAD:
      return isWord(next) && !atStart;
    case Lexer::IMPORT:
    case Lexer::EXTERN:
      return next == Lexer::STRING || (atStart && braces == 0);
    case Lexer::OP:
      return before == Lexer::STRING && i >= 2 && kindAt(i - 2) == Lexer::EXTERN;
    case Lexer::FORWARD: {
      if (next != Lexer::LEFT_PAREN)
        return false;
      unsigned follower = kindAt(after[i + 1]);
      return atStart || follower == Lexer::ARROW || follower == Lexer::LEFT_BRACE;
    }
    case Lexer::FOR:
      return isWord(next) || (atStart && next == Lexer::LEFT_PAREN);
    case Lexer::IF:
      return before == Lexer::ELSE || isWord(next) || (atStart && !continuesTarget(next));
    case Lexer::RETURN:
      return isWord(next) || (atStart && !continuesTarget(next));
    case Lexer::ELSE:
      return next == Lexer::LEFT_BRACE || next == Lexer::IF ||
             (before == Lexer::RIGHT_BRACE && isWord(next));
    case Lexer::IN:
      return i >= 2 && kindAt(i - 2) == Lexer::FOR;
    case Lexer::TRUE:
    case Lexer::FALSE:
      return true;
    default:
      return false;
    }
  }

  /// Whether the keyword `kind` is followed by the name of what it declares.
  static bool isDeclaring(unsigned kind) {
    switch (kind) {
    case Lexer::LAYER:
    case Lexer::MODEL:
    case Lexer::TRAIN:
    case Lexer::PARAM:
    case Lexer::BUFFER:
    case Lexer::OP:
    case Lexer::GRAD:
      return true;
    default:
      return false;
    }
  }

  static bool isBodyOnly(unsigned kind) { return kind == Lexer::PARAM || kind == Lexer::BUFFER; }

  /// Whether `kind` after a word at the start of a statement shows that the word is being bound.
  static bool continuesTarget(unsigned kind) {
    return kind == Lexer::ASSIGN || kind == Lexer::COMMA || kind == Lexer::DOT;
  }

  std::vector<Token> &tokens;
  std::vector<size_t> after;
  /// How many braces are open.
  size_t braces = 0;
  size_t annotationEnd = SIZE_MAX;
  bool atStart = true;
};

} // namespace

bool isWord(unsigned kind) { return kind >= Lexer::IMPORT && kind <= Lexer::NAME; }

void classifyKeywords(std::vector<Token> &tokens) { KeywordClassifier(tokens).run(); }

const Token *findTooDeep(const std::vector<Token> &tokens, unsigned limit) {
  /// An open bracket, and how many prefix operators before it wait for their operand.
  struct Open {
    unsigned kind;
    unsigned prefixes;
  };
  llvm::SmallVector<Open> open;
  unsigned prefixes = 0;
  unsigned depth = 0;
  auto close = [&] {
    depth -= prefixes + 1;
    prefixes = open.pop_back_val().prefixes;
  };
  // Nothing but braces is open across the end of a statement, however broken the text.
  auto closeUpToBrace = [&] {
    while (!open.empty() && open.back().kind != Lexer::LEFT_BRACE)
      close();
  };
  bool afterOperand = false;
  for (const Token &token : tokens) {
    unsigned kind = token.kind;
    bool isPrefix = kind == Lexer::NOT || (kind == Lexer::MINUS && !afterOperand);
    if (isOpening(kind)) {
      open.push_back({kind, prefixes});
      prefixes = 0;
      ++depth;
    } else if (isPrefix) {
      ++prefixes;
      ++depth;
    } else if (kind == Lexer::SEMICOLON || kind == Lexer::RIGHT_BRACE) {
      closeUpToBrace();
      depth -= prefixes;
      prefixes = 0;
      if (kind == Lexer::RIGHT_BRACE && !open.empty())
        close();
    } else if (isClosing(kind) && !open.empty() && open.back().kind != Lexer::LEFT_BRACE) {
      close();
    }
    if (depth > limit)
      return &token;
    afterOperand = kind == Lexer::NAME || kind == Lexer::TRUE || kind == Lexer::FALSE ||
                   kind == Lexer::INTEGER || kind == Lexer::FLOAT || kind == Lexer::STRING ||
                   kind == Lexer::RIGHT_PAREN || kind == Lexer::RIGHT_BRACKET;
    if (afterOperand) {
      depth -= prefixes;
      prefixes = 0;
    }
  }
  return nullptr;
}

} // namespace mparc
