// Products of numbers of two bytes.
#include "mpar/linear.h"

#include "backend.h"

#include "mpar/errors.h"
#include "multiversion.h"
#include "parallel.h"
#include "product.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

namespace mpar {
namespace {

/// Floats of a thread that operands are converted into; kept from call to call.
class Scratch {
public:
  float *reserve(int64_t count) {
    if (count > capacity_) {
      floats_.reset();
      capacity_ = 0;
      const size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
      floats_.reset(static_cast<float *>(std::aligned_alloc(64, bytes)));
      if (!floats_)
        fail("a matrix product: cannot allocate " + std::to_string(bytes) + " bytes to work in");
      capacity_ = count;
    }
    return floats_.get();
  }

private:
  struct Free {
    void operator()(float *floats) const { std::free(floats); }
  };
  std::unique_ptr<float[], Free> floats_;
  int64_t capacity_ = 0;
};

Scratch &scratch() {
  thread_local Scratch floats;
  return floats;
}

MPAR_MULTIVERSION void widen(int64_t count, const bfloat16 *from, float *to) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    to[i] = static_cast<float>(from[i]);
}

MPAR_MULTIVERSION void widen(int64_t count, const float16 *from, float *to) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    to[i] = static_cast<float>(from[i]);
}

/// Both operands as floats, one after the other in the thread's scratch.
template <typename T>
std::pair<const float *, const float *> widened(int64_t count_a, const T *a, int64_t count_b,
                                                const T *b) {
  const int64_t begin_b = (count_a + 15) / 16 * 16;
  float *floats = scratch().reserve(begin_b + count_b);
  widen(count_a, a, floats);
  widen(count_b, b, floats + begin_b);
  return {floats, floats + begin_b};
}

/// Whether the processor itself multiplies bfloat16; asked once.
bool has_bfloat16_products() {
  static const bool has = [] {
    switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx512_core_bf16:
    case dnnl::cpu_isa::avx512_core_amx:
      return true;
    default:
      return false;
    }
  }();
  return has;
}

/// c = activation(op(a) · op(b) + bias), or c += op(a) · op(b), by oneDNN.
void multiply(const Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, bool ta,
              bool tb, const bfloat16 *a, const bfloat16 *b, const float *bias, bool rectify,
              bool add, float *c) {
  using dnnl::memory;
  const ThreadCount count(device.threads());
  try {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    thread_local dnnl::stream stream(engine);
    const auto type = memory::data_type::bf16;
    const auto real = memory::data_type::f32;
    const memory::desc a_layout({batch, m, k}, type,
                                ta ? memory::dims{m * k, 1, m} : memory::dims{m * k, k, 1});
    const memory::desc b_layout({batch, k, n}, type,
                                tb ? memory::dims{k * n, 1, k} : memory::dims{k * n, n, 1});
    const memory::desc c_layout({batch, m, n}, real, memory::dims{m * n, n, 1});
    const memory::desc bias_layout({1, 1, n}, real, memory::dims{n, n, 1});
    dnnl::post_ops after;
    if (add)
      after.append_sum(1.0f);
    if (rectify)
      after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(after);
    const auto description = bias ? dnnl::matmul::desc(a_layout, b_layout, bias_layout, c_layout)
                                  : dnnl::matmul::desc(a_layout, b_layout, c_layout);
    // oneDNN keeps the code of what it has made before.
    const dnnl::matmul product(dnnl::matmul::primitive_desc(description, attributes, engine));
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, memory(a_layout, engine, const_cast<bfloat16 *>(a))},
        {DNNL_ARG_WEIGHTS, memory(b_layout, engine, const_cast<bfloat16 *>(b))},
        {DNNL_ARG_DST, memory(c_layout, engine, c)}};
    if (bias)
      arguments.emplace(DNNL_ARG_BIAS, memory(bias_layout, engine, const_cast<float *>(bias)));
    product.execute(stream, arguments);
    stream.wait();
  } catch (const dnnl::error &error) {
    fail("a bf16 matrix product of " + std::to_string(m) + " × " + std::to_string(k) + " × " +
         std::to_string(n) + " failed: " + error.message);
  }
}

template <typename T>
void multiply_widened(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k,
                      Transpose transpose_a, Transpose transpose_b, const T *a, const T *b,
                      float *c, Store store) {
  const auto [wide_a, wide_b] = widened(batch * m * k, a, batch * k * n, b);
  matmul(device, batch, m, n, k, transpose_a, transpose_b, wide_a, wide_b, c, store);
}

} // namespace

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const bfloat16 *x,
            const bfloat16 *weight, const float *bias, Activation activation, float *y) {
  if (finish_empty_product(device, rows * out, in, y, Store::overwrite))
    return;
  if (Backend *const backend = device.backend())
    return backend->linear(device, rows, in, out, x, weight, bias, activation, y);
  if (has_bfloat16_products())
    return multiply(device, 1, rows, out, in, false, true, x, weight, bias,
                    activation == Activation::relu, false, y);
  const auto [wide_x, wide_weight] = widened(rows * in, x, out * in, weight);
  linear(device, rows, in, out, wide_x, wide_weight, bias, activation, y);
}

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float16 *x,
            const float16 *weight, const float *bias, Activation activation, float *y) {
  if (finish_empty_product(device, rows * out, in, y, Store::overwrite))
    return;
  if (Backend *const backend = device.backend())
    return backend->linear(device, rows, in, out, x, weight, bias, activation, y);
  const auto [wide_x, wide_weight] = widened(rows * in, x, out * in, weight);
  linear(device, rows, in, out, wide_x, wide_weight, bias, activation, y);
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const bfloat16 *a, const bfloat16 *b, float *c, Store store) {
  if (finish_empty_product(device, batch * m * n, k, c, store))
    return;
  if (Backend *const backend = device.backend())
    return backend->matmul(device, batch, m, n, k, transpose_a, transpose_b, a, b, c, store);
  if (!has_bfloat16_products())
    return multiply_widened(device, batch, m, n, k, transpose_a, transpose_b, a, b, c, store);
  multiply(device, batch, m, n, k, transpose_a == Transpose::yes, transpose_b == Transpose::yes, a,
           b, nullptr, false, store == Store::add, c);
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float16 *a, const float16 *b, float *c, Store store) {
  if (finish_empty_product(device, batch * m * n, k, c, store))
    return;
  if (Backend *const backend = device.backend())
    return backend->matmul(device, batch, m, n, k, transpose_a, transpose_b, a, b, c, store);
  multiply_widened(device, batch, m, n, k, transpose_a, transpose_b, a, b, c, store);
}

} // namespace mpar
