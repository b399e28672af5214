#include "mpar/csv.h"

#include "mpar/errors.h"
#include "mpar/file.h"

#include <fast_float/fast_float.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace mpar {

namespace {

constexpr size_t block_bytes = 1 << 16;
constexpr size_t longest_line = size_t{1} << 26;

// The lines of a file, one after the other, without their ends.
class LineReader {
public:
  explicit LineReader(const std::string &path) : file_(path), block_(block_bytes) {}

  /// The next line, valid until the next call; false at the end of the file.
  bool next(std::string_view &line) {
    joined_.clear();
    for (;;) {
      if (at_ == end_) {
        end_ = file_.read(block_.data(), block_.size());
        at_ = 0;
        bytes_ += static_cast<int64_t>(end_);
        if (end_ == 0) {
          if (joined_.empty())
            return false;
          line = joined_;
          break;
        }
      }
      const char *start = block_.data() + at_;
      const void *found = std::memchr(start, '\n', end_ - at_);
      size_t length =
          found ? static_cast<size_t>(static_cast<const char *>(found) - start) : end_ - at_;
      at_ += length + (found ? 1 : 0);
      line = {start, length};
      if (found && joined_.empty())
        break;
      joined_.append(line);
      if (joined_.size() > longest_line)
        fail(file_.path() + ":" + std::to_string(number_ + 1) + ": the line is longer than 64 MiB");
      line = joined_;
      if (found)
        break;
    }
    ++number_;
    if (number_ == 1 && line.substr(0, 3) == "\xef\xbb\xbf")
      line.remove_prefix(3);
    if (!line.empty() && line.back() == '\r')
      line.remove_suffix(1);
    return true;
  }

  int64_t number() const { return number_; }
  /// How many times what was read so far fits into the file; 0 where that is not known.
  double remaining() const {
    return file_.size() > 0 && bytes_ > 0
               ? static_cast<double>(file_.size()) / static_cast<double>(bytes_)
               : 0;
  }

private:
  InputFile file_;
  std::vector<char> block_;
  size_t at_ = 0;
  size_t end_ = 0;
  std::string joined_; // a line that spans blocks
  int64_t number_ = 0;
  int64_t bytes_ = 0;
};

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

// The fields of a line, one after the other, blanks and quotes around them removed.
class FieldReader {
public:
  explicit FieldReader(std::string_view line) : rest_(line) {}

  /// False after the last field. A blank line has one, empty, field.
  bool next(std::string_view &field) {
    if (done_)
      return false;
    size_t quote = rest_.find_first_not_of(" \t");
    size_t comma;
    if (quote != std::string_view::npos && rest_[quote] == '"') {
      // A doubled quote inside is two quotes: no number either way, and no end of the field.
      size_t close = rest_.find('"', quote + 1);
      while (close != std::string_view::npos && close + 1 < rest_.size() && rest_[close + 1] == '"')
        close = rest_.find('"', close + 2);
      comma = close == std::string_view::npos ? close : rest_.find(',', close);
    } else {
      comma = rest_.find(',');
    }
    field = trim(rest_.substr(0, comma));
    if (field.size() >= 2 && field.front() == '"' && field.back() == '"')
      field = trim(field.substr(1, field.size() - 2));
    done_ = comma == std::string_view::npos;
    if (!done_)
      rest_.remove_prefix(comma + 1);
    return true;
  }

private:
  std::string_view rest_;
  bool done_ = false;
};

template <typename T> bool parse(std::string_view field, T &value) {
  if (field.size() > 1 && field[0] == '+' && field[1] != '-' && field[1] != '+')
    field.remove_prefix(1);
  auto [end, error] = fast_float::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc() && end == field.data() + field.size() && !field.empty();
}

// What is wrong with a field, or nothing where its cell was set.
std::string parse_cell(std::string_view field, const ColumnRule &rule, uint32_t &cell) {
  if (rule.type == ElementType::f32 && rule.classes == 0) {
    // Straight to float: by way of double it would be rounded twice.
    float value;
    if (!parse(field, value))
      return "is not a number";
    if (!std::isfinite(value))
      return "is not a finite number";
    std::memcpy(&cell, &value, sizeof cell);
    return {};
  }
  double value;
  if (!parse(field, value))
    return "is not a number";
  return to_cell(value, rule, cell);
}

// A field as a message shows it: short, and of printable characters.
std::string shown(std::string_view field) {
  if (field.empty())
    return "an empty field";
  constexpr size_t most = 24;
  std::string text;
  for (char c : field.substr(0, most))
    text += c >= ' ' && c <= '~' ? c : '?';
  return '"' + text + (field.size() > most ? "…\"" : "\"");
}

// What is said besides of text that separates its fields by something else. Where a semicolon does,
// a comma may be a decimal point.
std::string separator_hint(std::string_view text) {
  auto has = [text](char c) { return text.find(c) != std::string_view::npos; };
  const char *other = has(';') ? "semicolons" : has('\t') && !has(',') ? "tabs" : nullptr;
  return other ? std::string("; fields are separated by commas here, not by ") + other : "";
}

[[noreturn]] void fail_at(const std::string &path, int64_t line, int64_t column,
                          const std::string &what) {
  fail(path + ":" + std::to_string(line) + ": column " + std::to_string(column + 1) + ": " + what);
}

} // namespace

