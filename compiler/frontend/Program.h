//===- Program.h - A file and all that it imports -------------------------===//

#ifndef MPARC_FRONTEND_PROGRAM_H
#define MPARC_FRONTEND_PROGRAM_H

#include "frontend/Ast.h"
#include "llvm/ADT/ArrayRef.h"

namespace llvm {
class SourceMgr;
} // namespace llvm

namespace mparc {

class Diagnostics;

/// The syntax trees of a program, each file once: first the ones asked for, in that order, then
/// what they import, in the order met. The llvm::SourceMgr must outlive it.
struct Program {
  std::vector<std::unique_ptr<ast::File>> files;
};

/// Reads the file at `path` into `sources` and returns its buffer number. 0, and the reason in
/// `why`, where that is not possible: no such file, a directory, a device, larger than a source may
/// be.
unsigned openSource(llvm::SourceMgr &sources, llvm::StringRef path, std::string &why);

/// Parses the given buffers of `sources` and, transitively, what they import. The path of an import
/// is relative to the file that it stands in, whose name is the buffer's; an import that cannot be
/// read is an error at the place of the import. Files may import each other.
Program parseProgram(llvm::SourceMgr &sources, llvm::ArrayRef<unsigned> buffers,
                     Diagnostics &diagnostics);

} // namespace mparc

#endif // MPARC_FRONTEND_PROGRAM_H
