// Attention, a tile of 32 queries against a tile of 32 keys at a time, as in Dao, Fu, Ermon, Rudra
// and Ré, "FlashAttention", arXiv:2205.14135: tiles lie in shared memory, scores never in global
// memory. In a tile of scores a warp has four queries, a lane one key. Every sum has one thread, or
// one warp by halves, and one order: gradients too are made without atomics, those of the queries
// by one kernel, those of keys and values by another.
//
// Products of rounded numbers have kernels of their own (attention_rounded.cu), but those of heads
// that are too long for these.
#include "attention_problem.h"
#include "scratch.h"

#include "mpar/elementary.h"
#include "mpar/errors.h"

#include <cmath>
#include <string>

namespace mpar::cuda {
namespace {

constexpr int tile = 32; // queries or keys: the lanes of a warp
constexpr int warps = 8;
constexpr int threads = 32 * warps;
constexpr int rows_each = tile / warps; // of a tile, a warp's

using Problem = AttentionProblem;
using GradientProblem = AttentionGradientProblem;

/// Up to 32 rows of a head, in shared memory, a float apart from where they would share banks.
struct Tile {
  float *data;
  int64_t columns;
  __device__ float *row(int i) const { return data + i * (columns + 1); }
  __host__ __device__ static int64_t floats(int64_t columns) { return tile * (columns + 1); }
};

/// Hands out the block's shared memory.
struct Shared {
  float *next = dynamic_shared<float>();
  __device__ float *take(int64_t floats) {
    float *piece = next;
    next += floats;
    return piece;
  }
  __device__ Tile take_tile(int64_t columns) { return {take(Tile::floats(columns)), columns}; }
};

/// Rows [first, first + 32) of a head; zeros past `rows`. By all threads of the block.
__device__ void load_tile(const Tile &to, const float *head, int64_t step, int64_t first,
                          int64_t rows, Rounding rounding) {
  for (int i = static_cast<int>(threadIdx.x) / 32; i < tile; i += warps)
    for (int64_t j = threadIdx.x % 32; j < to.columns; j += 32)
      to.row(i)[j] = first + i < rows ? rounded(head[(first + i) * step + j], rounding) : 0;
}

__device__ void clear_tile(const Tile &of) {
  for (int64_t i = threadIdx.x; i < Tile::floats(of.columns); i += threads)
    of.data[i] = 0;
}

/// products[r] = row (warp + 8 r) of a times row `lane` of b.
__device__ void multiply_rows(const Tile &a, const Tile &b, float (&products)[rows_each]) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const float *column = b.row(static_cast<int>(threadIdx.x) % 32);
  for (float &product : products)
    product = 0;
  for (int64_t p = 0; p < a.columns; ++p)
    for (int r = 0; r < rows_each; ++r)
      products[r] = fmaf(a.row(warp + warps * r)[p], column[p], products[r]);
}

/// Rows (warp + 8 r) of `sums`, times `factors`, += Σ_j weight(row, j) · b[j, ·].
template <typename Weight>
__device__ void add_weighted(const Tile &b, const float (&factors)[rows_each], const Weight &weight,
                             const Tile &sums) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  for (int64_t column = threadIdx.x % 32; column < b.columns; column += 32) {
    float sum[rows_each];
    for (int r = 0; r < rows_each; ++r)
      sum[r] = sums.row(warp + warps * r)[column] * factors[r];
    for (int j = 0; j < tile; ++j)
      for (int r = 0; r < rows_each; ++r)
        sum[r] = fmaf(weight(warp + warps * r, j), b.row(j)[column], sum[r]);
    for (int r = 0; r < rows_each; ++r)
      sums.row(warp + warps * r)[column] = sum[r];
  }
}

__device__ bool sees(const AttentionSizes &sizes, int64_t query, int64_t key) {
  return query < sizes.queries && key < sizes.keys && (sizes.causal == Causal::no || key <= query);
}

/// The keys that any of the queries up to `query` sees.
__device__ int64_t keys_seen(const AttentionSizes &sizes, int64_t query) {
  return sizes.causal == Causal::yes && query < sizes.keys ? query : sizes.keys;
}

/// Queries that see many keys first: the last blocks are then short ones.
__device__ int64_t first_query() { return int64_t(gridDim.x - 1 - blockIdx.x) * tile; }

int64_t forward_floats(const AttentionSizes &sizes) {
  return 2 * Tile::floats(sizes.depth) + 2 * Tile::floats(sizes.width) + Tile::floats(tile);
}

