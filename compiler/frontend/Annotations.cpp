//===- Annotations.cpp - What stands behind an @ ----------------------------===//

#include "frontend/Evaluator.h"

namespace mparc {

void Evaluator::applyAnnotations(llvm::ArrayRef<ast::Annotation> annotations, Marks &marks) {
  for (const ast::Annotation &annotation : annotations) {
    llvm::StringRef name = annotation.name.text;
    if (name == "split" || name == "precision") {
      session.unsupported(annotation.range, "`@" + name + "` is");
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
      marks.device = *number;
  }
}

} // namespace mparc
