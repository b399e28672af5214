//===- Format.cpp - The one canonical layout of a .mp file ----------------===//
//
// Works on the tokens of a correct file: a line is a statement up to its `;`, a header up to its
// `{`, or a `}` with the `else` that may follow. Comments are not tokens; they are written as the
// tokens around them are.
//
//===----------------------------------------------------------------------===//

#include "frontend/Format.h"
#include "frontend/Diagnostics.h"
#include "frontend/LineLayout.h"
#include "frontend/ListLayout.h"
#include "frontend/Parser.h"
#include "frontend/Tokens.h"

#include "MpLexer.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/SourceMgr.h"

namespace mparc {

using Lexer = grammar::MpLexer;

namespace {

constexpr size_t lineLimit = 100;
constexpr size_t indentWidth = 2;

/// Whether a mark stands close to what is before it, be it a comment.
bool isTight(unsigned kind) {
  return kind == Lexer::SEMICOLON || kind == Lexer::COMMA || kind == Lexer::RIGHT_PAREN ||
         kind == Lexer::RIGHT_BRACKET;
}

class Formatter {
public:
  Formatter(llvm::StringRef contents, TokenList list)
      : text(contents), tokens(std::move(list.tokens)), comments(std::move(list.comments)) {}

  std::string run();

private:
  unsigned kindAt(size_t i) const { return tokens[i].kind; }
  bool isAtEnd(size_t i) const { return kindAt(i) == static_cast<unsigned>(antlr4::Token::EOF); }
  llvm::StringRef textOf(const Token &token) const {
    return text.substr(token.begin.offset, token.length);
  }
  bool hasLineBreak(size_t from, size_t to) const { return text.slice(from, to).contains('\n'); }
  std::string commentText(const Token &token) const;
  bool hasCommentBefore(size_t i) const {
    return comment < comments.size() && comments[comment].begin.offset < tokens[i].begin.offset;
  }

  bool hasCommentBetween(size_t from, size_t to) const;

  /// The index of the token that ends the line which begins at `first`.
  size_t lineEnd(size_t first) const;
  /// The first token from `first` on that belongs to no annotation.
  size_t afterAnnotations(size_t first) const;
  /// The last token of a block of one statement that may stand on one line with its header, which
  /// is [first, brace]; 0 if there is none.
  size_t shortBlockEnd(size_t first, size_t brace) const;
  size_t columnsOfTokens(size_t first, size_t last) const;
  bool isUnary(size_t i) const {
    return kindAt(i) == Lexer::NOT ||
           (kindAt(i) == Lexer::MINUS && (i == 0 || !endsOperand(kindAt(i - 1))));
  }

  void startItem(size_t offset);
  void writeLeadingComments(size_t next);
  void writeTrailingComments(size_t last);
  void writeLine(size_t first, size_t last);
  bool addComments(size_t next, bool isFirst, int column, std::vector<Piece> &pieces);
  void measureEntries(size_t first, size_t brace);

