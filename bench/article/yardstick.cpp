// The yardstick: a training step of the article's model as one would write it by hand for this one
// model.
//
// Eight linear layers 12-256-128-64-8-64-128-256-12 with ReLU between, mean squared error, Adam
// with lr 1e-3. What makes it fast, in the order of what it saves:
//
// - parameters, gradients and Adam's moments lie one after the other in one block on huge pages,
// and Adam is one pass;
// - bias, ReLU and ReLU's gradient are done on the registers of the products (kernels.h);
// - a large batch goes through all layers in chunks of rows, so that a chunk's activations stay in
// the second cache;
// - nothing is allocated in a step, denormals are flushed, threads share a step by rows and spin at
// its two barriers.
//
// yardstick --steps N --batch B --threads T   median time of a training step in microseconds
// yardstick --epoch [--threads T]             median time of an epoch of 10,000 shuffled rows at
// batch 32, in milliseconds yardstick --losses N --batch B              N losses on PyTorch's
// weights and rows for seed 0, to compare with PyTorch

#include "kernels.h"

#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace yardstick {
namespace {

constexpr int widths[] = {12, 256, 128, 64, 8, 64, 128, 256, 12};
constexpr int layers = 8;
constexpr int inputs = widths[0], outputs = widths[layers];
constexpr int widest = 256;

/// Rows that go through the whole network at once; their activations and gradients are 7.3 KiB a
/// row.
constexpr int chunk_rows = 64;

/// Steps of fewer rows are one thread's: waking a second costs more than it takes over.
constexpr int smallest_shared = 16;

constexpr std::size_t parameter_count() {
  std::size_t count = 0;
  for (int l = 0; l < layers; ++l)
    count += std::size_t(widths[l] + 1) * widths[l + 1];
  return count;
}
constexpr std::size_t parameters = parameter_count();
constexpr std::size_t padded_parameters = (parameters + 15) / 16 * 16;

/// A zeroed block on huge pages where the system has them: the optimiser's four streams would
/// otherwise miss in the translation buffer, and the prefetcher stop at every 4 KiB. Freed with the
/// process.
float *allocate(std::size_t count) {
  constexpr std::size_t page = std::size_t(2) << 20;
  const std::size_t bytes = (count * sizeof(float) + page - 1) / page * page;
  void *block = std::aligned_alloc(page, bytes);
  if (!block) {
    std::fprintf(stderr, "yardstick: out of memory\n");
    std::exit(1);
  }
  madvise(block, bytes, MADV_HUGEPAGE);
  std::memset(block, 0, bytes);
  return static_cast<float *>(block);
}

void flush_denormals() { _mm_setcsr(_mm_getcsr() | 0x8040); }

/// Where layer l's weight[out, in] starts among the parameters; its bias follows.
std::size_t weight_offset(int l) {
  std::size_t offset = 0;
  for (int k = 0; k < l; ++k)
    offset += std::size_t(widths[k] + 1) * widths[k + 1];
  return offset;
}
std::size_t bias_offset(int l) { return weight_offset(l) + std::size_t(widths[l]) * widths[l + 1]; }

/// What PyTorch's CPU generator and nn.Linear draw: 24 bits a value, fma(u, hi - lo, lo).
class Generator {
public:
  explicit Generator(unsigned seed) : engine_(seed) {}
  float uniform(float lo, float hi) {
    return std::fma(float(engine_() & 0xffffff) * 0x1p-24f, hi - lo, lo);
  }
  std::mt19937 &engine() { return engine_; }

private:
  std::mt19937 engine_;
};

/// Threads that start a piece of work together and wait for one another by spinning.
class Barrier {
public:
  explicit Barrier(int threads) : threads_(threads) {}
  void wait() {
    if (threads_ == 1)
      return;
    const unsigned phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; phase_.load(std::memory_order_acquire) == phase; ++spins)
      if (spins < 4000)
        _mm_pause();
      else
        std::this_thread::yield();
  }

private:
  const int threads_;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> phase_{0};
};

