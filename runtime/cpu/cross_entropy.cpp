// The cross-entropy of classes and its gradient, a row of classes at a time, which stays in the
// cache for its passes.
//
// The largest element is taken off first, so that no exponential overflows. The sum of exponentials
// is that of reduce.cpp: 32 partial sums in blocks of 1,024, the blocks in double.
#include "mpar/indexing.h"

#include "backend.h"

#include "mpar/elementary.h"
#include "mpar/errors.h"

#include "fold_lanes.h"
#include "multiversion.h"
#include "parallel.h"
#include "scratch.h"
#include "two_bytes.h"

#include <cmath>
#include <cstring>
#include <string>

namespace mpar {
namespace {

constexpr int64_t cross_entropy_grain = 8192; // elements that are worth a second thread
constexpr int64_t lanes = 32;
constexpr int64_t block = 1024;

void require_targets(int64_t count, int64_t classes, const int32_t *target) {
  for (int64_t i = 0; i < count; ++i)
    if (target[i] < 0 || target[i] >= classes)
      fail("cross_entropy: the target " + std::to_string(target[i]) +
           " is no class; expected 0 to " + std::to_string(classes - 1));
}

/// A NaN may be passed over: the sum of exponentials is NaN all the same.
MPAR_INLINE float find_largest(int64_t classes, const float *x) {
  const auto larger = [](float a, float b) { return b > a ? b : a; };
  return fold_lanes<lanes>(
      classes, -INFINITY, [&](float most, int64_t i) { return larger(most, x[i]); }, larger);
}

/// Σ exp(x − largest); with `keep`, each is written to `e`, which may be `x`.
template <bool keep>
MPAR_INLINE double sum_exponentials(int64_t classes, const float *x, float largest, float *e) {
  double sum = 0;
  for (int64_t begin = 0; begin < classes; begin += block) {
    const int64_t end = classes - begin < block ? classes : begin + block;
    float partial[lanes] = {};
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      MPAR_INDEPENDENT
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const float value = exponential(x[i + lane] - largest);
        if (keep)
          e[i + lane] = value;
        partial[lane] += value;
      }
    }
    for (int64_t lane = 0; i + lane < end; ++lane) {
      const float value = exponential(x[i + lane] - largest);
      if (keep)
        e[i + lane] = value;
      partial[lane] += value;
    }
    for (int64_t half = lanes / 2; half > 0; half /= 2)
      for (int64_t lane = 0; lane < half; ++lane)
        partial[lane] += partial[lane + half];
    sum += static_cast<double>(partial[0]);
  }
  return sum;
}

MPAR_MULTIVERSION void run_losses(int64_t begin, int64_t end, int64_t classes, const float *x,
                                  const int32_t *target, float *y) {
  for (int64_t i = begin; i < end; ++i) {
    const float *row = x + i * classes;
    const float largest = find_largest(classes, row);
    const double sum = sum_exponentials<false>(classes, row, largest, nullptr);
    y[i] = static_cast<float>(std::log(sum)) + (largest - row[target[i]]);
  }
}

MPAR_MULTIVERSION void run_gradients(int64_t begin, int64_t end, int64_t classes, const float *x,
                                     const int32_t *target, const float *g, float *dx) {
  for (int64_t i = begin; i < end; ++i) {
    float *row = dx + i * classes;
    const float largest = find_largest(classes, x + i * classes);
    const auto sum =
        static_cast<float>(sum_exponentials<true>(classes, x + i * classes, largest, row));
    const float of_target = row[target[i]] / sum - 1;
    const float factor = g[i] / sum;
    MPAR_INDEPENDENT
    for (int64_t c = 0; c < classes; ++c)
      row[c] *= factor;
    row[target[i]] = of_target * g[i];
  }
}

/// A row at a time as floats.
template <typename T>
void run_losses(int64_t begin, int64_t end, int64_t classes, const T *x, const int32_t *target,
                float *y) {
  float *const row = scratch(classes, "a row of classes");
  for (int64_t i = begin; i < end; ++i) {
    widen(classes, x + i * classes, row);
    run_losses(0, 1, classes, row, target + i, y + i);
  }
}

template <typename T>
void run_gradients(int64_t begin, int64_t end, int64_t classes, const T *x, const int32_t *target,
                   const float *g, T *dx) {
  float *const row = scratch(classes, "a row of classes");
  for (int64_t i = begin; i < end; ++i) {
    widen(classes, x + i * classes, row);
    run_gradients(0, 1, classes, row, target + i, g + i, row);
    narrow(classes, row, dx + i * classes);
  }
}

template <typename T>
void find_losses(Device &device, int64_t count, int64_t classes, const T *x, const int32_t *target,
                 float *y) {
  if (Backend *const backend = device.backend())
    return backend->cross_entropy(device, count, classes, real_of<T>(), x, target, y);
  require_targets(count, classes, target);
  parallel_parts(
      device, count, std::max<int64_t>(1, cross_entropy_grain / classes),
      [&](int64_t begin, int64_t end) { run_losses(begin, end, classes, x, target, y); });
}

template <typename T>
void find_gradients(Device &device, int64_t count, int64_t classes, const T *x,
                    const int32_t *target, const float *g, T *dx) {
  if (Backend *const backend = device.backend())
    return backend->cross_entropy_gradient(device, count, classes, real_of<T>(), x, target, g, dx);
  require_targets(count, classes, target);
  parallel_parts(
      device, count, std::max<int64_t>(1, cross_entropy_grain / classes),
      [&](int64_t begin, int64_t end) { run_gradients(begin, end, classes, x, target, g, dx); });
}

} // namespace

void check_targets(Device &device, int64_t classes, int64_t count, const int32_t *target,
                   int32_t *y) {
  if (Backend *const backend = device.backend())
    return backend->check_targets(device, classes, count, target, y);
  require_targets(count, classes, target);
  std::memcpy(y, target, count * sizeof(int32_t));
}

void cross_entropy(Device &device, int64_t count, int64_t classes, const float *x,
                   const int32_t *target, float *y) {
  find_losses(device, count, classes, x, target, y);
}
void cross_entropy(Device &device, int64_t count, int64_t classes, const bfloat16 *x,
                   const int32_t *target, float *y) {
  find_losses(device, count, classes, x, target, y);
}
void cross_entropy(Device &device, int64_t count, int64_t classes, const float16 *x,
                   const int32_t *target, float *y) {
  find_losses(device, count, classes, x, target, y);
}

void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, const float *x,
                            const int32_t *target, const float *g, float *dx) {
  find_gradients(device, count, classes, x, target, g, dx);
}
void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, const bfloat16 *x,
                            const int32_t *target, const float *g, bfloat16 *dx) {
  find_gradients(device, count, classes, x, target, g, dx);
}
void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, const float16 *x,
                            const int32_t *target, const float *g, float16 *dx) {
  find_gradients(device, count, classes, x, target, g, dx);
}

} // namespace mpar
