// Formatting with libFormat.
#include "clang/CheckCpp.h"

#include "clang/Format/Format.h"
#include "clang/Tooling/Core/Replacement.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
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

// Of rows in a list, these are formatted, and one that stands for the others.
static constexpr size_t kFirstRows = 2, kLastRows = 2;
static constexpr size_t kRowColumns = 80;
static constexpr llvm::StringLiteral kRowsTakenComment = "// mparc: rows taken";
static constexpr llvm::StringLiteral kRowsTaken = "{mparc_rows_taken},";

using Lines = llvm::ArrayRef<llvm::StringRef>;

static void append(std::string &text, llvm::StringRef line) { (text += line) += '\n'; }

static bool isComment(llvm::StringRef line) {
  return line.starts_with("//") && line.size() <= kRowColumns;
}

static bool isRow(llvm::StringRef line) {
  return line.starts_with("{") && line.ends_with("},") && line.size() <= kRowColumns;
}

/// The rows of a list that libFormat leaves as lines, by number of line. It does so where a comment
/// divides them, and else, if there are enough, lays them out in columns.
static llvm::SmallVector<size_t> findRows(Lines run) {
  llvm::SmallVector<size_t> rows;
  bool isDivided = false;
  for (size_t i = 0; i < run.size(); ++i)
    if (isRow(run[i]))
      rows.push_back(i);
    else
      isDivided |= !rows.empty() && i < run.size() - 1;
  bool isUnderComment = !run.empty() && isComment(run.front());
  return isDivided && isUnderComment ? rows : llvm::SmallVector<size_t>();
}

/// Takes rows out of such lists, with the comments that stand between them: libFormat would search
/// for the best layout of the whole list, longer than for everything around it. What it decides is
/// their indentation, that of any other row. Appends to `taken` what each row that stands for
/// others stands for.
static std::string takeRowsOut(Lines lines, std::vector<Lines> &taken) {
  std::string rest;
  auto keep = [&](size_t count) {
    for (llvm::StringRef line : lines.take_front(count))
      append(rest, line);
    lines = lines.drop_front(count);
  };
  while (!lines.empty()) {
    Lines run =
        lines.take_while([](llvm::StringRef line) { return isComment(line) || isRow(line); });
    llvm::SmallVector<size_t> rows = findRows(run);
    if (rows.size() <= kFirstRows + kLastRows + 1) {
      keep(std::max<size_t>(run.size(), 1));
      continue;
    }
    size_t first = rows[kFirstRows], last = rows[rows.size() - kLastRows];
    keep(first);
    append(rest, kRowsTakenComment); // divides what is left
    append(rest, kRowsTaken);
    taken.push_back(lines.take_front(last - first));
    lines = lines.drop_front(last - first);
    keep(run.size() - last);
  }
  return rest;
}

/// None where libFormat has not left what stands for rows as lines.
static std::optional<std::string> putRowsBack(llvm::StringRef text, llvm::ArrayRef<Lines> taken) {
  std::string whole;
  while (!text.empty()) {
    llvm::StringRef line, words;
    std::tie(line, text) = text.split('\n');
    words = line.ltrim();
    if (words == kRowsTaken && !taken.empty()) {
      for (llvm::StringRef row : taken.front())
        append(whole += line.drop_back(words.size()), row);
      taken = taken.drop_front();
    } else if (words != kRowsTakenComment) {
      append(whole, line);
    }
  }
  return taken.empty() ? std::optional(whole) : std::nullopt;
}

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

/// What libFormat lays out by itself within a function: a paragraph, or a statement of one.
struct Piece {
  std::string text;
  bool startsParagraph;
};

static bool isStatement(llvm::StringRef line) {
  return line.ends_with(";") && !line.contains("//") && !line.starts_with("else");
}

/// Gives `onBody` the pieces of each function's body, and `onLine` each other line, in order. Blank
/// lines divide a body into paragraphs, and these are divided between statements of a line each,
/// but where one has a comment behind it: such comments are lined up over several lines.
static void walkFunctions(llvm::StringRef text, llvm::function_ref<void(llvm::StringRef)> onLine,
                          llvm::function_ref<void(llvm::ArrayRef<Piece>)> onBody) {
  std::vector<Piece> body;
  bool isInFunction = false, startsParagraph = true;
  llvm::StringRef last;
  int depth = 0;
  while (!text.empty()) {
    llvm::StringRef line;
    std::tie(line, text) = text.split('\n');
    int before = depth;
    depth += countOpenBraces(line);
    if (isInFunction && depth > 0) {
      if (depth == 1 && line.trim().empty()) {
        startsParagraph = true;
        continue;
      }
      bool isApart = before == 1 && isStatement(line) && isStatement(last);
      if (startsParagraph || isApart)
        body.push_back({"", startsParagraph});
      append(body.back().text, line);
      startsParagraph = false;
      last = line;
      continue;
    }
    if (isInFunction)
      onBody(std::exchange(body, {}));
    isInFunction = before == 0 && depth == 1 && line.ends_with(") {");
    startsParagraph = true;
    last = "";
    onLine(line);
  }
}