/// Adam's factors of one step, computed in double as PyTorch does and rounded once.
struct AdamStep {
  explicit AdamStep(long step)
      : root_correction(float(std::sqrt(1 - std::pow(0.999, double(step))))),
        reciprocal(1 / root_correction),
        minus_size(float(-1e-3 / (1 - std::pow(0.9, double(step))))) {}
  float beta1 = float(0.9), rest1 = float(1 - 0.9), beta2 = float(0.999), rest2 = float(1 - 0.999),
        eps = float(1e-8);
  float root_correction, reciprocal, minus_size;
};

/// PyTorch's Adam, rounding for rounding, over `count` parameters; the gradient is the sum of g
/// and, if given, `more`. The division by `root_correction` is a product by its reciprocal,
/// corrected by the remainder to the rounded quotient: that leaves the divider to the square root
/// and the one division by a variable.
template <bool Sum>
void adam(float *__restrict p, const float *__restrict g, const float *__restrict more,
          float *__restrict m, float *__restrict v, std::size_t count, const AdamStep s) {
  for (std::size_t i = 0; i < count; ++i) {
    const float gradient = Sum ? g[i] + more[i] : g[i];
    const float mean = __builtin_fmaf(s.rest1, gradient, m[i] * s.beta1);
    const float square = __builtin_fmaf(s.rest2 * gradient, gradient, v[i] * s.beta2);
    m[i] = mean;
    v[i] = square;
    const float root = __builtin_sqrtf(square);
    const float quotient = root * s.reciprocal;
    const float corrected =
        __builtin_fmaf(__builtin_fmaf(-quotient, s.root_correction, root), s.reciprocal, quotient);
    p[i] += s.minus_size * mean / (corrected + s.eps);
  }
}

/// What one thread works on: activations and their gradients for a chunk of rows, gradients of all
/// parameters.
struct Worker {
  float *h[layers +
           1]; ///< h[l]: result of layer l-1, [chunk_rows, widths[l]]; h[0] is the input, not owned
  float *dh[layers + 1]; ///< gradients of the same; dh[0] unused
  float *gradients;
  double loss;
  int rows;
};

class Model {
public:
  Model(int threads, Generator &generator)
      : threads_(threads), workers_(threads), start_(threads), middle_(threads) {
    // parameters, first moments, second moments, and the first worker's gradients, side by side
    std::size_t packed = 0;
    for (int l = 0; l < layers; ++l)
      packed += packed_size(widths[l + 1], widths[l]);
    float *block = allocate(4 * padded_parameters + packed);
    p_ = block;
    m_ = block + padded_parameters;
    v_ = block + 2 * padded_parameters;
    packed_[0] = block + 4 * padded_parameters;
    for (int l = 1; l < layers; ++l)
      packed_[l] = packed_[l - 1] + packed_size(widths[l], widths[l - 1]);
    for (int t = 0; t < threads; ++t) {
      Worker &w = workers_[t];
      float *space = allocate(2 * std::size_t(layers) * widest * chunk_rows);
      for (int l = 1; l <= layers; ++l) {
        w.h[l] = space;
        w.dh[l] = space + std::size_t(widths[l]) * chunk_rows;
        space = w.dh[l] + std::size_t(widths[l]) * chunk_rows;
      }
      w.gradients = t == 0 ? block + 3 * padded_parameters : allocate(padded_parameters);
    }
    for (int l = 0; l < layers; ++l) {
      const float bound = float(1 / std::sqrt(double(widths[l])));
      for (std::size_t i = weight_offset(l); i < bias_offset(l) + widths[l + 1]; ++i)
        p_[i] = generator.uniform(-bound, bound);
    }
    for (int t = 1; t < threads; ++t)
      helpers_.emplace_back([this, t] {
        flush_denormals();
        for (;;) {
          start_.wait();
          if (stop_)
            return;
          work(t);
        }
      });
  }
  ~Model() {
    stop_ = true;
    start_.wait();
    for (std::thread &helper : helpers_)
      helper.join();
  }

