// Formulas: Matsumoto and Nishimura, "Mersenne Twister" (1998); what PyTorch draws, and in which
// order, is what its CPU kernels for uniform_, normal_ and randperm do, checked against it in
// test/runtime.
#include "mpar/random.h"

#include "mpar/errors.h"

#include <cmath>
#include <numeric>
#include <string>

namespace mpar {

namespace {

constexpr double two_pi = 6.283185307179586476925286766559;

uint32_t temper(uint32_t word) {
  word ^= word >> 11;
  word ^= (word << 7) & 0x9d2c5680u;
  word ^= (word << 15) & 0xefc60000u;
  return word ^ (word >> 18);
}

} // namespace

void Generator::manual_seed(uint64_t seed) {
  state_.words[0] = static_cast<uint32_t>(seed);
  for (uint32_t i = 1; i < state_size; ++i) {
    uint32_t previous = state_.words[i - 1];
    state_.words[i] = 1812433253u * (previous ^ (previous >> 30)) + i;
  }
  state_.next = state_size;
  state_.kept_normal.reset();
}

void Generator::refill() {
  constexpr int middle = 397;
  auto &words = state_.words;
  for (int i = 0; i < state_size; ++i) {
    uint32_t joined = (words[i] & 0x80000000u) | (words[(i + 1) % state_size] & 0x7fffffffu);
    words[i] = words[(i + middle) % state_size] ^ (joined >> 1) ^ ((joined & 1) ? 0x9908b0dfu : 0);
  }
  state_.next = 0;
}

uint32_t Generator::random() {
  if (state_.next >= state_size)
    refill();
  return temper(state_.words[state_.next++]);
}

uint64_t Generator::random64() {
  uint64_t upper = random();
  return upper << 32 | random();
}

int64_t Generator::random_int64() { return static_cast<int64_t>(random64() & 0x7fffffffffffffffu); }

void Generator::uniform(float *values, int64_t count, double from, double to) {
  float low = static_cast<float>(from);
  float extent = static_cast<float>(to) - low;
  for (int64_t i = 0; i < count; ++i) {
    float unit = static_cast<float>(random() & 0xffffffu) * 0x1p-24f;
    values[i] = std::fma(unit, extent, low);
  }
}

// One sample of the standard normal distribution by Box and Muller; the other of the pair is kept.
double Generator::normal_sample() {
  if (state_.kept_normal) {
    double kept = *state_.kept_normal;
    state_.kept_normal.reset();
    return kept;
  }
  constexpr uint64_t mask = (uint64_t{1} << 53) - 1;
  double angle = static_cast<double>(random64() & mask) * 0x1p-53;
  double u = static_cast<double>(random64() & mask) * 0x1p-53;
  double radius = std::sqrt(-2.0 * std::log(1.0 - u));
  state_.kept_normal = radius * std::sin(two_pi * angle);
  return radius * std::cos(two_pi * angle);
}

namespace {

// Turns 16 uniform values into normal ones: value i and value i + 8 make a pair.
void box_muller_16(float *values, float mean, float deviation) {
  for (int i = 0; i < 8; ++i) {
    float u = 1.0f - values[i];
    float angle = static_cast<float>(two_pi) * values[i + 8];
    float radius = std::sqrt(-2.0f * std::log(u));
    values[i] = std::fma(radius * std::cos(angle), deviation, mean);
    values[i + 8] = std::fma(radius * std::sin(angle), deviation, mean);
  }
}

} // namespace

void Generator::normal(float *values, int64_t count, double mean, double deviation) {
  if (count < 16) {
    for (int64_t i = 0; i < count; ++i)
      values[i] = static_cast<float>(normal_sample() * deviation + mean);
    return;
  }
  float mean_f = static_cast<float>(mean);
  float deviation_f = static_cast<float>(deviation);
  uniform(values, count, 0, 1);
  for (int64_t i = 0; i + 16 <= count; i += 16)
    box_muller_16(values + i, mean_f, deviation_f);
  if (count % 16 != 0) {
    float *last = values + count - 16;
    uniform(last, 16, 0, 1);
    box_muller_16(last, mean_f, deviation_f);
  }
}

std::vector<int64_t> Generator::permutation(int64_t count) {
  // PyTorch draws 32 bits a swap, which only suffice below this.
  if (count >= int64_t{1} << 32)
    fail("cannot shuffle " + std::to_string(count) + " rows: at most 4294967295 can be");
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = 0; i + 1 < count; ++i) {
    int64_t other = i + random() % (count - i);
    std::swap(order[i], order[other]);
  }
  return order;
}

} // namespace mpar