__global__ void attend(Problem problem, Heads<float> y, float *log_sums) {
  const AttentionSizes &sizes = problem.sizes;
  Shared shared;
  const Tile q = shared.take_tile(sizes.depth), k = shared.take_tile(sizes.depth);
  const Tile v = shared.take_tile(sizes.width), sums = shared.take_tile(sizes.width);
  const Tile scores = shared.take_tile(tile);
  const int64_t batch = blockIdx.z, head = blockIdx.y, query = first_query();
  const int64_t of_keys = head / (sizes.heads / sizes.shared_heads);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;

  load_tile(q, head_of(problem.q, batch, head), problem.q.row, query, sizes.queries,
            sizes.rounding);
  clear_tile(sums);
  float largest[rows_each], sum[rows_each];
  for (int r = 0; r < rows_each; ++r) {
    largest[r] = -INFINITY;
    sum[r] = 0;
  }
  const int64_t end = keys_seen(sizes, query + tile);
  for (int64_t key = 0; key < end; key += tile) {
    __syncthreads(); // those before have read
    load_tile(k, head_of(problem.k, batch, of_keys), problem.k.row, key, sizes.keys,
              sizes.rounding);
    load_tile(v, head_of(problem.v, batch, of_keys), problem.v.row, key, sizes.keys,
              sizes.rounding);
    __syncthreads();
    float score[rows_each], rescale[rows_each];
    multiply_rows(q, k, score);
    for (int r = 0; r < rows_each; ++r) {
      const int row = warp + warps * r;
      score[r] = sees(sizes, query + row, key + lane) ? score[r] * problem.scale : -INFINITY;
      const float most = Maximum()(largest[r], merge_warp(score[r], Maximum()));
      // A row past the last query sees nothing, and is not written.
      rescale[r] = largest[r] == most ? 1 : exponential(largest[r] - most);
      largest[r] = most;
      const float probability = score[r] == -INFINITY ? 0 : exponential(score[r] - most);
      sum[r] = sum[r] * rescale[r] + merge_warp(probability, Sum());
      scores.row(row)[lane] = rounded(probability, sizes.rounding);
    }
    __syncwarp();
    add_weighted(v, rescale, [&](int row, int j) { return scores.row(row)[j]; }, sums);
    __syncwarp();
  }
  for (int r = 0; r < rows_each; ++r) {
    const int row = warp + warps * r;
    if (query + row >= sizes.queries)
      continue;
    float *to = head_of(y, batch, head) + (query + row) * y.row;
    for (int64_t column = lane; column < sizes.width; column += 32)
      to[column] = sums.row(row)[column] / sum[r];
    if (lane == 0)
      log_sums[(batch * sizes.heads + head) * sizes.queries + query + row] =
          largest[r] + logf(sum[r]);
  }
}

