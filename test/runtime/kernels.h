// What the tests of the kernels share: devices, random tensors, comparison.
#pragma once

#include "mpar/device.h"
#include "product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace mpar::test {

/// A device without parameters, for kernels that only want its threads.
inline Device plain_device(int threads = 1) { return Device(0, 0, {0, 0, 0, 0}, 0, 1, threads); }

/// Standard normal values from a fixed seed.
inline std::vector<float> random_values(int64_t count, uint32_t seed = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float &value : values)
    value = distribution(generator);
  return values;
}

/// Whether two ranges are the same bytes.
inline bool same_bits(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// The sets of product kernels that this processor can run; the last, without one for matrices,
/// leaves them to oneDNN.
inline std::vector<const ProductKernels *> product_kernel_sets() {
  std::vector<const ProductKernels *> sets;
  if (avx512::kernels && has_avx512())
    sets.push_back(avx512::kernels);
  if (avx2::kernels && has_avx2())
    sets.push_back(avx2::kernels);
  sets.push_back(&portable::kernels);
  return sets;
}

/// How a test over such a set is called.
inline std::string name_of_kernels(const testing::TestParamInfo<const ProductKernels *> &info) {
  return info.param == &portable::kernels ? "oneDNN"
         : info.param == avx512::kernels  ? "Avx512"
                                          : "Avx2";
}

} // namespace mpar::test
