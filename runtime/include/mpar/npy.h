// Reading NumPy's .npy files. Format: numpy.lib.format, versions 1 to 3.
#pragma once

#include "mpar/csv.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace mpar {

/// Where the elements of an array lie in its file, and what they are: "<i4".
struct ArrayLayout {
  std::string type;
  std::vector<int64_t> shape;
  int64_t begin;
};

/// Reads the header of an array. Fails where it is none that NumPy writes.
ArrayLayout read_npy_layout(const std::string &path);

/// Told the shape of the whole array, says what its values must be; fails where the shape is not
/// what is expected.
using ArrayPlan = std::function<ColumnRule(const std::vector<int64_t> &shape)>;

/// Reads an array as a table: its first dimension is the rows. Takes little-endian f2, f4, f8, i1
/// to i8, u1 to u4 and bool, in C order. Fails, naming the file, at other types (objects and
/// structures among them), at Fortran order, where the file is shorter or longer than its header
/// says, and, naming row and value, where a value is not finite or breaks its rule.
Table read_npy(const std::string &path, const ArrayPlan &plan);

} // namespace mpar
