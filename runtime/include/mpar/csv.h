// Tables of numbers, and reading them from comma-separated text.
#pragma once

#include "mpar/model.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mpar {

/// Rows of numbers, row after row, four bytes each: the bits of a float, of an int32_t, or 0 or 1
/// for bool.
struct Table {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<uint32_t> cells;
};

/// What the values of a column must be.
struct ColumnRule {
  ElementType type = ElementType::f32;
  int64_t classes = 0; // above 0: integers in [0, classes)
  bool kept = true;    // else it is checked, and the table is without it
};

/// Told how many columns a file has, says what each holds; fails where that is not what is
/// expected.
using ColumnPlan = std::function<std::vector<ColumnRule>(int64_t columns)>;

/// Reads comma-separated numbers. A first line with a field that is no number is a header. Lines
/// end in LF or CRLF, the last one may lack it, blank lines at the end are nothing; fields may be
/// quoted and have blanks around them. f32 values are the nearest to the text. Fails, naming file,
/// line and column, at a field that is no finite number or breaks its rule, at a line with more or
/// fewer fields than the first, and where there are no rows.
Table read_csv(const std::string &path, const ColumnPlan &plan);

/// Converts a value to a cell under a rule. On failure returns what is wrong with it ("is not an
/// integer"), else "".
std::string to_cell(double value, const ColumnRule &rule, uint32_t &cell);

/// The shortest text that reads back as this very number.
std::string shortest(double value);
std::string shortest(float value);

} // namespace mpar
