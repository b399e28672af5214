//===- Annotations.cpp - What stands behind an @ ----------------------------===//

#include "frontend/Evaluator.h"

namespace mparc {

/// What `@precision(bf16)` says; null after an error.
mlir::Type Evaluator::precisionOf(const ast::Annotation &annotation) {
  if (annotation.arguments.size() != 1 || annotation.arguments.front().name) {
    session.error(annotation.range,
                  "`@precision` needs one element type, as in `@precision(bf16)`");
    return {};
  }
  const ast::Expr &value = *annotation.arguments.front().value;
  auto *word = llvm::dyn_cast<ast::NameExpr>(&value);
  llvm::StringRef name = word ? word->name.text : "";
  if (name == "bf16" || name == "f16" || name == "f32")
    return elementType(word->name);
  session.error(value.range, "a precision is `bf16`, `f16` or `f32`" +
                                 (word ? didYouMean(name, {"bf16", "f16", "f32"}) : ""));
  return {};
}

/// The devices that `@device(…)` names; nothing after an error.
std::optional<Devices> Evaluator::devicesOf(const ast::Annotation &annotation) {
  if (annotation.arguments.empty()) {
    session.error(annotation.range, "`@device` needs the number of a device");
    return std::nullopt;
  }
  Devices devices;
  auto add = [&](const ast::Argument &argument, int64_t device) {
    if (device < 0 || device > maxDevice) {
      session.error(argument.range, "a device is a number from 0 to " + llvm::Twine(maxDevice) +
                                        ", got " + llvm::Twine(device));
      return false;
    }
    if (llvm::is_contained(devices, device)) {
      session.error(argument.range, "device " + llvm::Twine(device) + " is in the group twice");
      return false;
    }
    devices.push_back(device);
    return true;
  };
  for (const ast::Argument &argument : annotation.arguments) {
    if (argument.name) {
      session.error(argument.range, "`@device` has no parameter `" + argument.name->text + "`");
      return std::nullopt;
    }
    auto *word = llvm::dyn_cast<ast::NameExpr>(argument.value.get());
    if (word && word->name.text == "auto") {
      session.unsupported(annotation.range, "`@device(auto)` is");
      return std::nullopt;
    }
    if (auto *range = llvm::dyn_cast<ast::RangeExpr>(argument.value.get())) {
      std::optional<int64_t> first = integer(*range->first, "the first of a range");
      std::optional<int64_t> last = integer(*range->last, "the end of a range");
      if (!first || !last)
        return std::nullopt;
      if (*first >= *last) {
        session.error(argument.range,
                      "no device is in " + llvm::Twine(*first) + ".." + llvm::Twine(*last));
        return std::nullopt;
      }
      for (int64_t device = *first; device < *last; ++device)
        if (!add(argument, device))
          return std::nullopt;
      continue;
    }
    std::optional<int64_t> number = integer(*argument.value, "a device");
    if (!number || !add(argument, *number))
      return std::nullopt;
  }
  return devices;
}

/// What `@split(…)` names; nothing after an error.
std::optional<SplitMark> Evaluator::splitOf(const ast::Annotation &annotation) {
  if (annotation.arguments.empty()) {
    session.error(annotation.range, "`@split` needs the name of a dimension, as in `@split(out)`");
    return std::nullopt;
  }
  SplitMark mark;
  mark.where = annotation.range;
  for (const ast::Argument &argument : annotation.arguments) {
    int64_t pieces = 0;
    llvm::StringRef name;
    if (argument.name) {
      std::optional<int64_t> count = integer(*argument.value, "a number of pieces");
      if (!count)
        return std::nullopt;
      if (*count < 1) {
        session.error(argument.range, "expected at least 1 piece, got " + llvm::Twine(*count));
        return std::nullopt;
      }
      name = argument.name->text;
      pieces = *count;
    } else if (auto *word = llvm::dyn_cast<ast::NameExpr>(argument.value.get())) {
      name = word->name.text;
    } else {
      session.error(argument.range, "an integer cannot be split; `@split` takes the name of a "
                                    "dimension or of a factor of one");
      return std::nullopt;
    }
    if (!argument.name && annotation.arguments.size() > 1) {
      session.error(argument.range, "a grid says how many pieces each name is cut into, as in "
                                    "`@split(" +
                                        name + ": 2, …)`");
      return std::nullopt;
    }
    if (llvm::any_of(mark.axes, [&](const auto &axis) { return axis.first == name; })) {
      session.error(argument.range, "`" + name + "` is given twice");
      return std::nullopt;
    }
    mark.axes.push_back({name.str(), pieces});
  }
  return mark;
}

void Evaluator::applyAnnotations(llvm::ArrayRef<ast::Annotation> annotations, Marks &marks) {
  std::optional<SplitMark> split;
  bool isPlaced = false;
  for (const ast::Annotation &annotation : annotations) {
    llvm::StringRef name = annotation.name.text;
    if (name == "split") {
      if (split)
        session.error(annotation.range, "`@split` is given twice; a grid is one: "
                                        "`@split(batch: 2, out: 4)`");
      else
        split = splitOf(annotation);
    } else if (name == "precision") {
      if (mlir::Type precision = precisionOf(annotation))
        marks.precision = precision;
    } else if (name == "recompute" || name == "each_part") {
      if (!annotation.arguments.empty())
        session.error(annotation.arguments.front().range, "`@" + name + "` takes no arguments");
      (name == "recompute" ? marks.recompute : marks.eachPart) = true;
    } else if (name == "device") {
      if (std::optional<Devices> devices = devicesOf(annotation)) {
        marks.device = devices;
        isPlaced = true;
      }
    } else {
      session.error(annotation.range, "unknown annotation `@" + name + "`" +
                                          didYouMean(name, {"device", "split", "recompute",
                                                            "precision", "each_part"}));
    }
  }
  // Who names other devices says anew how they share.
  if (split || isPlaced)
    marks.split = split;
}

} // namespace mparc
