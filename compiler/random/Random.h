// The random choices of a generated program: a function of its seed alone, on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mparc::random {

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
class Random {
public:
  explicit Random(uint64_t seed) : state_(seed * 0x2545f4914f6cdd1dULL + 0x9e3779b97f4a7c15ULL) {}

  /// Uniform in [0, count).
  int64_t below(int64_t count) { return static_cast<int64_t>(next() >> 33) % count; }
  /// Uniform in [from, to].
  int64_t between(int64_t from, int64_t to) { return from + below(to - from + 1); }
  bool chance(double probability) {
    return static_cast<double>(next() >> 11) / 9007199254740992.0 < probability;
  }
  template <typename T> const T &pick(const std::vector<T> &from) {
    return from[static_cast<std::size_t>(below(static_cast<int64_t>(from.size())))];
  }

private:
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

} // namespace mparc::random
