//===- Parser.h - Text to syntax tree -------------------------------------===//

#ifndef MPARC_FRONTEND_PARSER_H
#define MPARC_FRONTEND_PARSER_H

#include "frontend/Ast.h"

namespace llvm {
class SourceMgr;
} // namespace llvm

namespace mparc {

class Diagnostics;

/// Parses one buffer of `sources` and records every syntax error in `diagnostics`. Always returns a
/// tree: of what could be understood, with isBroken set where something is missing. The tree points
/// into the buffer. Never throws, whatever the text.
std::unique_ptr<ast::File> parseFile(const llvm::SourceMgr &sources, unsigned buffer,
                                     Diagnostics &diagnostics);

} // namespace mparc

#endif // MPARC_FRONTEND_PARSER_H