/// The pieces of functions, each shape once. Those that differ in digits alone are of one shape:
/// libFormat looks at widths, and where it breaks lines only spaces and comments' slashes come in.
/// A long model has the same few shapes over and over, so this keeps its layout from taking
/// longest.
struct Shapes {
  std::vector<std::string> firsts; // the first piece of each shape
  llvm::StringMap<size_t> indices; // by the text with 0 for every digit
  struct Use {
    size_t shape;
    Piece piece;
  };
  std::vector<std::vector<Use>> functions; // that were emptied
};

// Stands for the body of a function: a comment, since libFormat lays out a function of one short
// statement as one line.
static constexpr llvm::StringLiteral kBodyTaken = "// mparc: body taken";

static std::string takeBodiesOut(llvm::StringRef text, Shapes &shapes) {
  std::string rest;
  auto take = [&](llvm::ArrayRef<Piece> body) {
    if (body.size() == 1) // may become one line with its function
      rest += body.front().text;
    if (body.size() <= 1)
      return;
    append(rest, kBodyTaken);
    auto &function = shapes.functions.emplace_back();
    for (const Piece &piece : body) {
      std::string shape = piece.text;
      std::replace_if(shape.begin(), shape.end(), llvm::isDigit, '0');
      auto [place, isNew] = shapes.indices.try_emplace(shape, shapes.firsts.size());
      if (isNew)
        shapes.firsts.push_back(piece.text);
      function.push_back({place->second, piece});
    }
  };
  walkFunctions(text, [&](llvm::StringRef line) { append(rest, line); }, take);
  return rest;
}

/// Formats pieces, as paragraphs of one function.
static std::vector<std::string> formatPieces(llvm::ArrayRef<std::string> pieces) {
  std::string function = "void pieces() {\n";
  for (const std::string &piece : pieces)
    append(function, piece);
  append(function, kBodyTaken); // so that one short statement is no line with it
  std::vector<std::string> formatted;
  auto take = [&](llvm::ArrayRef<Piece> body) {
    for (const Piece &piece : body.drop_back())
      if (piece.startsParagraph)
        formatted.push_back(piece.text);
      else
        formatted.back() += piece.text;
  };
  walkFunctions(formatPart(function += "}\n"), [](llvm::StringRef) {}, take);
  return formatted;
}

static std::string withDigitsOf(std::string formatted, llvm::StringRef text) {
  const char *next = text.begin();
  for (char &character : formatted)
    if (llvm::isDigit(character)) {
      next = std::find_if(next, text.end(), llvm::isDigit);
      character = *next++;
    }
  return formatted;
}

/// None where libFormat has not left a paragraph for each piece.
static std::optional<std::string> putBodiesBack(llvm::StringRef text, const Shapes &shapes) {
  std::vector<std::string> formatted = formatPieces(shapes.firsts);
  if (formatted.size() != shapes.firsts.size())
    return std::nullopt;
  auto function = shapes.functions.begin();
  std::string whole;
  while (!text.empty()) {
    llvm::StringRef line;
    std::tie(line, text) = text.split('\n');
    if (line.trim() != kBodyTaken) {
      append(whole, line);
      continue;
    }
    bool isFirst = true;
    for (const auto &[shape, piece] : *function++) {
      if (piece.startsParagraph && !std::exchange(isFirst, false))
        whole += '\n';
      whole += withDigitsOf(formatted[shape], piece.text);
    }
  }
  return whole;
}

/// Formats text as libFormat would format it at once, in a fraction of the time where it is long.
std::string formatCpp(llvm::StringRef text) {
  llvm::SmallVector<llvm::StringRef> lines;
  text.split(lines, '\n');
  if (lines.back().empty())
    lines.pop_back();
  std::vector<Lines> rows;
  Shapes shapes;
  std::string rest = takeBodiesOut(takeRowsOut(lines, rows), shapes);
  auto whole = putBodiesBack(formatPart(rest), shapes);
  if (whole)
    whole = putRowsBack(*whole, rows);
  return whole ? *whole : formatPart(text);
}

} // namespace mparc::clang_tools
