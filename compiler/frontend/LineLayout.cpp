//===- LineLayout.cpp - Spaces and line breaks within one statement -------===//

#include "frontend/LineLayout.h"

#include "MpLexer.h"

namespace mparc {

using Lexer = grammar::MpLexer;

bool endsOperand(unsigned kind) {
  switch (kind) {
  case Lexer::NAME:
  case Lexer::TRUE:
  case Lexer::FALSE:
  case Lexer::INTEGER:
  case Lexer::FLOAT:
  case Lexer::STRING:
  case Lexer::RIGHT_PAREN:
  case Lexer::RIGHT_BRACKET:
    return true;
  default:
    return false;
  }
}

bool needsSpace(unsigned before, bool isUnary, unsigned kind) {
  if (isUnary)
    return false;
  switch (kind) {
  case Lexer::COMMA:
  case Lexer::SEMICOLON:
  case Lexer::COLON:
  case Lexer::DOUBLE_COLON:
  case Lexer::DOT:
  case Lexer::RANGE:
  case Lexer::RIGHT_PAREN:
  case Lexer::RIGHT_BRACKET:
    return false;
  case Lexer::LEFT_PAREN:
  case Lexer::LEFT_BRACKET:
    if (before == Lexer::NAME || before == Lexer::RIGHT_PAREN || before == Lexer::RIGHT_BRACKET ||
        before == Lexer::FORWARD)
      return false;
    break;
  default:
    break;
  }
  switch (before) {
  case Lexer::LEFT_PAREN:
  case Lexer::LEFT_BRACKET:
  case Lexer::DOUBLE_COLON:
  case Lexer::DOT:
  case Lexer::RANGE:
  case Lexer::AT:
    return false;
  default:
    return true;
  }
}

/// The looser an operator binds, the better a line ends before it; negative: no operator.
static int operatorRank(unsigned kind) {
  switch (kind) {
  case Lexer::PIPE:
    return 1;
  case Lexer::OR:
    return 2;
  case Lexer::AND:
    return 3;
  case Lexer::EQUAL:
  case Lexer::NOT_EQUAL:
  case Lexer::LESS:
  case Lexer::LESS_EQUAL:
  case Lexer::GREATER:
  case Lexer::GREATER_EQUAL:
    return 4;
  case Lexer::ARROW:
  case Lexer::PLUS:
  case Lexer::MINUS:
    return 5;
  case Lexer::STAR:
  case Lexer::SLASH:
  case Lexer::PERCENT:
    return 6;
  default:
    return -1;
  }
}

int breakRank(unsigned before, bool isUnary, unsigned kind, bool isKindUnary, int depth) {
  // Each open bracket outweighs whatever there is to choose inside it.
  int base = 10 * depth;
  if (isUnary || kind == Lexer::LEFT_BRACE || kind == Lexer::RIGHT_BRACE)
    return -1;
  if (!isKindUnary && operatorRank(kind) >= 0)
    return base + operatorRank(kind);
  if (before == Lexer::COMMA)
    return base;
  if ((before == Lexer::LEFT_PAREN || before == Lexer::LEFT_BRACKET) &&
      kind != Lexer::RIGHT_PAREN && kind != Lexer::RIGHT_BRACKET)
    return base + 8;
  if (before == Lexer::ASSIGN)
    return base + 19;
  // Between an annotation and what it stands before.
  if (depth == 0 && (kind == Lexer::AT || before == Lexer::RIGHT_PAREN) &&
      needsSpace(before, false, kind))
    return 12;
  return -1;
}

size_t columnsOf(llvm::StringRef text) {
  size_t lineStart = text.rfind('\n') + 1;
  size_t columns = 0;
  for (char byte : text.drop_front(lineStart))
    columns += (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  return columns;
}

void writePieces(const std::vector<Piece> &pieces, size_t indent, size_t limit, std::string &out) {
  size_t start = 0;
  size_t column = indent;
  out.append(indent, ' ');
  while (start < pieces.size()) {
    // The best place to break so far, and whether all up to the next forced break fits.
    size_t best = 0;
    size_t end = start + 1;
    size_t width = column + columnsOf(pieces[start].text);
    while (end < pieces.size() && !pieces[end].mustBreakBefore) {
      const Piece &piece = pieces[end];
      if (width > limit && best)
        break;
      // With nothing better, the first chance after the limit.
      if (piece.breakRank >= 0 && (!best || piece.breakRank <= pieces[best].breakRank))
        best = end;
      width += piece.hasSpaceBefore + columnsOf(piece.text);
      ++end;
    }
    bool fits = width <= limit || !best;
    size_t stop = fits ? end : best;
    for (size_t i = start; i < stop; ++i) {
      if (i != start && pieces[i].hasSpaceBefore)
        out += ' ';
      out += pieces[i].text;
    }
    start = stop;
    if (start < pieces.size()) {
      if (pieces[start].mustBreakBefore && pieces[start].lineColumn >= 0)
        column = indent = pieces[start].lineColumn;
      else
        column = indent + 4;
      out += '\n';
      out.append(column, ' ');
    }
  }
}

} // namespace mparc
