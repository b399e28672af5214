// cuBLASLt's products: column-major, each element a chain of fused multiply-adds.
#include "emulation.h"

#include <cublasLt.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace emulation {

struct Blas {
  int device;
};
struct Product {
  cublasComputeType_t compute;
  cublasOperation_t transpose_a = CUBLAS_OP_N;
  cublasOperation_t transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void *bias = nullptr;
  cudaDataType_t bias_type = CUDA_R_32F;
};
struct Layout {
  cudaDataType_t type;
  uint64_t rows, columns;
  int64_t leading;
  int32_t batch = 1;
  int64_t stride = 0;

  size_t element() const { return type == CUDA_R_32F ? 4 : 2; }
  size_t bytes() const {
    const uint64_t last = (columns - 1) * static_cast<uint64_t>(leading) + rows;
    return (static_cast<uint64_t>(batch - 1) * static_cast<uint64_t>(stride) + last) * element();
  }
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t alignments[4] = {256, 256, 256, 256};
};

namespace {

/// What the heuristic's choice keeps: for what it was chosen, so that no other product uses it.
struct Choice {
  uint64_t mark;
  uint64_t workspace;
  uint32_t alignments[4];
  uint64_t shape;
};
static_assert(sizeof(Choice) <= sizeof(cublasLtMatmulAlgo_t));
constexpr uint64_t mark = 0x6d706172;

uint64_t hash_of(const Product &product, const Layout *const (&layouts)[4]) {
  uint64_t hash = product.compute * 31u + product.transpose_a * 7u + product.transpose_b * 3u +
                  product.epilogue;
  for (const Layout *layout : layouts)
    for (const uint64_t value :
         {uint64_t(layout->type), layout->rows, layout->columns, uint64_t(layout->leading),
          uint64_t(layout->batch), uint64_t(layout->stride)})
      hash = (hash ^ value) * 0x100000001b3ull;
  return hash;
}

/// A workspace that some shapes ask for.
uint64_t workspace_for(const Layout &d) { return d.columns >= 64 ? 4096 : 0; }

bool is_known(const Product &product, const Layout *const (&layouts)[4]) {
  const auto &[a, b, c, d] = layouts;
  const bool ta = product.transpose_a == CUBLAS_OP_T, tb = product.transpose_b == CUBLAS_OP_T;
  const uint64_t m = ta ? a->columns : a->rows, k = ta ? a->rows : a->columns;
  const uint64_t n = tb ? b->rows : b->columns;
  if (m == 0 || n == 0 || k == 0 || (tb ? b->columns : b->rows) != k || d->rows != m ||
      d->columns != n || c->rows != m || c->columns != n)
    return false;
  for (const Layout *layout : layouts)
    if (layout->leading < static_cast<int64_t>(layout->rows) || layout->batch != d->batch)
      return false;
  if (product.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && a->type != CUDA_R_32F)
    return false;
  const bool biased = (product.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0;
  return a->type == b->type && c->type == d->type &&
         (d->type == CUDA_R_32F || d->type == a->type) && (!biased || product.bias_type == d->type);
}

float read(const void *from, cudaDataType_t type, size_t index) {
  if (type == CUDA_R_32F)
    return static_cast<const float *>(from)[index];
  const uint16_t bits = static_cast<const uint16_t *>(from)[index];
  if (type == CUDA_R_16BF) {
    const uint32_t whole = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &whole, sizeof value);
    return value;
  }
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const float magnitude = exponent == 31 ? (mantissa ? NAN : INFINITY)
                          : exponent == 0
                              ? std::ldexp(static_cast<float>(mantissa), -24)
                              : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

/// The bits of the nearest number of 10 bits of mantissa and 5 of exponent, ties to even.
uint16_t to_half(float x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x))
    return sign | 0x7e00;
  const int exponent = std::max(x == 0 || std::isinf(x) ? -14 : std::ilogb(x), -14);
  const float mantissa = std::nearbyint(std::ldexp(std::abs(x), 10 - exponent));
  // 1024 is the bit above the mantissa: it adds one to the exponent, as rounding up to 2048 does.
  const float bits = static_cast<float>((exponent + 14) * 1024) + mantissa;
  return sign | static_cast<uint16_t>(std::min(bits, 31.0f * 1024));
}

