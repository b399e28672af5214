// The reader of NumPy files.
#include "temporary.h"

#include "mpar/npy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace {

using mpar::ColumnRule;
using mpar::ElementType;
using mpar::Table;

std::string header(const std::string &text, int version = 1) {
  std::string padded = text + "\n";
  std::string file = std::string("\x93NUMPY", 6) + static_cast<char>(version) + '\0';
  file += static_cast<char>(padded.size() & 255);
  file += static_cast<char>(padded.size() >> 8);
  if (version > 1)
    file += std::string(2, '\0');
  return file + padded;
}

std::string array(const std::string &type, const std::string &shape, const std::string &data,
                  int version = 1) {
  return header("{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }",
                version) +
         data;
}

template <typename T> std::string bytes(std::initializer_list<T> values) {
  std::string result;
  for (T value : values) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    result.append(raw, sizeof(T));
  }
  return result;
}

Table read(const std::string &content, ColumnRule rule = {}) {
  test::TemporaryDirectory directory;
  return mpar::read_npy(directory.write("a.npy", content),
                        [rule](const std::vector<int64_t> &) { return rule; });
}

std::string fails(const std::string &content, ColumnRule rule = {}) {
  test::TemporaryDirectory directory;
  std::string path = directory.write("a.npy", content);
  return test::failure(
      [&] { mpar::read_npy(path, [rule](const std::vector<int64_t> &) { return rule; }); }, path);
}

std::vector<float> floats(const Table &table) {
  std::vector<float> values(table.cells.size());
  std::memcpy(values.data(), table.cells.data(), 4 * values.size());
  return values;
}

TEST(Npy, ReadsEveryNumberType) {
  std::vector<float> expected{1, 2, 3, 4};
  EXPECT_EQ(expected, floats(read(array("<f4", "(2, 2)", bytes<float>({1, 2, 3, 4})))));
  EXPECT_EQ(expected, floats(read(array("<f2", "(2, 2)",
                                        bytes<uint16_t>({0x3c00, 0x4000, 0x4200, 0x4400})))));
  EXPECT_EQ(expected, floats(read(array("<f8", "(2, 2)", bytes<double>({1, 2, 3, 4})))));
  EXPECT_EQ(expected, floats(read(array("<i4", "(2, 2)", bytes<int32_t>({1, 2, 3, 4})))));
  EXPECT_EQ(expected, floats(read(array("<i8", "(2, 2)", bytes<int64_t>({1, 2, 3, 4})))));
  EXPECT_EQ(expected, floats(read(array("|u1", "(2, 2)", bytes<uint8_t>({1, 2, 3, 4})))));
  EXPECT_EQ((std::vector<float>{1, 0}), floats(read(array("|b1", "(2,)", bytes<uint8_t>({1, 0})))));
}

// The bytes of numpy.array([-0.1, 65504, 2**-14, 2**-24, -0.0], "<f2"), as f32.
TEST(Npy, ReadsHalvesExactly) {
  const std::vector<float> values =
      floats(read(array("<f2", "(5,)", bytes<uint16_t>({0xae66, 0x7bff, 0x0400, 0x0001, 0x8000}))));
  EXPECT_EQ((std::vector<float>{-0.0999755859375f, 65504, 0x1p-14f, 0x1p-24f, 0}), values);
  EXPECT_TRUE(std::signbit(values[4]));
  EXPECT_EQ(": row 1: inf is not a finite number",
            fails(array("<f2", "(2,)", bytes<uint16_t>({0x3c00, 0x7c00}))));
  EXPECT_EQ(": row 0: nan is not a finite number",
            fails(array("<f2", "(1,)", bytes<uint16_t>({0x7e01}))));
  EXPECT_EQ(": the file has 3 bytes of data, which is not what its header says",
            fails(array("<f2", "(2,)", "abc")));
}

TEST(Npy, ReadsEveryVersionAndShape) {
  for (int version : {1, 2, 3})
    EXPECT_EQ((std::vector<float>{7}),
              floats(read(array("<f4", "(1,)", bytes<float>({7}), version))));
  Table table = read(array("<f4", "(3, 1, 2)", bytes<float>({1, 2, 3, 4, 5, 6})));
  EXPECT_EQ(3, table.rows);
  EXPECT_EQ(2, table.columns);
}

TEST(Npy, ChecksValues) {
  EXPECT_EQ(": row 1: column 1: nan is not a finite number",
            fails(array("<f4", "(2, 2)", bytes<float>({1, 2, 3, NAN}))));
  EXPECT_EQ(": row 0: 1e+39 is beyond the largest f32",
            fails(array("<f8", "(1,)", bytes<double>({1e39}))));
  EXPECT_EQ(": row 2: 4 is no class: expected 0 to 3",
            fails(array("<i8", "(3,)", bytes<int64_t>({0, 3, 4})), {ElementType::i32, 4}));
  EXPECT_EQ(": row 0: 0.5 is not an integer",
            fails(array("<f4", "(1,)", bytes<float>({0.5f})), {ElementType::i32}));
}

TEST(Npy, RefusesWhatItCannotRead) {
  EXPECT_EQ(": arrays of objects cannot be read; expected numbers", fails(array("|O", "(1,)", "")));
  EXPECT_EQ(": arrays of structures cannot be read; expected numbers",
            fails(header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }")));
  EXPECT_EQ(": elements of type <c8 cannot be read; expected f2, f4, f8, integers or bool",
            fails(array("<c8", "(1,)", "")));
  EXPECT_EQ(": big-endian numbers cannot be read; save the array in little-endian order",
            fails(array(">f4", "(1,)", "")));
  EXPECT_EQ(": the array is in Fortran order; save it in C order (numpy.ascontiguousarray)",
            fails(header("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }") +
                  bytes<float>({1})));
  EXPECT_EQ(": a single number; expected an array whose first dimension is the rows",
            fails(array("<f4", "()", bytes<float>({1}))));
  EXPECT_EQ(" has no rows", fails(array("<f4", "(0, 3)", "")));
}

TEST(Npy, RefusesTruncatedAndLyingFiles) {
  std::string whole = array("<f4", "(2, 2)", bytes<float>({1, 2, 3, 4}));
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE("", fails(whole.substr(0, length))) << length;
  EXPECT_EQ(": the file has 17 bytes of data, which is not what its header says",
            fails(whole + "x"));
  EXPECT_EQ(": the header states a size that no array has",
            fails(array("<f4", "(4611686018427387904, 8)", "")));
  EXPECT_EQ(": the header states a size that no array has",
            fails(array("<f4", "(99999999999999999999,)", "")));
  EXPECT_EQ(": the file has 0 bytes of data, which is not what its header says",
            fails(array("<f4", "(1000000000000,)", "")));
  EXPECT_EQ(": not a NumPy file", fails("a,b\n1,2\n3,4\n"));
  EXPECT_EQ(": the header is not one that NumPy writes", fails(header("{'descr': '<f4'}")));
  EXPECT_EQ(": the header is not one that NumPy writes", fails(header("{{{{{{{")));
}

} // namespace
