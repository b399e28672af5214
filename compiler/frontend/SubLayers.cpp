//===- SubLayers.cpp - What a layer's body binds: layers and constants ------===//

#include "frontend/Instantiate.h"

using namespace mlir;

namespace mparc {

/// Where a statement of a body puts a layer: under a name, or in an array.
struct Instantiator::Slot {
  llvm::StringRef name;
  SourceRange where;
  LayerArray *array = nullptr;
  std::vector<int64_t> indices;
  /// "block.3" and "block[3]".
  std::string path, shown;
};

void Instantiator::addBinding(Body &body, const ast::BindingStmt &stmt) {
  if (stmt.targets.size() != 1) {
    session.error(stmt.range, "a layer's body binds one name at a time");
    return;
  }
  Evaluator &evaluator = body.evaluator;
  if (auto *call = llvm::dyn_cast<ast::CallExpr>(stmt.value.get()))
    if (const ast::LayerDecl *layer = findMade(evaluator, *call->callee))
      return addLayer(body, stmt, *layer, *call);
  const Identifier &name = stmt.targets.front().name;
  Membership list{evaluator.instance, name.text.str(), false};
  Value value = llvm::isa<ast::ListExpr>(*stmt.value) || findMade(evaluator, *stmt.value)
                    ? makeValue(evaluator, *stmt.value, list, name.text.str())
                    : evaluator.evaluateConstant(*stmt.value);
  if (auto *layer = std::get_if<Instance *>(&value))
    return nameLayer(body, stmt, **layer);
  if (!llvm::isa<ast::ListExpr>(*stmt.value))
    value = adopt(evaluator, std::move(value), stmt.value->range, list);
  addConstant(body, stmt, std::move(value));
}

void Instantiator::addConstant(Body &body, const ast::BindingStmt &stmt, Value value) {
  const ast::Target &target = stmt.targets.front();
  Instance &instance = *body.evaluator.instance;
  if (isPoison(value)) {
    instance.names.try_emplace(target.name.text, Named{Poison(), target.name.range});
    return;
  }
  if (!target.indices.empty()) {
    session.error(target.range, "only layers form arrays, got " + describe(value));
    return;
  }
  if (auto *number = std::get_if<Number>(&value))
    value = number->named(&session.context, target.name.text);
  if (std::holds_alternative<None>(value)) {
    session.error(stmt.value->range,
                  "expected a number, bool, string, list or layer, got " + describe(value));
    value = Poison();
  }
  auto known = instance.names.find(target.name.text);
  bool mayRebind = body.conditional && known != instance.names.end() &&
                   !holdsLayers(known->second.value) && !holdsLayers(value);
  if (!mayRebind && !isFree(body, target.name))
    return;
  instance.names[target.name.text] = {value, target.name.range};
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

std::optional<Instantiator::Slot> Instantiator::reserve(Body &body, const ast::Target &target) {
  Instance &parent = *body.evaluator.instance;
  Slot slot;
  slot.name = target.name.text;
  slot.where = target.range;
  slot.path = slot.shown = slot.name.str();
  if (target.indices.empty()) {
    if (!isFree(body, target.name))
      return std::nullopt;
    return slot;
  }
  // `_[i]` are the layers `0`, `1`, … themselves, as in torch.nn.Sequential.
  if (slot.name == "_")
    slot.path.clear();
  bool isFine = true;
  for (const ast::ExprPtr &expr : target.indices) {
    std::optional<int64_t> index = body.evaluator.integer(*expr, "an index");
    if (index && *index < 0) {
      session.error(expr->range, "an index is at least 0, got " + llvm::Twine(*index));
      index.reset();
    }
    isFine &= index.has_value();
    slot.indices.push_back(index.value_or(0));
    slot.path += (slot.path.empty() ? "" : ".") + std::to_string(slot.indices.back());
    slot.shown += "[" + std::to_string(slot.indices.back()) + "]";
  }
  if (!isFine) {
    parent.names.try_emplace(slot.name, Named{Poison(), target.range});
    return std::nullopt;
  }
  if (auto known = parent.names.find(slot.name); known != parent.names.end()) {
    auto *existing = std::get_if<ArrayRefValue>(&known->second.value);
    if (!existing) {
      if (!isPoison(known->second.value))
        isFree(body, target.name);
      return std::nullopt;
    }
    slot.array = const_cast<LayerArray *>(existing->array);
    const auto &elements = slot.array->elements;
    if (auto element = elements.find(slot.indices); element != elements.end()) {
      session.error(target.range, "`" + session.text(target.range) + "` is already made")
          .note(element->second->origin.where, "first made here");
      return std::nullopt;
    }
    size_t rank = elements.empty() ? slot.indices.size() : elements.begin()->first.size();
    if (rank != slot.indices.size()) {
      session.error(target.range, "`" + slot.name + "` has elements of " + llvm::Twine(rank) +
                                      " indices, not " + llvm::Twine(slot.indices.size()));
      return std::nullopt;
    }
  }
  return slot;
}

void Instantiator::fill(Body &body, const Slot &slot, Instance &layer) {
  Instance &parent = *body.evaluator.instance;
  if (slot.indices.empty()) {
    parent.names[slot.name] = {&layer, slot.where};
    return;
  }
  LayerArray *array = slot.array;
  if (!array) {
    parent.arrays.push_back(std::make_unique<LayerArray>());
    array = parent.arrays.back().get();
    array->name = slot.name;
    parent.names[slot.name] = {ArrayRefValue{array, {}}, slot.where};
  }
  array->elements[slot.indices] = &layer;
}

void Instantiator::addLayer(Body &body, const ast::BindingStmt &stmt,
                            const ast::LayerDecl &declaration, const ast::CallExpr &call) {
  std::optional<Slot> slot = reserve(body, stmt.targets.front());
  if (!slot)
    return;
  Membership name{body.evaluator.instance, slot->path, false};
  Made made{name, stmt.range, slot->shown, false, body.marks};
  // It has no name yet while it is made: it is no argument of itself.
  if (Instance *layer = makeLayer(body.evaluator, declaration, call, made))
    fill(body, *slot, *layer);
}

void Instantiator::nameLayer(Body &body, const ast::BindingStmt &stmt, Instance &layer) {
  std::optional<Slot> slot = reserve(body, stmt.targets.front());
  if (!slot)
    return;
  giveName(body.evaluator.instance, layer, {body.evaluator.instance, slot->path, false});
  fill(body, *slot, layer);
  layer.recompute |= body.marks.recompute;
  layer.eachPart |= body.marks.eachPart;
  if (body.marks.precision)
    layer.precision = body.marks.precision;
  std::optional<Devices> device = body.marks.device;
  if (!device)
    return;
  if (layer.isPlaced && layer.device != device)
    session
        .error(stmt.range, "`" + slot->shown + "` lives on " + describe(*layer.device) +
                               " already, not on " + describe(*device))
        .note(layer.made, "placed here");
  layer.device = device;
  layer.split = body.marks.split;
  layer.isPlaced = true;
}

bool Instantiator::refuseDepth(const Instance &scope, const Instance &owner,
                               const ast::LayerDecl &declaration, SourceRange where) {
  if (std::max(scope.depth, owner.depth) + 1 < maxLayerNesting)
    return false;
  // The texts between two that make a layer of this kind are one turn of a recursion.
  llvm::SmallVector<const Instance *> chain;
  const Instance *turn = &scope;
  for (; turn && turn->declaration != &declaration; turn = turn->scope)
    chain.push_back(turn);
  if (!turn) {
    session.error(where, "layers nest deeper than " + llvm::Twine(maxLayerNesting));
  } else {
    Report &report = session.error(where, "`" + declaration.name.text +
                                              "` contains itself: layers nest deeper "
                                              "than " +
                                              llvm::Twine(maxLayerNesting));
    for (const Instance *link : llvm::reverse(chain))
      report.note(link->origin.where,
                  "`" + link->scope->name() + "` contains `" + link->name() + "` here");
    report.note(where, "`" + scope.name() + "` contains `" + declaration.name.text + "` here");
  }
  session.stop();
  return true;
}

Instance *Instantiator::makeLayer(Evaluator &evaluator, const ast::LayerDecl &declaration,
                                  const ast::CallExpr &call, const Made &made) {
  if (!session.countInstance(made.where))
    return nullptr;
  // An option's text stands in no layer.
  Instance *scope = evaluator.instance ? evaluator.instance : made.name.owner;
  bool isTooDeep = refuseDepth(*scope, *made.name.owner, declaration, call.callee->range);
  Instance &instance = create(declaration, scope, made.name);
  instance.made = made.where;
  instance.shown = made.shown;
  instance.isArgument = made.isArgument;
  instance.isPlaced = made.marks.device.has_value();
  instance.origin = {made.where, "`" + made.shown + "`"};
  CallSite site;
  site.callee = declaration.name.text;
  site.calleeRange = call.callee->range;
  site.declared = declaration.name.range;
  site.arguments = call.arguments;
  site.range = call.range;
  if (isTooDeep || instance.isBroken || !bindParameters(instance, evaluator, site))
    instance.isBroken = true;
  else
    expand(instance, made.marks);
  if (!instance.isBroken)
    refuseUnusedTies(instance);
  return &instance;
}

} // namespace mparc
