//===- Format.h - The one canonical layout of a .mp file ------------------===//

#ifndef MPARC_FRONTEND_FORMAT_H
#define MPARC_FRONTEND_FORMAT_H

#include <optional>
#include <string>

namespace llvm {
class SourceMgr;
} // namespace llvm

namespace mparc {

class Diagnostics;

/// The text of a buffer in canonical layout: the same tokens and comments in the same order, so the
/// same syntax tree, and formatting it again changes nothing. A file with syntax errors has no
/// layout: they are recorded in `diagnostics` and nothing is returned.
///
/// The layout: two spaces a level; a statement a line; a block of a single statement after `if`,
/// `for` or an annotation on one line where it fits, after `forward` where it is on one already; at
/// most one blank line in a row, one around each block at the top level and before `forward`; the
/// `=` of a `train` block in one column; lines of at most 100 columns, continued four columns in,
/// broken where the fewest brackets are open; lists of layers or other calls that are too long for
/// that, and all that end in a comma or hold comments, an element a line. Comments stay with the
/// line that they end or precede.
std::optional<std::string> format(const llvm::SourceMgr &sources, unsigned buffer,
                                  Diagnostics &diagnostics);

} // namespace mparc

#endif // MPARC_FRONTEND_FORMAT_H
