// Formatting with libFormat.
#include "clang/CheckCpp.h"

#include "clang/Format/Format.h"
#include "clang/Tooling/Core/Replacement.h"

namespace mparc::clang_tools {

std::string formatCpp(llvm::StringRef text) {
  clang::format::FormatStyle style = clang::format::getLLVMStyle();
  style.ColumnLimit = 100;
  style.SortIncludes = clang::format::FormatStyle::SI_Never; // they are sorted as they are printed
  auto changes = clang::format::reformat(style, text, clang::tooling::Range(0, text.size()));
  auto formatted = clang::tooling::applyAllReplacements(text, changes);
  if (formatted)
    return *formatted;
  llvm::consumeError(formatted.takeError()); // replacements that overlap: libFormat makes none
  return text.str();
}

} // namespace mparc::clang_tools
