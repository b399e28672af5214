// Softmax, its logarithm, and the position of the largest element, along the middle of [outer,
// extent, inner].
#include "mpar/reduce.h"

#include "parallel.h"

#include <cmath>

namespace mpar {
namespace {

constexpr int64_t grain = 4096; // elements a thread takes at least

float larger(float a, float b) { return b > a || b != b ? b : a; }

/// Calls line(first, inner) for the first element of every line along the middle.
template <typename Line>
void for_each_line(const Device &device, int64_t outer, int64_t extent, int64_t inner,
                   const Line &line) {
  parallel_parts(device, outer * inner, std::max<int64_t>(1, grain / extent),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i)
                     line(i / inner * extent * inner + i % inner);
                 });
}

} // namespace

// The largest element is taken off first, so that no exponential overflows; the sum is in double,
// in ascending order.

void softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
             float *y) {
  for_each_line(device, outer, extent, inner, [&](int64_t first) {
    const float *from = x + first;
    float *to = y + first;
    float largest = from[0];
    for (int64_t i = 1; i < extent; ++i)
      largest = larger(largest, from[i * inner]);
    double sum = 0;
    for (int64_t i = 0; i < extent; ++i) {
      const float e = std::exp(from[i * inner] - largest);
      to[i * inner] = e;
      sum += e;
    }
    const float divisor = static_cast<float>(sum);
    for (int64_t i = 0; i < extent; ++i)
      to[i * inner] /= divisor;
  });
}

void log_softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
                 float *y) {
  for_each_line(device, outer, extent, inner, [&](int64_t first) {
    const float *from = x + first;
    float *to = y + first;
    float largest = from[0];
    for (int64_t i = 1; i < extent; ++i)
      largest = larger(largest, from[i * inner]);
    double sum = 0;
    for (int64_t i = 0; i < extent; ++i)
      sum += std::exp(from[i * inner] - largest);
    const float log_sum = static_cast<float>(std::log(sum));
    for (int64_t i = 0; i < extent; ++i)
      to[i * inner] = from[i * inner] - largest - log_sum;
  });
}

template <typename T>
void argmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const T *x, int32_t *y) {
  for_each_line(device, outer, extent, inner, [&](int64_t first) {
    const T *from = x + first;
    int64_t position = 0;
    T largest = from[0];
    for (int64_t i = 1; i < extent && largest == largest; ++i) {
      const T value = from[i * inner];
      if (value > largest || value != value) {
        largest = value;
        position = i;
      }
    }
    y[first / (extent * inner) * inner + first % inner] = static_cast<int32_t>(position);
  });
}

template void argmax(Device &, int64_t, int64_t, int64_t, const float *, int32_t *);
template void argmax(Device &, int64_t, int64_t, int64_t, const int32_t *, int32_t *);

} // namespace mpar
