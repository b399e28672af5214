//===- AstPrinter.h - The syntax tree as text -----------------------------===//

#ifndef MPARC_FRONTEND_ASTPRINTER_H
#define MPARC_FRONTEND_ASTPRINTER_H

#include "frontend/Ast.h"

namespace llvm {
class raw_ostream;
} // namespace llvm

namespace mparc {

/// Writes a node a line, children two columns in. With `withLines`, declarations, statements and
/// annotations say on which line they begin; without, files that differ in layout only print the
/// same.
void printAst(const ast::File &file, llvm::raw_ostream &out, bool withLines = true);

} // namespace mparc

#endif // MPARC_FRONTEND_ASTPRINTER_H
