// The yardstick: a training step of examples/gpt as one would write it by hand for this one model,
// with the runtime's kernels for its largest parts: products, attention, normalization, and the
// cross-entropy.
//
// Around them: four windows at a time go through the whole model and back, so that what a layer
// leaves in the cache the next finds there; queries, keys and values go from the one projection to
// where attention reads them in one copy, embedding and position are added as they are looked up, a
// residual is added in place; all parameters are one block, and AdamW is one pass. Threads share
// out the windows, each with gradients of its own.
//
// yardstick_gpt --steps N [--batch B] [--threads T]   median milliseconds of a step, made-up text
// yardstick_gpt --losses N --load FILE --text FILE [--batch B]   N losses from the weights of a
// safetensors file, on the text's windows in order, to compare with the emitted program's

#include "mpar/file.h"
#include "mpar/mpar.h"
#include "mpar/safetensors.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <omp.h>

namespace {

using namespace mpar;

constexpr int64_t width = 128, heads = 4, dim = width / heads, layers = 4, context = 128,
                  hidden = 4 * width, classes = 256;
constexpr int64_t chunk_windows = 4;
constexpr float eps = 1e-5f;

/// Where a block's parameters begin, in floats from its first.
struct BlockLayout {
  static constexpr int64_t ln_1_weight = 0, ln_1_bias = ln_1_weight + width,
                           qkv_weight = ln_1_bias + width,
                           qkv_bias = qkv_weight + 3 * width * width,
                           out_weight = qkv_bias + 3 * width, out_bias = out_weight + width * width,
                           ln_2_weight = out_bias + width, ln_2_bias = ln_2_weight + width,
                           fc_weight = ln_2_bias + width, fc_bias = fc_weight + hidden * width,
                           proj_weight = fc_bias + hidden, proj_bias = proj_weight + width * hidden,
                           size = proj_bias + width;
};
using Layout = BlockLayout;
constexpr int64_t tokens_at = 0, positions_at = tokens_at + classes * width,
                  blocks_at = positions_at + context * width,
                  final_weight_at = blocks_at + layers * Layout::size,
                  final_bias_at = final_weight_at + width, parameter_count = final_bias_at + width;
static_assert(parameter_count == 842496);

/// What the backward pass needs of a block, for a chunk.
struct Kept {
  std::vector<float> x, norm_1, mean_1, scale_1, q, k, v, y, log_sums, joined, middle, norm_2,
      mean_2, scale_2, inner, active;
};

/// What a thread works on: its rows, its gradients and what it keeps of a chunk.
struct Worker {
  explicit Worker(int number)
      : device(number, 0, {parameter_count, parameter_count, 0, 0}, number == 0 ? 2 : 0, 1) {
    const int64_t tokens = chunk_windows * context;
    for (Kept &kept : blocks) {
      for (auto *each : {&kept.x, &kept.norm_1, &kept.q, &kept.k, &kept.v, &kept.y, &kept.joined,
                         &kept.middle, &kept.norm_2})
        each->resize(tokens * width);
      for (auto *each : {&kept.mean_1, &kept.scale_1, &kept.mean_2, &kept.scale_2})
        each->resize(tokens);
      kept.log_sums.resize(tokens * heads);
      kept.inner.resize(tokens * hidden);
      kept.active.resize(tokens * hidden);
    }
    for (auto *each : {&x, &norm, &dx, &dy, &dq, &dk, &dv})
      each->resize(tokens * width);
    for (auto *each : {&mean, &scale, &losses, &factors})
      each->resize(tokens);
    logits.resize(tokens * classes);
    wide.resize(tokens * hidden);
  }

  Device device; // the first worker's has the parameters and the optimiser's state
  Kept blocks[layers];
  std::vector<float> x, norm, mean, scale, logits, losses, factors; // behind the blocks
  std::vector<float> dx, dy, dq, dk, dv, wide;
  double loss = 0;
};

/// Between [windows, time, 3 · heads · dim] and three of [windows, heads, time, dim].
template <bool split>
void exchange_heads(int64_t windows, std::conditional_t<split, const float, float> *rows,
                    float *const (&of_heads)[3]) {
  for (int64_t token = 0; token < windows * context; ++token)
    for (int64_t part = 0; part < 3; ++part)
      for (int64_t head = 0; head < heads; ++head) {
        auto *row = rows + token * 3 * width + part * width + head * dim;
        float *other =
            of_heads[part] + ((token / context * heads + head) * context + token % context) * dim;
        if constexpr (split)
          std::copy_n(row, dim, other);
        else
          std::copy_n(other, dim, row);
      }
}

/// Between [windows, heads, time, dim] and [windows, time, heads, dim].
template <bool to_rows> void exchange_result(int64_t windows, const float *from, float *to) {
  for (int64_t token = 0; token < windows * context; ++token)
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t row = token * width + head * dim;
      const int64_t other = ((token / context * heads + head) * context + token % context) * dim;
      std::copy_n(from + (to_rows ? other : row), dim, to + (to_rows ? row : other));
    }
}

