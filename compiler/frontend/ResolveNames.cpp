//===- ResolveNames.cpp - Names in text that is never expanded --------------===//
//
// Does not follow the order of statements: a name that is bound anywhere in the layer is known
// everywhere in it. What is wrong with the order shows when the layer is expanded.
//
//===----------------------------------------------------------------------===//

#include "frontend/ResolveNames.h"
#include "frontend/Functions.h"

#include "llvm/ADT/DenseSet.h"

namespace mparc {

namespace {

class NameResolver {
public:
  NameResolver(Session &theSession, const ast::LayerDecl &layer)
      : session(theSession), declaration(layer) {}

  void run();

private:
  void declare(const ast::Block &block);
  void declare(llvm::ArrayRef<ast::StmtPtr> statements);
  void check(const ast::Block &block);
  void check(llvm::ArrayRef<ast::StmtPtr> statements);
  void check(const ast::Expr &expr);
  void checkCall(const ast::Expr &callee, llvm::ArrayRef<ast::Argument> arguments, bool isPiped,
                 SourceRange range);
  void checkArguments(const Function *function, llvm::ArrayRef<ast::Argument> arguments,
                      bool isPiped);
  void checkType(const ast::TypeExpr &type, bool mayBeFree);
  void require(const Identifier &name, bool isCallee);

