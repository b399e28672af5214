// Pooling and its gradients against the definition, at sizes that fill no vector.
#include "kernels.h"

#include "mpar/pool.h"

#include <limits>
#include <string>

using namespace mpar;
using namespace mpar::test;

namespace {

struct PoolCase {
  const char *name;
  Pooling pooling;
};

const PoolCase pool_cases[] = {
    {"Point", {{1}, {1}, {1}, {0}}},
    {"Halves", {{8, 8}, {2, 2}, {2, 2}, {0, 0}}},
    {"LeavesSomeOut", {{9, 7}, {2, 3}, {2, 3}, {0, 0}}},
    {"Overlaps", {{7, 35}, {3, 3}, {1, 1}, {1, 1}}},
    {"StepsOver", {{11, 13}, {2, 2}, {3, 5}, {0, 1}}},
    {"WiderThanX", {{3, 2}, {5, 4}, {1, 1}, {2, 2}}},
    {"Line", {{65}, {4}, {3}, {2}}},
    {"Volume", {{4, 5, 6}, {2, 3, 2}, {2, 1, 3}, {1, 0, 1}}},
    {"All", {{6, 5}, {6, 5}, {6, 5}, {0, 0}}},
};

class Pool : public testing::TestWithParam<PoolCase> {};
std::string name_of_pool(const testing::TestParamInfo<PoolCase> &info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Of, Pool, testing::ValuesIn(pool_cases), name_of_pool);

constexpr int64_t planes = 5;

/// Calls body(position, place) for each pair of a position and an element of a plane that lies
/// under the window there, in their order; place -1: the padding.
template <typename Body> void for_each_pair(const Pooling &p, const Body &body) {
  const Shape positions = p.positions();
  for (int64_t position = 0; position < positions.count(); ++position)
    for (int64_t element = 0; element < p.kernel.count(); ++element) {
      int64_t place = 0, step = 1, at_position = position, at_element = element;
      bool lies_within = true, lies_in_padding = true;
      for (int i = p.extents.rank - 1; i >= 0; --i) {
        const int64_t at =
            at_position % positions[i] * p.stride[i] - p.padding[i] + at_element % p.kernel[i];
        lies_within &= at >= 0 && at < p.extents[i];
        lies_in_padding &= at < p.extents[i] + p.padding[i];
        place += at * step;
        step *= p.extents[i];
        at_position /= positions[i];
        at_element /= p.kernel[i];
      }
      if (lies_in_padding)
        body(position, lies_within ? place : -1);
    }
}

TEST_P(Pool, MaximaAgreeWithTheDefinition) {
  const Pooling &p = GetParam().pooling;
  const int64_t size = p.extents.count(), windows = p.positions().count();
  std::vector<float> x = random_values(planes * size, 1), g = random_values(planes * windows, 2);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = i % 11 == 3 ? NAN : i % 3 == 0 ? std::round(x[i]) : i % 7 == 0 ? -INFINITY : x[i];
  std::vector<int32_t> expected_positions(planes * windows, -1);
  std::vector<float> expected(planes * windows), expected_dx(planes * size);
  for (int64_t plane = 0; plane < planes; ++plane)
    for_each_pair(p, [&](int64_t position, int64_t place) {
      if (place < 0)
        return;
      float &largest = expected[plane * windows + position];
      int32_t &where = expected_positions[plane * windows + position];
      const float value = x[plane * size + place];
      if (where >= 0 && !(value > largest) && value == value)
        return;
      largest = value;
      where = static_cast<int32_t>(place);
    });
  for (int64_t i = 0; i < planes * windows; ++i)
    expected_dx[i / windows * size + expected_positions[i]] += g[i];
  for (int threads : {1, 3}) {
    Device device = plain_device(threads);
    std::vector<float> y(expected.size(), 7), dx(x.size(), NAN);
    std::vector<int32_t> positions(y.size(), -1);
    max_pool(device, planes, p, x.data(), y.data(), positions.data());
    max_pool_gradient(device, planes, windows, size, g.data(), positions.data(), dx.data());
    EXPECT_EQ(positions, expected_positions);
    for (size_t i = 0; i < y.size(); ++i)
      EXPECT_TRUE(y[i] == expected[i] || (std::isnan(y[i]) && std::isnan(expected[i]))) << i;
    EXPECT_EQ(dx, expected_dx);
  }
}

TEST_P(Pool, MeansAgreeWithTheDefinition) {
  const Pooling &p = GetParam().pooling;
  const int64_t size = p.extents.count(), windows = p.positions().count();
  const std::vector<float> x = random_values(planes * size, 1),
                           g = random_values(planes * windows, 2);
  for (CountPadding count : {CountPadding::no, CountPadding::yes}) {
    std::vector<double> expected(planes * windows), expected_dx(planes * size), divisor(windows);
    for_each_pair(p, [&](int64_t position, int64_t place) {
      divisor[position] += place >= 0 || count == CountPadding::yes;
    });
    for (int64_t plane = 0; plane < planes; ++plane)
      for_each_pair(p, [&](int64_t position, int64_t place) {
        if (place < 0)
          return;
        expected[plane * windows + position] += double(x[plane * size + place]) / divisor[position];
        expected_dx[plane * size + place] +=
            double(g[plane * windows + position]) / divisor[position];
      });
    std::vector<float> first_y, first_dx;
    for (int threads : {1, 3}) {
      Device device = plain_device(threads);
      std::vector<float> y(expected.size(), NAN), dx(x.size(), NAN);
      avg_pool(device, planes, p, count, x.data(), y.data());
      avg_pool_gradient(device, planes, p, count, g.data(), dx.data());
      for (size_t i = 0; i < y.size(); ++i)
        EXPECT_NEAR(y[i], expected[i], 2e-6) << i;
      for (size_t i = 0; i < dx.size(); ++i)
        EXPECT_NEAR(dx[i], expected_dx[i], 2e-6) << i;
      if (threads == 1)
        first_y = y, first_dx = dx;
      EXPECT_TRUE(same_bits(y, first_y));
      EXPECT_TRUE(same_bits(dx, first_dx));
    }
  }
}

} // namespace
