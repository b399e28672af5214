// Trains the model of wave.mp on a sine wave, saves it, loads it into a second one, and compares.
#include "wave.h"

#include "mpar/errors.h"

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

constexpr int64_t points = 16; // of the past that the model sees
constexpr int64_t rows = 64;

/// Stretches of a sine wave that begin at different phases, and the point that follows each.
void fill(std::vector<float> &past, std::vector<float> &next, float shift) {
  for (int64_t row = 0; row < rows; ++row) {
    const float phase = shift + 0.1f * static_cast<float>(row);
    for (int64_t point = 0; point < points; ++point)
      past[row * points + point] = std::sin(phase + 0.2f * static_cast<float>(point));
    next[row] = std::sin(phase + 0.2f * static_cast<float>(points));
  }
}

int train_and_compare() {
  Wave model;
  model.initialize(/*seed=*/0);
  std::vector<float> past(rows * points), next(rows);
  float first = 0, last = 0;
  for (int step = 0; step < 300; ++step) {
    fill(past, next, 0.03f * static_cast<float>(step));
    last = model.train_step(past.data(), next.data(), rows);
    if (step == 0)
      first = last;
  }
  std::printf("loss %g, after 300 steps %g\n", first, last);
  model.save("wave.safetensors");

  Wave again;
  again.load("wave.safetensors");
  const float *expected = model.forward(past.data(), rows);
  const float *got = again.forward(past.data(), rows);
  for (int64_t row = 0; row < rows; ++row)
    if (got[row] != expected[row]) {
      std::printf("row %d differs after loading\n", static_cast<int>(row));
      return 1;
    }
  std::printf("loaded: the same %d values\n", static_cast<int>(rows));
  return last < first / 20 ? 0 : 1;
}

} // namespace

int main() {
  try {
    return train_and_compare();
  } catch (const mpar::Error &error) {
    std::fprintf(stderr, "embed: %s\n", error.what());
    return 1;
  }
}
