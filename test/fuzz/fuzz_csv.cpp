// Any bytes as CSV: a table that keeps its own promises, or one line of error.
#include "input.h"

#include "mpar/csv.h"
#include "mpar/errors.h"

#include <cmath>
#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using mpar::ColumnRule;
  using mpar::ElementType;
  // Every kind of column in turn.
  const ColumnRule rules[] = {
      {}, {ElementType::i32}, {ElementType::i32, 10}, {ElementType::boolean}};
  std::string path = fuzz::file_of(data, size);
  try {
    mpar::Table table = mpar::read_csv(path, [&](int64_t columns) {
      std::vector<ColumnRule> plan;
      for (int64_t column = 0; column < columns; ++column)
        plan.push_back(rules[column % 4]);
      return plan;
    });
    if (table.rows < 1 || table.cells.size() != static_cast<size_t>(table.rows * table.columns))
      std::abort();
    for (size_t i = 0; i < table.cells.size(); ++i) {
      int64_t column = static_cast<int64_t>(i) % table.columns % 4;
      float value;
      std::memcpy(&value, &table.cells[i], sizeof value);
      if ((column == 0 && !std::isfinite(value)) || (column == 2 && table.cells[i] > 9) ||
          (column == 3 && table.cells[i] > 1))
        std::abort();
    }
  } catch (const mpar::Error &error) {
    fuzz::check_message(error.what());
  }
  return 0;
}
