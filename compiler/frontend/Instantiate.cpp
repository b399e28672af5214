//===- Instantiate.cpp - Layers made with arguments -------------------------===//

#include "frontend/Instantiate.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace mparc {

bool Instantiator::checkDeclaration(const ast::LayerDecl &declaration) {
  auto [known, isNew] = checkedDeclarations.try_emplace(&declaration, true);
  if (!isNew)
    return known->second;
  if (declaration.isBroken)
    return known->second = false;
  bool isFine = true;
  auto fail = [&](SourceRange where, const llvm::Twine &message) -> Report & {
    isFine = false;
    return session.error(where, message);
  };
  llvm::DenseMap<llvm::StringRef, SourceRange> names;
  for (const ast::Parameter &parameter : declaration.parameters) {
    auto [first, isFirst] = names.try_emplace(parameter.name.text, parameter.name.range);
    if (!isFirst)
      fail(parameter.name.range, "parameter `" + parameter.name.text + "` is declared twice")
          .note(first->second, "first declared here");
    const ast::TypeExpr &type = parameter.type;
    llvm::StringRef name = type.element.text;
    if (type.form == ast::TypeExpr::Form::Tensor) {
      fail(type.range, "a parameter in parentheses is an int, float, bool, string, layer, a list "
                       "of these or any; tensors are declared with `param` in the body");
    } else if (name != "int" && name != "float" && name != "bool" && name != "string" &&
               name != "layer" && (name != "any" || type.form == ast::TypeExpr::Form::List)) {
      fail(type.range, "unknown type `" + name + "`" +
                           didYouMean(name, {"int", "float", "bool", "string", "layer", "any"}));
    }
  }
  if (!declaration.forward) {
    fail(declaration.name.range, "`" + declaration.name.text + "` has no `forward`");
  } else {
    names.clear();
    for (const ast::Parameter &input : declaration.forward->inputs) {
      auto [first, isFirst] = names.try_emplace(input.name.text, input.name.range);
      if (!isFirst)
        fail(input.name.range, "input `" + input.name.text + "` is declared twice")
            .note(first->second, "first declared here");
    }
  }
  return checkedDeclarations[&declaration] = isFine;
}

Instance &Instantiator::create(const ast::LayerDecl &declaration, Instance *scope,
                               const Membership &name) {
  session.instances.push_back(std::make_unique<Instance>());
  Instance &instance = *session.instances.back();
  instance.declaration = &declaration;
  instance.scope = scope;
  if (name.owner) {
    instance.memberships.push_back(name);
    instance.isLoss = name.owner->isLoss;
    instance.depth = name.owner->depth + 1;
  }
  if (scope)
    instance.depth = std::max(instance.depth, scope->depth + 1);
  instance.isBroken = !checkDeclaration(declaration);
  return instance;
}

Instance *Instantiator::makeModel(const ast::LayerDecl &declaration) {
  Instance &model = create(declaration, nullptr, {});
  model.isUsed = true;
  Evaluator evaluator(session, &model);
  Evaluator outside(session, nullptr);
  llvm::StringMap<const ast::Expr *> settings;
  for (const auto &[name, text] : session.options.settings) {
    // A string may go without the quotes, which a shell would take for its own.
    bool isBareString = llvm::any_of(declaration.parameters, [&, &set = name](const auto &each) {
      return each.name.text == set && each.type.element.text == "string" &&
             each.type.form == ast::TypeExpr::Form::Plain;
    });
    isBareString &= !llvm::StringRef(text).starts_with("\"");
    const ast::Expr *value =
        session.library.parseExpression("--set " + name, isBareString ? "\"" + text + "\"" : text);
    if (!value)
      continue;
    settings[name] = value;
    bool isParameter = llvm::any_of(declaration.parameters, [&, &set = name](const auto &each) {
      return each.name.text == set;
    });
    if (isParameter)
      continue;
    if (std::optional<int64_t> size = outside.integer(*value, "the size `" + name + "`"))
      freeNames[name] = {Number::integer(*size), value->range, false};
  }
  for (const ast::Parameter &parameter : declaration.parameters) {
    auto set = settings.find(parameter.name.text);
    const ast::Expr *expr = set != settings.end() ? set->second : parameter.defaultValue.get();
    std::optional<Value> value;
    if (!expr)
      session.error(parameter.range, "parameter `" + parameter.name.text +
                                         "` of a model needs a default, or `--set " +
                                         parameter.name.text + "=…`");
    else
      value = convert(set != settings.end() ? outside : evaluator, parameter, model, *expr);
    model.names[parameter.name.text] = {value.value_or(Poison()), parameter.name.range};
  }
  if (!model.isBroken)
    expand(model);
  return &model;
}