void write(void *to, cudaDataType_t type, size_t index, float value) {
  if (type == CUDA_R_32F) {
    static_cast<float *>(to)[index] = value;
  } else if (type == CUDA_R_16F) {
    static_cast<uint16_t *>(to)[index] = to_half(value);
  } else {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits = std::isnan(value) ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u);
    static_cast<uint16_t *>(to)[index] = static_cast<uint16_t>(bits >> 16);
  }
}

/// To 10 bits of mantissa, ties to even.
float to_tf32(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0xfffu + ((bits >> 13) & 1u)) & ~0x1fffu;
  float rounded;
  std::memcpy(&rounded, &bits, sizeof rounded);
  return std::isfinite(x) ? rounded : x;
}

std::vector<float> widen(const void *from, const Layout &layout, int32_t matrix, bool transposed) {
  // Column after column of what is multiplied: [k, columns], k together.
  std::vector<float> wide(layout.rows * layout.columns);
  for (uint64_t column = 0; column < layout.columns; ++column)
    for (uint64_t row = 0; row < layout.rows; ++row)
      wide[transposed ? row * layout.columns + column : column * layout.rows + row] =
          read(from, layout.type,
               static_cast<uint64_t>(matrix) * static_cast<uint64_t>(layout.stride) +
                   column * static_cast<uint64_t>(layout.leading) + row);
  return wide;
}

void multiply(const Product &product, const Layout &a_layout, const void *a, const Layout &b_layout,
              const void *b, float alpha, float beta, const void *c, const Layout &d_layout,
              void *d) {
  const bool ta = product.transpose_a == CUBLAS_OP_T, tb = product.transpose_b == CUBLAS_OP_T;
  const uint64_t k = ta ? a_layout.rows : a_layout.columns;
  const bool rounds = product.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  for (int32_t matrix = 0; matrix < d_layout.batch; ++matrix) {
    std::vector<float> left = widen(a, a_layout, matrix, !ta);
    std::vector<float> right = widen(b, b_layout, matrix, tb);
    if (rounds) {
      std::transform(left.begin(), left.end(), left.begin(), to_tf32);
      std::transform(right.begin(), right.end(), right.begin(), to_tf32);
    }
    for (uint64_t column = 0; column < d_layout.columns; ++column)
      for (uint64_t row = 0; row < d_layout.rows; ++row) {
        float sum = 0;
        for (uint64_t p = 0; p < k; ++p)
          sum = std::fma(left[row * k + p], right[column * k + p], sum);
        const uint64_t at = static_cast<uint64_t>(matrix) * static_cast<uint64_t>(d_layout.stride) +
                            column * static_cast<uint64_t>(d_layout.leading) + row;
        float value = alpha * sum;
        if (beta != 0)
          value += beta * read(c, d_layout.type, at);
        if (product.epilogue & CUBLASLT_EPILOGUE_BIAS)
          value += read(product.bias, product.bias_type, row);
        if (product.epilogue & CUBLASLT_EPILOGUE_RELU)
          value = value < 0 ? 0 : value;
        write(d, d_layout.type, at, value);
      }
  }
}

template <typename T> bool take(T &to, const void *value, size_t bytes) {
  if (bytes != sizeof(T))
    return false;
  std::memcpy(&to, value, bytes);
  return true;
}

cublasStatus_t status_of(bool good) {
  return good ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

/// Gives up unless a matrix lies where a GPU can read it, as aligned as was promised.
void check_operand(const char *which, const void *at, size_t bytes, uint32_t alignment) {
  if (reinterpret_cast<uintptr_t>(at) % alignment != 0)
    give_up("cublasLtMatmul: %s is not aligned to the %u bytes that the heuristic was told", which,
            alignment);
  if (where_is(at, bytes) == Where::pageable)
    give_up("cublasLtMatmul: %s is no memory of a GPU", which);
}

} // namespace
} // namespace emulation

using namespace emulation;

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  const std::lock_guard lock(mutex());
  if (injected("cublasLtCreate"))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new Blas{current_device()};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion() { return 130000; }

