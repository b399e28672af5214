// Rows of a data set that a GPU keeps, gathered by their numbers.
#include "cuda_backend.h"
#include "kernels.h"

#include "fetch.h"

#include <cstdint>

namespace mpar::cuda {
namespace {

constexpr int threads = 256;

/// As Tokens::read has it: one beyond i32 is −1.
template <typename T> __device__ int32_t token_of(T value) {
  if constexpr (sizeof(T) < sizeof(int32_t))
    return value;
  else
    return static_cast<int64_t>(value) > INT32_MAX || static_cast<int64_t>(value) < INT32_MIN
               ? -1
               : static_cast<int32_t>(value);
}

template <typename T>
__global__ void gather_tokens(int64_t width, int64_t count, const T *tokens, const int32_t *numbers,
                              int32_t *y) {
  for (int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; at < count * width;
       at += int64_t(gridDim.x) * blockDim.x)
    y[at] = token_of(tokens[numbers[at / width] * width + at % width]);
}

template <typename T>
void run_tokens(const Queue &queue, const KeptRows &kept, const int32_t *numbers, int64_t count,
                void *to) {
  launch("gather_tokens", gather_tokens<T>, blocks_for(queue, count * kept.width, threads), threads,
         0, queue.stream, kept.width, count, static_cast<const T *>(kept.first), numbers,
         static_cast<int32_t *>(to));
}

} // namespace

void CudaBackend::gather_rows(const KeptRows &kept, const int32_t *numbers, int64_t count,
                              void *to) {
  use();
  switch (kept.kind) {
  case KeptRows::Kind::rows:
    return gather_bytes(queue_, kept.rows, kept.row_bytes, count, "the data set", kept.first,
                        numbers, to);
  case KeptRows::Kind::u8:
    return run_tokens<uint8_t>(queue_, kept, numbers, count, to);
  case KeptRows::Kind::u16:
    return run_tokens<uint16_t>(queue_, kept, numbers, count, to);
  case KeptRows::Kind::u32:
    return run_tokens<uint32_t>(queue_, kept, numbers, count, to);
  case KeptRows::Kind::i64:
    return run_tokens<int64_t>(queue_, kept, numbers, count, to);
  }
}

} // namespace mpar::cuda