void add_to(int64_t count, const float *x, float *y) {
  for (int64_t i = 0; i < count; ++i)
    y[i] += x[i];
}

/// The gradients of a linear layer; dx null: not wanted.
void linear_gradient(Device &d, int64_t tokens, int64_t in, int64_t out, const float *dy,
                     const float *x, const float *weight, Store store, float *dweight, float *dbias,
                     float *dx) {
  reduce(d, Reduction::sum, Shape{tokens, out}, 1u, dy, dbias, store);
  matmul(d, 1, tokens, in, out, Transpose::no, Transpose::no, dy, weight, dx);
  matmul(d, 1, out, in, tokens, Transpose::yes, Transpose::no, dy, x, dweight, store);
}

constexpr AttentionSizes attention_sizes(int64_t windows) {
  return {windows * heads, 1, 1, context, context, dim, dim, Causal::yes};
}

class Gpt {
public:
  explicit Gpt(int threads) {
    for (int i = 0; i < threads; ++i)
      workers_.push_back(std::make_unique<Worker>(i));
    settings_.kind = OptimizerSettings::Kind::adamw;
    settings_.weight_decay = 0.01;
    workers_[0]->device.use_threads(threads);
  }

  float *parameters() { return workers_[0]->device.parameters(); }

  /// One step on `windows` windows of `context` bytes; their loss.
  float step(const int32_t *text, const int32_t *target, int64_t windows) {
    const int64_t threads = std::min<int64_t>(windows, static_cast<int64_t>(workers_.size()));
    if (threads == 1) {
      run(*workers_[0], text, target, windows, windows);
    } else {
#pragma omp parallel num_threads(static_cast<int>(threads))
      {
        const int64_t i = omp_get_thread_num();
        const int64_t begin = windows * i / threads, end = windows * (i + 1) / threads;
        run(*workers_[i], text + begin * context, target + begin * context, end - begin, windows);
      }
    }
    double loss = workers_[0]->loss;
    for (int64_t i = 1; i < threads; ++i) {
      add_to(parameter_count, workers_[i]->device.gradients(), workers_[0]->device.gradients());
      loss += workers_[i]->loss;
    }
    adamw(workers_[0]->device, settings_, ++steps_);
    return static_cast<float>(loss / static_cast<double>(windows * context));
  }

private:
  void run(Worker &w, const int32_t *text, const int32_t *target, int64_t windows, int64_t all) {
    w.loss = 0;
    std::fill(w.factors.begin(), w.factors.end(), 1 / static_cast<float>(all * context));
    for (int64_t at = 0; at < windows; at += chunk_windows) {
      const int64_t count = std::min(chunk_windows, windows - at);
      forward(w, text + at * context, count);
      backward(w, text + at * context, target + at * context, count,
               at == 0 ? Store::overwrite : Store::add);
    }
  }

  void forward(Worker &w, const int32_t *text, int64_t windows) {
    Device &d = w.device;
    const float *const p = parameters();
    const int64_t tokens = windows * context;
    for (int64_t token = 0; token < tokens; ++token) {
      const float *of_token = p + tokens_at + text[token] * width;
      const float *of_place = p + positions_at + token % context * width;
      float *x = w.blocks[0].x.data() + token * width;
      for (int64_t i = 0; i < width; ++i)
        x[i] = of_token[i] + of_place[i];
    }
    for (int64_t layer = 0; layer < layers; ++layer) {
      const float *const b = p + blocks_at + layer * Layout::size;
      Kept &kept = w.blocks[layer];
      layer_norm(d, tokens, width, eps, kept.x.data(), b + Layout::ln_1_weight,
                 b + Layout::ln_1_bias, kept.norm_1.data(), kept.mean_1.data(),
                 kept.scale_1.data());
      linear(d, tokens, width, 3 * width, kept.norm_1.data(), b + Layout::qkv_weight,
             b + Layout::qkv_bias, Activation::none, w.wide.data());
      exchange_heads<true>(windows, w.wide.data(), {kept.q.data(), kept.k.data(), kept.v.data()});
      attention(d, attention_sizes(windows), kept.q.data(), kept.k.data(), kept.v.data(),
                kept.y.data(), kept.log_sums.data());
      exchange_result<true>(windows, kept.y.data(), kept.joined.data());
      linear(d, tokens, width, width, kept.joined.data(), b + Layout::out_weight,
             b + Layout::out_bias, Activation::none, kept.middle.data());
      add_to(tokens * width, kept.x.data(), kept.middle.data());
      layer_norm(d, tokens, width, eps, kept.middle.data(), b + Layout::ln_2_weight,
                 b + Layout::ln_2_bias, kept.norm_2.data(), kept.mean_2.data(),
                 kept.scale_2.data());
      linear(d, tokens, width, hidden, kept.norm_2.data(), b + Layout::fc_weight,
             b + Layout::fc_bias, Activation::none, kept.inner.data());
      map(
          d, tokens * hidden, [](float x) { return gelu(x); }, kept.active.data(),
          kept.inner.data());
      float *const next = layer + 1 < layers ? w.blocks[layer + 1].x.data() : w.x.data();
      linear(d, tokens, hidden, width, kept.active.data(), b + Layout::proj_weight,
             b + Layout::proj_bias, Activation::none, next);
      add_to(tokens * width, kept.middle.data(), next);
    }
    layer_norm(d, tokens, width, eps, w.x.data(), p + final_weight_at, p + final_bias_at,
               w.norm.data(), w.mean.data(), w.scale.data());
    linear(d, tokens, width, classes, w.norm.data(), p + tokens_at, nullptr, Activation::none,
           w.logits.data());
  }