std::string to_cell(double value, const ColumnRule &rule, uint32_t &cell) {
  if (!std::isfinite(value))
    return "is not a finite number";
  if (rule.type == ElementType::boolean) {
    if (value != 0 && value != 1)
      return "is neither 0 nor 1";
    cell = value != 0;
    return {};
  }
  if (rule.type == ElementType::i32 || rule.classes > 0) {
    if (value != std::floor(value))
      return "is not an integer";
    if (rule.classes > 0 && (value < 0 || value >= static_cast<double>(rule.classes)))
      return "is no class: expected 0 to " + std::to_string(rule.classes - 1);
    if (value < -2147483648.0 || value > 2147483647.0)
      return "does not fit into 32 bits";
  }
  if (rule.type == ElementType::i32) {
    int32_t integer = static_cast<int32_t>(value);
    std::memcpy(&cell, &integer, sizeof cell);
    return {};
  }
  float single = static_cast<float>(value);
  if (!std::isfinite(single))
    return "is beyond the largest f32";
  std::memcpy(&cell, &single, sizeof cell);
  return {};
}

Table read_csv(const std::string &path, const ColumnPlan &plan) {
  LineReader lines(path);
  std::string_view line, field;
  if (!lines.next(line))
    fail(path + " is empty");

  bool header = false;
  Table table;
  for (FieldReader fields(line); fields.next(field); ++table.columns) {
    double value;
    header |= !parse(field, value);
  }
  std::vector<ColumnRule> rules;
  try {
    rules = plan(table.columns);
  } catch (const Error &error) {
    fail(error.what() + separator_hint(line));
  }

  int64_t blank_from = 0; // the first of the blank lines just passed
  for (bool more = header ? lines.next(line) : true; more; more = lines.next(line)) {
    if (trim(line).empty()) {
      if (blank_from == 0)
        blank_from = lines.number();
      continue;
    }
    if (blank_from != 0)
      fail(path + ":" + std::to_string(blank_from) + ": a blank line between rows");
    size_t needed = table.cells.size() + static_cast<size_t>(table.columns);
    if (needed > table.cells.capacity()) {
      double expected = static_cast<double>(table.cells.size()) * lines.remaining() * 1.02;
      table.cells.reserve(std::max({needed, needed + needed / 2, static_cast<size_t>(expected)}));
    }
    int64_t column = 0;
    for (FieldReader fields(line); fields.next(field); ++column) {
      if (column >= table.columns)
        continue;
      uint32_t cell;
      std::string wrong = parse_cell(field, rules[column], cell);
      if (!wrong.empty())
        fail_at(path, lines.number(), column, shown(field) + " " + wrong + separator_hint(field));
      if (rules[column].kept)
        table.cells.push_back(cell);
    }
    if (column != table.columns)
      fail(path + ":" + std::to_string(lines.number()) + ": expected " +
           std::to_string(table.columns) + " fields, got " + std::to_string(column));
    ++table.rows;
  }
  if (table.rows == 0)
    fail(path + " has no rows" + (header ? " after its header" : ""));
  table.columns =
      std::count_if(rules.begin(), rules.end(), [](const ColumnRule &rule) { return rule.kept; });
  return table;
}

namespace {
template <typename T> std::string shortest_text(T value) {
  char text[64];
  auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}
} // namespace

std::string shortest(double value) { return shortest_text(value); }
std::string shortest(float value) { return shortest_text(value); }

} // namespace mpar
