#include "mpar/loss_scaling.h"

#include "backend.h"

#include <cmath>
#include <limits>

namespace mpar {

void loss_scale(Device &device, const LossScaling &scaling, float *y) {
  if (Backend *const backend = device.backend())
    return backend->loss_scale(device, scaling, y);
  *y = scaling.scale;
}

void unscale(Device &device, const OptimizerSettings &settings, LossScaling &scaling,
             const float *squared, float *y) {
  if (Backend *const backend = device.backend())
    return backend->unscale(device, settings, scaling, squared, y);
  scaling.gradient_scale = scaling.scale;
  if (!std::isfinite(*squared)) {
    *y = std::numeric_limits<float>::quiet_NaN();
    scaling.scale *= static_cast<float>(LossScaling::backoff);
    scaling.good_steps = 0;
    ++scaling.skipped_steps;
    return;
  }
  // A power of two but for an odd first scale: nothing is rounded here.
  const auto inverse = static_cast<float>(1 / static_cast<double>(scaling.scale));
  const float clipped =
      settings.clip_norm > 0 ? clip(settings, std::sqrt(*squared) * inverse) : 1.0f;
  *y = clipped * inverse;
  if (++scaling.good_steps < LossScaling::interval)
    return;
  const float grown = scaling.scale * static_cast<float>(LossScaling::growth);
  scaling.scale = std::isfinite(grown) ? grown : scaling.scale;
  scaling.good_steps = 0;
}

} // namespace mpar
