// Matrix products by cuBLASLt.
//
// Our matrices are row-major, the library's column-major: it sees each of ours transposed, so that
// cᵀ = op(b)ᵀ · op(a)ᵀ is asked for, with b as its first operand. Which of its kernels computes a
// product is what its heuristic, which measures nothing, names first for the sizes, the types and
// how aligned operands are.
#include "kernels.h"
#include "launch.h"

#include "mpar/errors.h"

#include <map>
#include <string>
#include <tuple>

namespace mpar::cuda {
namespace {

enum class Type { real, bfloat, half };

template <typename T> constexpr Type type_of() {
  return std::is_same_v<T, float>      ? Type::real
         : std::is_same_v<T, bfloat16> ? Type::bfloat
                                       : Type::half;
}

/// What a plan is made for.
struct Sizes {
  Type type;
  int64_t batch, m, n, k;
  bool transpose_a, transpose_b;
  cublasLtEpilogue_t epilogue;
  bool tf32;
  uint32_t alignment_a, alignment_b, alignment_c; // in bytes

  auto all() const {
    return std::tie(type, batch, m, n, k, transpose_a, transpose_b, epilogue, tf32, alignment_a,
                    alignment_b, alignment_c);
  }
  bool operator<(const Sizes &other) const { return all() < other.all(); }
};

/// A description of the library's, destroyed with its owner.
template <typename T, cublasStatus_t (*destroy)(T)> class Owned {
public:
  Owned() = default;
  Owned(const Owned &) = delete;
  Owned &operator=(const Owned &) = delete;
  ~Owned() {
    if (value_)
      destroy(value_);
  }
  operator T() const { return value_; }
  T *out() { return &value_; }

private:
  T value_ = nullptr;
};
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

struct Plan {
  Description description;
  Layout a, b, c; // of the library's a, which is our b, and so on
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace;
};

template <typename T>
void set(const Description &description, cublasLtMatmulDescAttributes_t attribute, const T &value) {
  check(cublasLtMatmulDescSetAttribute(description, attribute, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute");
}

template <typename T>
void set(const Preference &preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T &value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value),
        "cublasLtMatmulPreferenceSetAttribute");
}

/// A column-major layout of `rows` by `columns`, one matrix after the other.
void make_layout(Layout &layout, cudaDataType_t type, int64_t rows, int64_t columns,
                 int64_t batch) {
  check(cublasLtMatrixLayoutCreate(layout.out(), type, rows, columns, rows),
        "cublasLtMatrixLayoutCreate");
  const auto count = static_cast<int32_t>(batch);
  const int64_t stride = rows * columns;
  check(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                         sizeof count),
        "cublasLtMatrixLayoutSetAttribute");
  check(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                         &stride, sizeof stride),
        "cublasLtMatrixLayoutSetAttribute");
}

std::string name_of(const Sizes &sizes) {
  return "a matrix product of " + std::to_string(sizes.m) + " × " + std::to_string(sizes.k) +
         " × " + std::to_string(sizes.n);
}

void make_plan(const Queue &queue, const Sizes &sizes, Plan &plan) {
  const cudaDataType_t type = sizes.type == Type::real     ? CUDA_R_32F
                              : sizes.type == Type::bfloat ? CUDA_R_16BF
                                                           : CUDA_R_16F;
  check(cublasLtMatmulDescCreate(plan.description.out(),
                                 sizes.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                                 CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  set(plan.description, CUBLASLT_MATMUL_DESC_TRANSA, sizes.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.description, CUBLASLT_MATMUL_DESC_TRANSB, sizes.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.description, CUBLASLT_MATMUL_DESC_EPILOGUE, sizes.epilogue);
  if ((sizes.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0)
    set(plan.description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F);
  // What we store [rows, columns] is for the library [columns, rows].
  const int64_t m = sizes.m, n = sizes.n, k = sizes.k;
  make_layout(plan.a, type, sizes.transpose_b ? k : n, sizes.transpose_b ? n : k, sizes.batch);
  make_layout(plan.b, type, sizes.transpose_a ? m : k, sizes.transpose_a ? k : m, sizes.batch);
  make_layout(plan.c, CUDA_R_32F, n, m, sizes.batch);

  Preference preference;
  check(cublasLtMatmulPreferenceCreate(preference.out()), "cublasLtMatmulPreferenceCreate");
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
      static_cast<uint64_t>(queue.workspace_bytes));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, sizes.alignment_b);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, sizes.alignment_a);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, sizes.alignment_c);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, sizes.alignment_c);
  cublasLtMatmulHeuristicResult_t result;
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      queue.blas, plan.description, plan.a, plan.b, plan.c, plan.c, preference, 1, &result, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && found == 0))
    fail(name_of(sizes) + ": cuBLASLt has no kernel for it");
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  plan.algorithm = result.algo;
  plan.workspace = result.workspaceSize;
}

