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
    if (type.form == ast::TypeExpr::Form::List) {
      isFine = false;
      session.unsupported(type.range, "a list as a parameter is");
    } else if (type.form == ast::TypeExpr::Form::Tensor) {
      fail(type.range, "a parameter in parentheses is an int, float, bool or string; tensors are "
                       "declared with `param` in the body");
    } else if (name == "layer") {
      isFine = false;
      session.unsupported(type.range, "a layer as a parameter is");
    } else if (name != "int" && name != "float" && name != "bool" && name != "string") {
      fail(type.range, "unknown type `" + name + "`" +
                           didYouMean(name, {"int", "float", "bool", "string", "layer"}));
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

Instance &Instantiator::create(const ast::LayerDecl &declaration, Instance *parent,
                               std::string path) {
  session.instances.push_back(std::make_unique<Instance>());
  Instance &instance = *session.instances.back();
  instance.declaration = &declaration;
  instance.parent = parent;
  instance.path = std::move(path);
  if (!instance.path.empty())
    instance.pathAttribute = StringAttr::get(&session.context, instance.path);
  instance.depth = parent ? parent->depth + 1 : 0;
  instance.device = parent ? parent->device : std::nullopt;
  instance.isBroken = !checkDeclaration(declaration);
  return instance;
}

Instance *Instantiator::makeModel(const ast::LayerDecl &declaration) {
  Instance &model = create(declaration, nullptr, "");
  model.isUsed = true;
  Evaluator evaluator(session, &model);
  Evaluator outside(session, nullptr);
  llvm::StringMap<const ast::Expr *> settings;
  for (const auto &[name, text] : session.options.settings) {
    const ast::Expr *value = session.library.parseExpression("--set " + name, text);
    if (!value)
      continue;
    settings[name] = value;
    bool isParameter = llvm::any_of(declaration.parameters, [&, &set = name](const auto &each) {
      return each.name.text == set;
    });
    if (isParameter)
      continue;
    if (std::optional<int64_t> size = outside.integer(*value, "the size `" + name + "`"))
      freeNames[name] = {Number::integer(*size), value->range};
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
      value = convert(set != settings.end() ? outside : evaluator, parameter, declaration.name.text,
                      *expr);
    model.names[parameter.name.text] = {value.value_or(Poison()), parameter.name.range};
  }
  if (!model.isBroken)
    expand(model);
  return &model;
}

Instance *Instantiator::makeLoss(const ast::LayerDecl &declaration, const CallSite &site) {
  Instance &loss = create(declaration, nullptr, "loss");
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
// Compile-time parameters
//===----------------------------------------------------------------------===//

std::optional<Value> Instantiator::convert(Evaluator &evaluator, const ast::Parameter &parameter,
                                           llvm::StringRef owner, const ast::Expr &expr) {
  Value value = evaluator.evaluateConstant(expr);
  if (isPoison(value))
    return std::nullopt;
  llvm::StringRef type = parameter.type.element.text;
  auto *number = std::get_if<Number>(&value);
  if (number && !number->hasBatch()) {
    if (type == "float")
      return Value(*number);
    if (type == "int" && number->integerValue()) {
      Number integer = number->isInteger() ? *number : Number::integer(*number->integerValue());
      return Value(integer.named(&session.context, parameter.name.text));
    }
  }
  if ((type == "bool" && std::holds_alternative<bool>(value)) ||
      (type == "string" && std::holds_alternative<std::string>(value)))
    return value;
  session
      .error(expr.range, "`" + parameter.name.text + "` of `" + owner + "` is " +
                             (type == "int" ? "an " : "a ") + type + ", got " + describe(value))
      .note(parameter.range, "`" + parameter.name.text + "` is declared here");
  return std::nullopt;
}

bool Instantiator::bindParameters(Instance &instance, Evaluator &caller, const CallSite &site) {
  const ast::LayerDecl &declaration = *instance.declaration;
  llvm::SmallVector<Formal> formals;
  for (const ast::Parameter &parameter : declaration.parameters)
    formals.push_back({parameter.name.text, !parameter.defaultValue, parameter.range});
  // `weight: wte.weight` names a tensor of the layer, not a parameter in parentheses.
  for (const ast::Argument &argument : site.arguments) {
    bool isParameter = !argument.name || llvm::any_of(formals, [&](const Formal &formal) {
      return formal.name == argument.name->text;
    });
    if (!isParameter && llvm::isa<ast::MemberExpr>(*argument.value)) {
      session.unsupported(argument.range, "tying a parameter is");
      return false;
    }
  }
  llvm::SmallVector<Actual> actuals;
  if (!bindArguments(session, site, formals, actuals))
    return false;
  bool isFine = true;
  Evaluator own(session, &instance);
  for (auto [parameter, actual] : llvm::zip(declaration.parameters, actuals)) {
    std::optional<Value> value =
        actual ? convert(caller, parameter, declaration.name.text, *actual.expr)
               : convert(own, parameter, declaration.name.text, *parameter.defaultValue);
    isFine &= value.has_value();
    instance.names[parameter.name.text] = {value.value_or(Poison()), parameter.name.range};
  }
  return isFine;
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

void Instantiator::expand(Instance &instance, std::optional<int64_t> device) {
  Evaluator evaluator(session, &instance);
  evaluator.applyAnnotations(instance.declaration->annotations, instance.device);
  // Where the layer is used says more than where it is declared.
  if (device)
    instance.device = device;
  Body body{evaluator, std::nullopt};
  run(body, instance.declaration->body);
}

void Instantiator::run(Body &body, const ast::Block &block) { run(body, block.statements); }

void Instantiator::run(Body &body, llvm::ArrayRef<ast::StmtPtr> statements) {
  for (const ast::StmtPtr &stmt : statements) {
    if (session.isStopped())
      return;
    llvm::SaveAndRestore place(body.device);
    body.evaluator.applyAnnotations(stmt->annotations, body.device);
    run(body, *stmt);
  }
}

void Instantiator::run(Body &body, const ast::Stmt &stmt) {
  Evaluator &evaluator = body.evaluator;
  switch (stmt.kind()) {
  case ast::Stmt::Kind::Param:
    if (llvm::any_of(stmt.annotations,
                     [](const ast::Annotation &each) { return each.name.text == "device"; }))
      session.error(stmt.annotations.front().range,
                    "a parameter lives where its layer does; annotate the layer");
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
  case ast::Stmt::Kind::Return:
    session.error(stmt.range, "the body of a layer declares parameters, layers and constants; what "
                              "it computes stands in `forward`");
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

//===----------------------------------------------------------------------===//
// Constants and sub-layers
//===----------------------------------------------------------------------===//

void Instantiator::addBinding(Body &body, const ast::BindingStmt &stmt) {
  if (stmt.targets.size() != 1) {
    session.error(stmt.range, "a layer's body binds one name at a time");
    return;
  }
  if (auto *call = llvm::dyn_cast<ast::CallExpr>(stmt.value.get()))
    if (auto *callee = llvm::dyn_cast<ast::NameExpr>(call->callee.get())) {
      Evaluator &evaluator = body.evaluator;
      bool isLocal = evaluator.instance->names.count(callee->name.text);
      const ast::LayerDecl *layer = isLocal ? nullptr : session.library.find(callee->name.text);
      if (layer)
        return addLayer(body, stmt, *layer, *call);
      // What cannot be found is a layer when it is written like one.
      if (!isLocal && evaluator.evaluateConstant(*stmt.value).index() == 0) {
        const Identifier &name = stmt.targets.front().name;
        evaluator.instance->names.try_emplace(name.text, Named{Poison(), name.range});
        return;
      }
    }
  if (auto *name = llvm::dyn_cast<ast::NameExpr>(stmt.value.get()))
    if (!body.evaluator.instance->names.count(name->name.text) &&
        session.library.find(name->name.text)) {
      session.error(stmt.value->range, "`" + name->name.text + "` is a layer; make one with `" +
                                           name->name.text + "(…)`");
      body.evaluator.instance->names.try_emplace(stmt.targets.front().name.text,
                                                 Named{Poison(), stmt.targets.front().name.range});
      return;
    }
  addConstant(body, stmt);
}

void Instantiator::addConstant(Body &body, const ast::BindingStmt &stmt) {
  const ast::Target &target = stmt.targets.front();
  Instance &instance = *body.evaluator.instance;
  if (llvm::isa<ast::ListExpr>(*stmt.value)) {
    session.unsupported(stmt.value->range, "a list as a constant is");
    instance.names.try_emplace(target.name.text, Named{Poison(), target.name.range});
    return;
  }
  Value value = body.evaluator.evaluateConstant(*stmt.value);
  if (!target.indices.empty()) {
    if (!isPoison(value))
      session.error(target.range, "only layers form arrays, got " + describe(value));
    return;
  }
  if (auto *number = std::get_if<Number>(&value))
    value = number->named(&session.context, target.name.text);
  if (std::holds_alternative<Instance *>(value) || std::holds_alternative<ArrayRefValue>(value) ||
      std::holds_alternative<None>(value)) {
    session.error(stmt.value->range,
                  "expected a number, bool, string or a new layer, got " + describe(value));
    value = Poison();
  }
  auto known = instance.names.find(target.name.text);
  bool mayRebind = body.conditional && known != instance.names.end() &&
                   !std::holds_alternative<Instance *>(known->second.value);
  if (!mayRebind && !isFree(body, target.name))
    return;
  instance.names[target.name.text] = {value, target.name.range};
}

bool Instantiator::refuseRecursion(Instance &parent, const ast::LayerDecl &declaration,
                                   SourceRange where) {
  llvm::SmallVector<Instance *> chain;
  for (Instance *each = &parent; each; each = each->parent) {
    chain.push_back(each);
    if (each->declaration != &declaration)
      continue;
    Report &report = session.error(where, "`" + declaration.name.text + "` contains itself");
    for (Instance *link : llvm::reverse(llvm::ArrayRef(chain).drop_back()))
      report.note(link->origin.where,
                  "`" + link->parent->name() + "` contains `" + link->name() + "` here");
    report.note(where, "`" + parent.name() + "` contains `" + declaration.name.text + "` here");
    return true;
  }
  if (parent.depth + 1 < maxLayerNesting)
    return false;
  session.error(where, "layers nest deeper than " + llvm::Twine(maxLayerNesting));
  return true;
}

void Instantiator::addLayer(Body &body, const ast::BindingStmt &stmt,
                            const ast::LayerDecl &declaration, const ast::CallExpr &call) {
  Instance &parent = *body.evaluator.instance;
  const ast::Target &target = stmt.targets.front();
  llvm::StringRef name = target.name.text;
  if (!session.countInstance(stmt.range))
    return;

  std::vector<int64_t> indices;
  bool isFine = true;
  for (const ast::ExprPtr &expr : target.indices) {
    std::optional<int64_t> index = body.evaluator.integer(*expr, "an index");
    if (index && *index < 0) {
      session.error(expr->range, "an index is at least 0, got " + llvm::Twine(*index));
      index.reset();
    }
    isFine &= index.has_value();
    indices.push_back(index.value_or(0));
  }
  LayerArray *array = nullptr;
  if (!indices.empty()) {
    auto known = parent.names.find(name);
    if (known != parent.names.end()) {
      auto *existing = std::get_if<ArrayRefValue>(&known->second.value);
      if (!existing) {
        if (!isPoison(known->second.value))
          isFree(body, target.name);
        return;
      }
      array = const_cast<LayerArray *>(existing->array);
    } else {
      parent.arrays.push_back(std::make_unique<LayerArray>());
      array = parent.arrays.back().get();
      array->name = name;
      parent.names[name] = {ArrayRefValue{array, {}}, target.range};
    }
  } else if (!isFree(body, target.name)) {
    return;
  }
  if (array && isFine) {
    if (auto known = array->elements.find(indices); known != array->elements.end()) {
      session.error(target.range, "`" + session.text(target.range) + "` is already made")
          .note(known->second->origin.where, "first made here");
      return;
    }
    bool isRagged =
        !array->elements.empty() && array->elements.begin()->first.size() != indices.size();
    if (isRagged) {
      session.error(target.range, "`" + name + "` has elements of " +
                                      llvm::Twine(array->elements.begin()->first.size()) +
                                      " indices, not " + llvm::Twine(indices.size()));
      return;
    }
  }

  std::string path = parent.path.empty() ? name.str() : parent.path + "." + name.str();
  std::string shown = name.str();
  for (int64_t index : indices) {
    path += "." + std::to_string(index);
    shown += "[" + std::to_string(index) + "]";
  }
  bool isRecursive = refuseRecursion(parent, declaration, call.callee->range);
  Instance &instance = create(declaration, &parent, path);
  instance.statement = &stmt;
  instance.origin = {stmt.range, "`" + shown + "`"};
  if (array)
    array->elements[indices] = &instance;
  else
    parent.names[name] = {&instance, target.name.range};

  CallSite site;
  site.callee = declaration.name.text;
  site.calleeRange = call.callee->range;
  site.declared = declaration.name.range;
  site.arguments = call.arguments;
  site.range = call.range;
  if (isRecursive || !isFine || instance.isBroken ||
      !bindParameters(instance, body.evaluator, site)) {
    instance.isBroken = true;
    return;
  }
  expand(instance, body.device);
}

} // namespace mparc
