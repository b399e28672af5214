// Rows of tables by their numbers, and their gradients.
#include "finding.h"
#include "kernels.h"
#include "launch.h"
#include "scratch.h"

#include "mpar/low_precision.h"

namespace mpar::cuda {
namespace {

constexpr int threads = 256;

__device__ bool is_row(int32_t id, int64_t rows) { return id >= 0 && id < rows; }

/// y[i] = table[ids[i]] of rows of `units` units.
template <typename Unit>
__global__ void gather_rows(int64_t rows, int64_t units, int64_t count, const char *name,
                            const Unit *table, const int32_t *ids, Finding *finding, Unit *y) {
  for (int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; at < count * units;
       at += int64_t(gridDim.x) * blockDim.x) {
    const int64_t i = at / units;
    const int32_t id = ids[i];
    const bool known = is_row(id, rows);
    if (!known && at % units == 0)
      find(finding, Finding::Kind::id, id, rows, name);
    y[at] = known ? table[id * units + at % units] : Unit{};
  }
}

/// y[i] = ids[i], each of which is to be in [0, limit).
__global__ void check_numbers(int64_t limit, int64_t count, Finding::Kind kind, const char *name,
                              const int32_t *ids, Finding *finding, int32_t *y) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x) {
    if (!is_row(ids[i], limit))
      find(finding, kind, ids[i], limit, name);
    y[i] = ids[i];
  }
}

template <typename Unit>
void run_gather(const Queue &queue, int64_t rows, int64_t bytes, int64_t count, const char *name,
                const void *table, const int32_t *ids, void *y) {
  const int64_t units = bytes / static_cast<int64_t>(sizeof(Unit));
  launch("gather", gather_rows<Unit>, blocks_for(queue, count * units, threads), threads, 0,
         queue.stream, rows, units, count, name, static_cast<const Unit *>(table), ids,
         queue.finding, static_cast<Unit *>(y));
}

// A row of the gradient is the sum over the ids that name it, in ascending order. The block of the
// first such id makes it: it walks the ids up to the last, and adds the rows of those that are
// equal.

constexpr int scatter_threads = 128;
constexpr int columns_each = 4;

__global__ void clear_ends(int64_t rows, int64_t count, int *first, int *last) {
  for (int64_t row = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; row < rows;
       row += int64_t(gridDim.x) * blockDim.x) {
    first[row] = static_cast<int>(count);
    last[row] = -1;
  }
}

__global__ void find_ends(int64_t rows, int64_t count, const char *name, const int32_t *ids,
                          Finding *finding, int *first, int *last) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x) {
    if (!is_row(ids[i], rows)) {
      find(finding, Finding::Kind::id, ids[i], rows, name);
      continue;
    }
    atomicMin(first + ids[i], static_cast<int>(i));
    atomicMax(last + ids[i], static_cast<int>(i));
  }
}

__global__ void add_rows(int64_t table_rows, int64_t width, const int32_t *ids, const float *rows,
                         const int *first, const int *last, bool add, float *table) {
  __shared__ unsigned equal[scatter_threads / 32];
  const int begin = static_cast<int>(blockIdx.x);
  const int32_t id = ids[begin];
  if (!is_row(id, table_rows) || first[id] != begin)
    return;
  const int end = last[id] + 1;
  const int64_t column = int64_t(blockIdx.y) * scatter_threads * columns_each + threadIdx.x;
  float sums[columns_each];
  for (int j = 0; j < columns_each; ++j) {
    const int64_t at = column + j * scatter_threads;
    sums[j] = add && at < width ? table[id * width + at] : 0;
  }
  for (int base = begin; base < end; base += scatter_threads) {
    const int i = base + static_cast<int>(threadIdx.x);
    const unsigned same = __ballot_sync(0xffffffffu, i < end && ids[i] == id);
    __syncthreads(); // those before have read
    if (threadIdx.x % 32 == 0)
      equal[threadIdx.x / 32] = same;
    __syncthreads();
    for (int warp = 0; warp < scatter_threads / 32; ++warp)
      for (unsigned left = equal[warp]; left != 0; left &= left - 1) {
        const int64_t row = base + warp * 32 + (__ffs(static_cast<int>(left)) - 1);
        for (int j = 0; j < columns_each; ++j) {
          const int64_t at = column + j * scatter_threads;
          if (at < width)
            sums[j] += rows[row * width + at];
        }
      }
  }
  for (int j = 0; j < columns_each; ++j) {
    const int64_t at = column + j * scatter_threads;
    if (at < width)
      table[id * width + at] = sums[j];
  }
}

} // namespace

