// Steps of SGD, Adam and AdamW with the roundings of torch.optim's single-tensor forms on
// processors with fused multiply-add: which of their tensor operations fuse is written out here,
// `fma` by name.
#include "mpar/optimizer.h"

#include "multiversion.h"
#include "parallel.h"

#include <cmath>
#include <limits>

namespace mpar {
namespace {

constexpr int64_t grain = 16384; // floats below which a second thread does not pay

MPAR_INLINE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

/// Hyper-parameters as torch hands them to its kernels: computed in double, rounded once.
struct SgdScalars {
  float minus_lr;
  float momentum;
  float weight_decay;
};

MPAR_MULTIVERSION void sgd_plain(int64_t count, SgdScalars s, const float *gradient,
                                 float *parameter) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    parameter[i] = fma(gradient[i], s.minus_lr, parameter[i]);
}

MPAR_MULTIVERSION void sgd_decay(int64_t count, SgdScalars s, const float *gradient,
                                 float *parameter) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const float g = fma(parameter[i], s.weight_decay, gradient[i]);
    parameter[i] = fma(g, s.minus_lr, parameter[i]);
  }
}

/// The first step's buffer is the gradient itself: 0 · momentum + gradient.
MPAR_MULTIVERSION void sgd_momentum(int64_t count, SgdScalars s, const float *gradient,
                                    float *buffer, float *parameter) {
  const bool decays = s.weight_decay != 0;
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const float g = decays ? fma(parameter[i], s.weight_decay, gradient[i]) : gradient[i];
    const float b = buffer[i] * s.momentum + g;
    buffer[i] = b;
    parameter[i] = fma(b, s.minus_lr, parameter[i]);
  }
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

template <Decay decay>
MPAR_INLINE void adam_loop(int64_t count, const AdamScalars &s, const float *gradient, float *first,
                           float *second, float *parameter) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    float p = parameter[i];
    float g = gradient[i];
    if (decay == Decay::coupled)
      g = fma(p, s.weight_decay, g);
    if (decay == Decay::decoupled)
      p = p * s.shrink;
    const float m = fma(g, s.one_minus_beta1, first[i] * s.beta1);
    const float v = fma(s.one_minus_beta2 * g, g, second[i] * s.beta2);
    first[i] = m;
    second[i] = v;
    const float denominator = divide(__builtin_sqrtf(v), s) + s.eps;
    parameter[i] = p + s.minus_step_size * m / denominator;
  }
}

MPAR_MULTIVERSION void adam_plain(int64_t count, const AdamScalars &s, const float *gradient,
                                  float *first, float *second, float *parameter) {
  adam_loop<Decay::none>(count, s, gradient, first, second, parameter);
}

MPAR_MULTIVERSION void adam_coupled(int64_t count, const AdamScalars &s, const float *gradient,
                                    float *first, float *second, float *parameter) {
  adam_loop<Decay::coupled>(count, s, gradient, first, second, parameter);
}

MPAR_MULTIVERSION void adam_decoupled(int64_t count, const AdamScalars &s, const float *gradient,
                                      float *first, float *second, float *parameter) {
  adam_loop<Decay::decoupled>(count, s, gradient, first, second, parameter);
}

AdamScalars adam_scalars(const OptimizerSettings &settings, int64_t step) {
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
  return s;
}

using AdamKernel = void (*)(int64_t, const AdamScalars &, const float *, float *, float *, float *);

void run_adam(Device &device, const AdamScalars &s, AdamKernel kernel) {
  parallel_parts(device, device.description().trained_floats, grain,
                 [&](int64_t begin, int64_t end) {
                   kernel(end - begin, s, device.gradients() + begin, device.state(0) + begin,
                          device.state(1) + begin, device.parameters() + begin);
                 });
}

} // namespace

int optimizer_slots(const OptimizerSettings &settings) {
  switch (settings.kind) {
  case OptimizerSettings::Kind::none:
    return 0;
  case OptimizerSettings::Kind::sgd:
    return settings.momentum != 0 ? 1 : 0;
  case OptimizerSettings::Kind::adam:
  case OptimizerSettings::Kind::adamw:
    return 2;
  }
  return 0;
}

void sgd(Device &device, const OptimizerSettings &settings, int64_t /*step*/) {
  SgdScalars s;
  s.minus_lr = static_cast<float>(-settings.lr);
  s.momentum = static_cast<float>(settings.momentum);
  s.weight_decay = static_cast<float>(settings.weight_decay);
  parallel_parts(device, device.description().trained_floats, grain,
                 [&](int64_t begin, int64_t end) {
                   const float *gradient = device.gradients() + begin;
                   float *parameter = device.parameters() + begin;
                   if (settings.momentum != 0)
                     sgd_momentum(end - begin, s, gradient, device.state(0) + begin, parameter);
                   else if (settings.weight_decay != 0)
                     sgd_decay(end - begin, s, gradient, parameter);
                   else
                     sgd_plain(end - begin, s, gradient, parameter);
                 });
}

void adam(Device &device, const OptimizerSettings &settings, int64_t step) {
  run_adam(device, adam_scalars(settings, step),
           settings.weight_decay != 0 ? adam_coupled : adam_plain);
}

void adamw(Device &device, const OptimizerSettings &settings, int64_t step) {
  run_adam(device, adam_scalars(settings, step), adam_decoupled);
}

} // namespace mpar
