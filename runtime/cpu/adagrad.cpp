// Steps of Adagrad and RMSprop, rounded as torch.optim's single-tensor forms (see optimizer.cpp).
#include "optimizer_groups.h"

#include "backend.h"

#include <cmath>

namespace mpar {
namespace {

struct AdagradScalars {
  float minus_lr;
  float eps;
  float weight_decay;
  float scale; // of the gradients
};

MPAR_MULTIVERSION void adagrad_loop(int64_t count, const AdagradScalars &s, const float *gradient,
                                    float *sum, float *parameter) {
  const bool decays = s.weight_decay != 0;
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = gradient[i] * s.scale;
    const float g = decays ? fma(parameter[i], s.weight_decay, scaled) : scaled;
    sum[i] = fma(g, g, sum[i]);
    parameter[i] = parameter[i] + s.minus_lr * g / (__builtin_sqrtf(sum[i]) + s.eps);
  }
}

struct RmspropScalars {
  float alpha;
  float one_minus_alpha;
  float eps;
  float minus_lr;
  float momentum;
  float weight_decay;
  float scale; // of the gradients
};

/// The optimiser's state: those that a variant has not are null.
struct RmspropState {
  float *square; // the average of squares
  float *buffer; // with momentum
  float *mean;   // centered: the average of gradients
};

template <bool centered, bool with_momentum>
MPAR_INLINE void rmsprop_loop(int64_t count, const RmspropScalars &s, const float *gradient,
                              const RmspropState &state, float *parameter) {
  const bool decays = s.weight_decay != 0;
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = gradient[i] * s.scale;
    const float g = decays ? fma(parameter[i], s.weight_decay, scaled) : scaled;
    const float square = fma(s.one_minus_alpha * g, g, state.square[i] * s.alpha);
    state.square[i] = square;
    float variance = square;
    if (centered) {
      const float mean = fma(g, s.one_minus_alpha, state.mean[i] * s.alpha);
      state.mean[i] = mean;
      variance = fma(-mean, mean, square);
    }
    const float denominator = __builtin_sqrtf(variance) + s.eps;
    if (with_momentum) {
      const float buffer = state.buffer[i] * s.momentum + g / denominator;
      state.buffer[i] = buffer;
      parameter[i] = fma(buffer, s.minus_lr, parameter[i]);
    } else {
      parameter[i] = parameter[i] + s.minus_lr * g / denominator;
    }
  }
}

using RmspropKernel = void (*)(int64_t, const RmspropScalars &, const float *, const RmspropState &,
                               float *);

MPAR_MULTIVERSION void rmsprop_plain(int64_t count, const RmspropScalars &s, const float *gradient,
                                     const RmspropState &state, float *parameter) {
  rmsprop_loop<false, false>(count, s, gradient, state, parameter);
}

MPAR_MULTIVERSION void rmsprop_momentum(int64_t count, const RmspropScalars &s,
                                        const float *gradient, const RmspropState &state,
                                        float *parameter) {
  rmsprop_loop<false, true>(count, s, gradient, state, parameter);
}

MPAR_MULTIVERSION void rmsprop_centered(int64_t count, const RmspropScalars &s,
                                        const float *gradient, const RmspropState &state,
                                        float *parameter) {
  rmsprop_loop<true, false>(count, s, gradient, state, parameter);
}

MPAR_MULTIVERSION void rmsprop_centered_momentum(int64_t count, const RmspropScalars &s,
                                                 const float *gradient, const RmspropState &state,
                                                 float *parameter) {
  rmsprop_loop<true, true>(count, s, gradient, state, parameter);
}

RmspropKernel choose_kernel(const OptimizerSettings &settings) {
  if (settings.centered)
    return settings.momentum > 0 ? rmsprop_centered_momentum : rmsprop_centered;
  return settings.momentum > 0 ? rmsprop_momentum : rmsprop_plain;
}

} // namespace

void adagrad(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
             NonFinite non_finite) {
  if (Backend *const backend = device.backend())
    return backend->adagrad(device, settings, step, scale, non_finite);
  if (is_skipped(scale, non_finite))
    return;
  const double lr = settings.lr / (1 + static_cast<double>(step - 1) * settings.lr_decay);
  for_each_group(device, settings, [&](int64_t begin, int64_t end, double weight_decay) {
    AdagradScalars s;
    s.minus_lr = static_cast<float>(-lr);
    s.eps = static_cast<float>(settings.eps);
    s.weight_decay = static_cast<float>(weight_decay);
    s.scale = scale ? *scale : 1;
    adagrad_loop(end - begin, s, device.gradients() + begin, device.state(0) + begin,
                 device.parameters() + begin);
  });
}

void rmsprop(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
             NonFinite non_finite) {
  if (Backend *const backend = device.backend())
    return backend->rmsprop(device, settings, step, scale, non_finite);
  if (is_skipped(scale, non_finite))
    return;
  const RmspropKernel kernel = choose_kernel(settings);
  const int mean_slot = settings.momentum > 0 ? 2 : 1;
  for_each_group(device, settings, [&](int64_t begin, int64_t end, double weight_decay) {
    RmspropScalars s;
    s.alpha = static_cast<float>(settings.alpha);
    s.one_minus_alpha = static_cast<float>(1 - settings.alpha);
    s.eps = static_cast<float>(settings.eps);
    s.minus_lr = static_cast<float>(-settings.lr);
    s.momentum = static_cast<float>(settings.momentum);
    s.weight_decay = static_cast<float>(weight_decay);
    s.scale = scale ? *scale : 1;
    const RmspropState state{device.state(0) + begin,
                             settings.momentum > 0 ? device.state(1) + begin : nullptr,
                             settings.centered ? device.state(mean_slot) + begin : nullptr};
    kernel(end - begin, s, device.gradients() + begin, state, device.parameters() + begin);
  });
}

} // namespace mpar
