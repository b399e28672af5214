//===- Ties.cpp - Tensors that are parameters of several layers -------------===//
//
//   head = Linear(width, vocab, bias: false, weight: wte.weight);
//
// The tensor lives with the layer that declares it first and is drawn there; the others read it.
// Each end calls the dimensions by its own names.
//
//===----------------------------------------------------------------------===//

#include "frontend/Instantiate.h"

using namespace mlir;

namespace mparc {

ParameterInfo *Evaluator::parameter(const ast::Expr &expr, const llvm::Twine &what) {
  std::string needed = what.str() + " is tied to a parameter, as in `wte.weight`";
  if (auto *name = llvm::dyn_cast<ast::NameExpr>(&expr); name && instance)
    if (ParameterInfo *found = instance->parameters.lookup(name->name.text))
      return found;
  auto *member = llvm::dyn_cast<ast::MemberExpr>(&expr);
  Value value = evaluateConstant(member ? *member->base : expr);
  if (isPoison(value))
    return nullptr;
  Instance **layer = member ? std::get_if<Instance *>(&value) : nullptr;
  if (!layer) {
    session.error(expr.range,
                  needed + (member ? "; before `.` stands " : ", got ") + describe(value));
    return nullptr;
  }
  Instance &owner = **layer;
  owner.isUsed = true;
  llvm::StringRef text = member->member.text;
  ParameterInfo *found = owner.parameters.lookup(text);
  if (found || owner.isBroken)
    return found;
  auto named = owner.names.find(text);
  if (named != owner.names.end() && isPoison(named->second.value))
    return nullptr;
  llvm::SmallVector<llvm::StringRef> known;
  for (const auto &entry : owner.parameters)
    known.push_back(entry.first);
  llvm::sort(known);
  session
      .error(member->member.range, needed + "; `" + owner.name() + "` has no `" + text + "` here" +
                                       didYouMean(text, known))
      .note(owner.declaration->name.range, "`" + owner.name() + "` is declared here");
  return nullptr;
}

bool Instantiator::addTie(Instance &instance, llvm::StringRef name, Evaluator &caller,
                          const ast::Expr &expr) {
  ParameterInfo *target = caller.parameter(expr, "`" + name + "` of `" + instance.name() + "`");
  if (!target)
    return false;
  if (target->isBuffer()) {
    session
        .error(expr.range, "`" + session.text(expr.range) +
                               "` is a buffer; only parameters, which are trained, are tied")
        .note(target->declaration->range, "declared here");
    return false;
  }
  instance.ties[name] = {target->tied ? target->tied : target, expr.range, false};
  return true;
}

bool Instantiator::tie(ParameterInfo &parameter, const mp::DimensionsAttr &dims, Tie &tie) {
  tie.isUsed = true;
  ArrayRef<mp::DimensionAttr> own = dims.getDimensions();
  ArrayRef<mp::DimensionAttr> target = mp::getDimensions(tie.target->type);
  if (haveSameSizes(own, target)) {
    parameter.tied = tie.target;
    return true;
  }
  llvm::StringRef name = parameter.declaration->name.text;
  session
      .error(tie.where, "`" + name + "` of `" + parameter.owner->name() + "` is " +
                            describe(session.f32(), own) + ", but `" + session.text(tie.where) +
                            "` is " + describe(session.f32(), target))
      .note(parameter.declaration->range, "`" + name + "` is declared here")
      .note(tie.target->declaration->range, "`" + session.text(tie.where) + "` is declared here");
  return false;
}

void Instantiator::refuseUnusedTies(const Instance &instance) {
  for (const auto &[name, tie] : instance.ties)
    if (!tie.isUsed)
      session.error(tie.where, "`" + instance.name() + "` makes no `" + name +
                                   "` with these arguments, so there is nothing to tie");
}

} // namespace mparc
