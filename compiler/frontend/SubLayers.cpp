//===- SubLayers.cpp - What a layer's body binds: layers and constants ------===//

#include "frontend/Instantiate.h"

using namespace mlir;

namespace mparc {

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
  expand(instance, body.marks);
}

} // namespace mparc
