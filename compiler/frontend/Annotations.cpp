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

void Evaluator::applyAnnotations(llvm::ArrayRef<ast::Annotation> annotations, Marks &marks) {
  for (const ast::Annotation &annotation : annotations) {
    llvm::StringRef name = annotation.name.text;
    if (name == "split") {
      session.unsupported(annotation.range, "`@" + name + "` is");
      continue;
    }
    if (name == "precision") {
      if (mlir::Type precision = precisionOf(annotation))
        marks.precision = precision;
      continue;
    }
    if (name == "recompute") {
      if (!annotation.arguments.empty())
        session.error(annotation.arguments.front().range, "`@recompute` takes no arguments");
      marks.recompute = true;
      continue;
    }
    if (name != "device") {
      session.error(annotation.range,
                    "unknown annotation `@" + name + "`" +
                        didYouMean(name, {"device", "split", "recompute", "precision"}));
      continue;
    }
    if (annotation.arguments.empty()) {
      session.error(annotation.range, "`@device` needs the number of a device");
      continue;
    }
    const ast::Argument &argument = annotation.arguments.front();
    auto *word = llvm::dyn_cast<ast::NameExpr>(argument.value.get());
    if (annotation.arguments.size() > 1 || llvm::isa<ast::RangeExpr>(*argument.value)) {
      session.unsupported(annotation.range, "a group of devices is");
      continue;
    }
    if (argument.name) {
      session.error(argument.range, "`@device` has no parameter `" + argument.name->text + "`");
      continue;
    }
    if (word && word->name.text == "auto") {
      session.unsupported(annotation.range, "`@device(auto)` is");
      continue;
    }
    std::optional<int64_t> number = integer(*argument.value, "a device");
    if (!number)
      continue;
    if (*number < 0 || *number > maxDevice)
      session.error(argument.range, "a device is a number from 0 to " + llvm::Twine(maxDevice) +
                                        ", got " + llvm::Twine(*number));
    else
      marks.device = number;
  }
}

} // namespace mparc