  /// One step of training on x[rows, 12] and y[rows, 12]. Returns the loss before it.
  float step(const float *x, const float *y, int rows) {
    x_ = x;
    y_ = y;
    rows_ = rows;
    ++steps_;
    active_ = rows < smallest_shared ? 1 : threads_;
    if (active_ > 1)
      start_.wait();
    work(0);
    double loss = 0;
    for (int t = 0; t < active_; ++t)
      loss += workers_[t].loss;
    return float(loss / (double(rows) * outputs));
  }

private:
  /// A thread's part of a step: the weights' transposes, then its rows, then its part of the
  /// parameters.
  void work(int t) {
    Worker &w = workers_[t];
    if (rows_ > 1)
      for (int l = 0; l < layers; ++l)
        if (l % active_ == t)
          pack(p_ + weight_offset(l), widths[l + 1], widths[l], packed_[l]);
    wait();
    const int first = int(std::int64_t(rows_) * t / active_),
              last = int(std::int64_t(rows_) * (t + 1) / active_);
    w.rows = last - first;
    w.loss = 0;
    const int chunks = (w.rows + chunk_rows - 1) / chunk_rows;
    for (int c = 0, row = first; c < chunks; ++c) {
      const int rows = w.rows / chunks + (c < w.rows % chunks);
      chunk(w, x_ + std::size_t(row) * inputs, y_ + std::size_t(row) * outputs, rows, c > 0);
      row += rows;
    }
    wait();
    optimise(t);
    wait();
  }

  void wait() {
    if (active_ > 1)
      middle_.wait();
  }

  void chunk(Worker &w, const float *x, const float *y, int rows, bool add) {
    w.h[0] = const_cast<float *>(x);
    for (int l = 0; l < layers; ++l)
      forward(w.h[l], p_ + weight_offset(l), packed_[l], p_ + bias_offset(l), rows, widths[l],
              widths[l + 1], l + 1 < layers, w.h[l + 1]);
    const float scale = float(2.0 / (double(rows_) * outputs));
    float loss = 0;
    for (int i = 0; i < rows * outputs; ++i) {
      const float difference = w.h[layers][i] - y[i];
      loss += difference * difference;
      w.dh[layers][i] = scale * difference;
    }
    w.loss += loss;
    for (int l = layers - 1; l >= 0; --l) {
      weight_gradient(w.dh[l + 1], w.h[l], rows, widths[l], widths[l + 1], add,
                      w.gradients + weight_offset(l), w.gradients + bias_offset(l));
      if (l > 0)
        input_gradient(w.dh[l + 1], p_ + weight_offset(l), w.h[l], rows, widths[l], widths[l + 1],
                       w.dh[l]);
    }
  }

  void optimise(int t) {
    const AdamStep s(steps_);
    const std::size_t vectors = padded_parameters / 16;
    const std::size_t first = vectors * t / active_ * 16,
                      count = vectors * (t + 1) / active_ * 16 - first;
    const float *g = workers_[0].gradients + first;
    if (active_ == 1)
      return adam<false>(p_ + first, g, nullptr, m_ + first, v_ + first, count, s);
    float *more = workers_[1].gradients + first;
    for (int other = 2; other < active_; ++other)
      for (std::size_t i = 0; i < count; ++i)
        more[i] += workers_[other].gradients[first + i];
    adam<true>(p_ + first, g, more, m_ + first, v_ + first, count, s);
  }

