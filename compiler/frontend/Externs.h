//===- Externs.h - Operations that are C++ functions of the user's ----------===//

#ifndef MPARC_FRONTEND_EXTERNS_H
#define MPARC_FRONTEND_EXTERNS_H

#include "frontend/Ast.h"
#include "frontend/HeaderReader.h"
#include "frontend/Values.h"

#include "llvm/ADT/StringMap.h"

#include <memory>
#include <vector>

namespace mparc {

class Session;

/// A declaration that has been held to its header.
struct ExternOp {
  const ast::ExternDecl *declaration = nullptr;
  /// What an #include of the emitted file names.
  std::string header;
  bool isElementWise = true;
  /// Wrong, and reported: calling it gives nothing.
  bool isBroken = false;

  /// The declaration as that of a layer without parameters, whose inputs are bound the same way.
  ast::LayerDecl layer;
  Instance instance;
};

class Externs {
public:
  /// Checks all declarations of the user's files. Headers are found from the file that declares, or
  /// by `read`; for the emitted file they are named from the folder of `mainFile`.
  void declare(Session &session, llvm::StringRef mainFile, const HeaderReader &read);
  /// The operation of that name, or null.
  ExternOp *find(llvm::StringRef name) const;
  std::vector<llvm::StringRef> names() const;

private:
  void add(Session &session, const ast::ExternDecl &declaration);
  void check(Session &session, ExternOp &op);
  void hold(Session &session, ExternOp &op, const HeaderAnswer &header, const ExternAnswer &answer);

  llvm::StringMap<std::unique_ptr<ExternOp>> operations;
  /// In the order of the text.
  std::vector<ExternOp *> order;
};

} // namespace mparc

#endif // MPARC_FRONTEND_EXTERNS_H
