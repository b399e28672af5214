// The gradients of attention whose products are of numbers of two bytes, on tensor cores. Blocks
// own 128 queries and go through the keys, for the gradients of the queries; or own 128 keys and go
// through the queries that see them, for those of keys and values. So each sum has one warp, and
// one order. Probabilities are computed anew from the logarithms of their sums.
#include "attention_rounded.h"

#include <cmath>

namespace mpar::cuda {
namespace {

/// Rows of the other side that are worked on at a time: so many that the sums of both fit in a
/// thread's registers.
template <int depth> constexpr int passing_rows = depth <= 64 ? 64 : 32;

template <int depth> constexpr size_t gradient_bytes() {
  // Two tiles of either side; of each passing query the logarithm of its sum, and its mean.
  return RoundedTile<depth>::bytes(2 * owned_rows + 2 * passing_rows<depth>) +
         2 * sizeof(float) * passing_rows<depth>;
}

/// The four tiles of a block: of its own rows and of those that pass, what is multiplied for the
/// scores, and what for the probabilities' gradients.
template <int depth> struct GradientTiles {
  RoundedTile<depth> own, own_other, passing, passing_other;
  float *log_sums, *means; // of passing queries
  __device__ GradientTiles() {
    own.data = dynamic_shared<uint16_t>();
    own_other.data = own.at(owned_rows, 0);
    passing.data = own_other.at(owned_rows, 0);
    passing_other.data = passing.at(passing_rows<depth>, 0);
    log_sums = reinterpret_cast<float *>(passing_other.at(passing_rows<depth>, 0));
    means = log_sums + passing_rows<depth>;
  }
};

/// A score becomes the probability, and that one's gradient that of the score.
__device__ inline void differentiate(float scale, bool seen, float log_sum, float mean,
                                     float &score, float &change) {
  score = seen ? exp2f(fmaf(score, scale * log2_of_e, -log_sum * log2_of_e)) : 0;
  change = seen ? score * (change - mean) * scale : 0;
}

template <typename T, int depth>
__global__ void __launch_bounds__(rounded_threads)
    differentiate_queries(AttentionGradientProblem of, Alignment aligned, Heads<float> dq) {
  constexpr int rows = passing_rows<depth>;
  const AttentionProblem &problem = of.problem;
  const AttentionSizes &sizes = problem.sizes;
  const GradientTiles<depth> tiles;
  const int64_t batch = blockIdx.z, head = blockIdx.y;
  // Queries that see many keys first: the last blocks are then short ones.
  const int64_t query = int64_t(gridDim.x - 1 - blockIdx.x) * owned_rows;
  const int64_t own_query = query + first_row_of_warp();
  const int64_t of_keys = head / (sizes.heads / sizes.shared_heads);
  const bool causal = sizes.causal == Causal::yes;
  const int64_t end = causal && query + owned_rows < sizes.keys ? query + owned_rows : sizes.keys;
  const int lane = lane_of_warp();
  const HeadRows keys = rows_of(problem.k, batch, of_keys, sizes.keys, sizes.depth, aligned.k);
  const HeadRows values = rows_of(problem.v, batch, of_keys, sizes.keys, sizes.width, aligned.v);
  Passage<depth, rows> of_k, of_v;
  of_k.read(keys, 0);
  of_v.read(values, 0);
  load_owned<T>(tiles.own, rows_of(problem.q, batch, head, sizes.queries, sizes.depth, aligned.q),
                query);
  load_owned<T>(tiles.own_other,
                rows_of(of.gradient, batch, head, sizes.queries, sizes.width, aligned.gradient),
                query);
  float log_sum[2], mean[2];
  MPAR_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int64_t row = own_query + lane / 4 + half * 8;
    const int64_t index = (batch * sizes.heads + head) * sizes.queries + row;
    log_sum[half] = row < sizes.queries ? of.log_sums[index] : 0;
    mean[half] = row < sizes.queries ? of.means[index] : 0;
  }
  WarpSums<depth> sums;
  clear(sums);
  for (int64_t key = 0; key < end; key += rows) {
    __syncthreads(); // all have read those before
    of_k.template write<T>(tiles.passing);
    of_v.template write<T>(tiles.passing_other);
    __syncthreads();
    of_k.read(keys, key + rows);
    of_v.read(values, key + rows);
    if (causal && key >= own_query + 16)
      continue; // none of its queries sees any of the keys
    WarpSums<rows> scores, changes;
    multiply_rows<T>(tiles.own, tiles.passing, scores);
    multiply_rows<T>(tiles.own_other, tiles.passing_other, changes);
    const int keys_left = clipped(sizes.keys - key, 0, rows);
    // The key that the warp's first query sees last.
    const int diagonal = causal ? clipped(own_query - key, -16, rows) : rows;
    MPAR_UNROLL
    for (int n = 0; n < rows / 8; ++n) {
      MPAR_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int column = n * 8 + lane % 4 * 2 + i % 2;
        const bool seen = column < keys_left && column <= diagonal + lane / 4 + i / 2 * 8;
        differentiate(problem.scale, seen, log_sum[i / 2], mean[i / 2], scores[n][i],
                      changes[n][i]);
      }
    }
    add_weighted<T>(changes, tiles.passing, sums);
  }
  const float ones[2] = {1, 1};
  write_rows(sums, ones, head_of(dq, batch, head), dq.row, query, sizes.queries,
             static_cast<int>(sizes.depth));
}