  void backward(Worker &w, const int32_t *text, const int32_t *target, int64_t windows,
                Store store) {
    Device &d = w.device;
    const float *const p = parameters();
    float *const g = d.gradients();
    const int64_t tokens = windows * context;
    cross_entropy(d, tokens, classes, w.logits.data(), target, w.losses.data());
    for (int64_t token = 0; token < tokens; ++token)
      w.loss += static_cast<double>(w.losses[token]);
    cross_entropy_gradient(d, tokens, classes, w.logits.data(), target, w.factors.data(),
                           w.logits.data());
    matmul(d, 1, tokens, width, classes, Transpose::no, Transpose::no, w.logits.data(),
           p + tokens_at, w.dy.data());
    matmul(d, 1, classes, width, tokens, Transpose::yes, Transpose::no, w.logits.data(),
           w.norm.data(), g + tokens_at, store);
    layer_norm_gradient(d, tokens, width, w.dy.data(), w.x.data(), w.mean.data(), w.scale.data(),
                        p + final_weight_at, w.dx.data(), g + final_weight_at, g + final_bias_at,
                        store);
    for (int64_t layer = layers - 1; layer >= 0; --layer)
      backward_block(w, w.blocks[layer], p + blocks_at + layer * Layout::size,
                     g + blocks_at + layer * Layout::size, windows, store);
    if (store == Store::overwrite)
      std::fill_n(g + positions_at, context * width, 0.0f);
    for (int64_t token = 0; token < tokens; ++token) {
      add_to(width, w.dx.data() + token * width, g + tokens_at + text[token] * width);
      add_to(width, w.dx.data() + token * width, g + positions_at + token % context * width);
    }
  }

  /// From `w.dx`, the gradient of what the block gives, to that of what it reads.
  static void backward_block(Worker &w, Kept &kept, const float *b, float *g, int64_t windows,
                             Store store) {
    Device &d = w.device;
    const int64_t tokens = windows * context;
    linear_gradient(d, tokens, hidden, width, w.dx.data(), kept.active.data(),
                    b + Layout::proj_weight, store, g + Layout::proj_weight, g + Layout::proj_bias,
                    w.wide.data());
    map(
        d, tokens * hidden, [](float x, float dy) { return dy * gelu_derivative(x); },
        w.wide.data(), kept.inner.data(), w.wide.data());
    linear_gradient(d, tokens, width, hidden, w.wide.data(), kept.norm_2.data(),
                    b + Layout::fc_weight, store, g + Layout::fc_weight, g + Layout::fc_bias,
                    w.dy.data());
    layer_norm_gradient(d, tokens, width, w.dy.data(), kept.middle.data(), kept.mean_2.data(),
                        kept.scale_2.data(), b + Layout::ln_2_weight, w.dq.data(),
                        g + Layout::ln_2_weight, g + Layout::ln_2_bias, store);
    add_to(tokens * width, w.dq.data(), w.dx.data());
    linear_gradient(d, tokens, width, width, w.dx.data(), kept.joined.data(),
                    b + Layout::out_weight, store, g + Layout::out_weight, g + Layout::out_bias,
                    w.dq.data());
    exchange_result<false>(windows, w.dq.data(), w.dy.data());
    attention_gradient(d, attention_sizes(windows), w.dy.data(), kept.q.data(), kept.k.data(),
                       kept.v.data(), kept.y.data(), kept.log_sums.data(), w.dq.data(), w.dk.data(),
                       w.dv.data());
    exchange_heads<false>(windows, w.wide.data(), {w.dq.data(), w.dk.data(), w.dv.data()});
    linear_gradient(d, tokens, width, 3 * width, w.wide.data(), kept.norm_1.data(),
                    b + Layout::qkv_weight, store, g + Layout::qkv_weight, g + Layout::qkv_bias,
                    w.dy.data());
    layer_norm_gradient(d, tokens, width, w.dy.data(), kept.x.data(), kept.mean_1.data(),
                        kept.scale_1.data(), b + Layout::ln_1_weight, w.dq.data(),
                        g + Layout::ln_1_weight, g + Layout::ln_1_bias, store);
    add_to(tokens * width, w.dq.data(), w.dx.data());
  }

