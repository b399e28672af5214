// Layer and RMS normalization.
//
// A sum over a row goes into 16 partial sums (element i into number i mod 16, in ascending order),
// which are added by halves; so it depends on the row alone, and not on the width of vectors.
#include "mpar/normalize.h"

#include "backend.h"

#include "fold_lanes.h"
#include "parallel.h"

#include <cmath>
#include <vector>

namespace mpar {
namespace {

constexpr int64_t block_rows = 64;         // of sums over rows
constexpr int64_t normalize_grain = 65536; // elements that are worth a second thread

/// The sum of value(i) for i in [0, count).
template <typename Value> MPAR_INLINE float sum_of(int64_t count, const Value &value) {
  return sum_lanes<16>(count, value);
}

struct Forward {
  int64_t size;
  float eps;
  const float *x, *weight, *bias;
  float *y, *mean, *scale; // `mean` null: none is taken off
};

template <bool centred, bool weighted, bool biased>
MPAR_INLINE void normalize_rows(const Forward &f, int64_t begin, int64_t end) {
  const int64_t size = f.size;
  const float *weight = f.weight;
  const float *bias = f.bias;
  for (int64_t row = begin; row < end; ++row) {
    const float *x = f.x + row * size;
    float *y = f.y + row * size;
    float mean = 0;
    if (centred) {
      mean = sum_of(size, [x](int64_t i) { return x[i]; }) / static_cast<float>(size);
      f.mean[row] = mean;
    }
    const float squares = sum_of(size, [x, mean](int64_t i) {
      const float deviation = centred ? x[i] - mean : x[i];
      return deviation * deviation;
    });
    const float scale = 1 / std::sqrt(squares / static_cast<float>(size) + f.eps);
    f.scale[row] = scale;
    MPAR_INDEPENDENT
    for (int64_t i = 0; i < size; ++i) {
      float value = (centred ? x[i] - mean : x[i]) * scale;
      if (weighted)
        value *= weight[i];
      if (biased)
        value += bias[i];
      y[i] = value;
    }
  }
}

MPAR_MULTIVERSION void normalize(const Forward &f, int64_t begin, int64_t end) {
  if (!f.mean)
    return f.weight ? normalize_rows<false, true, false>(f, begin, end)
                    : normalize_rows<false, false, false>(f, begin, end);
  if (f.bias)
    return f.weight ? normalize_rows<true, true, true>(f, begin, end)
                    : normalize_rows<true, false, true>(f, begin, end);
  return f.weight ? normalize_rows<true, true, false>(f, begin, end)
                  : normalize_rows<true, false, false>(f, begin, end);
}

struct Backward {
  int64_t size;
  const float *gradient, *x, *mean, *scale, *weight;
  float *dx;
};

// With n = (x - mean) · scale and w = gradient · weight: dx = scale · (w - mean(w) - n · mean(w ·
// n)), without the term in the middle where no mean was taken off.

template <bool centred, bool weighted>
MPAR_INLINE void differentiate_rows(const Backward &b, int64_t begin, int64_t end, float *dweight,
                                    float *dbias) {
  const int64_t size = b.size;
  const float *weight = b.weight;
  const float count = static_cast<float>(size);
  for (int64_t i = 0; i < size; ++i)
    dweight[i] = 0;
  if (centred)
    for (int64_t i = 0; i < size; ++i)
      dbias[i] = 0;
  for (int64_t row = begin; row < end; ++row) {
    const float *x = b.x + row * size;
    const float *gradient = b.gradient + row * size;
    float *dx = b.dx + row * size;
    const float scale = b.scale[row];
    const float mean = centred ? b.mean[row] : 0;
    const auto normal = [=](int64_t i) { return (centred ? x[i] - mean : x[i]) * scale; };
    const auto along = [=](int64_t i) { return weighted ? gradient[i] * weight[i] : gradient[i]; };
    const float shift = centred ? sum_of(size, along) / count : 0;
    const float slope = sum_of(size, [=](int64_t i) { return along(i) * normal(i); }) / count;
    MPAR_INDEPENDENT
    for (int64_t i = 0; i < size; ++i) {
      const float n = normal(i);
      dweight[i] += gradient[i] * n;
      if (centred)
        dbias[i] += gradient[i];
      dx[i] = scale * ((centred ? along(i) - shift : along(i)) - n * slope);
    }
  }
}

MPAR_MULTIVERSION void differentiate(const Backward &b, int64_t begin, int64_t end, float *dweight,
                                     float *dbias) {
  if (b.mean)
    return b.weight ? differentiate_rows<true, true>(b, begin, end, dweight, dbias)
                    : differentiate_rows<true, false>(b, begin, end, dweight, dbias);
  return b.weight ? differentiate_rows<false, true>(b, begin, end, dweight, dbias)
                  : differentiate_rows<false, false>(b, begin, end, dweight, dbias);
}

/// y = the sum over the blocks of what each has, in double and in ascending order.
void add_blocks(int64_t blocks, int64_t size, int64_t stride, const float *partial, Store store,
                float *y) {
  for (int64_t i = 0; i < size; ++i) {
    double sum = 0;
    for (int64_t block = 0; block < blocks; ++block)
      sum += partial[block * stride + i];
    const float value = static_cast<float>(sum);
    y[i] = store == Store::add ? y[i] + value : value;
  }
}

void run(Device &device, int64_t rows, const Forward &forward) {
  const int64_t rows_a_grain = std::max<int64_t>(1, normalize_grain / forward.size);
  parallel_parts(device, rows, rows_a_grain,
                 [&](int64_t begin, int64_t end) { normalize(forward, begin, end); });
}

void run(Device &device, int64_t rows, const Backward &backward, float *dweight, float *dbias,
         Store store) {
  const int64_t size = backward.size;
  const int64_t blocks = (rows + block_rows - 1) / block_rows;
  const int64_t blocks_a_grain = std::max<int64_t>(1, normalize_grain / (size * block_rows));
  // A block's sums: of the weight, then of the bias.
  std::vector<float> partial(blocks * 2 * size);
  parallel_parts(device, blocks, blocks_a_grain, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      float *sums = partial.data() + block * 2 * size;
      differentiate(backward, block * block_rows, std::min(rows, (block + 1) * block_rows), sums,
                    sums + size);
    }
  });
  add_blocks(blocks, size, 2 * size, partial.data(), store, dweight);
  if (dbias)
    add_blocks(blocks, size, 2 * size, partial.data() + size, store, dbias);
}

} // namespace

