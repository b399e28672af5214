// Matrix products by cuBLASLt.
//
// Our matrices are row-major, the library's column-major: it sees each of ours transposed, so that
// cᵀ = op(b)ᵀ · op(a)ᵀ is asked for, with b as its first operand. Which of its kernels computes a
// product is what its heuristic, which measures nothing, names first for the sizes, the types and
// how aligned operands are.
#include "backend.h"
#include "kernels.h"
#include "launch.h"

#include "mpar/errors.h"

#include <map>
#include <string>
#include <tuple>

namespace mpar::cuda {
namespace {

/// What a plan is made for.
struct Sizes {
  Real operands, result;
  int64_t batch, m, n, k;
  bool transpose_a, transpose_b;
  cublasLtEpilogue_t epilogue;
  bool tf32;
  uint32_t alignment_a, alignment_b, alignment_c; // in bytes

  auto all() const {
    return std::tie(operands, result, batch, m, n, k, transpose_a, transpose_b, epilogue, tf32,
                    alignment_a, alignment_b, alignment_c);
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

cudaDataType_t type_of(Real real) {
  return real == Real::f32 ? CUDA_R_32F : real == Real::bf16 ? CUDA_R_16BF : CUDA_R_16F;
}

void make_plan(const Queue &queue, const Sizes &sizes, Plan &plan) {
  const cudaDataType_t type = type_of(sizes.operands), result_type = type_of(sizes.result);
  check(cublasLtMatmulDescCreate(plan.description.out(),
                                 sizes.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                                 CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  set(plan.description, CUBLASLT_MATMUL_DESC_TRANSA, sizes.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.description, CUBLASLT_MATMUL_DESC_TRANSB, sizes.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.description, CUBLASLT_MATMUL_DESC_EPILOGUE, sizes.epilogue);
  if ((sizes.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0)
    set(plan.description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, result_type);
  // What we store [rows, columns] is for the library [columns, rows].
  const int64_t m = sizes.m, n = sizes.n, k = sizes.k;
  make_layout(plan.a, type, sizes.transpose_b ? k : n, sizes.transpose_b ? n : k, sizes.batch);
  make_layout(plan.b, type, sizes.transpose_a ? m : k, sizes.transpose_a ? k : m, sizes.batch);
  make_layout(plan.c, result_type, n, m, sizes.batch);

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

__global__ void apply_gate(int64_t count, const float *gate, float *c) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x)
    c[i] = gate[i] > 0 ? c[i] : 0;
}

cublasLtEpilogue_t epilogue_of(bool bias, bool rectifies) {
  if (bias)
    return rectifies ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  return rectifies ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
}

} // namespace

void multiply(Device &device, const ProductCall &call) {
  Queue &queue = queue_of(device);
  if (!queue.plans)
    queue.plans = std::make_shared<Plans>();
  Plan &plan = queue.plans->plan_for(
      queue,
      {call.operands, call.result, call.batch, call.m, call.n, call.k,
       call.transpose_a == Transpose::yes, call.transpose_b == Transpose::yes,
       epilogue_of(call.bias != nullptr, call.rectifies), queue.tf32 && call.operands == Real::f32,
       alignment_of(call.a), alignment_of(call.b), alignment_of(call.c)});
  if (call.bias)
    set(plan.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, call.bias);
  const float one = 1;
  const float beta = call.store == Store::add ? 1 : 0;
  check(cublasLtMatmul(queue.blas, plan.description, &one, call.b, plan.a, call.a, plan.b, &beta,
                       call.c, plan.c, call.c, plan.c, &plan.algorithm, queue.workspace,
                       queue.workspace_bytes, queue.stream),
        "cublasLtMatmul");
  if (!call.gate)
    return;
  const int64_t count = call.batch * call.m * call.n;
  launch("matmul", apply_gate, blocks_for(queue, count, threads), threads, 0, queue.stream, count,
         call.gate, static_cast<float *>(call.c));
}

} // namespace mpar::cuda
