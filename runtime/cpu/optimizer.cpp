// Steps of SGD, Adam and AdamW with the roundings of torch.optim's single-tensor forms on
// processors with fused multiply-add: which of their tensor operations fuse is written out here,
// `fma` by name.
#include "optimizer_groups.h"

#include "backend.h"

#include <cmath>
#include <limits>
#include <tuple>

namespace mpar {
namespace {

/// Hyper-parameters as torch hands them to its kernels: computed in double, rounded once.
struct SgdScalars {
  float minus_lr;
  float momentum;
  float one_minus_dampening;
  float weight_decay;
  float scale; // of the gradients
};

MPAR_MULTIVERSION void sgd_plain(int64_t count, SgdScalars s, const float *gradient,
                                 float *parameter) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    parameter[i] = fma(gradient[i] * s.scale, s.minus_lr, parameter[i]);
}

MPAR_MULTIVERSION void sgd_decay(int64_t count, SgdScalars s, const float *gradient,
                                 float *parameter) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const float g = fma(parameter[i], s.weight_decay, gradient[i] * s.scale);
    parameter[i] = fma(g, s.minus_lr, parameter[i]);
  }
}

/// The first step's buffer is the gradient itself, undamped: 0 · momentum + 1 · gradient.
template <bool nesterov>
MPAR_INLINE void momentum_loop(int64_t count, const SgdScalars &s, const float *gradient,
                               float *buffer, float *parameter) {
  const bool decays = s.weight_decay != 0;
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = gradient[i] * s.scale;
    const float g = decays ? fma(parameter[i], s.weight_decay, scaled) : scaled;
    const float b = fma(g, s.one_minus_dampening, buffer[i] * s.momentum);
    buffer[i] = b;
    parameter[i] = fma(nesterov ? fma(b, s.momentum, g) : b, s.minus_lr, parameter[i]);
  }
}

MPAR_MULTIVERSION void sgd_momentum(int64_t count, const SgdScalars &s, const float *gradient,
                                    float *buffer, float *parameter) {
  momentum_loop<false>(count, s, gradient, buffer, parameter);
}

MPAR_MULTIVERSION void sgd_nesterov(int64_t count, const SgdScalars &s, const float *gradient,
                                    float *buffer, float *parameter) {
  momentum_loop<true>(count, s, gradient, buffer, parameter);
}

struct AdamScalars {
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float correction; // √(1 − β₂ᵗ)
  float reciprocal; // 1 / correction
  float eps;
  float minus_step_size;
  float weight_decay; // Adam: added to the gradient
  float shrink;       // AdamW: multiplies the parameter first
  float scale;        // of the gradients
};

/// x / s.correction, correctly rounded: the product by the rounded reciprocal, corrected once by
/// what it leaves over (Markstein, "Computation of elementary functions on the IBM RISC System/6000
/// processor", IBM J. R&D 34, 1990). Division is what bounds a step of Adam; this leaves it one of
/// two.
MPAR_INLINE float divide(float x, const AdamScalars &s) {
  const float quotient = x * s.reciprocal;
  const float corrected = fma(fma(-quotient, s.correction, x), s.reciprocal, quotient);
  return quotient < std::numeric_limits<float>::infinity() ? corrected : quotient;
}

enum class Decay { none, coupled, decoupled };

/// The optimiser's state; `largest` is AMSGrad's alone.
struct AdamState {
  float *first;
  float *second;
  float *largest;
};

template <Decay decay, bool amsgrad>
MPAR_INLINE void adam_loop(int64_t count, const AdamScalars &s, const float *gradient,
                           const AdamState &state, float *parameter) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    float p = parameter[i];
    float g = gradient[i] * s.scale;
    if (decay == Decay::coupled)
      g = fma(p, s.weight_decay, g);
    if (decay == Decay::decoupled)
      p = p * s.shrink;
    const float m = fma(g, s.one_minus_beta1, state.first[i] * s.beta1);
    float v = fma(s.one_minus_beta2 * g, g, state.second[i] * s.beta2);
    state.first[i] = m;
    state.second[i] = v;
    if (amsgrad) {
      v = state.largest[i] > v ? state.largest[i] : v;
      state.largest[i] = v;
    }
    const float denominator = divide(__builtin_sqrtf(v), s) + s.eps;
    parameter[i] = p + s.minus_step_size * m / denominator;
  }
}

using AdamKernel = void (*)(int64_t, const AdamScalars &, const float *, const AdamState &,
                            float *);

#define MPAR_ADAM(NAME, DECAY, AMSGRAD)                                                            \
  MPAR_MULTIVERSION void NAME(int64_t count, const AdamScalars &s, const float *gradient,          \
                              const AdamState &state, float *parameter) {                          \
    adam_loop<DECAY, AMSGRAD>(count, s, gradient, state, parameter);                               \
  }
