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
  // What is printed in order already: each of these would read all of the text once more.
  style.SortIncludes = clang::format::FormatStyle::SI_Never;
  style.SortUsingDeclarations = clang::format::FormatStyle::SUD_Never;
  style.FixNamespaceComments = false;
  auto changes = clang::format::reformat(style, text, clang::tooling::Range(0, text.size()));
  auto formatted = clang::tooling::applyAllReplacements(text, changes);
  if (formatted)
    return *formatted;
  llvm::consumeError(formatted.takeError()); // replacements that overlap: libFormat makes none
  return text.str();
}

/// Below this many bytes a part is not worth a thread.
static constexpr size_t kPart = 128 << 10;

/// How many braces of the text are still open at its end. A brace in a comment or a string is none.
static int countOpenBraces(llvm::StringRef text) {
  int open = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        i += text[i] == '\\';
    } else if (text.substr(i).starts_with("//")) {
      i = std::min(text.find('\n', i), text.size());
    } else {
      open += (text[i] == '{') - (text[i] == '}');
    }
  }
  return open;
}

/// Cuts text between functions: nothing that libFormat lines up goes past the end of one. What is
/// not formatted yet has no indentation by which to tell that end from one of a block within.
static llvm::SmallVector<llvm::StringRef> cut(llvm::StringRef text) {
  static constexpr llvm::StringLiteral kEnd = "\n}\n\n";
  llvm::SmallVector<llvm::StringRef> parts;
  while (text.size() > kPart) {
    size_t end = 0, counted = 0;
    int open = 0;
    for (end = text.find(kEnd, kPart); end != llvm::StringRef::npos;
         end = text.find(kEnd, end + 1)) {
      end += kEnd.size();
      open += countOpenBraces(text.slice(counted, end));
      counted = end;
      if (open == 0)
        break;
    }
    if (end == llvm::StringRef::npos)
      break;
    parts.push_back(text.take_front(end));
    text = text.drop_front(end);
  }
  parts.push_back(text);
  return parts;
}

// Of rows under a comment, these are formatted, and one that stands for the others.
static constexpr size_t kFirstRows = 2, kLastRows = 2;
static constexpr size_t kRowColumns = 80;
static constexpr const char *kRowsTaken = "{mparc_rows_taken},";

static bool isRow(llvm::StringRef line) {
  return line.starts_with("{") && line.ends_with("},") && line.size() <= kRowColumns;
}

/// Takes rows out of lists whose rows are lines of their own, each ending in a comma, under
/// comments: libFormat would search for the best layout of the whole list, longer than for
/// everything around it, to find that they stay lines, as between comments they must. What it
/// decides is their indentation, that of any other row. Appends to `taken` what each row that
/// stands for others stands for.
static std::string takeRowsOut(llvm::ArrayRef<llvm::StringRef> lines,
                               std::vector<llvm::ArrayRef<llvm::StringRef>> &taken) {
  std::string rest;
  auto keep = [&rest](llvm::ArrayRef<llvm::StringRef> kept) {
    for (llvm::StringRef line : kept)
      (rest += line) += '\n';
  };
  while (!lines.empty()) {
    bool isUnderComment = lines.front().starts_with("//");
    keep(lines.take_front());
    lines = lines.drop_front();
    llvm::ArrayRef<llvm::StringRef> rows = lines.take_while(isRow);
    if (!isUnderComment || rows.size() <= kFirstRows + kLastRows + 1)
      continue;
    keep(rows.take_front(kFirstRows));
    (rest += kRowsTaken) += '\n';
    keep(rows.take_back(kLastRows));
    taken.push_back(rows.drop_front(kFirstRows).drop_back(kLastRows));
    lines = lines.drop_front(rows.size());
  }
  return rest;
}

static std::string putRowsBack(llvm::StringRef text,
                               llvm::ArrayRef<llvm::ArrayRef<llvm::StringRef>> taken) {
  std::string whole;
  for (llvm::ArrayRef<llvm::StringRef> rows : taken) {
    size_t place = text.find(kRowsTaken);
    size_t begin = text.rfind('\n', place) + 1;
    llvm::StringRef indentation = text.slice(begin, place);
    whole += text.take_front(begin);
    for (llvm::StringRef row : rows)
      ((whole += indentation) += row) += '\n';
    text = text.drop_front(text.find('\n', place) + 1);
  }
  return whole += text;
}

/// Formats text of any length, the parts of a long one at once.
static std::string formatParts(llvm::StringRef text) {
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

std::string formatCpp(llvm::StringRef text) {
  llvm::SmallVector<llvm::StringRef> lines;
  text.split(lines, '\n');
  if (lines.back().empty())
    lines.pop_back();
  std::vector<llvm::ArrayRef<llvm::StringRef>> taken;
  std::string rest = takeRowsOut(lines, taken);
  return putRowsBack(formatParts(rest), taken);
}

} // namespace mparc::clang_tools
