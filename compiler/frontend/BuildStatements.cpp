//===- BuildStatements.cpp - Statements of the syntax tree ----------------===//

#include "frontend/AstBuilder.h"

using namespace mparc::ast;

namespace mparc {

void AstBuilder::addStatement(Parser::StatementContext *context, std::vector<StmtPtr> &statements,
                              Place place) {
  if (!context)
    return;
  // A statement that failed may still hold a block in which more is to be found.
  if (context->exception)
    isBroken = true;
  std::vector<Annotation> annotations = buildAnnotations(context->annotation());
  StmtPtr stmt;
  if (auto *forward = context->forwardDecl()) {
    addForward(forward, std::move(annotations), place);
    return;
  }
  if (auto *param = context->paramStmt()) {
    stmt = buildParam(param, place);
  } else if (auto *returns = context->returnStmt()) {
    stmt = buildReturn(returns, place);
  } else if (auto *ifs = context->ifStmt()) {
    stmt = buildIf(ifs, place);
  } else if (auto *fors = context->forStmt()) {
    stmt = buildFor(fors, place);
  } else if (auto *block = context->block()) {
    auto group = std::make_unique<GroupStmt>();
    group->range = rangeOf(block);
    group->body = buildBlock(block, place);
    // After an error the header of this block may be what is missing.
    if (context->annotation().empty() && !isBroken) {
      error(rangeOf(block->getStart(), block->getStart()),
            "a group in braces has an annotation before it");
      isBroken = true;
    }
    stmt = std::move(group);
  } else if (auto *simple = context->simpleStmt()) {
    stmt = buildSimple(simple, place);
  }
  if (!stmt) {
    isBroken = true;
    return;
  }
  stmt->annotations = std::move(annotations);
  statements.push_back(std::move(stmt));
}

ast::Block AstBuilder::buildBlock(Parser::BlockContext *context, Place place) {
  ast::Block block;
  if (!context) {
    isBroken = true;
    return block;
  }
  if (context->exception)
    isBroken = true;
  block.range = rangeOf(context);
  for (auto *statement : context->statement())
    addStatement(statement, block.statements, place);
  auto ends = llvm::find_if(block.statements,
                            [](const StmtPtr &stmt) { return llvm::isa<ReturnStmt>(stmt.get()); });
  if (place == Place::Forward && ends != block.statements.end() &&
      std::next(ends) != block.statements.end())
    error((*std::next(ends))->range, "nothing follows `return`, which ends `forward`")
        .note((*ends)->range, "it ends here");
  return block;
}

StmtPtr AstBuilder::buildParam(Parser::ParamStmtContext *context, Place place) {
  if (!isWhole(context))
    return nullptr;
  auto stmt = std::make_unique<ParamStmt>();
  stmt->range = rangeOf(context);
  stmt->isBuffer = context->BUFFER() != nullptr;
  stmt->name = identifier(context->NAME());
  stmt->type = buildType(context->type());
  if (context->expression())
    stmt->initializer = buildExpression(context->expression());
  if (place == Place::Forward) {
    error(rangeOf(context->getStart(), context->getStart()),
          llvm::Twine(stmt->isBuffer ? "a `buffer`" : "a `param`") +
              " stands in the layer's body, not in `forward`");
    isBroken = true;
  }
  if (!stmt->name || !stmt->type.element || (context->expression() && !stmt->initializer))
    return nullptr;
  return stmt;
}

StmtPtr AstBuilder::buildReturn(Parser::ReturnStmtContext *context, Place place) {
  if (!isWhole(context))
    return nullptr;
  auto stmt = std::make_unique<ReturnStmt>();
  stmt->range = rangeOf(context);
  if (place != Place::Forward) {
    error(rangeOf(context->getStart(), context->getStart()), "`return` stands in `forward` only");
    isBroken = true;
  }
  for (auto *value : context->expression()) {
    stmt->values.push_back(buildExpression(value));
    if (!stmt->values.back())
      return nullptr;
  }
  return stmt;
}

StmtPtr AstBuilder::buildIf(Parser::IfStmtContext *context, Place place) {
  if (place == Place::LayerBody)
    place = Place::LayerBlock;
  if (context->exception)
    isBroken = true;
  auto stmt = std::make_unique<IfStmt>();
  stmt->range = rangeOf(context);
  IfBranch first;
  first.condition = buildExpression(context->expression());
  first.body = buildBlock(context->block(), place);
  bool isMissing = !first.condition;
  stmt->branches.push_back(std::move(first));
  for (auto *branch : context->elseBranch()) {
    if (branch->exception)
      isBroken = true;
    if (stmt->otherwise) {
      error(rangeOf(branch->getStart(), branch->getStart()), "nothing follows the last `else`");
      isBroken = true;
    }
    if (!branch->IF()) {
      stmt->otherwise = buildBlock(branch->block(), place);
      continue;
    }
    IfBranch next;
    next.condition = buildExpression(branch->expression());
    next.body = buildBlock(branch->block(), place);
    isMissing |= !next.condition;
    stmt->branches.push_back(std::move(next));
  }
  return isMissing ? nullptr : std::move(stmt);
}

StmtPtr AstBuilder::buildFor(Parser::ForStmtContext *context, Place place) {
  if (place == Place::LayerBody)
    place = Place::LayerBlock;
  if (context->exception)
    isBroken = true;
  auto stmt = std::make_unique<ForStmt>();
  stmt->range = rangeOf(context);
  stmt->variable = identifier(context->NAME());
  stmt->first = buildExpression(context->expression(0));
  stmt->last = buildExpression(context->expression(1));
  stmt->body = buildBlock(context->block(), place);
  if (!stmt->variable || !stmt->first || !stmt->last)
    return nullptr;
  return stmt;
}

bool AstBuilder::buildTarget(Parser::PathContext *context, Target &target) {
  if (!isWhole(context))
    return false;
  target.name = identifier(context->NAME());
  target.range = rangeOf(context);
  if (!target.name)
    return false;
  for (auto *suffix : context->suffix()) {
    auto *index = dynamic_cast<Parser::IndexSuffixContext *>(suffix);
    if (!index) {
      if (isWhole(suffix))
        error(target.range, "only a name or `name[index]` can be bound");
      isBroken = true;
      return false;
    }
    ExprPtr expression = isWhole(index) ? buildExpression(index->expression()) : nullptr;
    if (!expression)
      return false;
    target.indices.push_back(std::move(expression));
  }
  return true;
}

StmtPtr AstBuilder::buildSimple(Parser::SimpleStmtContext *context, Place place) {
  if (!isWhole(context))
    return nullptr;
  std::vector<Parser::PathContext *> paths = context->path();
  if (context->ASSIGN()) {
    auto stmt = std::make_unique<BindingStmt>();
    stmt->range = rangeOf(context);
    bool isMissing = false;
    for (auto *path : paths) {
      Target target;
      isMissing |= !buildTarget(path, target);
      stmt->targets.push_back(std::move(target));
    }
    stmt->value = buildExpression(context->expression());
    return isMissing || !stmt->value ? nullptr : std::move(stmt);
  }
  if (paths.size() > 1) {
    error(rangeOf(context), "expected `=` and a value after the names");
    isBroken = true;
    return nullptr;
  }
  auto stmt = std::make_unique<ExpressionStmt>();
  stmt->range = rangeOf(context);
  stmt->expression = paths.empty() ? nullptr : buildPath(paths.front());
  if (!stmt->expression)
    return nullptr;
  auto *call = llvm::dyn_cast<CallExpr>(stmt->expression.get());
  auto *callee = call ? llvm::dyn_cast<NameExpr>(call->callee.get()) : nullptr;
  if (callee && callee->name.text == "assert")
    return stmt;
  if (place != Place::Forward)
    error(stmt->expression->range, "in a layer's body a value has a name: `name = value;`");
  else if (!call)
    error(stmt->expression->range,
          "this statement does nothing; a value is bound by `name = value;`");
  else
    return stmt;
  isBroken = true;
  return nullptr;
}

} // namespace mparc
