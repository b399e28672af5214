//===- Library.h - The files of a program and what they declare -------------===//

#ifndef MPARC_FRONTEND_LIBRARY_H
#define MPARC_FRONTEND_LIBRARY_H

#include "frontend/Ast.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem/UniqueID.h"

#include <set>

namespace llvm {
class SourceMgr;
} // namespace llvm

namespace mparc {

class Diagnostics;

/// The user's file and what it imports, and behind them the standard library, of which a file is
/// parsed when one of its layers is first asked for.
class Library {
public:
  Library(llvm::SourceMgr &sourceMgr, Diagnostics &reports, std::string directory)
      : sources(sourceMgr), diagnostics(reports), stdlibDirectory(std::move(directory)) {}

  /// Parses a buffer of the SourceMgr and everything it imports; reports clashes of names.
  void load(unsigned buffer);

  /// The layer or model of that name: the user's before the standard library's. Null if there is
  /// none.
  const ast::LayerDecl *find(llvm::StringRef name);
  /// All names of layers, for suggestions.
  std::vector<llvm::StringRef> names();
  /// Declarations of the user's files: the main file's first.
  llvm::ArrayRef<const ast::File *> userFiles() const { return user; }
  /// Whether a declaration comes from the standard library.
  bool isStandard(const ast::LayerDecl &layer) const { return standardLayers.count(&layer); }
  bool isStandard(const SourceRange &range) const { return standardBuffers.count(range.buffer); }
  /// Whether some text of the user's could not be parsed, so that declarations may be missing.
  bool isBroken() const { return broken; }
  /// An expression in a text of its own, such as the value of an option; null after errors.
  const ast::Expr *parseExpression(llvm::StringRef title, llvm::StringRef text);

private:
  void import(const ast::ImportDecl &declaration, unsigned importer);
  void declare(const ast::File &file);
  void indexStandard();

  llvm::SourceMgr &sources;
  Diagnostics &diagnostics;
  std::string stdlibDirectory;
  std::vector<std::unique_ptr<ast::File>> files;
  std::vector<const ast::File *> user;
  llvm::StringMap<const ast::LayerDecl *> layers;
  std::set<llvm::sys::fs::UniqueID> imported;
  bool broken = false;

  bool isIndexed = false;
  /// Layers of the standard library not yet parsed, and the buffer each is in.
  llvm::StringMap<unsigned> standard;
  std::set<unsigned> standardBuffers;
  std::set<const ast::LayerDecl *> standardLayers;
};

} // namespace mparc

#endif // MPARC_FRONTEND_LIBRARY_H
