// Any bytes as a NumPy file: a table that keeps its own promises, or one line of error.
#include "input.h"

#include "mpar/errors.h"
#include "mpar/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string path = fuzz::file_of(data, size);
  for (mpar::ColumnRule rule : {mpar::ColumnRule{}, {mpar::ElementType::i32, 10}}) {
    try {
      mpar::Table table = mpar::read_npy(path, [&](const std::vector<int64_t> &) { return rule; });
      if (table.rows < 1 || table.cells.size() != static_cast<size_t>(table.rows * table.columns) ||
          table.cells.size() > size)
        std::abort();
    } catch (const mpar::Error &error) {
      fuzz::check_message(error.what());
    }
  }
  return 0;
}
