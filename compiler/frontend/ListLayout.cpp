//===- ListLayout.cpp - Lists with an element a line -----------------------===//

#include "frontend/ListLayout.h"
#include "frontend/LineLayout.h"

#include "MpLexer.h"

#include <vector>

namespace mparc {

using Lexer = grammar::MpLexer;

namespace {

constexpr size_t elementIndent = 2;

class ListLayout {
public:
  ListLayout(size_t limit, const TokenFacts &facts) : limit(limit), facts(facts) {}

  /// Lays out the lists among [first, last], which begin a line at column `indent`.
  void layOut(size_t first, size_t last, size_t indent);

  llvm::DenseMap<size_t, size_t> columns;

private:
  bool isList(size_t token) const {
    return facts.kind(token) == Lexer::LEFT_BRACKET &&
           (token == 0 || !endsOperand(facts.kind(token - 1)));
  }
  void layOutList(size_t open, size_t close, size_t indent, bool isLong);

  size_t limit;
  const TokenFacts &facts;
};

bool opens(unsigned kind) { return kind == Lexer::LEFT_PAREN || kind == Lexer::LEFT_BRACKET; }
bool closes(unsigned kind) { return kind == Lexer::RIGHT_PAREN || kind == Lexer::RIGHT_BRACKET; }

} // namespace

void ListLayout::layOut(size_t first, size_t last, size_t indent) {
  bool isLong = indent + facts.columns(first, last) > limit;
  for (size_t token = first; token <= last; ++token) {
    if (!isList(token))
      continue;
    size_t close = token;
    for (size_t depth = 1; depth;) {
      ++close;
      depth += opens(facts.kind(close));
      depth -= closes(facts.kind(close));
    }
    layOutList(token, close, indent, isLong);
    token = close;
  }
}

void ListLayout::layOutList(size_t open, size_t close, size_t indent, bool isLong) {
  if (close == open + 1)
    return;
  std::vector<size_t> begins{open + 1};
  bool hasCalls = false, endsInComma = false;
  size_t depth = 0;
  for (size_t token = open + 1; token < close; ++token) {
    unsigned kind = facts.kind(token), next = facts.kind(token + 1);
    hasCalls |= kind == Lexer::NAME && next == Lexer::LEFT_PAREN;
    endsInComma |= kind == Lexer::COMMA && next == Lexer::RIGHT_BRACKET; // this list, or one in it
    depth += opens(kind);
    depth -= closes(kind);
    if (!depth && kind == Lexer::COMMA && token + 1 < close)
      begins.push_back(token + 1);
  }
  // No list in one that stays on its line has a reason to have an element a line.
  if (!endsInComma && !facts.hasComments(open, close) && !(hasCalls && isLong))
    return;
  for (size_t each = 0; each < begins.size(); ++each) {
    size_t end = each + 1 < begins.size() ? begins[each + 1] : close;
    columns[begins[each]] = indent + elementIndent;
    layOut(begins[each], end - 1, indent + elementIndent);
  }
  columns[close] = indent;
}

llvm::DenseMap<size_t, size_t> layOutLists(size_t first, size_t last, size_t indent, size_t limit,
                                           const TokenFacts &facts) {
  ListLayout layout(limit, facts);
  layout.layOut(first, last, indent);
  return std::move(layout.columns);
}

} // namespace mparc
