// What the steps of all optimisers share: the groups of parameters, and threads.
#pragma once

#include "multiversion.h"
#include "parallel.h"

#include "mpar/optimizer.h"

namespace mpar {

/// Floats below which a second thread does not pay.
constexpr int64_t optimizer_grain = 16384;

MPAR_INLINE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

/// Calls update(begin, end, weight_decay) on parts of the trained floats: those that decay, then
/// those that do not.
template <typename Update>
void for_each_group(Device &device, const OptimizerSettings &settings, const Update &update) {
  const int64_t trained = device.description().trained_floats;
  const int64_t undecayed = device.description().undecayed_floats;
  const int64_t decayed = trained - undecayed;
  parallel_parts(device, decayed, optimizer_grain,
                 [&](int64_t begin, int64_t end) { update(begin, end, settings.weight_decay); });
  if (undecayed > 0)
    parallel_parts(device, undecayed, optimizer_grain, [&](int64_t begin, int64_t end) {
      update(decayed + begin, decayed + end, 0.0);
    });
}

} // namespace mpar