/// means[query] = Σ gradient · y: what softmax's gradient takes off; a warp a query.
__global__ void multiply_outputs(AttentionSizes sizes, Heads<const float> gradient,
                                 Heads<const float> y, float *means) {
  const int64_t count = sizes.batch * sizes.heads * sizes.queries;
  const int64_t stride = int64_t(gridDim.x) * (blockDim.x / 32);
  for (int64_t i = int64_t(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32; i < count;
       i += stride) {
    const int64_t query = i % sizes.queries, head = i / sizes.queries % sizes.heads;
    const int64_t batch = i / sizes.queries / sizes.heads;
    const float *a = head_of(gradient, batch, head) + query * gradient.row;
    const float *b = head_of(y, batch, head) + query * y.row;
    float sum = 0;
    for (int64_t j = threadIdx.x % 32; j < sizes.width; j += 32)
      sum = fmaf(rounded(a[j], sizes.rounding), b[j], sum);
    sum = merge_warp(sum, Sum());
    if (threadIdx.x % 32 == 0)
      means[i] = sum;
  }
}

/// Of the tiles that lie in shared memory, the probability and the score's gradient of query
/// `row` and key `lane` for each of the warp's rows.
__device__ void differentiate_tile(const GradientProblem &of, int64_t first, int64_t query,
                                   int64_t key, const Tile &q, const Tile &k, const Tile &gradient,
                                   const Tile &v, float (&probability)[rows_each],
                                   float (&change)[rows_each]) {
  const AttentionSizes &sizes = of.problem.sizes;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  multiply_rows(q, k, probability);
  multiply_rows(gradient, v, change);
  for (int r = 0; r < rows_each; ++r) {
    const int64_t i = query + warp + warps * r;
    if (!sees(sizes, i, key + lane)) {
      probability[r] = change[r] = 0;
      continue;
    }
    probability[r] = exponential(probability[r] * of.problem.scale - of.log_sums[first + i]);
    change[r] = probability[r] * (change[r] - of.means[first + i]) * of.problem.scale;
  }
}

int64_t query_floats(const AttentionSizes &sizes) {
  return 3 * Tile::floats(sizes.depth) + 2 * Tile::floats(sizes.width) + Tile::floats(tile);
}

__global__ void differentiate_queries(GradientProblem of, Heads<float> dq) {
  const Problem &problem = of.problem;
  const AttentionSizes &sizes = problem.sizes;
  Shared shared;
  const Tile q = shared.take_tile(sizes.depth), k = shared.take_tile(sizes.depth);
  const Tile sums = shared.take_tile(sizes.depth);
  const Tile gradient = shared.take_tile(sizes.width), v = shared.take_tile(sizes.width);
  const Tile changes = shared.take_tile(tile);
  const int64_t batch = blockIdx.z, head = blockIdx.y, query = first_query();
  const int64_t of_keys = head / (sizes.heads / sizes.shared_heads);
  const int64_t first = (batch * sizes.heads + head) * sizes.queries;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;

  load_tile(q, head_of(problem.q, batch, head), problem.q.row, query, sizes.queries,
            sizes.rounding);
  load_tile(gradient, head_of(of.gradient, batch, head), of.gradient.row, query, sizes.queries,
            sizes.rounding);
  clear_tile(sums);
  const int64_t end = keys_seen(sizes, query + tile);
  const float ones[rows_each] = {1, 1, 1, 1};
  for (int64_t key = 0; key < end; key += tile) {
    __syncthreads(); // those before have read
    load_tile(k, head_of(problem.k, batch, of_keys), problem.k.row, key, sizes.keys,
              sizes.rounding);
    load_tile(v, head_of(problem.v, batch, of_keys), problem.v.row, key, sizes.keys,
              sizes.rounding);
    __syncthreads();
    float probability[rows_each], change[rows_each];
    differentiate_tile(of, first, query, key, q, k, gradient, v, probability, change);
    for (int r = 0; r < rows_each; ++r)
      changes.row(warp + warps * r)[lane] = rounded(change[r], sizes.rounding);
    __syncwarp();
    add_weighted(k, ones, [&](int row, int j) { return changes.row(row)[j]; }, sums);
    __syncwarp();
  }
  for (int r = 0; r < rows_each; ++r) {
    const int row = warp + warps * r;
    if (query + row < sizes.queries)
      for (int64_t column = lane; column < sizes.depth; column += 32)
        head_of(dq, batch, head)[(query + row) * dq.row + column] = sums.row(row)[column];
  }
}

int64_t key_floats(const AttentionSizes &sizes) {
  return 3 * Tile::floats(sizes.depth) + 3 * Tile::floats(sizes.width) + 2 * Tile::floats(tile);
}

__global__ void differentiate_keys(GradientProblem of, Heads<float> dk, Heads<float> dv) {
  const Problem &problem = of.problem;
  const AttentionSizes &sizes = problem.sizes;
  Shared shared;
  const Tile q = shared.take_tile(sizes.depth), k = shared.take_tile(sizes.depth);
  const Tile key_sums = shared.take_tile(sizes.depth);
  const Tile gradient = shared.take_tile(sizes.width), v = shared.take_tile(sizes.width);
  const Tile value_sums = shared.take_tile(sizes.width);
  const Tile probabilities = shared.take_tile(tile), changes = shared.take_tile(tile);
  const int64_t batch = blockIdx.z, of_keys = blockIdx.y, key = int64_t(blockIdx.x) * tile;
  const int64_t group = sizes.heads / sizes.shared_heads;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;

  load_tile(k, head_of(problem.k, batch, of_keys), problem.k.row, key, sizes.keys, sizes.rounding);
  load_tile(v, head_of(problem.v, batch, of_keys), problem.v.row, key, sizes.keys, sizes.rounding);
  clear_tile(key_sums);
  clear_tile(value_sums);
  const float ones[rows_each] = {1, 1, 1, 1};
  for (int64_t head = of_keys * group; head < (of_keys + 1) * group; ++head) {
    const int64_t first = (batch * sizes.heads + head) * sizes.queries;
    // Queries before the first key see none of the tile.
    for (int64_t query = sizes.causal == Causal::yes ? key : 0; query < sizes.queries;
         query += tile) {
      __syncthreads(); // those before have read
      load_tile(q, head_of(problem.q, batch, head), problem.q.row, query, sizes.queries,
                sizes.rounding);
      load_tile(gradient, head_of(of.gradient, batch, head), of.gradient.row, query, sizes.queries,
                sizes.rounding);
      __syncthreads();
      float probability[rows_each], change[rows_each];
      differentiate_tile(of, first, query, key, q, k, gradient, v, probability, change);
      for (int r = 0; r < rows_each; ++r) {
        probabilities.row(warp + warps * r)[lane] = rounded(probability[r], sizes.rounding);
        changes.row(warp + warps * r)[lane] = rounded(change[r], sizes.rounding);
      }
      __syncthreads();
      add_weighted(
          gradient, ones, [&](int j, int i) { return probabilities.row(i)[j]; }, value_sums);
      add_weighted(q, ones, [&](int j, int i) { return changes.row(i)[j]; }, key_sums);
    }
  }
  __syncthreads(); // keys that no query sees have zeros
  for (int r = 0; r < rows_each; ++r) {
    const int row = warp + warps * r;
    if (key + row >= sizes.keys)
      continue;
    for (int64_t column = lane; column < sizes.depth; column += 32)
      head_of(dk, batch, of_keys)[(key + row) * dk.row + column] = key_sums.row(row)[column];
    for (int64_t column = lane; column < sizes.width; column += 32)
      head_of(dv, batch, of_keys)[(key + row) * dv.row + column] = value_sums.row(row)[column];
  }
}

/// The bytes of so many floats, which must fit in what a block of this GPU can share.
size_t shared_bytes(const Queue &queue, const AttentionSizes &sizes, int64_t floats) {
  int most = 0;
  check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, queue.device),
        "cudaDeviceGetAttribute");
  const int64_t bytes = floats * static_cast<int64_t>(sizeof(float));
  if (bytes > most)
    fail("attention: heads " + std::to_string(sizes.depth) + " deep and " +
         std::to_string(sizes.width) + " wide take " + std::to_string(bytes) +
         " bytes of a GPU's shared memory, which has " + std::to_string(most));
  return static_cast<size_t>(bytes);
}

