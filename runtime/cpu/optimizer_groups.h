// What the steps of all optimisers share: the groups of parameters, and threads.
#pragma once

#include "multiversion.h"
#include "parallel.h"

#include "mpar/optimizer.h"

#include <cmath>

namespace mpar {

/// Floats below which a second thread does not pay.
constexpr int64_t optimizer_grain = 16384;

MPAR_INLINE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

/// Whether a step is to be left out for its scale.
inline bool is_skipped(const float *scale, NonFinite non_finite) {
  return non_finite == NonFinite::skip && scale && !std::isfinite(*scale);
}

/// Calls update(begin, end, weight_decay) on parts of the trained floats that the device is to
/// update: those that decay, then those that do not.
template <typename Update>
void for_each_group(Device &device, const OptimizerSettings &settings, const Update &update) {
  const int64_t trained = device.description().trained_floats;
  const int64_t undecayed = device.description().undecayed_floats;
  const int64_t decayed = trained - undecayed;
  const auto update_group = [&](int64_t first, int64_t count, double weight_decay) {
    const Range range = device.share_of(Range{first, first + count});
    if (range.begin < range.end)
      parallel_parts(device, range.end - range.begin, optimizer_grain,
                     [&](int64_t begin, int64_t end) {
                       update(range.begin + begin, range.begin + end, weight_decay);
                     });
  };
  update_group(0, decayed, settings.weight_decay);
  update_group(decayed, undecayed, 0.0);
}

} // namespace mpar