template <typename T, int depth>
__global__ void __launch_bounds__(rounded_threads)
    differentiate_keys(AttentionGradientProblem of, Alignment aligned, Heads<float> dk,
                       Heads<float> dv) {
  constexpr int rows = passing_rows<depth>;
  const AttentionProblem &problem = of.problem;
  const AttentionSizes &sizes = problem.sizes;
  const GradientTiles<depth> tiles;
  const int64_t batch = blockIdx.z, of_keys = blockIdx.y;
  const int64_t key = int64_t(blockIdx.x) * owned_rows, own_key = key + first_row_of_warp();
  const bool causal = sizes.causal == Causal::yes;
  const int lane = lane_of_warp(), thread = static_cast<int>(threadIdx.x);
  // Of each of the heads that share the keys, tile after tile of queries; those before the first
  // key see none of the block's.
  const int64_t group = sizes.heads / sizes.shared_heads;
  const int64_t first = causal ? key : 0;
  const int64_t tiles_each = first < sizes.queries ? (sizes.queries - first + rows - 1) / rows : 0;
  Passage<depth, rows> of_q, of_gradient;
  float log_sum = 0, mean = 0; // of a passing query, of which each of the first threads has one
  const auto read = [&](int64_t step) {
    if (step >= group * tiles_each)
      return;
    const int64_t head = of_keys * group + step / tiles_each;
    const int64_t query = first + step % tiles_each * rows;
    of_q.read(rows_of(problem.q, batch, head, sizes.queries, sizes.depth, aligned.q), query);
    of_gradient.read(
        rows_of(of.gradient, batch, head, sizes.queries, sizes.width, aligned.gradient), query);
    if (thread < rows && query + thread < sizes.queries) {
      const int64_t index = (batch * sizes.heads + head) * sizes.queries + query + thread;
      log_sum = of.log_sums[index];
      mean = of.means[index];
    }
  };
  read(0);
  load_owned<T>(tiles.own, rows_of(problem.k, batch, of_keys, sizes.keys, sizes.depth, aligned.k),
                key);
  load_owned<T>(tiles.own_other,
                rows_of(problem.v, batch, of_keys, sizes.keys, sizes.width, aligned.v), key);
  WarpSums<depth> key_sums, value_sums;
  clear(key_sums);
  clear(value_sums);
  for (int64_t step = 0; step < group * tiles_each; ++step) {
    __syncthreads(); // all have read those before
    of_q.template write<T>(tiles.passing);
    of_gradient.template write<T>(tiles.passing_other);
    if (thread < rows) {
      tiles.log_sums[thread] = log_sum;
      tiles.means[thread] = mean;
    }
    __syncthreads();
    read(step + 1);
    const int64_t query = first + step % tiles_each * rows;
    if (causal && query + rows <= own_key)
      continue;                     // none of the queries sees any of its keys
    WarpSums<rows> scores, changes; // a row a key
    multiply_rows<T>(tiles.own, tiles.passing, scores);
    multiply_rows<T>(tiles.own_other, tiles.passing_other, changes);
    const int queries_left = clipped(sizes.queries - query, 0, rows);
    // The first query that sees the warp's first key.
    const int diagonal = causal ? clipped(own_key - query, -16, rows) : -16;
    MPAR_UNROLL
    for (int n = 0; n < rows / 8; ++n) {
      MPAR_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int column = n * 8 + lane % 4 * 2 + i % 2;
        const bool seen = column < queries_left && column >= diagonal + lane / 4 + i / 2 * 8;
        differentiate(problem.scale, seen, tiles.log_sums[column], tiles.means[column],
                      scores[n][i], changes[n][i]);
      }
    }
    add_weighted<T>(scores, tiles.passing_other, value_sums);
    add_weighted<T>(changes, tiles.passing, key_sums);
  }
  const float ones[2] = {1, 1};
  write_rows(key_sums, ones, head_of(dk, batch, of_keys), dk.row, key, sizes.keys,
             static_cast<int>(sizes.depth));
  write_rows(value_sums, ones, head_of(dv, batch, of_keys), dv.row, key, sizes.keys,
             static_cast<int>(sizes.width));
}

} // namespace

void differentiate_rounded(const Queue &queue, const AttentionGradientProblem &of,
                           const Heads<float> &dq, const Heads<float> &dk, const Heads<float> &dv) {
  const AttentionProblem &problem = of.problem;
  const AttentionSizes &sizes = problem.sizes;
  const Alignment aligned{is_aligned(problem.q, sizes.depth), is_aligned(problem.k, sizes.depth),
                          is_aligned(problem.v, sizes.width), is_aligned(of.gradient, sizes.width)};
  for_rounded(sizes, [&](auto number, auto depth) {
    constexpr size_t bytes = gradient_bytes<depth()>();
    const auto of_queries = differentiate_queries<decltype(number), depth()>;
    const auto of_keys = differentiate_keys<decltype(number), depth()>;
    allow_if_large(of_queries, bytes);
    launch("the gradient of attention", of_queries,
           attention_grid(sizes, sizes.queries, owned_rows, sizes.heads), rounded_threads, bytes,
           queue.stream, of, aligned, dq);
    allow_if_large(of_keys, bytes);
    launch("the gradient of attention", of_keys,
           attention_grid(sizes, sizes.keys, owned_rows, sizes.shared_heads), rounded_threads,
           bytes, queue.stream, of, aligned, dk, dv);
  });
}

} // namespace mpar::cuda
