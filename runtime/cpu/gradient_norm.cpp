// The norm of all gradients, and what clips it.
//
// The order of the sum of squares is fixed by the size: blocks of 4,096 elements, in a block 64
// partial sums of f32 (element i belongs to sum i mod 64) added by halves; the blocks' sums in
// double, ascending, rounded once.
#include "mpar/optimizer.h"

#include "backend.h"

#include "fold_lanes.h"
#include "parallel.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace mpar {
namespace {

constexpr int64_t lanes = 64;
constexpr int64_t block = 4096;
constexpr int64_t norm_grain = 32; // blocks that are worth a second thread

MPAR_INLINE float block_sum(const float *x, int64_t count) {
  return fold_lanes<lanes>(
      count, 0.0f, [&](float partial, int64_t i) { return __builtin_fmaf(x[i], x[i], partial); },
      [](float a, float b) { return a + b; });
}

/// sums[b] for the blocks b in [begin, end) of `count` elements.
MPAR_MULTIVERSION void block_sums(int64_t count, const float *x, int64_t begin, int64_t end,
                                  float *sums) {
  for (int64_t b = begin; b < end; ++b) {
    const int64_t left = count - b * block;
    sums[b] = block_sum(x + b * block, left < block ? left : block);
  }
}

} // namespace

void squared_norm(Device &device, int64_t count, const float *x, const float *sum, float *y) {
  if (Backend *const backend = device.backend())
    return backend->squared_norm(device, count, x, sum, y);
  const int64_t blocks = (count + block - 1) / block;
  constexpr int64_t few = 64; // blocks whose sums need no memory from the heap
  float here[few];
  std::vector<float> elsewhere(blocks > few ? static_cast<size_t>(blocks) : 0);
  float *sums = blocks > few ? elsewhere.data() : here;
  parallel_parts(device, blocks, norm_grain,
                 [&](int64_t begin, int64_t end) { block_sums(count, x, begin, end, sums); });
  double total = 0;
  for (int64_t b = 0; b < blocks; ++b)
    total += sums[b];
  const float rounded = static_cast<float>(total);
  *y = sum ? *sum + rounded : rounded;
}

float clip(const OptimizerSettings &settings, float norm) {
  // The divisions and their order are torch's: a reciprocal, then a product.
  const float reciprocal = 1 / (norm + 1e-6f);
  const float scale = reciprocal * static_cast<float>(settings.clip_norm);
  return scale > 1 ? 1 : scale; // a norm that is no number stays one, and shows
}

void clip_scale(Device &device, const OptimizerSettings &settings, const float *squared, float *y) {
  if (Backend *const backend = device.backend())
    return backend->clip_scale(device, settings, squared, y);
  *y = clip(settings, std::sqrt(*squared));
}

} // namespace mpar