  llvm::StringRef text;
  std::vector<Token> tokens;
  std::vector<Token> comments;
  std::string out;
  /// The next comment to write.
  size_t comment = 0;
  /// How many blocks are open.
  size_t depth = 0;
  /// Where the last token or comment written ends in the text.
  size_t lastOffset = 0;
  /// Nothing was written yet in the block that is open.
  bool isBlockStart = true;
  /// A blank line comes before the next item, whatever the user wrote.
  bool mustSeparate = false;
  /// Columns of the longest name of the `train` block that is open; 0 outside.
  size_t entryColumns = 0;
};

std::string Formatter::commentText(const Token &token) const {
  std::string result;
  llvm::StringRef rest = textOf(token);
  while (true) {
    auto [line, more] = rest.split('\n');
    result += line.rtrim();
    if (line.size() == rest.size())
      return result;
    result += '\n';
    rest = more;
  }
}

/// Of what is not written yet, whether a comment stands between two tokens.
bool Formatter::hasCommentBetween(size_t from, size_t to) const {
  for (size_t i = comment; i < comments.size(); ++i)
    if (comments[i].begin.offset > tokens[from].begin.offset)
      return comments[i].begin.offset < tokens[to].begin.offset;
  return false;
}

size_t Formatter::lineEnd(size_t first) const {
  size_t i = first;
  if (kindAt(i) == Lexer::RIGHT_BRACE) {
    // With a comment before it, `else` begins a line.
    if (kindAt(i + 1) != Lexer::ELSE || hasCommentBefore(i + 1))
      return i;
    ++i;
  }
  while (kindAt(i) != Lexer::SEMICOLON && kindAt(i) != Lexer::LEFT_BRACE)
    ++i;
  return i;
}

size_t Formatter::columnsOfTokens(size_t first, size_t last) const {
  size_t columns = 0;
  for (size_t i = first; i <= last; ++i) {
    columns += columnsOf(textOf(tokens[i]));
    columns += i > first && needsSpace(kindAt(i - 1), isUnary(i - 1), kindAt(i));
  }
  return columns;
}

size_t Formatter::afterAnnotations(size_t first) const {
  size_t head = first;
  while (kindAt(head) == Lexer::AT) {
    head += 2;
    if (kindAt(head) != Lexer::LEFT_PAREN)
      continue;
    size_t open = 0;
    do {
      open += kindAt(head) == Lexer::LEFT_PAREN;
      open -= kindAt(head) == Lexer::RIGHT_PAREN;
      ++head;
    } while (open);
  }
  return head;
}

size_t Formatter::shortBlockEnd(size_t first, size_t brace) const {
  size_t head = afterAnnotations(first);
  bool mayStay = kindAt(head) == Lexer::FORWARD; // on one line, where the user has it there
  if (!mayStay && kindAt(head) != Lexer::IF && kindAt(head) != Lexer::FOR &&
      kindAt(head) != Lexer::LEFT_BRACE)
    return 0;
  size_t i = brace + 1;
  while (kindAt(i) != Lexer::SEMICOLON) {
    if (kindAt(i) == Lexer::LEFT_BRACE || kindAt(i) == Lexer::RIGHT_BRACE)
      return 0;
    ++i;
  }
  size_t last = i + 1;
  if (mayStay && hasLineBreak(tokens[first].begin.offset, tokens[last].begin.offset))
    return 0;
  if (kindAt(last) != Lexer::RIGHT_BRACE || kindAt(last + 1) == Lexer::ELSE)
    return 0;
  if (hasCommentBefore(last) || depth * indentWidth + columnsOfTokens(first, last) > lineLimit)
    return 0;
  return last;
}

/// Begins the line of what starts at `offset` of the text.
void Formatter::startItem(size_t offset) {
  bool hasBlank = text.slice(lastOffset, offset).count('\n') > 1;
  if (!isBlockStart && (hasBlank || mustSeparate))
    out += '\n';
  isBlockStart = false;
  mustSeparate = false;
}

void Formatter::writeTrailingComments(size_t last) {
  lastOffset = tokens[last].endOffset();
  while (comment < comments.size() &&
         comments[comment].begin.offset < tokens[last + 1].begin.offset &&
         !hasLineBreak(lastOffset, comments[comment].begin.offset)) {
    out += ' ';
    out += commentText(comments[comment]);
    lastOffset = comments[comment].endOffset();
    ++comment;
  }
  out += '\n';
}

void Formatter::writeLeadingComments(size_t next) {
  bool canGlue = !isAtEnd(next) && kindAt(next) != Lexer::RIGHT_BRACE;
  while (hasCommentBefore(next)) {
    const Token &token = comments[comment];
    // A comment on the line of the statement is a part of its line.
    if (canGlue && !hasLineBreak(token.begin.offset, tokens[next].begin.offset))
      return;
    startItem(token.begin.offset);
    out.append(depth * indentWidth, ' ');
    out += commentText(token);
    out += '\n';
    lastOffset = token.endOffset();
    ++comment;
  }
}

/// Adds the comments before token `next` to a line; `isFirst` if the line begins with that token.
/// One that has a line of its own begins it at `column`. Returns whether a line break must follow
/// them.
bool Formatter::addComments(size_t next, bool isFirst, int column, std::vector<Piece> &pieces) {
  bool mustBreak = false;
  while (hasCommentBefore(next)) {
    const Token &token = comments[comment];
    mustBreak |= !isFirst && hasLineBreak(lastOffset, token.begin.offset);
    pieces.push_back({commentText(token), true, mustBreak, column, -1});
    lastOffset = token.endOffset();
    ++comment;
    const Token &following = hasCommentBefore(next) ? comments[comment] : tokens[next];
    mustBreak = hasLineBreak(token.begin.offset, following.begin.offset);
  }
  return mustBreak;
}

/// Writes the tokens [first, last] and the comments between them, without what follows the line.
void Formatter::writeLine(size_t first, size_t last) {
  startItem(hasCommentBefore(first) ? comments[comment].begin.offset : tokens[first].begin.offset);
  std::vector<Piece> pieces;
  auto kind = [&](size_t i) { return kindAt(i); };
  auto columns = [&](size_t from, size_t to) { return columnsOfTokens(from, to); };
  auto hasCommentsIn = [&](size_t from, size_t to) { return hasCommentBetween(from, to); };
  llvm::DenseMap<size_t, size_t> listed =
      layOutLists(first, last, depth * indentWidth, lineLimit, {kind, columns, hasCommentsIn});
  int open = 0;
  for (size_t i = first; i <= last; ++i) {
    bool hasComments = hasCommentBefore(i);
    Piece piece;
    piece.text = textOf(tokens[i]).str();
    auto begins = listed.find(i);
    bool isListed = begins != listed.end();
    if (isListed)
      piece.lineColumn = static_cast<int>(begins->second);
    // The last comments of a list stand as its elements do.
    bool isClose = isListed && kindAt(i) == Lexer::RIGHT_BRACKET;
    piece.mustBreakBefore =
        addComments(i, i == first, piece.lineColumn + (isClose ? indentWidth : 0), pieces) ||
        isListed;
    piece.hasSpaceBefore = hasComments && !isTight(kindAt(i));
    if (i > first) {
      piece.hasSpaceBefore |= needsSpace(kindAt(i - 1), isUnary(i - 1), kindAt(i));
      // Beside a comment a line ends where the user ended it, and nowhere else: a break put there
      // could not be told from the user's when the result is laid out again.
      if (!hasComments)
        piece.breakRank = breakRank(kindAt(i - 1), isUnary(i - 1), kindAt(i), isUnary(i), open);
    } else if (entryColumns && kindAt(i) == Lexer::NAME) {
      piece.text.append(entryColumns - piece.text.size(), ' ');
    }
    pieces.push_back(std::move(piece));
    open += kindAt(i) == Lexer::LEFT_PAREN || kindAt(i) == Lexer::LEFT_BRACKET;
    open -= kindAt(i) == Lexer::RIGHT_PAREN || kindAt(i) == Lexer::RIGHT_BRACKET;
    lastOffset = tokens[i].endOffset();
  }
  writePieces(pieces, depth * indentWidth, lineLimit, out);
}

/// Finds the longest name of an entry of the `train` block whose `{` is token `brace`.
void Formatter::measureEntries(size_t first, size_t brace) {
  entryColumns = 0;
  if (kindAt(first) != Lexer::TRAIN)
    return;
  for (size_t i = brace + 1; kindAt(i) != Lexer::RIGHT_BRACE; ++i)
    if (kindAt(i + 1) == Lexer::ASSIGN)
      entryColumns = std::max<size_t>(entryColumns, tokens[i].length);
}

std::string Formatter::run() {
  size_t next = 0;
  bool wasBlock = false;
  while (true) {
    size_t last = isAtEnd(next) || kindAt(next) == Lexer::RIGHT_BRACE ? next : lineEnd(next);
    // At the top level a blank line stands before and after whatever has a body.
    bool isDeclaration = depth == 0 && !isAtEnd(next);
    if (isDeclaration)
      mustSeparate = next > 0 && (wasBlock || kindAt(last) == Lexer::LEFT_BRACE);
    else
      mustSeparate = kindAt(afterAnnotations(next)) == Lexer::FORWARD;
    writeLeadingComments(next);
    if (isAtEnd(next))
      break;
    if (isDeclaration)
      wasBlock = kindAt(last) == Lexer::LEFT_BRACE;
    if (kindAt(next) == Lexer::RIGHT_BRACE) {
      --depth;
      isBlockStart = true;
      entryColumns = 0;
      last = lineEnd(next);
    }
    if (kindAt(last) != Lexer::LEFT_BRACE) {
      writeLine(next, last);
    } else if (size_t end = shortBlockEnd(next, last)) {
      last = end;
      writeLine(next, last);
    } else {
      writeLine(next, last);
      bool isEmpty = kindAt(last + 1) == Lexer::RIGHT_BRACE && kindAt(last + 2) != Lexer::ELSE &&
                     !hasCommentBefore(last + 1);
      if (isEmpty) {
        out += '}';
        ++last;
      } else {
        measureEntries(next, last);
        ++depth;
        isBlockStart = true;
      }
    }
    writeTrailingComments(last);
    next = last + 1;
  }
  return std::move(out);
}

} // namespace

std::optional<std::string> format(const llvm::SourceMgr &sources, unsigned buffer,
                                  Diagnostics &diagnostics) {
  unsigned errorsBefore = diagnostics.errorCount();
  parseFile(sources, buffer, diagnostics);
  if (diagnostics.errorCount() != errorsBefore)
    return std::nullopt;
  llvm::StringRef text = sources.getMemoryBuffer(buffer)->getBuffer();
  return Formatter(text, tokenize(text, buffer, diagnostics)).run();
}

} // namespace mparc
