//===- LineLayout.h - Spaces and line breaks within one statement ---------===//
//
// Private to the formatter (Format.h).
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_LINELAYOUT_H
#define MPARC_FRONTEND_LINELAYOUT_H

#include "llvm/ADT/StringRef.h"

#include <string>
#include <vector>

namespace mparc {

/// What is never broken: a token or a comment.
struct Piece {
  std::string text;
  bool hasSpaceBefore = false;
  /// A line must end before it.
  bool mustBreakBefore = false;
  /// The column it begins that line at; negative: four more than the line that is continued.
  int lineColumn = -1;
  /// How bad it is to end a line before it: the smaller the better; negative: never.
  int breakRank = -1;
};

/// Whether a space stands between two tokens in a row; `isUnary` says that `before` is a prefix
/// operator.
bool needsSpace(unsigned before, bool isUnary, unsigned kind);

/// Whether an operand may end in a token of this kind, so that a following `-` subtracts.
bool endsOperand(unsigned kind);

/// How bad it is to end a line between the tokens `before` and `kind` with `depth` brackets open;
/// negative: never.
int breakRank(unsigned before, bool isUnary, unsigned kind, bool isKindUnary, int depth);

/// Columns that a text takes: code points, from its last line break on.
size_t columnsOf(llvm::StringRef text);

/// Writes the pieces, broken to lines of at most `limit` columns, from the column `indent` on.
void writePieces(const std::vector<Piece> &pieces, size_t indent, size_t limit, std::string &out);

} // namespace mparc

#endif // MPARC_FRONTEND_LINELAYOUT_H
