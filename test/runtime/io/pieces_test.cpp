// Tests where pieces of tensors lie in the whole.
#include "mpar/pieces.h"

#include <gtest/gtest.h>

#include <numeric>

using namespace mpar;

namespace {

// What the piece is of a tensor whose elements are their own numbers.
std::vector<int> cut(const Box &box) {
  const int64_t all =
      std::accumulate(box.sizes.begin(), box.sizes.end(), int64_t(1), std::multiplies<>());
  std::vector<int> whole(static_cast<size_t>(all)), piece(static_cast<size_t>(box.count()), -1);
  std::iota(whole.begin(), whole.end(), 0);
  copy_to_piece(box, sizeof(int), whole.data(), piece.data());
  return piece;
}

// Tests that a tensor that is not cut is one stretch, and so is a cut of what varies slowest.
TEST(Pieces, AreOneStretchWhereTheyCan) {
  const std::vector<Stretch> all = find_stretches({{4, 6}, {0, 0}, {4, 6}});
  ASSERT_EQ(1u, all.size());
  EXPECT_EQ(24, all[0].count);
  const std::vector<Stretch> rows = find_stretches({{4, 6}, {1, 0}, {3, 6}});
  ASSERT_EQ(1u, rows.size());
  EXPECT_EQ(6, rows[0].whole);
  EXPECT_EQ(0, rows[0].piece);
  EXPECT_EQ(12, rows[0].count);
}

// Tests a cut of columns: a stretch a row.
TEST(Pieces, TakeColumns) {
  EXPECT_EQ((std::vector<int>{4, 5, 10, 11}), cut({{2, 6}, {0, 4}, {2, 6}}));
}

// Tests that a factor in the middle is cut within each of what is outside of it.
TEST(Pieces, TakeAFactorOfEachThird) {
  EXPECT_EQ((std::vector<int>{2, 3, 6, 7, 10, 11}), cut({{3, 2, 2}, {0, 1, 0}, {3, 2, 2}}));
}

// Tests a box that is cut twice, as of a grid.
TEST(Pieces, AreCutTwice) {
  EXPECT_EQ((std::vector<int>{13, 14, 17, 18}), cut({{2, 3, 4}, {1, 0, 1}, {2, 2, 3}}));
}

// Tests that pieces without elements are none, and that a number is one piece.
TEST(Pieces, MayBeEmptyOrANumber) {
  EXPECT_TRUE(find_stretches({{4, 6}, {2, 0}, {2, 6}}).empty());
  ASSERT_EQ(1u, find_stretches({{}, {}, {}}).size());
  EXPECT_EQ(1, find_stretches({{}, {}, {}})[0].count);
}

// Tests that the pieces of a tensor have each of its elements once.
TEST(Pieces, CoverTheWhole) {
  std::vector<int> seen(3 * 5 * 4, 0);
  for (auto [from, to] : {std::pair<int64_t, int64_t>{0, 2}, {2, 4}, {4, 5}})
    for (const Stretch &stretch : find_stretches({{3, 5, 4}, {0, from, 0}, {3, to, 4}}))
      for (int64_t i = 0; i < stretch.count; ++i)
        ++seen[static_cast<size_t>(stretch.whole + i)];
  EXPECT_EQ(std::vector<int>(seen.size(), 1), seen);
}

} // namespace
