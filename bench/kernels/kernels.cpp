// The runtime's kernels one by one, at the sizes of the article's model: microseconds a call, the
// least of many, and what that comes to in GFLOP/s or GB/s.
#include "mpar/mpar.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

namespace {

using namespace mpar;

constexpr int64_t widths[] = {12, 256, 128, 64, 8, 64, 128, 256, 12};
constexpr int64_t parameters = 90016;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The least time of a call in seconds: others' work on the machine only ever adds.
double least_time(const std::function<void()> &call) {
  call();
  double least = 1e9;
  const double begin = now();
  for (int calls = 0; calls < 5 || now() - begin < 0.1; ++calls) {
    const double start = now();
    call();
    least = std::min(least, now() - start);
  }
  return least;
}

void print(const char *name, int64_t rows, int64_t in, int64_t out, double seconds, double work,
           const char *unit) {
  std::printf("%-16s %5lld rows %4lld -> %4lld  %9.2f us  %7.1f %s\n", name,
              static_cast<long long>(rows), static_cast<long long>(in), static_cast<long long>(out),
              seconds * 1e6, work / seconds * 1e-9, unit);
}

void products(Device &device, int64_t rows, const float *values, float *result) {
  for (int layer = 0; layer < 4; ++layer) { // the other four are these the other way round
    const int64_t in = widths[layer], out = widths[layer + 1];
    const double flops = 2.0 * static_cast<double>(rows * in * out);
    const float *x = values, *weight = values + rows * 256, *gradient = weight + 256 * 256;
    print("linear", rows, in, out, least_time([&] {
            linear(device, rows, in, out, x, weight, weight, Activation::relu, result);
          }),
          flops, "GFLOP/s");
    print("input gradient", rows, in, out, least_time([&] {
            matmul(device, 1, rows, in, out, Transpose::no, Transpose::no, gradient, weight, result,
                   Store::overwrite, x);
          }),
          flops, "GFLOP/s");
    print("weight gradient", rows, in, out, least_time([&] {
            matmul(device, 1, out, in, rows, Transpose::yes, Transpose::no, gradient, x, result);
          }),
          flops, "GFLOP/s");
    print("bias gradient", rows, out, 1,
          least_time([&] { reduce(device, Reduction::sum, {rows, out}, 1, gradient, result); }),
          4.0 * static_cast<double>(rows * out), "GB/s");
  }
}

void steps(Device &device) {
  OptimizerSettings settings;
  int64_t step = 0;
  const double bytes = 4.0 * parameters;
  settings.momentum = 0.9;
  print("sgd, momentum", parameters, 1, 1, least_time([&] { sgd(device, settings, ++step); }),
        5 * bytes, "GB/s");
  print("adam", parameters, 1, 1, least_time([&] { adam(device, settings, ++step); }), 7 * bytes,
        "GB/s");
}

int run(int count, char **arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 1;
  if (count > 2 || threads < 1) {
    std::fprintf(stderr, "usage: runtime-kernel-bench [THREADS]\n");
    return 2;
  }
  flush_denormals();
  Device device(0, 0, {parameters, parameters, 0, 0}, 2, 1, threads);
  for (int64_t i = 0; i < parameters; ++i)
    device.gradients()[i] = static_cast<float>(i % 1001 - 500) * 1e-4f;
  std::vector<float> values(2 * 4096 * 256 + 256 * 256), result(4096 * 256);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i * 7919 % 1001) * 1e-3f - 0.5f;
  steps(device);
  for (int64_t rows : {1, 32, 64, 256, 4096})
    products(device, rows, values.data(), result.data());
  return 0;
}

} // namespace

int main(int count, char **arguments) {
  try {
    return run(count, arguments);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
