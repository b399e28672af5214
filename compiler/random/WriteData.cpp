// Rows of CSV, arrays of NumPy, text.
#include "random/WriteData.h"

#include "random/Random.h"

namespace mparc::random {

namespace {

using Rows = std::vector<std::vector<double>>;

/// What column `column` of a row holds.
double makeCell(Random &random, const Program &program, int64_t column) {
  if (column >= program.inputs)
    return program.classes ? random.below(program.classes)
                           : static_cast<double>(random.between(-1000, 1000)) / 1000;
  if (column >= program.inputs - program.integers)
    return program.truths ? random.below(2) : random.below(7) - 3;
  if (program.words && column < program.inputs - program.second)
    return random.below(program.words);
  return static_cast<double>(random.between(-1000, 1000)) / 1000;
}

/// Columns [begin, end) as an array that `numpy.load` reads: of `double`, or of int64 or bool.
std::string makeArray(const Rows &rows, int64_t begin, int64_t end, const std::string &type) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" +
                       std::to_string(rows.size()) + ", " + std::to_string(end - begin) + "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() % 256);
  text += static_cast<char>(header.size() / 256);
  text += header;
  auto append = [&](auto value) {
    text.append(reinterpret_cast<const char *>(&value), sizeof(value));
  };
  for (const std::vector<double> &row : rows)
    for (int64_t column = begin; column < end; ++column)
      if (type == "<f8")
        append(row[column]);
      else if (type == "<i8")
        append(static_cast<int64_t>(row[column]));
      else
        append(row[column] != 0);
  return text;
}

std::string makeCsv(const Rows &rows, const Program &program) {
  std::string text;
  for (const std::vector<double> &row : rows)
    for (size_t column = 0; column < row.size(); ++column) {
      const auto at = static_cast<int64_t>(column);
      const bool isWhole = at >= program.inputs
                               ? program.classes != 0
                               : at >= program.inputs - program.integers ||
                                     (program.words && at < program.inputs - program.second);
      text +=
          isWhole ? std::to_string(static_cast<int64_t>(row[column])) : std::to_string(row[column]);
      text += column + 1 < row.size() ? "," : "\n";
    }
  return text;
}

} // namespace

void writeData(const Program &program, uint64_t seed,
               llvm::function_ref<void(llvm::StringRef, const std::string &)> write) {
  Random random(seed);
  const int64_t count = program.batch * 3 / 2;
  if (program.source == DataSource::text) {
    std::string text;
    for (int64_t each = 0; each < count * program.inputs + 1; ++each)
      text += static_cast<char>(random.below(256));
    write("data.txt", text);
    return;
  }
  Rows rows(count);
  for (std::vector<double> &row : rows)
    for (int64_t column = 0; column < program.inputs + program.targets; ++column)
      row.push_back(makeCell(random, program, column));
  if (program.source == DataSource::csv) {
    write("data.csv", makeCsv(rows, program));
    return;
  }
  const int64_t first = program.inputs - program.second;
  write("x.npy", makeArray(rows, 0, first, program.words ? "<i8" : "<f8"));
  if (program.second)
    write("z.npy", makeArray(rows, first, program.inputs,
                             program.truths     ? "|b1"
                             : program.integers ? "<i8"
                                                : "<f8"));
  write("y.npy", makeArray(rows, program.inputs, program.inputs + program.targets,
                           program.classes ? "<i8" : "<f8"));
}

} // namespace mparc::random