  Session &session;
  const ast::LayerDecl &declaration;
  llvm::DenseSet<llvm::StringRef> known;
  bool inForward = false;
};

} // namespace

void NameResolver::run() {
  for (const ast::Parameter &parameter : declaration.parameters) {
    if (parameter.defaultValue)
      check(*parameter.defaultValue);
    known.insert(parameter.name.text);
  }
  declare(declaration.body);
  check(declaration.body);
  const ast::Forward *forward = declaration.forward.get();
  if (!forward)
    return;
  inForward = true;
  known.insert("training");
  for (const ast::Parameter &input : forward->inputs) {
    checkType(input.type, /*mayBeFree=*/true);
    known.insert(input.name.text);
  }
  for (const ast::TypeExpr &type : forward->results)
    checkType(type, /*mayBeFree=*/false);
  declare(forward->body);
  check(forward->body);
}

void NameResolver::declare(const ast::Block &block) { declare(block.statements); }

void NameResolver::declare(llvm::ArrayRef<ast::StmtPtr> statements) {
  for (const ast::StmtPtr &stmt : statements) {
    if (auto *param = llvm::dyn_cast<ast::ParamStmt>(stmt.get())) {
      known.insert(param->name.text);
    } else if (auto *binding = llvm::dyn_cast<ast::BindingStmt>(stmt.get())) {
      for (const ast::Target &target : binding->targets)
        known.insert(target.name.text);
    } else if (auto *branches = llvm::dyn_cast<ast::IfStmt>(stmt.get())) {
      for (const ast::IfBranch &branch : branches->branches)
        declare(branch.body);
      if (branches->otherwise)
        declare(*branches->otherwise);
    } else if (auto *loop = llvm::dyn_cast<ast::ForStmt>(stmt.get())) {
      known.insert(loop->variable.text);
      declare(loop->body);
    } else if (auto *group = llvm::dyn_cast<ast::GroupStmt>(stmt.get())) {
      declare(group->body);
    }
  }
}

void NameResolver::check(const ast::Block &block) { check(block.statements); }

void NameResolver::check(llvm::ArrayRef<ast::StmtPtr> statements) {
  for (const ast::StmtPtr &stmt : statements) {
    if (auto *param = llvm::dyn_cast<ast::ParamStmt>(stmt.get())) {
      checkType(param->type, false);
      // The callee is an initializer, which is no function.
      if (auto *call = llvm::dyn_cast_or_null<ast::CallExpr>(param->initializer.get()))
        checkArguments(nullptr, call->arguments, false);
    } else if (auto *binding = llvm::dyn_cast<ast::BindingStmt>(stmt.get())) {
      for (const ast::Target &target : binding->targets)
        for (const ast::ExprPtr &index : target.indices)
          check(*index);
      check(*binding->value);
    } else if (auto *expression = llvm::dyn_cast<ast::ExpressionStmt>(stmt.get())) {
      check(*expression->expression);
    } else if (auto *result = llvm::dyn_cast<ast::ReturnStmt>(stmt.get())) {
      for (const ast::ExprPtr &value : result->values)
        check(*value);
    } else if (auto *branches = llvm::dyn_cast<ast::IfStmt>(stmt.get())) {
      for (const ast::IfBranch &branch : branches->branches) {
        check(*branch.condition);
        check(branch.body);
      }
      if (branches->otherwise)
        check(*branches->otherwise);
    } else if (auto *loop = llvm::dyn_cast<ast::ForStmt>(stmt.get())) {
      check(*loop->first);
      check(*loop->last);
      check(loop->body);
    } else if (auto *group = llvm::dyn_cast<ast::GroupStmt>(stmt.get())) {
      check(group->body);
    }
  }
}

void NameResolver::checkType(const ast::TypeExpr &type, bool mayBeFree) {
  for (const ast::ExprPtr &expr : type.dimensions) {
    auto *name = llvm::dyn_cast<ast::NameExpr>(expr.get());
    if (name && mayBeFree)
      known.insert(name->name.text);
    else if (name && !known.count(name->name.text) && session.markUnknown(name->name.range) &&
             !session.library.isBroken())
      session.error(name->name.range,
                    "unknown dimension `" + name->name.text +
                        "`; a free dimension may first appear only in an input of `forward`");
    else if (!name)
      check(*expr);
  }
}

void NameResolver::require(const Identifier &name, bool isCallee) {
  llvm::StringRef text = name.text;
  if (known.count(text) || text == "none" || (isCallee && (text == "update" || text == "assert")) ||
      findFunction(text) || session.externs.find(text) || session.library.find(text) ||
      session.library.isBroken() || !session.markUnknown(name.range))
    return;
  llvm::SmallVector<llvm::StringRef> candidates(known.begin(), known.end());
  llvm::append_range(candidates, functionNames());
  llvm::append_range(candidates, session.externs.names());
  if (!inForward)
    llvm::append_range(candidates, session.library.names());
  llvm::sort(candidates);
  llvm::StringRef kind = !isCallee ? "name" : inForward ? "function" : "layer";
  session.error(name.range, "unknown " + kind + " `" + text + "`" + didYouMean(text, candidates));
}

void NameResolver::checkArguments(const Function *function, llvm::ArrayRef<ast::Argument> arguments,
                                  bool isPiped) {
  size_t position = isPiped ? 1 : 0;
  for (const ast::Argument &argument : arguments) {
    const Function::Parameter *parameter = nullptr;
    if (function && argument.name) {
      for (const Function::Parameter &each : function->parameters)
        if (each.name == argument.name->text)
          parameter = &each;
    } else if (function && position < function->parameters.size()) {
      parameter = &function->parameters[position];
    }
    ++position;
    // Names of dimensions and types are no values.
    bool isWord = parameter && (parameter->kind == Function::Kind::Dimension ||
                                parameter->kind == Function::Kind::Type);
    if (!isWord && !(function && function->name == "permute"))
      check(*argument.value);
  }
}

void NameResolver::checkCall(const ast::Expr &callee, llvm::ArrayRef<ast::Argument> arguments,
                             bool isPiped, SourceRange range) {
  const Function *function = nullptr;
  if (auto *name = llvm::dyn_cast<ast::NameExpr>(&callee)) {
    require(name->name, true);
    function = findFunction(name->name.text);
    const ast::LayerDecl *layer = inForward || known.count(name->name.text) || function
                                      ? nullptr
                                      : session.library.find(name->name.text);
    if (layer) {
      CallSite site;
      site.callee = layer->name.text;
      site.calleeRange = callee.range;
      site.declared = layer->name.range;
      site.arguments = arguments;
      site.range = range;
      llvm::SmallVector<Actual> actuals;
      if (!layer->isBroken)
        bindArguments(session, site, formalsOf(*layer), actuals);
    }
  } else {
    check(callee);
  }
  checkArguments(function, arguments, isPiped);
}

void NameResolver::check(const ast::Expr &expr) {
  if (auto *name = llvm::dyn_cast<ast::NameExpr>(&expr)) {
    require(name->name, false);
  } else if (auto *unary = llvm::dyn_cast<ast::UnaryExpr>(&expr)) {
    check(*unary->operand);
  } else if (auto *binary = llvm::dyn_cast<ast::BinaryExpr>(&expr)) {
    check(*binary->left);
    check(*binary->right);
  } else if (auto *pipe = llvm::dyn_cast<ast::PipeExpr>(&expr)) {
    check(*pipe->source);
    for (const ast::ExprPtr &stage : pipe->stages) {
      if (auto *call = llvm::dyn_cast<ast::CallExpr>(stage.get()))
        checkCall(*call->callee, call->arguments, true, call->range);
      else
        checkCall(*stage, {}, true, stage->range);
    }
  } else if (auto *call = llvm::dyn_cast<ast::CallExpr>(&expr)) {
    checkCall(*call->callee, call->arguments, false, call->range);
  } else if (auto *index = llvm::dyn_cast<ast::IndexExpr>(&expr)) {
    check(*index->base);
    check(*index->index);
  } else if (auto *member = llvm::dyn_cast<ast::MemberExpr>(&expr)) {
    check(*member->base);
  } else if (auto *list = llvm::dyn_cast<ast::ListExpr>(&expr)) {
    for (const ast::ExprPtr &element : list->elements)
      check(*element);
  } else if (auto *tuple = llvm::dyn_cast<ast::TupleExpr>(&expr)) {
    for (const ast::ExprPtr &element : tuple->elements)
      check(*element);
  }
}

void resolveNames(Session &session, const ast::LayerDecl &declaration) {
  if (!declaration.isBroken)
    NameResolver(session, declaration).run();
}

} // namespace mparc
