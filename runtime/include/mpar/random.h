// PyTorch's generator for processors, draw for draw.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace mpar {

/// The Mersenne Twister MT19937 with the draws PyTorch's CPU generator makes from it: after
/// `Generator(seed)` every function returns what `torch.manual_seed(seed)` and the function it
/// names would. Not thread-safe.
class Generator {
public:
  static constexpr int state_size = 624;
  /// What the engine was seeded with when nobody seeds it, as in PyTorch.
  static constexpr uint64_t default_seed = 67280421310721;

  explicit Generator(uint64_t seed = default_seed) { manual_seed(seed); }

  /// torch.manual_seed: only the low 32 bits of the seed reach the engine. Forgets a kept normal
  /// sample.
  void manual_seed(uint64_t seed);

  uint32_t random();
  /// Two draws, the first one the upper half.
  uint64_t random64();
  /// `torch.empty((), dtype=torch.int64).random_()`: uniform over [0, 2^63).
  int64_t random_int64();

  /// `tensor.uniform_(from, to)` on `count` floats: 24 bits each, scaled by one fused multiply-add.
  void uniform(float *values, int64_t count, double from, double to);
  /// `tensor.normal_(mean, deviation)` on `count` contiguous floats. From 16 on, PyTorch transforms
  /// blocks of 16 and draws the last 16 values again where `count` is no multiple of 16; below, one
  /// sample at a time in double, every second one kept for the next call. Equal to PyTorch's to
  /// 1e-6, its draws exactly.
  void normal(float *values, int64_t count, double mean, double deviation);
  /// `torch.randperm(count, generator=self)`; `count` below 2^32.
  std::vector<int64_t> permutation(int64_t count);

  /// Everything the next draws depend on, to be kept in a checkpoint.
  struct State {
    std::array<uint32_t, state_size> words;
    uint32_t next; // words used up, in [0, 624]; at 624 a new block is due
    std::optional<double> kept_normal;
  };
  const State &state() const { return state_; }
  /// Continues from `state`, whose `next` must be at most 624.
  void set_state(const State &state) { state_ = state; }

private:
  void refill();
  double normal_sample();

  State state_;
};

} // namespace mpar
