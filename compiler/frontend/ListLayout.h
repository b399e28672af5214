//===- ListLayout.h - Lists with an element a line -------------------------===//
//
// Private to the formatter (Format.h).
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_LISTLAYOUT_H
#define MPARC_FRONTEND_LISTLAYOUT_H

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace mparc {

/// What the layout of lists asks of a file's tokens, by their numbers.
struct TokenFacts {
  /// What kind of token one is.
  llvm::function_ref<unsigned(size_t token)> kind;
  /// The columns that [first, last] take on one line.
  llvm::function_ref<size_t(size_t first, size_t last)> columns;
  /// Whether comments stand between `first` and `last`.
  llvm::function_ref<bool(size_t first, size_t last)> hasComments;
};

/// The tokens of the statement [first, last], written from column `indent` on, that begin a line
/// because a list has an element a line, and the columns they begin it at. A list has if it ends in
/// a comma, if comments stand in it, if a list in it has, or if calls stand in it and the line that
/// it is on would be longer than `limit`.
llvm::DenseMap<size_t, size_t> layOutLists(size_t first, size_t last, size_t indent, size_t limit,
                                           const TokenFacts &facts);

} // namespace mparc

#endif // MPARC_FRONTEND_LISTLAYOUT_H
