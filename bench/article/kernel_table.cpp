// Which kernel is fastest for which product of the article's model: oneDNN's dnnl_sgemm and matmul
// against the yardstick's own, one thread (run it with OMP_NUM_THREADS=1). Prints a Markdown table
// of microseconds and GFLOP/s; the own forward product includes packing the weights. Results are
// compared before anything is timed.
#include "kernels.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <unordered_map>
#include <vector>

namespace {

constexpr int shapes[][2] = {{12, 256}, {256, 128}, {128, 64},  {64, 8},
                             {8, 64},   {64, 128},  {128, 256}, {256, 12}};
constexpr int batches[] = {1, 8, 32, 256, 4096};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The lower quartile of repeated runs in microseconds: other processes only ever add to it.
template <typename Work> double microseconds(Work work) {
  work();
  const double begin = seconds();
  work();
  const int repeat = std::max(1, int(2e-4 / (seconds() - begin)));
  std::vector<double> times;
  for (const double end = seconds() + 0.1; times.size() < 7 || seconds() < end;) {
    const double start = seconds();
    for (int i = 0; i < repeat; ++i)
      work();
    times.push_back((seconds() - start) / repeat * 1e6);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 4, times.end());
  return times[times.size() / 4];
}

std::vector<float> random_values(std::size_t count) {
  static std::mt19937 engine(0);
  std::uniform_real_distribution<float> uniform(0.01f, 1);
  std::vector<float> values(count);
  for (float &value : values)
    value = uniform(engine);
  return values;
}

void require_equal(const std::vector<float> &a, const std::vector<float> &b, const char *what) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::fabs(a[i] - b[i]) <= 1e-5f * std::fabs(b[i]))) {
      std::fprintf(stderr, "kernel_table: %s differs at %zu: %g and %g\n", what, i, double(a[i]),
                   double(b[i]));
      std::exit(1);
    }
}

/// c[m, n] = a[m, k] * b[k, n] by the matmul primitive, operands with these strides.
class Matmul {
public:
  Matmul(dnnl::memory::dim m, dnnl::memory::dim n, dnnl::memory::dim k,
         dnnl::memory::dims a_strides, dnnl::memory::dims b_strides, const float *a, const float *b,
         float *c)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dnnl::memory;
    const memory::desc a_desc({m, k}, memory::data_type::f32, a_strides);
    const memory::desc b_desc({k, n}, memory::data_type::f32, b_strides);
    const memory::desc c_desc({m, n}, memory::data_type::f32, memory::dims{n, 1});
    primitive_ = dnnl::matmul(
        dnnl::matmul::primitive_desc(dnnl::matmul::desc(a_desc, b_desc, c_desc), engine_));
    arguments_ = {{DNNL_ARG_SRC, memory(a_desc, engine_, const_cast<float *>(a))},
                  {DNNL_ARG_WEIGHTS, memory(b_desc, engine_, const_cast<float *>(b))},
                  {DNNL_ARG_DST, memory(c_desc, engine_, c)}};
  }
  void operator()() { primitive_.execute(stream_, arguments_); }

private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

void print_cells(double sgemm, double matmul, double own, double flops) {
  for (double time : {sgemm, matmul, own})
    std::printf(" %.2f (%.0f) |", time, flops / time * 1e-3);
}

void measure(int batch, int in, int out) {
  using namespace yardstick;
  const std::vector<float> x = random_values(std::size_t(batch) * in),
                           dy = random_values(std::size_t(batch) * out);
  const std::vector<float> w = random_values(std::size_t(in) * out), bias(out);
  std::vector<float> y(dy.size()), dx(x.size()), dw(w.size()), dbias(out),
      packed(packed_size(out, in));
  std::vector<float> y2(y), dx2(dx), dw2(dw);
  const double flops = 2.0 * batch * in * out;

  std::printf("| %d | %d → %d |", batch, in, out);
  const auto forward_sgemm = [&] {
    dnnl_sgemm('N', 'T', batch, out, in, 1, x.data(), in, w.data(), in, 0, y.data(), out);
  };
  const auto forward_own = [&] {
    if (batch > 1)
      pack(w.data(), out, in, packed.data());
    forward(x.data(), w.data(), packed.data(), bias.data(), batch, in, out, false, y2.data());
  };
  Matmul forward_matmul(batch, out, in, {in, 1}, {1, in}, x.data(), w.data(), y.data());
  forward_sgemm(), forward_own(), require_equal(y2, y, "the forward product");
  print_cells(microseconds(forward_sgemm), microseconds(forward_matmul), microseconds(forward_own),
              flops);

  const auto input_sgemm = [&] {
    dnnl_sgemm('N', 'N', batch, in, out, 1, dy.data(), out, w.data(), in, 0, dx.data(), in);
  };
  const auto input_own = [&] {
    input_gradient(dy.data(), w.data(), x.data(), batch, in, out, dx2.data());
  };
  Matmul input_matmul(batch, in, out, {out, 1}, {in, 1}, dy.data(), w.data(), dx.data());
  input_sgemm(), input_own(), require_equal(dx2, dx, "the input gradient");
  print_cells(microseconds(input_sgemm), microseconds(input_matmul), microseconds(input_own),
              flops);

  const auto weight_sgemm = [&] {
    dnnl_sgemm('T', 'N', out, in, batch, 1, dy.data(), out, x.data(), in, 0, dw.data(), in);
  };
  const auto weight_own = [&] {
    weight_gradient(dy.data(), x.data(), batch, in, out, false, dw2.data(), dbias.data());
  };
  Matmul weight_matmul(out, in, batch, {1, out}, {in, 1}, dy.data(), x.data(), dw.data());
  weight_sgemm(), weight_own(), require_equal(dw2, dw, "the weight gradient");
  print_cells(microseconds(weight_sgemm), microseconds(weight_matmul), microseconds(weight_own),
              flops);
  std::printf("\n");
  std::fflush(stdout);
}

} // namespace

int main() {
  std::printf("| rows | layer | y: sgemm | matmul | own | dx: sgemm | matmul | own | dw: sgemm | "
              "matmul | own |\n");
  std::printf("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (int batch : batches)
    for (const auto &shape : shapes)
      measure(batch, shape[0], shape[1]);
}