void layer_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                const float *weight, const float *bias, float *y, float *mean, float *scale) {
  if (Backend *const backend = device.backend())
    return backend->layer_norm(device, rows, size, eps, x, weight, bias, y, mean, scale);
  run(device, rows, {size, eps, x, weight, bias, y, mean, scale});
}

void rms_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
              const float *weight, float *y, float *scale) {
  if (Backend *const backend = device.backend())
    return backend->rms_norm(device, rows, size, eps, x, weight, y, scale);
  run(device, rows, {size, eps, x, weight, nullptr, y, nullptr, scale});
}

void layer_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                         const float *x, const float *mean, const float *scale, const float *weight,
                         float *dx, float *dweight, float *dbias, Store store) {
  if (Backend *const backend = device.backend())
    return backend->layer_norm_gradient(device, rows, size, gradient, x, mean, scale, weight, dx,
                                        dweight, dbias, store);
  run(device, rows, {size, gradient, x, mean, scale, weight, dx}, dweight, dbias, store);
}

void rms_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                       const float *x, const float *scale, const float *weight, float *dx,
                       float *dweight, Store store) {
  if (Backend *const backend = device.backend())
    return backend->rms_norm_gradient(device, rows, size, gradient, x, scale, weight, dx, dweight,
                                      store);
  run(device, rows, {size, gradient, x, nullptr, scale, weight, dx}, dweight, nullptr, store);
}

} // namespace mpar
