// Steps of the optimisers, each one pass over the flat parameters, with the formulas and roundings
// of runtime/cpu/optimizer.cpp and adagrad.cpp.
#include "kernels.h"
#include "launch.h"

#include <cmath>

namespace mpar::cuda {
namespace {

constexpr int threads = 256;

/// The numbers of an update that do not change from step to step.
struct Numbers {
  float momentum, beta1, one_minus_beta1, beta2, one_minus_beta2;
  float alpha, one_minus_alpha, eps, weight_decay;
};

/// What an update reads and writes; those of the state that an optimiser has not are null.
struct Arrays {
  const float *gradient;
  float *parameter;
  float *first, *second, *third;
};

/// One parameter, its gradient and its state.
struct Element {
  float parameter, gradient, first, second, third;
};

__device__ inline float decayed(const Element &e, const Numbers &s) {
  return s.weight_decay != 0 ? fmaf(e.parameter, s.weight_decay, e.gradient) : e.gradient;
}

struct PlainSgd {
  __device__ static void update(const Numbers &s, const StepState &step, Element &e) {
    e.parameter = fmaf(decayed(e, s), step.minus_lr, e.parameter);
  }
};

template <bool nesterov> struct MomentumSgd {
  __device__ static void update(const Numbers &s, const StepState &step, Element &e) {
    const float g = decayed(e, s);
    const float b = fmaf(g, step.one_minus_dampening, e.first * s.momentum);
    e.first = b;
    e.parameter = fmaf(nesterov ? fmaf(b, s.momentum, g) : b, step.minus_lr, e.parameter);
  }
};

enum class Decay { coupled, decoupled };

template <Decay decay, bool amsgrad> struct Adam {
  __device__ static void update(const Numbers &s, const StepState &step, Element &e) {
    float g = e.gradient;
    if (s.weight_decay != 0) {
      if (decay == Decay::coupled)
        g = fmaf(e.parameter, s.weight_decay, g);
      else
        e.parameter = e.parameter * step.shrink;
    }
    const float m = fmaf(g, s.one_minus_beta1, e.first * s.beta1);
    float v = fmaf(s.one_minus_beta2 * g, g, e.second * s.beta2);
    e.first = m;
    e.second = v;
    if (amsgrad) {
      v = e.third > v ? e.third : v;
      e.third = v;
    }
    const float denominator = sqrtf(v) / step.correction + s.eps;
    e.parameter = e.parameter + step.minus_step_size * m / denominator;
  }
};

struct Adagrad {
  __device__ static void update(const Numbers &s, const StepState &step, Element &e) {
    const float g = decayed(e, s);
    e.first = fmaf(g, g, e.first);
    e.parameter = e.parameter + step.minus_lr * g / (sqrtf(e.first) + s.eps);
  }
};

/// `first`: the average of squares, `second`: the buffer, `third`: the average of gradients.
template <bool centered, bool with_momentum> struct Rmsprop {
  __device__ static void update(const Numbers &s, const StepState &step, Element &e) {
    const float g = decayed(e, s);
    const float square = fmaf(s.one_minus_alpha * g, g, e.first * s.alpha);
    e.first = square;
    float variance = square;
    if (centered) {
      const float mean = fmaf(g, s.one_minus_alpha, e.third * s.alpha);
      e.third = mean;
      variance = fmaf(-mean, mean, square);
    }
    const float denominator = sqrtf(variance) + s.eps;
    if (with_momentum) {
      const float buffer = e.second * s.momentum + g / denominator;
      e.second = buffer;
      e.parameter = fmaf(buffer, step.minus_lr, e.parameter);
    } else {
      e.parameter = e.parameter + step.minus_lr * g / denominator;
    }
  }
};

__device__ inline float4 load(const float *from, int64_t at) {
  return from ? *reinterpret_cast<const float4 *>(from + at) : make_float4(0, 0, 0, 0);
}
__device__ inline void store(float *to, int64_t at, const float4 &value) {
  if (to)
    *reinterpret_cast<float4 *>(to + at) = value;
}

/// Parameters [begin, end): `begin` and what of them is a whole number of cache lines lie at
/// multiples of 16 floats.
template <typename Rule>
__global__ void update(int64_t begin, int64_t end, Numbers s, const StepState *state,
                       const float *scale, bool skips, Arrays x) {
  const float factor = scale ? *scale : 1;
  if (skips && !std::isfinite(factor))
    return;
  const StepState step = *state;
  const int64_t stride = int64_t(gridDim.x) * blockDim.x * 4;
  int64_t i = begin + (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * 4;
  for (; i + 4 <= end; i += stride) {
    float4 p = load(x.parameter, i), first = load(x.first, i), second = load(x.second, i),
           third = load(x.third, i);
    const float4 g = load(x.gradient, i);
    Element e[4] = {{p.x, g.x * factor, first.x, second.x, third.x},
                    {p.y, g.y * factor, first.y, second.y, third.y},
                    {p.z, g.z * factor, first.z, second.z, third.z},
                    {p.w, g.w * factor, first.w, second.w, third.w}};
    for (Element &one : e)
      Rule::update(s, step, one);
    store(x.parameter, i,
          make_float4(e[0].parameter, e[1].parameter, e[2].parameter, e[3].parameter));
    store(x.first, i, make_float4(e[0].first, e[1].first, e[2].first, e[3].first));
    store(x.second, i, make_float4(e[0].second, e[1].second, e[2].second, e[3].second));
    store(x.third, i, make_float4(e[0].third, e[1].third, e[2].third, e[3].third));
  }
  // One thread comes to the rest, fewer than four.
  for (; i < end && i + 4 > end; i = end) {
    for (int64_t at = i; at < end; ++at) {
      Element e{x.parameter[at], x.gradient[at] * factor, x.first ? x.first[at] : 0,
                x.second ? x.second[at] : 0, x.third ? x.third[at] : 0};
      Rule::update(s, step, e);
      x.parameter[at] = e.parameter;
      if (x.first)
        x.first[at] = e.first;
      if (x.second)
        x.second[at] = e.second;
      if (x.third)
        x.third[at] = e.third;
    }
  }
}

Numbers numbers_of(const OptimizerSettings &settings) {
  Numbers s;
  s.momentum = static_cast<float>(settings.momentum);
  s.beta1 = static_cast<float>(settings.beta1);
  s.one_minus_beta1 = static_cast<float>(1 - settings.beta1);
  s.beta2 = static_cast<float>(settings.beta2);
  s.one_minus_beta2 = static_cast<float>(1 - settings.beta2);
  s.alpha = static_cast<float>(settings.alpha);
  s.one_minus_alpha = static_cast<float>(1 - settings.alpha);
  s.eps = static_cast<float>(settings.eps);
  s.weight_decay = static_cast<float>(settings.weight_decay);
  return s;
}

/// Updates what the device is to update: those that decay, then those that do not. Slots of the
/// state: `slot` of each of the three arrays, -1 for none.
template <typename Rule>
void run(Device &device, const OptimizerSettings &settings, const int (&slot)[3],
         const float *scale, NonFinite non_finite) {
  const Queue &queue = queue_of(device);
  const auto state = [&](int number) {
    return slot[number] < 0 ? nullptr : device.state(slot[number]);
  };
  const Arrays arrays{device.gradients(), device.parameters(), state(0), state(1), state(2)};
  const int64_t trained = device.description().trained_floats;
  const int64_t decaying = trained - device.description().undecayed_floats;
  const auto update_group = [&](int64_t first, int64_t end, float weight_decay) {
    const Range range = device.share_of(Range{first, end});
    Numbers numbers = numbers_of(settings);
    numbers.weight_decay = weight_decay;
    if (range.begin < range.end)
      launch("an optimiser's step", update<Rule>,
             blocks_for(queue, range.end - range.begin, threads, 4), threads, 0, queue.stream,
             range.begin, range.end, numbers, queue.step, scale, non_finite == NonFinite::skip,
             arrays);
  };
  update_group(0, decaying, static_cast<float>(settings.weight_decay));
  update_group(decaying, trained, 0);
}

template <Decay decay>
void run_adam(Device &device, const OptimizerSettings &settings, const float *scale,
              NonFinite non_finite) {
  if (settings.amsgrad)
    run<Adam<decay, true>>(device, settings, {0, 1, 2}, scale, non_finite);
  else
    run<Adam<decay, false>>(device, settings, {0, 1, -1}, scale, non_finite);
}

} // namespace

StepState step_state(const OptimizerSettings &settings, int64_t step) {
  using Kind = OptimizerSettings::Kind;
  StepState state{};
  state.step = step;
  switch (settings.kind) {
  case Kind::none:
    break;
  case Kind::sgd:
    state.one_minus_dampening = step == 1 ? 1 : static_cast<float>(1 - settings.dampening);
    state.minus_lr = static_cast<float>(-settings.lr);
    break;
  case Kind::rmsprop:
    state.minus_lr = static_cast<float>(-settings.lr);
    break;
  case Kind::adagrad:
    state.minus_lr = static_cast<float>(
        -(settings.lr / (1 + static_cast<double>(step - 1) * settings.lr_decay)));
    break;
  case Kind::adam:
  case Kind::adamw: {
    const double correction1 = 1 - std::pow(settings.beta1, static_cast<double>(step));
    const double correction2 = 1 - std::pow(settings.beta2, static_cast<double>(step));
    state.correction = static_cast<float>(std::sqrt(correction2));
    state.reciprocal = 1 / state.correction;
    state.minus_step_size = static_cast<float>(-(settings.lr / correction1));
    state.shrink = static_cast<float>(1 - settings.lr * settings.weight_decay);
    break;
  }
  }
  return state;
}

void sgd(Device &device, const OptimizerSettings &settings, int64_t /*step*/, const float *scale,
         NonFinite non_finite) {
  if (settings.momentum == 0)
    run<PlainSgd>(device, settings, {-1, -1, -1}, scale, non_finite);
  else if (settings.nesterov)
    run<MomentumSgd<true>>(device, settings, {0, -1, -1}, scale, non_finite);
  else
    run<MomentumSgd<false>>(device, settings, {0, -1, -1}, scale, non_finite);
}

void adam(Device &device, const OptimizerSettings &settings, int64_t /*step*/, const float *scale,
          NonFinite non_finite) {
  run_adam<Decay::coupled>(device, settings, scale, non_finite);
}

void adamw(Device &device, const OptimizerSettings &settings, int64_t /*step*/, const float *scale,
           NonFinite non_finite) {
  run_adam<Decay::decoupled>(device, settings, scale, non_finite);
}

void adagrad(Device &device, const OptimizerSettings &settings, int64_t /*step*/,
             const float *scale, NonFinite non_finite) {
  run<Adagrad>(device, settings, {0, -1, -1}, scale, non_finite);
}

void rmsprop(Device &device, const OptimizerSettings &settings, int64_t /*step*/,
             const float *scale, NonFinite non_finite) {
  const int mean = settings.momentum > 0 ? 2 : 1;
  if (settings.centered && settings.momentum > 0)
    run<Rmsprop<true, true>>(device, settings, {0, 1, mean}, scale, non_finite);
  else if (settings.centered)
    run<Rmsprop<true, false>>(device, settings, {0, -1, mean}, scale, non_finite);
  else if (settings.momentum > 0)
    run<Rmsprop<false, true>>(device, settings, {0, 1, -1}, scale, non_finite);
  else
    run<Rmsprop<false, false>>(device, settings, {0, -1, -1}, scale, non_finite);
}

} // namespace mpar::cuda