  std::vector<std::unique_ptr<Worker>> workers_;
  OptimizerSettings settings_;
  int64_t steps_ = 0;
};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void print_step_time(int64_t steps, int64_t batch, int threads) {
  Gpt gpt(threads);
  std::mt19937 generator(0);
  std::normal_distribution<float> normal(0, 0.02f);
  std::generate_n(gpt.parameters(), parameter_count, [&] { return normal(generator); });
  std::vector<int32_t> text(batch * context), target(batch * context);
  for (auto *each : {&text, &target})
    for (int32_t &value : *each)
      value = static_cast<int32_t>(generator() % classes);
  for (int i = 0; i < 3; ++i)
    gpt.step(text.data(), target.data(), batch);
  std::vector<double> times(steps);
  for (double &time : times) {
    const double begin = seconds();
    gpt.step(text.data(), target.data(), batch);
    time = seconds() - begin;
  }
  std::nth_element(times.begin(), times.begin() + steps / 2, times.end());
  std::printf("%.3f\n", times[steps / 2] * 1e3);
}

/// Reads parameters by their names in PyTorch into their places.
void load(const std::string &path, float *parameters) {
  const SafetensorsReader file(path);
  const auto read = [&](const std::string &name, int64_t offset) {
    file.read(file.tensors().at(name), parameters + offset);
  };
  read("wte.weight", tokens_at);
  read("wpe.weight", positions_at);
  for (int64_t layer = 0; layer < layers; ++layer) {
    const int64_t begin = blocks_at + layer * Layout::size;
    const std::string block = "h." + std::to_string(layer) + ".";
    const auto both = [&](const std::string &name, int64_t weight, int64_t bias) {
      read(block + name + ".weight", begin + weight);
      read(block + name + ".bias", begin + bias);
    };
    both("ln_1", Layout::ln_1_weight, Layout::ln_1_bias);
    both("attn.c_attn", Layout::qkv_weight, Layout::qkv_bias);
    both("attn.c_proj", Layout::out_weight, Layout::out_bias);
    both("ln_2", Layout::ln_2_weight, Layout::ln_2_bias);
    both("mlp.c_fc", Layout::fc_weight, Layout::fc_bias);
    both("mlp.c_proj", Layout::proj_weight, Layout::proj_bias);
  }
  read("ln_f.weight", final_weight_at);
  read("ln_f.bias", final_bias_at);
}

void print_losses(int64_t count, int64_t batch, int threads, const std::string &weights,
                  const std::string &text) {
  Gpt gpt(threads);
  load(weights, gpt.parameters());
  std::ifstream file(text, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<int32_t> values;
  for (const char byte : bytes)
    values.push_back(static_cast<unsigned char>(byte));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = i * batch * context;
    if (begin + batch * context + 1 > static_cast<int64_t>(values.size())) {
      std::fprintf(stderr, "yardstick_gpt: the text is too short\n");
      std::exit(1);
    }
    std::printf("%.9g\n", static_cast<double>(
                              gpt.step(values.data() + begin, values.data() + begin + 1, batch)));
  }
}

int run(int count, char **arguments) {
  int64_t steps = 0, losses = 0, batch = 16, threads = 1;
  std::string weights, text;
  bool right = true;
  for (int i = 1; i < count; i += 2) {
    const std::string flag = arguments[i];
    const char *value = i + 1 < count ? arguments[i + 1] : "";
    if (flag == "--load" || flag == "--text") {
      (flag == "--load" ? weights : text) = value;
      continue;
    }
    int64_t *number = flag == "--steps"     ? &steps
                      : flag == "--losses"  ? &losses
                      : flag == "--batch"   ? &batch
                      : flag == "--threads" ? &threads
                                            : nullptr;
    right &= number && (*number = std::atoll(value)) > 0;
  }
  if (right && steps > 0)
    print_step_time(steps, batch, static_cast<int>(threads));
  else if (right && losses > 0 && !weights.empty() && !text.empty())
    print_losses(losses, batch, static_cast<int>(threads), weights, text);
  else {
    std::fprintf(stderr, "usage: yardstick_gpt (--steps N | --losses N --load FILE --text FILE) "
                         "[--batch B] [--threads T]\n");
    return 2;
  }
  return 0;
}

} // namespace

int main(int count, char **arguments) { return run(count, arguments); }
