// What the tests of the CUDA backend's kernels share: a GPU's queue, memory, and comparison.
#pragma once

#include "cuda_backend.h"

#include "mpar/device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

namespace mpar::test {

/// The GPU that all tests run on.
class Gpu {
public:
  static Gpu &get();
  cuda::CudaBackend backend{0};
  cuda::Queue &queue = backend.queue();
  /// For kernels that only want the GPU.
  Device device{0, 0, {0, 0, 0, 0}, 0, 1, 1, {}, &backend};
  void synchronize() { cuda::check(cudaStreamSynchronize(queue.stream), "cudaStreamSynchronize"); }

private:
  Gpu() = default;
};

/// Elements in the GPU's memory; NaN bits where nothing was given.
template <typename T> class OnGpu {
public:
  // A vector<bool> has no elements in memory.
  using Stored = std::conditional_t<std::is_same_v<T, bool>, unsigned char, T>;

  explicit OnGpu(size_t count) : count_(count) {
    if (count > 0)
      cuda::check(cudaMalloc(&data_, count * sizeof(T)), "cudaMalloc");
  }
  explicit OnGpu(const std::vector<Stored> &values) : OnGpu(values.size()) {
    cuda::check(cudaMemcpyAsync(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice,
                                Gpu::get().queue.stream),
                "cudaMemcpyAsync");
  }
  OnGpu(const OnGpu &) = delete;
  OnGpu &operator=(const OnGpu &) = delete;
  ~OnGpu() { static_cast<void>(cudaFree(data_)); }

  T *data() const { return data_; }
  operator T *() const { return data_; }
  std::vector<Stored> read() const {
    std::vector<Stored> values(count_);
    cuda::check(cudaMemcpyAsync(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost,
                                Gpu::get().queue.stream),
                "cudaMemcpyAsync");
    Gpu::get().synchronize();
    return values;
  }

private:
  T *data_ = nullptr;
  size_t count_;
};

inline Device &gpu() { return Gpu::get().device; }
inline Device cpu() { return Device(0, 0, {0, 0, 0, 0}, 0, 1, 1); }

/// Standard normal values from a fixed seed.
inline std::vector<float> random_values(int64_t count, uint32_t seed = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float &value : values)
    value = distribution(generator);
  return values;
}

/// Integers in [0, end).
inline std::vector<int32_t> random_integers(int64_t count, int32_t end, uint32_t seed = 1) {
  std::mt19937 generator(seed);
  std::vector<int32_t> values(count);
  for (int32_t &value : values)
    value = static_cast<int32_t>(generator() % static_cast<uint32_t>(end));
  return values;
}

template <typename T> bool same_bits(const std::vector<T> &a, const std::vector<T> &b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// Expects each value within `tolerance` · (1 + its size) of what it should be; NaN for NaN.
inline void expect_near(const std::vector<float> &got, const std::vector<float> &expected,
                        float tolerance, const char *what = "") {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(expected[i]) || std::isinf(expected[i]))
      ASSERT_TRUE(std::isnan(expected[i]) ? std::isnan(got[i]) : got[i] == expected[i])
          << what << " " << i << ": " << got[i] << " for " << expected[i];
    else
      ASSERT_LE(std::abs(got[i] - expected[i]), tolerance * (1 + std::abs(expected[i])))
          << what << " " << i << ": " << got[i] << " for " << expected[i];
  }
}

} // namespace mpar::test