  const int threads_;
  float *p_, *m_, *v_, *packed_[layers];
  std::vector<Worker> workers_;
  std::vector<std::thread> helpers_;
  Barrier start_, middle_;
  bool stop_ = false;
  int active_ = 1; ///< threads that share this step
  const float *x_ = nullptr, *y_ = nullptr;
  int rows_ = 0;
  long steps_ = 0;
};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<float> random_rows(Generator &generator, int rows, int columns) {
  std::vector<float> values(std::size_t(rows) * columns);
  for (float &value : values)
    value = generator.uniform(0, 1);
  return values;
}

double median(std::vector<double> times) {
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

double step_time(int steps, int batch, int threads) {
  Generator generator(0);
  Model model(threads, generator);
  const std::vector<float> x = random_rows(generator, batch, inputs),
                           y = random_rows(generator, batch, outputs);
  for (int i = 0; i < std::min(steps, 50); ++i)
    model.step(x.data(), y.data(), batch);
  std::vector<double> times(steps);
  for (double &time : times) {
    const double begin = seconds();
    model.step(x.data(), y.data(), batch);
    time = seconds() - begin;
  }
  return median(times);
}

double epoch_time(int threads) {
  constexpr int rows = 10000, batch = 32;
  Generator generator(0);
  Model model(threads, generator);
  const std::vector<float> x = random_rows(generator, rows, inputs),
                           y = random_rows(generator, rows, outputs);
  std::vector<float> batch_x(batch * inputs), batch_y(batch * outputs);
  std::vector<int> order(rows);
  std::iota(order.begin(), order.end(), 0);
  std::vector<double> times;
  double sum = 0;
  for (int epoch = 0; epoch < 12; ++epoch) {
    const double begin = seconds();
    std::shuffle(order.begin(), order.end(), generator.engine());
    for (int start = 0; start < rows; start += batch) {
      const int count = std::min(batch, rows - start);
      for (int r = 0; r < count; ++r) {
        std::memcpy(&batch_x[r * inputs], &x[std::size_t(order[start + r]) * inputs],
                    inputs * sizeof(float));
        std::memcpy(&batch_y[r * outputs], &y[std::size_t(order[start + r]) * outputs],
                    outputs * sizeof(float));
      }
      sum += model.step(batch_x.data(), batch_y.data(), count);
    }
    if (epoch >= 2)
      times.push_back(seconds() - begin);
  }
  if (!std::isfinite(sum))
    std::fprintf(stderr, "yardstick: the loss is not finite\n"), std::exit(1);
  return median(times);
}

int run(int count, char **arguments) {
  int steps = 0, batch = 32, threads = 1, losses = 0;
  bool epoch = false;
  for (int i = 1; i < count; ++i) {
    const std::string flag = arguments[i];
    int *value = flag == "--steps"     ? &steps
                 : flag == "--batch"   ? &batch
                 : flag == "--threads" ? &threads
                 : flag == "--losses"  ? &losses
                                       : nullptr;
    if (flag == "--epoch")
      epoch = true;
    else if (value && i + 1 < count && (*value = std::atoi(arguments[i + 1])) > 0)
      ++i;
    else
      steps = losses = 0, i = count;
  }
  flush_denormals();
  if (steps > 0)
    std::printf("%.2f\n", step_time(steps, batch, threads) * 1e6);
  else if (epoch)
    std::printf("%.2f\n", epoch_time(threads) * 1e3);
  else if (losses > 0) {
    Generator generator(0);
    Model model(threads, generator);
    const std::vector<float> x = random_rows(generator, batch, inputs),
                             y = random_rows(generator, batch, outputs);
    for (int i = 0; i < losses; ++i)
      std::printf("%.9g\n", double(model.step(x.data(), y.data(), batch)));
  } else {
    std::fprintf(stderr, "usage: yardstick (--steps N [--batch B] | --epoch | --losses N [--batch "
                         "B]) [--threads T]\n");
    return 2;
  }
  return 0;
}

} // namespace
} // namespace yardstick

int main(int count, char **arguments) { return yardstick::run(count, arguments); }