Problem problem_of(const AttentionSizes &sizes, const Heads<const float> &q,
                   const Heads<const float> &k, const Heads<const float> &v) {
  constexpr int64_t most = 65535; // blocks along a grid's second and third dimension
  if (sizes.batch > most || sizes.heads > most)
    fail("attention: " + std::to_string(sizes.batch) + " × " + std::to_string(sizes.heads) +
         " heads are too many for a GPU; at most 65535 of each");
  return {sizes, 1 / std::sqrt(static_cast<float>(sizes.depth)), q, k, v};
}

bool has_rounded_kernels(const AttentionSizes &sizes) {
  return sizes.rounding != Rounding::none && sizes.depth <= longest_rounded &&
         sizes.width <= longest_rounded;
}

} // namespace

void attention(Device &device, const AttentionSizes &sizes, const Heads<const float> &q,
               const Heads<const float> &k, const Heads<const float> &v, const Heads<float> &y,
               float *log_sums) {
  const Queue &queue = queue_of(device);
  if (has_rounded_kernels(sizes))
    return attend_rounded(queue, problem_of(sizes, q, k, v), y, log_sums);
  const size_t bytes = shared_bytes(queue, sizes, forward_floats(sizes));
  allow_if_large(attend, bytes);
  launch("attention", attend, attention_grid(sizes, sizes.queries, tile, sizes.heads), threads,
         bytes, queue.stream, problem_of(sizes, q, k, v), y, log_sums);
}

void attention_gradient(Device &device, const AttentionSizes &sizes,
                        const Heads<const float> &gradient, const Heads<const float> &q,
                        const Heads<const float> &k, const Heads<const float> &v,
                        const Heads<const float> &y, const float *log_sums, const Heads<float> &dq,
                        const Heads<float> &dk, const Heads<float> &dv) {
  const Queue &queue = queue_of(device);
  const Problem problem = problem_of(sizes, q, k, v);
  Scratch scratch(queue, "the gradient of attention");
  const int64_t rows = sizes.batch * sizes.heads * sizes.queries;
  auto *means = scratch.take<float>(rows);
  launch("the gradient of attention", multiply_outputs, blocks_for(queue, rows, warps), threads, 0,
         queue.stream, sizes, gradient, y, means);
  const GradientProblem of{problem, gradient, log_sums, means};
  if (has_rounded_kernels(sizes))
    return differentiate_rounded(queue, of, dq, dk, dv);
  const size_t of_queries = shared_bytes(queue, sizes, query_floats(sizes));
  const size_t of_keys = shared_bytes(queue, sizes, key_floats(sizes));
  allow_if_large(differentiate_queries, of_queries);
  launch("the gradient of attention", differentiate_queries,
         attention_grid(sizes, sizes.queries, tile, sizes.heads), threads, of_queries, queue.stream,
         of, dq);
  allow_if_large(differentiate_keys, of_keys);
  launch("the gradient of attention", differentiate_keys,
         attention_grid(sizes, sizes.keys, tile, sizes.shared_heads), threads, of_keys,
         queue.stream, of, dk, dv);
}

} // namespace mpar::cuda
