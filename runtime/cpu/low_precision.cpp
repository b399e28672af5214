// Products of numbers of two bytes.
#include "mpar/linear.h"

#include "backend.h"

#include "mpar/errors.h"
#include "multiversion.h"
#include "parallel.h"
#include "product.h"
#include "two_bytes.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>

namespace mpar {

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

MPAR_MULTIVERSION void narrow(int64_t count, const float *from, bfloat16 *to) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    to[i] = bfloat16(from[i]);
}

MPAR_MULTIVERSION void narrow(int64_t count, const float *from, float16 *to) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    to[i] = float16(from[i]);
}

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

/// Arrays of floats, one after the other in the thread's scratch, until more are reserved.
template <size_t wanted>
std::array<float *, wanted> reserve(const std::array<int64_t, wanted> &sizes) {
  std::array<int64_t, wanted> begins;
  int64_t total = 0;
  for (size_t i = 0; i < wanted; ++i) {
    begins[i] = total;
    total += (sizes[i] + 15) / 16 * 16;
  }
  std::array<float *, wanted> arrays;
  float *const floats = scratch().reserve(total);
  for (size_t i = 0; i < wanted; ++i)
    arrays[i] = floats + begins[i];
  return arrays;
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

/// What is asked of a product: c = activation(op(a) · op(b) + bias), or c += op(a) · op(b), for
/// `batch` matrices. c's numbers are those of the operands or floats, the bias's are as c's.
template <typename T, typename Result> struct Call {
  Device &device;
  int64_t batch, m, n, k;
  Transpose transpose_a, transpose_b;
  const T *a, *b;
  Result *c;
  const Result *bias = nullptr;
  Activation activation = Activation::none;
  Store store = Store::overwrite;
};

/// By oneDNN.
template <typename Result> void multiply(const Call<bfloat16, Result> &call) {
  using dnnl::memory;
  const auto &[device, batch, m, n, k, transpose_a, transpose_b, a, b, c, bias, activation, store] =
      call;
  const ThreadCount count(device.threads());
  try {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    thread_local dnnl::stream stream(engine);
    const auto type = memory::data_type::bf16;
    const auto result = std::is_same_v<Result, float> ? memory::data_type::f32 : type;
    const memory::desc a_layout({batch, m, k}, type,
                                transpose_a == Transpose::yes ? memory::dims{m * k, 1, m}
                                                              : memory::dims{m * k, k, 1});
    const memory::desc b_layout({batch, k, n}, type,
                                transpose_b == Transpose::yes ? memory::dims{k * n, 1, k}
                                                              : memory::dims{k * n, n, 1});
    const memory::desc c_layout({batch, m, n}, result, memory::dims{m * n, n, 1});
    const memory::desc bias_layout({1, 1, n}, result, memory::dims{n, n, 1});
    dnnl::post_ops after;
    if (store == Store::add)
      after.append_sum(1.0f);
    if (activation == Activation::relu)
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
      arguments.emplace(DNNL_ARG_BIAS, memory(bias_layout, engine, const_cast<Result *>(bias)));
    product.execute(stream, arguments);
    stream.wait();
  } catch (const dnnl::error &error) {
    fail("a bf16 matrix product of " + std::to_string(m) + " × " + std::to_string(k) + " × " +
         std::to_string(n) + " failed: " + error.message);
  }
}

/// With operands that are converted to floats, and a result that is where it is not to be one.
template <typename T, typename Result> void multiply_widened(const Call<T, Result> &call) {
  constexpr bool wide_result = std::is_same_v<Result, float>;
  const int64_t count = call.batch * call.m * call.n;
  const auto [a, b, bias, c] =
      reserve<4>({call.batch * call.m * call.k, call.batch * call.k * call.n,
                  wide_result ? 0 : call.n, wide_result ? 0 : count});
  widen(call.batch * call.m * call.k, call.a, a);
  widen(call.batch * call.k * call.n, call.b, b);
  const float *wide_bias = nullptr;
  float *wide_c = c;
  if constexpr (wide_result) {
    wide_bias = call.bias;
    wide_c = call.c;
  } else if (call.bias) {
    widen(call.n, call.bias, bias);
    wide_bias = bias;
  }
  // Only `linear` has a bias or an activation.
  if (wide_bias || call.activation != Activation::none)
    linear(call.device, call.m, call.k, call.n, a, b, wide_bias, call.activation, wide_c);
  else
    matmul(call.device, call.batch, call.m, call.n, call.k, call.transpose_a, call.transpose_b, a,
           b, wide_c, call.store);
  if constexpr (!wide_result)
    narrow(count, wide_c, call.c);
}

template <typename T, typename Result> void run(const Call<T, Result> &call) {
  if (finish_empty_product(call.device, call.batch * call.m * call.n, call.k, call.c, call.store))
    return;
  if (Backend *const backend = call.device.backend())
    return backend->multiply(call.device,
                             {real_of<T>(), real_of<Result>(), call.batch, call.m, call.n, call.k,
                              call.transpose_a, call.transpose_b, call.a, call.b, call.c, call.bias,
                              call.activation == Activation::relu, call.store});
  if constexpr (std::is_same_v<T, bfloat16>)
    if (has_bfloat16_products())
      return multiply(call);
  multiply_widened(call);
}

} // namespace

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const bfloat16 *x,
            const bfloat16 *weight, const float *bias, Activation activation, float *y) {
  run<bfloat16, float>(
      {device, 1, rows, out, in, Transpose::no, Transpose::yes, x, weight, y, bias, activation});
}

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float16 *x,
            const float16 *weight, const float *bias, Activation activation, float *y) {
  run<float16, float>(
      {device, 1, rows, out, in, Transpose::no, Transpose::yes, x, weight, y, bias, activation});
}

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const bfloat16 *x,
            const bfloat16 *weight, const bfloat16 *bias, Activation activation, bfloat16 *y) {
  run<bfloat16, bfloat16>(
      {device, 1, rows, out, in, Transpose::no, Transpose::yes, x, weight, y, bias, activation});
}

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float16 *x,
            const float16 *weight, const float16 *bias, Activation activation, float16 *y) {
  run<float16, float16>(
      {device, 1, rows, out, in, Transpose::no, Transpose::yes, x, weight, y, bias, activation});
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const bfloat16 *a, const bfloat16 *b, float *c, Store store) {
  run<bfloat16, float>({device, batch, m, n, k, transpose_a, transpose_b, a, b, c, nullptr,
                        Activation::none, store});
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float16 *a, const float16 *b, float *c, Store store) {
  run<float16, float>({device, batch, m, n, k, transpose_a, transpose_b, a, b, c, nullptr,
                       Activation::none, store});
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const bfloat16 *a, const bfloat16 *b, bfloat16 *c) {
  run<bfloat16, bfloat16>({device, batch, m, n, k, transpose_a, transpose_b, a, b, c});
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float16 *a, const float16 *b, float16 *c) {
  run<float16, float16>({device, batch, m, n, k, transpose_a, transpose_b, a, b, c});
}

} // namespace mpar
