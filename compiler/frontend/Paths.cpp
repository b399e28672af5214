//===- Paths.cpp - What layers and parameters are called --------------------===//
//
// A layer's path is known only when all are made: one that is given to another gets its name there,
// and one that several own has a path in each, as in PyTorch.
//
//===----------------------------------------------------------------------===//

#include "frontend/Instantiate.h"

using namespace mlir;

namespace mparc {

/// The name of a layer or parameter within its owner.
static std::string pathOf(llvm::StringRef owner, llvm::StringRef name) {
  return owner.empty() ? name.str() : (owner + "." + name).str();
}

void Instantiator::resolve(Instance &instance) {
  if (!instance.paths.empty() || session.isStopped())
    return;
  if (instance.memberships.empty())
    instance.paths.push_back(instance.isLoss ? "loss" : "");
  for (const Membership &membership : instance.memberships) {
    resolve(*membership.owner);
    instance.depth = std::max(instance.depth, membership.owner->depth + 1);
    for (const std::string &path : membership.owner->paths) {
      if (!session.countName(instance.made))
        return;
      instance.paths.push_back(pathOf(path, membership.name));
    }
    if (instance.depth >= maxLayerNesting) {
      session.error(instance.made, "layers nest deeper than " + llvm::Twine(maxLayerNesting));
      session.stop();
      return;
    }
  }
  instance.path = instance.paths.front();
  if (!instance.path.empty())
    instance.pathAttribute = StringAttr::get(&session.context, instance.path);
  if (instance.memberships.empty())
    return;
  const Instance &owner = *instance.memberships.front().owner;
  if (!instance.device) {
    instance.device = owner.device;
    if (!instance.split)
      instance.split = owner.split;
  }
  if (!instance.precision)
    instance.precision = owner.precision;
}

void Instantiator::resolvePaths() {
  for (const auto &instance : session.instances)
    resolve(*instance);
  if (session.isStopped())
    return;
  for (const auto &parameter : session.parameters) {
    llvm::StringRef name = parameter->declaration->name.text;
    for (const std::string &path : parameter->owner->paths)
      parameter->furtherNames.push_back(pathOf(path, name));
    parameter->path = std::move(parameter->furtherNames.front());
    parameter->furtherNames.erase(parameter->furtherNames.begin());
    // The tensor has all names of all its ends; the one it is tied to was made before.
    if (ParameterInfo *target = parameter->tied) {
      target->furtherNames.push_back(parameter->path);
      llvm::append_range(target->furtherNames, parameter->furtherNames);
    }
  }
}

} // namespace mparc