void gather_bytes(const Queue &queue, int64_t table_rows, int64_t bytes, int64_t count,
                  const char *name, const void *table, const int32_t *ids, void *y) {
  // In the largest pieces that rows consist of.
  const uintptr_t ends = reinterpret_cast<uintptr_t>(table) | reinterpret_cast<uintptr_t>(y) |
                         static_cast<uintptr_t>(bytes);
  if (ends % 16 == 0)
    run_gather<uint4>(queue, table_rows, bytes, count, name, table, ids, y);
  else if (ends % 4 == 0)
    run_gather<uint32_t>(queue, table_rows, bytes, count, name, table, ids, y);
  else if (ends % 2 == 0)
    run_gather<uint16_t>(queue, table_rows, bytes, count, name, table, ids, y);
  else
    run_gather<uint8_t>(queue, table_rows, bytes, count, name, table, ids, y);
}

template <typename T>
void gather(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
            const T *table, const int32_t *ids, T *y) {
  gather_bytes(queue_of(device), table_rows, width * static_cast<int64_t>(sizeof(T)), count, name,
               table, ids, y);
}

template void gather(Device &, int64_t, int64_t, int64_t, const char *, const float *,
                     const int32_t *, float *);
template void gather(Device &, int64_t, int64_t, int64_t, const char *, const int32_t *,
                     const int32_t *, int32_t *);
template void gather(Device &, int64_t, int64_t, int64_t, const char *, const bool *,
                     const int32_t *, bool *);
template void gather(Device &, int64_t, int64_t, int64_t, const char *, const bfloat16 *,
                     const int32_t *, bfloat16 *);
template void gather(Device &, int64_t, int64_t, int64_t, const char *, const float16 *,
                     const int32_t *, float16 *);

void check_ids(Device &device, int64_t table_rows, int64_t count, const char *name,
               const int32_t *ids, int32_t *y) {
  const Queue &queue = queue_of(device);
  launch("check_ids", check_numbers, blocks_for(queue, count, threads), threads, 0, queue.stream,
         table_rows, count, Finding::Kind::id, name, ids, queue.finding, y);
}

void check_targets(Device &device, int64_t classes, int64_t count, const int32_t *target,
                   int32_t *y) {
  const Queue &queue = queue_of(device);
  launch("check_targets", check_numbers, blocks_for(queue, count, threads), threads, 0,
         queue.stream, classes, count, Finding::Kind::target, static_cast<const char *>(nullptr),
         target, queue.finding, y);
}

void scatter_add(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
                 const int32_t *ids, const float *rows, float *table, Store store) {
  const Queue &queue = queue_of(device);
  if (store == Store::overwrite)
    check(cudaMemsetAsync(table, 0, table_rows * width * sizeof(float), queue.stream),
          "cudaMemsetAsync");
  if (count == 0)
    return;
  Scratch scratch(queue, "the gradient of a table");
  int *first = scratch.take<int>(table_rows);
  int *last = scratch.take<int>(table_rows);
  launch("scatter_add", clear_ends, blocks_for(queue, table_rows, threads), threads, 0,
         queue.stream, table_rows, count, first, last);
  launch("scatter_add", find_ends, blocks_for(queue, count, threads), threads, 0, queue.stream,
         table_rows, count, name, ids, queue.finding, first, last);
  const int64_t columns = scatter_threads * columns_each;
  launch("scatter_add", add_rows,
         dim3(static_cast<unsigned>(count), static_cast<unsigned>((width + columns - 1) / columns)),
         scatter_threads, 0, queue.stream, table_rows, width, ids, rows, first, last,
         store == Store::add, table);
}

} // namespace mpar::cuda