Instance *Instantiator::makeLoss(const ast::LayerDecl &declaration, const CallSite &site) {
  Instance &loss = create(declaration, nullptr, {});
  loss.isLoss = true;
  loss.isUsed = true;
  if (loss.isBroken)
    return nullptr;
  Evaluator outside(session, nullptr);
  if (!bindParameters(loss, outside, site))
    return nullptr;
  expand(loss);
  return loss.isBroken ? nullptr : &loss;
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

void Instantiator::expand(Instance &instance, const Marks &marks) {
  Evaluator evaluator(session, &instance);
  bool isMade = instance.made.isValid();
  if (isMade)
    session.sites.push_back(instance.made);
  Marks own{instance.device, false, instance.precision, instance.split};
  evaluator.applyAnnotations(instance.declaration->annotations, own);
  // Where the layer is used says more than where it is declared.
  instance.device = marks.device ? marks.device : own.device;
  instance.split = marks.device || marks.split ? marks.split : own.split;
  instance.recompute = own.recompute || marks.recompute;
  instance.eachPart = own.eachPart || marks.eachPart;
  instance.precision = marks.precision ? marks.precision : own.precision;
  Body body{evaluator, {}};
  run(body, instance.declaration->body);
  if (isMade)
    session.sites.pop_back();
}

void Instantiator::run(Body &body, const ast::Block &block) { run(body, block.statements); }

void Instantiator::run(Body &body, llvm::ArrayRef<ast::StmtPtr> statements) {
  for (const ast::StmtPtr &stmt : statements) {
    if (session.isStopped() || body.isRefused)
      return;
    llvm::SaveAndRestore outside(body.marks);
    body.evaluator.applyAnnotations(stmt->annotations, body.marks);
    run(body, *stmt);
  }
}

void Instantiator::run(Body &body, const ast::Stmt &stmt) {
  Evaluator &evaluator = body.evaluator;
  switch (stmt.kind()) {
  case ast::Stmt::Kind::Param:
    if (body.marks.device || body.marks.split)
      session.error(stmt.range, "a parameter lives where its layer does; annotate the layer");
    else if (body.marks.recompute)
      session.error(stmt.range, "a parameter is kept, not computed; annotate the layer");
    else if (body.marks.eachPart)
      session.error(stmt.range, "a parameter is of no part of the batch; annotate the layer");
    else if (body.marks.precision)
      session.error(stmt.range,
                    "a parameter is f32, whatever products round it to; annotate the layer");
    return addParameter(body, llvm::cast<ast::ParamStmt>(stmt));
  case ast::Stmt::Kind::Binding:
    return addBinding(body, llvm::cast<ast::BindingStmt>(stmt));
  case ast::Stmt::Kind::Group:
    return run(body, llvm::cast<ast::GroupStmt>(stmt).body);
  case ast::Stmt::Kind::If: {
    auto &branches = llvm::cast<ast::IfStmt>(stmt);
    llvm::SaveAndRestore depth(body.conditional, body.conditional + 1);
    for (const ast::IfBranch &branch : branches.branches) {
      std::optional<bool> taken = evaluator.condition(*branch.condition);
      if (!taken) {
        // What it would have declared is unknown.
        evaluator.instance->isBroken = true;
        return;
      }
      if (*taken)
        return run(body, branch.body);
    }
    if (branches.otherwise)
      run(body, *branches.otherwise);
    return;
  }
  case ast::Stmt::Kind::For: {
    auto &loop = llvm::cast<ast::ForStmt>(stmt);
    std::optional<int64_t> first = evaluator.integer(*loop.first, "the first of a range");
    std::optional<int64_t> last = evaluator.integer(*loop.last, "the end of a range");
    if (!first || !last || !isFree(body, loop.variable)) {
      evaluator.instance->isBroken = true;
      return;
    }
    llvm::SaveAndRestore depth(body.conditional, body.conditional + 1);
    for (int64_t turn = *first; turn < *last; ++turn) {
      if (!session.countIteration(loop.range))
        return;
      evaluator.instance->names[loop.variable.text] = {Number::integer(turn), loop.variable.range};
      run(body, loop.body);
    }
    evaluator.instance->names.erase(loop.variable.text);
    return;
  }
  case ast::Stmt::Kind::Expression:
    // Others are refused by the parser, but for the call of a member that has this name.
    if (std::optional<bool> holds = evaluator.runAssert(llvm::cast<ast::ExpressionStmt>(stmt)))
      body.isRefused = !*holds;
    else
      session.error(stmt.range, "in a layer's body a value has a name: `name = value;`");
    return;
  case ast::Stmt::Kind::Return:
    // Refused by the parser.
    return;
  }
}

bool Instantiator::isFree(Body &body, const Identifier &name) {
  Instance &instance = *body.evaluator.instance;
  SourceRange first;
  if (auto known = instance.names.find(name.text); known != instance.names.end())
    first = known->second.where;
  else if (ParameterInfo *parameter = instance.parameters.lookup(name.text))
    first = parameter->declaration->name.range;
  else
    return true;
  session.error(name.range, "`" + name.text + "` is already bound").note(first, "first bound here");
  return false;
}

} // namespace mparc
