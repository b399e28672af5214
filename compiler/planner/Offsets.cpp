// Offsets for values whose lifetimes are known, all of one device and kind.
//
// Values are placed one after another, each at the lowest offset that overlaps nothing alive at the
// same time. What comes out depends on which come first: the largest, mostly (Y. Pisarchyk, J. Lee,
// "Efficient Memory Management for Deep Neural Net Inference", 2020: greedy by size). Where that
// leaves gaps other orders are tried, and then the values that ended up highest are placed first,
// again and again (D. Joslin, D. Clements, "Squeaky Wheel Optimization", 1999), from varied orders.
#include "planner/MemoryPlan.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <random>

namespace mparc::mp {

namespace {

/// What stands in the way of those still to be placed.
struct Obstacle {
  int64_t offset, top;
  int64_t begin, end; // in time
};

using Order = std::vector<Allocation *>;

} // namespace

/// This many steps are spent on finding a better order, at most: some milliseconds.
static constexpr int64_t kMostSteps = 4'000'000;
static constexpr int64_t kMostRounds = 512;
/// After so many rounds without gain the best order so far is varied at random.
static constexpr int64_t kPatience = 8;

/// Bytes × time, which may be infinite.
static double areaOf(const Allocation &allocation, int64_t last) {
  int64_t end = std::min(allocation.end, last);
  return static_cast<double>(allocation.bytes) * static_cast<double>(end - allocation.begin + 1);
}

/// Gives offsets in the given order; returns the bytes spanned, or `limit` as soon as they come to
/// that.
static int64_t placeInOrder(const Order &order, int64_t limit) {
  std::vector<Obstacle> obstacles; // by offset
  obstacles.reserve(order.size());
  int64_t extent = 0;
  for (Allocation *next : order) {
    int64_t offset = 0;
    for (const Obstacle &other : obstacles) {
      if (other.begin > next->end || next->begin > other.end)
        continue;
      if (other.offset >= offset + next->bytes)
        break;
      offset = std::max(offset, other.top);
    }
    next->offset = offset;
    int64_t top = offset + next->bytes;
    extent = std::max(extent, top);
    if (extent >= limit)
      return limit;
    Obstacle mine{offset, top, next->begin, next->end};
    auto after =
        std::upper_bound(obstacles.begin(), obstacles.end(), mine,
                         [](const Obstacle &a, const Obstacle &b) { return a.offset < b.offset; });
    obstacles.insert(after, mine);
  }
  return extent;
}

/// The most that is alive at once.
static int64_t findPeak(const Order &group) {
  std::vector<std::pair<int64_t, int64_t>> changes; // at a time: by so much; ends before begins
  for (const Allocation *allocation : group) {
    changes.emplace_back(allocation->begin, allocation->bytes);
    if (allocation->end != INT64_MAX)
      changes.emplace_back(allocation->end + 1, -allocation->bytes);
  }
  llvm::sort(changes);
  int64_t alive = 0, peak = 0;
  for (auto [time, change] : changes)
    peak = std::max(peak, alive += change);
  return peak;
}

void chooseOffsets(std::vector<Allocation *> group) {
  int64_t peak = findPeak(group), best = INT64_MAX, last = 0;
  for (Allocation *allocation : group)
    last = std::max(last, allocation->begin);
  Order bestOrder;
  std::vector<int64_t> bestOffsets;
  int64_t values = static_cast<int64_t>(group.size());
  int64_t rounds = std::min(kMostRounds, kMostSteps / (values * values + 1));
  // Whether to go on looking: not once a 64th is all there is to be saved, a 16th of many values.
  int64_t enough = peak / (rounds ? 64 : 16);
  auto attempt = [&](const Order &order) {
    int64_t extent = placeInOrder(order, best);
    if (extent < best) {
      best = extent;
      bestOrder = order;
      bestOffsets.clear();
      for (Allocation *allocation : order)
        bestOffsets.push_back(allocation->offset);
    }
    return best - peak > enough;
  };

  Order order = group;
  auto by = [&](auto key) {
    order = group;
    std::stable_sort(order.begin(), order.end(),
                     [&](Allocation *a, Allocation *b) { return key(*a) > key(*b); });
    return attempt(order);
  };
  bool goOn = by([](const Allocation &a) { return a.bytes; }) &&
              by([&](const Allocation &a) { return areaOf(a, last); }) &&
              by([&](const Allocation &a) { return std::min(a.end, last) - a.begin; }) &&
              by([](const Allocation &a) { return -a.begin; });
  order = bestOrder;
  std::minstd_rand random; // of one fixed seed: the same program, the same plan
  int64_t fruitless = 0;
  for (int64_t round = 0; goOn && round < rounds; ++round) {
    if (++fruitless % kPatience == 0) {
      order = bestOrder;
      size_t from = random() % order.size(), to = random() % order.size();
      std::rotate(order.begin() + std::min(from, to), order.begin() + std::max(from, to),
                  order.begin() + std::max(from, to) + 1);
    } else {
      // All offsets must be known for this, so no limit.
      int64_t extent = placeInOrder(order, INT64_MAX);
      std::stable_partition(order.begin(), order.end(), [&](Allocation *allocation) {
        return allocation->offset + allocation->bytes == extent;
      });
    }
    int64_t before = best;
    goOn = attempt(order);
    if (best < before)
      fruitless = 0;
  }
  for (auto [allocation, offset] : llvm::zip(bestOrder, bestOffsets))
    allocation->offset = offset;
}

} // namespace mparc::mp