const char *cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
  case CUBLAS_STATUS_SUCCESS:
    return "CUBLAS_STATUS_SUCCESS";
  case CUBLAS_STATUS_NOT_INITIALIZED:
    return "CUBLAS_STATUS_NOT_INITIALIZED";
  case CUBLAS_STATUS_ALLOC_FAILED:
    return "CUBLAS_STATUS_ALLOC_FAILED";
  case CUBLAS_STATUS_INVALID_VALUE:
    return "CUBLAS_STATUS_INVALID_VALUE";
  case CUBLAS_STATUS_ARCH_MISMATCH:
    return "CUBLAS_STATUS_ARCH_MISMATCH";
  case CUBLAS_STATUS_EXECUTION_FAILED:
    return "CUBLAS_STATUS_EXECUTION_FAILED";
  case CUBLAS_STATUS_INTERNAL_ERROR:
    return "CUBLAS_STATUS_INTERNAL_ERROR";
  case CUBLAS_STATUS_NOT_SUPPORTED:
    return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "CUBLAS_STATUS_UNKNOWN";
}
const char *cublasLtGetStatusString(cublasStatus_t status) { return cublasLtGetStatusName(status); }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *description,
                                        cublasComputeType_t compute, cudaDataType_t scale) {
  if (scale != CUDA_R_32F)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  *description = new Product{compute};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  delete description;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
  switch (attribute) {
  case CUBLASLT_MATMUL_DESC_TRANSA:
    return status_of(take(description->transpose_a, value, bytes));
  case CUBLASLT_MATMUL_DESC_TRANSB:
    return status_of(take(description->transpose_b, value, bytes));
  case CUBLASLT_MATMUL_DESC_EPILOGUE:
    return status_of(take(description->epilogue, value, bytes));
  case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
    return status_of(take(description->bias, value, bytes));
  case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
    return status_of(take(description->bias_type, value, bytes));
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type,
                                          uint64_t rows, uint64_t columns, int64_t leading) {
  *layout = new Layout{type, rows, columns, leading};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *value, size_t bytes) {
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT)
    return status_of(take(layout->batch, value, bytes));
  return status_of(take(layout->stride, value, bytes));
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
  *preference = new Preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
    return status_of(take(preference->workspace, value, bytes));
  const int operand = attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
  return status_of(take(preference->alignments[operand], value, bytes));
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results,
                                              int *found) {
  *found = 0;
  const Layout *const layouts[4] = {a, b, c, d};
  if (wanted < 1 || !is_known(*description, layouts) || workspace_for(*d) > preference->workspace)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  Choice choice{mark, workspace_for(*d), {}, hash_of(*description, layouts)};
  std::copy(std::begin(preference->alignments), std::end(preference->alignments),
            choice.alignments);
  results[0] = {};
  std::memcpy(&results[0].algo, &choice, sizeof choice);
  results[0].workspaceSize = choice.workspace;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                              const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (injected("cublasLtMatmul"))
    return CUBLAS_STATUS_EXECUTION_FAILED;
  Stream *on = stream_of(stream);
  const Layout *const layouts[4] = {a_layout, b_layout, c_layout, d_layout};
  Choice choice;
  std::memcpy(&choice, algo, sizeof choice);
  if (!is_known(*description, layouts) || choice.mark != mark ||
      choice.shape != hash_of(*description, layouts) || workspace_bytes < choice.workspace ||
      handle->device != on->device)
    return CUBLAS_STATUS_INVALID_VALUE;
  check_operand("a", a, a_layout->bytes(), choice.alignments[0]);
  check_operand("b", b, b_layout->bytes(), choice.alignments[1]);
  check_operand("c", c, c_layout->bytes(), choice.alignments[2]);
  check_operand("d", d, d_layout->bytes(), choice.alignments[3]);
  if (choice.workspace > 0)
    check_operand("the workspace", workspace, choice.workspace, 256);
  if (description->epilogue & CUBLASLT_EPILOGUE_BIAS) {
    const uint32_t bytes = static_cast<uint32_t>(d_layout->element());
    check_operand("the bias", description->bias, d_layout->rows * bytes, bytes);
  }
  float one, add;
  std::memcpy(&one, alpha, sizeof one);
  std::memcpy(&add, beta, sizeof add);
  add_operation(on, [product = *description, left = *a_layout, a, right = *b_layout, b, one, add, c,
                     result = *d_layout, d, workspace, used = choice.workspace] {
    if (used > 0)
      std::memset(workspace, 0xff, used);
    multiply(product, left, a, right, b, one, add, c, result, d);
  });
  return CUBLAS_STATUS_SUCCESS;
}
