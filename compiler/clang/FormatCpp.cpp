// Formatting with libFormat.
#include "clang/CheckCpp.h"

#include "clang/Format/Format.h"
#include "clang/Tooling/Core/Replacement.h"
#include "llvm/ADT/SmallVector.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace mparc::clang_tools {

static std::string formatPart(llvm::StringRef text) {
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

/// Below this many bytes a part is not worth a thread.
static constexpr size_t kPart = 128 << 10;

/// Cuts text between functions: nothing that libFormat lines up goes past the end of one.
static llvm::SmallVector<llvm::StringRef> cut(llvm::StringRef text) {
  llvm::SmallVector<llvm::StringRef> parts;
  while (text.size() > kPart) {
    size_t end = text.find("\n}\n\n", kPart);
    if (end == llvm::StringRef::npos)
      break;
    parts.push_back(text.take_front(end + 4));
    text = text.drop_front(end + 4);
  }
  parts.push_back(text);
  return parts;
}

std::string formatCpp(llvm::StringRef text) {
  llvm::SmallVector<llvm::StringRef> parts = cut(text);
  if (parts.size() == 1)
    return formatPart(text);
  std::vector<std::string> formatted(parts.size());
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t part = next++; part < parts.size(); part = next++)
      formatted[part] = formatPart(parts[part]);
  };
  size_t workers = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 16);
  std::vector<std::future<void>> others;
  for (size_t worker = 1; worker < workers; ++worker)
    others.push_back(std::async(std::launch::async, work));
  work();
  for (std::future<void> &other : others)
    other.get();
  std::string whole;
  for (size_t part = 0; part < parts.size(); ++part) {
    whole += formatted[part];
    // A part ends with the blank line before the next function; libFormat drops it.
    if (part + 1 < parts.size() && !llvm::StringRef(whole).ends_with("\n\n"))
      whole += '\n';
  }
  return whole;
}

} // namespace mparc::clang_tools
