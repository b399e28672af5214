// The matrix products of a training step of equal linear layers, by cuBLASLt alone: what a step
// cannot be faster than. Prints the median, by CUDA events, in microseconds.
//
//   products [--rows 4096] [--width 8192] [--layers 8] [--precision f32|tf32|bf16]
//            [--results f32|bf16] [--seconds 3]
//
// A step has a product a layer forward, one for the gradient of its weight, which is of f32, and
// one for that of its input but in the first layer; those two are of --results.
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

#define CHECK(call)                                                                                \
  if (auto status = (call); status != 0)                                                           \
  std::fprintf(stderr, "products: %s: status %d\n", #call, static_cast<int>(status)), std::exit(1)

struct Options {
  int64_t rows = 4096, width = 8192;
  int layers = 8;
  std::string precision = "f32", results = "f32";
  double seconds = 3;
};

Options parse(int argc, char **argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--rows")
      options.rows = std::atoll(value.c_str());
    else if (name == "--width")
      options.width = std::atoll(value.c_str());
    else if (name == "--layers")
      options.layers = std::atoi(value.c_str());
    else if (name == "--precision" && (value == "f32" || value == "tf32" || value == "bf16"))
      options.precision = value;
    else if (name == "--results" && (value == "f32" || value == "bf16"))
      options.results = value;
    else if (name == "--seconds")
      options.seconds = std::atof(value.c_str());
    else
      std::fprintf(stderr, "products: unknown argument: %s %s\n", argv[i], argv[i + 1]),
          std::exit(2);
  }
  return options;
}

/// c = op(a) · op(b), column-major, m × n with k terms, as the heuristic's first choice computes
/// it.
class Product {
public:
  Product(cublasLtHandle_t handle, const std::string &precision, const std::string &result,
          cublasOperation_t a, cublasOperation_t b, int64_t m, int64_t n, int64_t k,
          size_t workspace)
      : handle_(handle) {
    const cudaDataType_t type = precision == "bf16" ? CUDA_R_16BF : CUDA_R_32F;
    const cublasComputeType_t compute =
        precision == "tf32" ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    CHECK(cublasLtMatmulDescCreate(&product_, compute, CUDA_R_32F));
    CHECK(cublasLtMatmulDescSetAttribute(product_, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a));
    CHECK(cublasLtMatmulDescSetAttribute(product_, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b));
    const auto layout = [](cudaDataType_t of, int64_t rows, int64_t columns) {
      cublasLtMatrixLayout_t made;
      CHECK(cublasLtMatrixLayoutCreate(&made, of, rows, columns, rows));
      return made;
    };
    a_ = a == CUBLAS_OP_N ? layout(type, m, k) : layout(type, k, m);
    b_ = b == CUBLAS_OP_N ? layout(type, k, n) : layout(type, n, k);
    c_ = layout(result == "bf16" ? CUDA_R_16BF : CUDA_R_32F, m, n);
    cublasLtMatmulPreference_t preference;
    CHECK(cublasLtMatmulPreferenceCreate(&preference));
    CHECK(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &workspace, sizeof workspace));
    int found = 0;
    CHECK(cublasLtMatmulAlgoGetHeuristic(handle, product_, a_, b_, c_, c_, preference, 1, &choice_,
                                         &found));
    if (found == 0)
      std::fprintf(stderr, "products: cuBLASLt has no algorithm\n"), std::exit(1);
  }

  void run(const void *a, const void *b, void *c, void *workspace, cudaStream_t stream) const {
    const float one = 1, zero = 0;
    CHECK(cublasLtMatmul(handle_, product_, &one, a, a_, b, b_, &zero, c, c_, c, c_, &choice_.algo,
                         workspace, choice_.workspaceSize, stream));
  }

private:
  cublasLtHandle_t handle_;
  cublasLtMatmulDesc_t product_;
  cublasLtMatrixLayout_t a_, b_, c_;
  cublasLtMatmulHeuristicResult_t choice_;
};

} // namespace

int main(int argc, char **argv) {
  const Options options = parse(argc, argv);
  const int64_t rows = options.rows, width = options.width;
  const size_t element = options.precision == "bf16" ? 2 : 4, workspace_bytes = size_t(64) << 20;
  cublasLtHandle_t handle;
  CHECK(cublasLtCreate(&handle));
  void *x, *weight, *y, *gradient, *workspace;
  CHECK(cudaMalloc(&x, rows * width * element));
  CHECK(cudaMalloc(&weight, width * width * element));
  CHECK(cudaMalloc(&y, rows * width * 4));
  CHECK(cudaMalloc(&gradient, width * width * 4));
  CHECK(cudaMalloc(&workspace, workspace_bytes));
  // Zeros would take less power, and so less time, than numbers do.
  std::vector<unsigned short> noise(size_t(1) << 20);
  for (size_t i = 0; i < noise.size(); ++i)
    noise[i] = static_cast<unsigned short>(0x3c00 + (i * 2654435761u >> 16) % 0x380);
  for (auto [to, bytes] : {std::pair(x, rows * width * element), {weight, width * width * element}})
    for (size_t at = 0; at < static_cast<size_t>(bytes); at += noise.size() * 2)
      CHECK(cudaMemcpy(static_cast<char *>(to) + at, noise.data(),
                       std::min(noise.size() * 2, static_cast<size_t>(bytes) - at),
                       cudaMemcpyHostToDevice));
  // What is row-major here is column-major and transposed to cuBLAS: y = x · weightᵀ, dx = dy ·
  // weight, dweight = dyᵀ · x.
  const std::string &precision = options.precision, &results = options.results;
  const Product forward(handle, precision, results, CUBLAS_OP_T, CUBLAS_OP_N, width, rows, width,
                        workspace_bytes);
  const Product backward(handle, precision, results, CUBLAS_OP_N, CUBLAS_OP_N, width, rows, width,
                         workspace_bytes);
  const Product weights(handle, precision, "f32", CUBLAS_OP_N, CUBLAS_OP_T, width, width, rows,
                        workspace_bytes);
  const auto step = [&] {
    for (int layer = 0; layer < options.layers; ++layer) {
      forward.run(weight, x, y, workspace, nullptr);
      weights.run(x, x, gradient, workspace, nullptr);
      if (layer > 0)
        backward.run(weight, x, y, workspace, nullptr);
    }
  };
  cudaEvent_t begin, end;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  std::vector<float> times;
  double spent = 0;
  for (int round = 0; round < 8 || spent < 1e3 * options.seconds; ++round) {
    CHECK(cudaEventRecord(begin));
    step();
    CHECK(cudaEventRecord(end));
    CHECK(cudaEventSynchronize(end));
    float milliseconds = 0;
    CHECK(cudaEventElapsedTime(&milliseconds, begin, end));
    spent += milliseconds;
    if (round >= 3) // the first ones load kernels and raise clocks
      times.push_back(milliseconds);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  std::printf("%.1f\n", 1e3 * times[times.size() / 2]);
  return 0;
}
