// The CSV reader: what it takes, and the one line it says to what it does not.
#include "temporary.h"

#include "mpar/csv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace {

using mpar::ColumnRule;
using mpar::ElementType;
using mpar::Table;

mpar::ColumnPlan all(ColumnRule rule) {
  return [rule](int64_t columns) { return std::vector<ColumnRule>(columns, rule); };
}

Table read_csv(const std::string &content, ColumnRule rule = {}) {
  test::TemporaryDirectory directory;
  return mpar::read_csv(directory.write("d.csv", content), all(rule));
}

// The message for a broken file, from its line number on.
std::string csv_fails(const std::string &content, ColumnRule rule = {}) {
  test::TemporaryDirectory directory;
  std::string path = directory.write("d.csv", content);
  return test::failure([&] { mpar::read_csv(path, all(rule)); }, path);
}

std::vector<float> floats_of(const Table &table) {
  std::vector<float> values(table.cells.size());
  std::memcpy(values.data(), table.cells.data(), 4 * values.size());
  return values;
}

TEST(Csv, ReadsRowsWithAndWithoutAHeader) {
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), floats_of(read_csv("1,2\n3,4\n")));
  Table table = read_csv("a,b\n1,2\n3,4\n");
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), floats_of(table));
  EXPECT_EQ(2, table.rows);
  EXPECT_EQ(2, table.columns);
  // One field that is no number makes a header of the line.
  EXPECT_EQ((std::vector<float>{3, 4}), floats_of(read_csv("1,b\n3,4")));
}

TEST(Csv, TakesLineEndsBlanksQuotesAndSigns) {
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), floats_of(read_csv("1,2\r\n3,4\r\n")));
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), floats_of(read_csv("1,2\n3,4")));
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), floats_of(read_csv("1,2\n3,4\n\n \r\n")));
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), floats_of(read_csv(" 1 ,\t2\n\"3\",\" 4 \"\n")));
  EXPECT_EQ((std::vector<float>{5, 6}), floats_of(read_csv("\"a, \"\"b\"\"\",c\n5,6\n")));
  EXPECT_EQ((std::vector<float>{1, -2, 0.5f, 1e-3f}), floats_of(read_csv("+1,-2,.5,1E-3\n")));
  EXPECT_EQ((std::vector<float>{1}), floats_of(read_csv("\xef\xbb\xbf"
                                                        "1\n")));
}

TEST(Csv, RoundsToTheNearestFloatOnce) {
  // Halfway between two floats, and a little above: by way of double both would round to the even
  // one.
  std::vector<float> values =
      floats_of(read_csv("1.00000005960464477539,1.000000059604644775390626\n"));
  EXPECT_EQ(1.0f, values[0]);
  EXPECT_EQ(std::nextafter(1.0f, 2.0f), values[1]);
}

TEST(Csv, ReadsLinesOfAnyLength) {
  std::string content;
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 40000; ++column)
      content += (column ? "," : "") + std::to_string(row * 40000 + column);
    content += "\n";
  }
  std::vector<float> values = floats_of(read_csv(content));
  ASSERT_EQ(120000u, values.size());
  for (int i = 0; i < 120000; ++i)
    ASSERT_EQ(i, values[i]);
}

TEST(Csv, SaysWhereAFieldIsNoNumber) {
  EXPECT_EQ(":2: column 2: \"x\" is not a number", csv_fails("1,2\n3,x\n"));
  EXPECT_EQ(":3: column 1: an empty field is not a number", csv_fails("a,b\n1,2\n,4\n"));
  EXPECT_EQ(":2: column 1: \"1;2\" is not a number; fields are separated by commas here, not by "
            "semicolons",
            csv_fails("a\n1;2\n"));
  EXPECT_EQ(":2: column 1: \"0x10\" is not a number", csv_fails("1\n0x10\n"));
  EXPECT_EQ(":2: column 1: \"1?2\" is not a number", csv_fails(std::string("1\n1\0"
                                                                           "2\n",
                                                                           6)));
}

TEST(Csv, RefusesWhatIsNotFinite) {
  EXPECT_EQ(":2: column 2: \"NaN\" is not a finite number", csv_fails("1,2\n3,NaN\n"));
  EXPECT_EQ(":1: column 1: \"nan\" is not a finite number", csv_fails("nan,2\n3,4\n"));
  EXPECT_EQ(":2: column 1: \"-inf\" is not a finite number", csv_fails("1\n-inf\n"));
  EXPECT_EQ(":2: column 1: \"1e39\" is not a finite number", csv_fails("1\n1e39\n"));
}

TEST(Csv, RefusesRaggedRows) {
  EXPECT_EQ(":2: expected 2 fields, got 3", csv_fails("1,2\n3,4,5\n"));
  EXPECT_EQ(":3: expected 2 fields, got 1", csv_fails("a,b\n1,2\n3\n"));
  EXPECT_EQ(":2: expected 2 fields, got 3", csv_fails("1,2\n3,4,\n"));
  EXPECT_EQ(":2: a blank line between rows", csv_fails("1,2\n\n3,4\n"));
}

TEST(Csv, RefusesFilesWithoutRows) {
  EXPECT_EQ(" is empty", csv_fails(""));
  EXPECT_EQ(" has no rows after its header", csv_fails("a,b\n"));
  EXPECT_EQ(" has no rows after its header", csv_fails("\n\n"));
  test::TemporaryDirectory directory;
  EXPECT_EQ("cannot read " + directory.path("none") + ": No such file or directory",
            test::failure([&] { mpar::read_csv(directory.path("none"), all({})); }));
  EXPECT_EQ("cannot read " + directory.path("") + ": it is a directory",
            test::failure([&] { mpar::read_csv(directory.path(""), all({})); }));
}

TEST(Csv, ReadsIntegersAndClasses) {
  Table table = read_csv("3,-4\n5.0,1e2\n", {ElementType::i32});
  EXPECT_EQ((std::vector<uint32_t>{3, static_cast<uint32_t>(-4), 5, 100}), table.cells);
  EXPECT_EQ(":2: column 1: \"2.5\" is not an integer", csv_fails("1\n2.5\n", {ElementType::i32}));
  EXPECT_EQ(":2: column 1: \"3000000000\" does not fit into 32 bits",
            csv_fails("1\n3000000000\n", {ElementType::i32}));
  ColumnRule classes{ElementType::i32, 10};
  EXPECT_EQ("", csv_fails("0\n9\n", classes));
  EXPECT_EQ(":2: column 1: \"10\" is no class: expected 0 to 9", csv_fails("0\n10\n", classes));
  EXPECT_EQ(":2: column 1: \"-1\" is no class: expected 0 to 9", csv_fails("0\n-1\n", classes));
  EXPECT_EQ(":2: column 1: \"2\" is neither 0 nor 1", csv_fails("1\n2\n", {ElementType::boolean}));
}

TEST(Shortest, IsWhatReadsBack) {
  EXPECT_EQ("0.2034", mpar::shortest(0.2034));
  EXPECT_EQ("0.1", mpar::shortest(0.1f));
  EXPECT_EQ("1e-30", mpar::shortest(1e-30));
  EXPECT_EQ("0.30000000000000004", mpar::shortest(0.1 + 0.2));
}

} // namespace
