#include "mpar/initialize.h"

#include <algorithm>
#include <cmath>

namespace mpar {

double kaiming_uniform_bound(double fan) {
  // gain · sqrt(3) / sqrt(fan) with the gain of a leaky ReLU of slope sqrt(5); 1 / sqrt(fan) rounds
  // differently.
  double slope = std::sqrt(5.0);
  double gain = std::sqrt(2.0 / (1 + std::pow(slope, 2.0)));
  double deviation = gain / std::sqrt(fan);
  return std::sqrt(3.0) * deviation;
}

double xavier_uniform_bound(double fan_in, double fan_out) {
  double deviation = std::sqrt(2.0 / (fan_in + fan_out));
  return std::sqrt(3.0) * deviation;
}

void initialize(const Initializer &initializer, ElementType type, Generator &generator,
                float *values, int64_t count) {
  if (type != ElementType::f32) {
    double value = initializer.kind == Initializer::Kind::ones       ? 1
                   : initializer.kind == Initializer::Kind::constant ? initializer.a
                                                                     : 0;
    if (type == ElementType::i32)
      std::fill_n(reinterpret_cast<int32_t *>(values), count, static_cast<int32_t>(value));
    else
      std::fill_n(reinterpret_cast<bool *>(values), count, value != 0);
    return;
  }
  initialize(initializer, generator, values, count);
}

void initialize(const Initializer &initializer, Generator &generator, float *values,
                int64_t count) {
  using Kind = Initializer::Kind;
  double bound = 0;
  switch (initializer.kind) {
  case Kind::zeros:
    std::fill_n(values, count, 0.0f);
    return;
  case Kind::ones:
    std::fill_n(values, count, 1.0f);
    return;
  case Kind::constant:
    std::fill_n(values, count, static_cast<float>(initializer.a));
    return;
  case Kind::uniform:
    generator.uniform(values, count, initializer.a, initializer.b);
    return;
  case Kind::normal:
    generator.normal(values, count, initializer.a, initializer.b);
    return;
  case Kind::kaiming_uniform:
    bound = kaiming_uniform_bound(initializer.a);
    break;
  case Kind::xavier_uniform:
    bound = xavier_uniform_bound(initializer.a, initializer.b);
    break;
  }
  generator.uniform(values, count, -bound, bound);
}

} // namespace mpar