// The check takes names that come out of a macro for the macro's.
// NOLINTBEGIN(readability-identifier-naming)
MPAR_ADAM(adam_plain, Decay::none, false)
MPAR_ADAM(adam_coupled, Decay::coupled, false)
MPAR_ADAM(adam_decoupled, Decay::decoupled, false)
MPAR_ADAM(amsgrad_plain, Decay::none, true)
MPAR_ADAM(amsgrad_coupled, Decay::coupled, true)
MPAR_ADAM(amsgrad_decoupled, Decay::decoupled, true)
// NOLINTEND(readability-identifier-naming)
#undef MPAR_ADAM

AdamScalars adam_scalars(const OptimizerSettings &settings, int64_t step, const float *scale) {
  const double correction1 = 1 - std::pow(settings.beta1, static_cast<double>(step));
  const double correction2 = 1 - std::pow(settings.beta2, static_cast<double>(step));
  AdamScalars s;
  s.beta1 = static_cast<float>(settings.beta1);
  s.one_minus_beta1 = static_cast<float>(1 - settings.beta1);
  s.beta2 = static_cast<float>(settings.beta2);
  s.one_minus_beta2 = static_cast<float>(1 - settings.beta2);
  s.correction = static_cast<float>(std::sqrt(correction2));
  s.reciprocal = 1 / s.correction;
  s.eps = static_cast<float>(settings.eps);
  s.minus_step_size = static_cast<float>(-(settings.lr / correction1));
  s.weight_decay = static_cast<float>(settings.weight_decay);
  s.shrink = static_cast<float>(1 - settings.lr * settings.weight_decay);
  s.scale = scale ? *scale : 1;
  return s;
}

void run_adam(Device &device, const OptimizerSettings &settings, const AdamScalars &s,
              AdamKernel decaying) {
  for_each_group(device, settings, [&](int64_t begin, int64_t end, double weight_decay) {
    const AdamKernel plain = settings.amsgrad ? amsgrad_plain : adam_plain;
    const AdamState state{device.state(0) + begin, device.state(1) + begin,
                          settings.amsgrad ? device.state(2) + begin : nullptr};
    const AdamKernel kernel = weight_decay != 0 ? decaying : plain;
    kernel(end - begin, s, device.gradients() + begin, state, device.parameters() + begin);
  });
}

} // namespace

bool operator==(const OptimizerSettings &a, const OptimizerSettings &b) {
  const auto all = [](const OptimizerSettings &s) {
    return std::tuple(s.kind, s.lr, s.momentum, s.dampening, s.nesterov, s.beta1, s.beta2,
                      s.amsgrad, s.lr_decay, s.alpha, s.centered, s.eps, s.weight_decay,
                      s.initial_accumulator_value, s.clip_norm);
  };
  return all(a) == all(b);
}

int optimizer_slots(const OptimizerSettings &settings) {
  switch (settings.kind) {
  case OptimizerSettings::Kind::none:
    return 0;
  case OptimizerSettings::Kind::sgd:
    return settings.momentum != 0 ? 1 : 0;
  case OptimizerSettings::Kind::adam:
  case OptimizerSettings::Kind::adamw:
    return 2 + settings.amsgrad;
  case OptimizerSettings::Kind::adagrad:
    return 1;
  case OptimizerSettings::Kind::rmsprop:
    return 1 + (settings.momentum > 0) + settings.centered;
  }
  return 0;
}

void sgd(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
         NonFinite non_finite) {
  if (Backend *const backend = device.backend())
    return backend->sgd(device, settings, step, scale, non_finite);
  if (is_skipped(scale, non_finite))
    return;
  SgdScalars scalars;
  scalars.minus_lr = static_cast<float>(-settings.lr);
  scalars.momentum = static_cast<float>(settings.momentum);
  scalars.one_minus_dampening = step == 1 ? 1 : static_cast<float>(1 - settings.dampening);
  scalars.scale = scale ? *scale : 1;
  for_each_group(device, settings, [&](int64_t begin, int64_t end, double weight_decay) {
    SgdScalars s = scalars;
    s.weight_decay = static_cast<float>(weight_decay);
    const float *gradient = device.gradients() + begin;
    float *parameter = device.parameters() + begin;
    if (settings.momentum != 0) {
      const auto kernel = settings.nesterov ? sgd_nesterov : sgd_momentum;
      kernel(end - begin, s, gradient, device.state(0) + begin, parameter);
    } else if (weight_decay != 0) {
      sgd_decay(end - begin, s, gradient, parameter);
    } else {
      sgd_plain(end - begin, s, gradient, parameter);
    }
  });
}

void adam(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
          NonFinite non_finite) {
  if (Backend *const backend = device.backend())
    return backend->adam(device, settings, step, scale, non_finite);
  if (is_skipped(scale, non_finite))
    return;
  run_adam(device, settings, adam_scalars(settings, step, scale),
           settings.amsgrad ? amsgrad_coupled : adam_coupled);
}

void adamw(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
           NonFinite non_finite) {
  if (Backend *const backend = device.backend())
    return backend->adamw(device, settings, step, scale, non_finite);
  if (is_skipped(scale, non_finite))
    return;
  run_adam(device, settings, adam_scalars(settings, step, scale),
           settings.amsgrad ? amsgrad_decoupled : adam_decoupled);
}

} // namespace mpar