/// The largest power of two up to 16 that divides the address: what vector loads ask for. No more
/// is told the heuristic, so that a plan does not depend on where in an arena things lie.
uint32_t alignment_of(const void *at) {
  uint32_t alignment = 16;
  while (reinterpret_cast<uintptr_t>(at) % alignment != 0)
    alignment /= 2;
  return alignment;
}

} // namespace

class Plans {
public:
  Plan &plan_for(const Queue &queue, const Sizes &sizes) {
    const auto [at, is_new] = plans_.try_emplace(sizes);
    if (!is_new)
      return *at->second;
    try {
      at->second = std::make_unique<Plan>();
      make_plan(queue, sizes, *at->second);
    } catch (...) {
      plans_.erase(at);
      throw;
    }
    return *at->second;
  }

private:
  std::map<Sizes, std::unique_ptr<Plan>> plans_;
};

namespace {

constexpr int threads = 256;

/// c = activation(Σ over nothing + bias), or c itself: a product of no terms.
__global__ void empty_product(int64_t count, int64_t n, const float *bias, bool add, float *c) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x) {
    const float value = bias ? bias[i % n] : 0;
    c[i] = add ? c[i] + value : value;
  }
}

__global__ void apply_gate(int64_t count, const float *gate, float *c) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x)
    c[i] = gate[i] > 0 ? c[i] : 0;
}

__global__ void rectify(int64_t count, float *c) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x)
    c[i] = c[i] < 0 ? 0 : c[i];
}

cublasLtEpilogue_t epilogue_of(bool bias, bool rectifies) {
  if (bias)
    return rectifies ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  return rectifies ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
}

/// c = epilogue(op(a) · op(b)) or c += op(a) · op(b).
template <typename T>
void multiply(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
              Transpose transpose_b, const T *a, const T *b, const float *bias, bool rectifies,
              bool add, float *c) {
  Queue &queue = queue_of(device);
  const int64_t count = batch * m * n;
  if (count == 0)
    return;
  if (k == 0) {
    launch("matmul", empty_product, blocks_for(queue, count, threads), threads, 0, queue.stream,
           count, n, bias, add, c);
    if (rectifies)
      launch("matmul", rectify, blocks_for(queue, count, threads), threads, 0, queue.stream, count,
             c);
    return;
  }
  if (!queue.plans)
    queue.plans = std::make_shared<Plans>();
  Plan &plan = queue.plans->plan_for(
      queue,
      {type_of<T>(), batch, m, n, k, transpose_a == Transpose::yes, transpose_b == Transpose::yes,
       epilogue_of(bias != nullptr, rectifies), queue.tf32 && type_of<T>() == Type::real,
       alignment_of(a), alignment_of(b), alignment_of(c)});
  if (bias)
    set(plan.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void *>(bias));
  const float one = 1;
  const float beta = add ? 1 : 0;
  check(cublasLtMatmul(queue.blas, plan.description, &one, b, plan.a, a, plan.b, &beta, c, plan.c,
                       c, plan.c, &plan.algorithm, queue.workspace, queue.workspace_bytes,
                       queue.stream),
        "cublasLtMatmul");
}

} // namespace

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float *x,
            const float *weight, const float *bias, Activation activation, float *y) {
  multiply(device, 1, rows, out, in, Transpose::no, Transpose::yes, x, weight, bias,
           activation == Activation::relu, false, y);
}

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const bfloat16 *x,
            const bfloat16 *weight, const float *bias, Activation activation, float *y) {
  multiply(device, 1, rows, out, in, Transpose::no, Transpose::yes, x, weight, bias,
           activation == Activation::relu, false, y);
}

void linear(Device &device, int64_t rows, int64_t in, int64_t out, const float16 *x,
            const float16 *weight, const float *bias, Activation activation, float *y) {
  multiply(device, 1, rows, out, in, Transpose::no, Transpose::yes, x, weight, bias,
           activation == Activation::relu, false, y);
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float *a, const float *b, float *c, Store store,
            const float *gate) {
  multiply(device, batch, m, n, k, transpose_a, transpose_b, a, b, nullptr, false,
           store == Store::add, c);
  if (!gate)
    return;
  const Queue &queue = queue_of(device);
  const int64_t count = batch * m * n;
  launch("matmul", apply_gate, blocks_for(queue, count, threads), threads, 0, queue.stream, count,
         gate, c);
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const bfloat16 *a, const bfloat16 *b, float *c, Store store) {
  multiply(device, batch, m, n, k, transpose_a, transpose_b, a, b, nullptr, false,
           store == Store::add, c);
}

void matmul(Device &device, int64_t batch, int64_t m, int64_t n, int64_t k, Transpose transpose_a,
            Transpose transpose_b, const float16 *a, const float16 *b, float *c, Store store) {
  multiply(device, batch, m, n, k, transpose_a, transpose_b, a, b, nullptr, false,
           store == Store::add, c);
}

} // namespace mpar::cuda
