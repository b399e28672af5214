// Attention whose products are of numbers of two bytes, on tensor cores: a block has 128 queries,
// a warp 16 of them, and all go through the keys 64 at a time, as in Dao, "FlashAttention-2",
// arXiv:2307.08691. Scores and probabilities stay in registers: what a product leaves is what the
// next one takes. Operands lie in global memory as floats and are rounded on their way into shared
// memory; the next ones are read while products are made of those before.
#include "attention_rounded.h"

#include <cmath>

namespace mpar::cuda {
namespace {

constexpr int keys_each = 64;

template <int depth> constexpr size_t forward_bytes() {
  return RoundedTile<depth>::bytes(owned_rows + 2 * keys_each);
}

/// Of the scores of 16 queries and so many keys: those that no query sees become -∞.
template <int blocks>
__device__ void hide(const AttentionSizes &sizes, int64_t first_query, int64_t first_key,
                     float (&scores)[blocks][4]) {
  const int lane = lane_of_warp();
  const int keys = clipped(sizes.keys - first_key, 0, blocks * 8);
  // The key that the first query sees last.
  const int diagonal =
      sizes.causal == Causal::yes ? clipped(first_query - first_key, -16, blocks * 8) : blocks * 8;
  MPAR_UNROLL
  for (int n = 0; n < blocks; ++n) {
    MPAR_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int key = n * 8 + lane % 4 * 2 + i % 2;
      if (key >= keys || key > diagonal + lane / 4 + i / 2 * 8)
        scores[n][i] = -INFINITY;
    }
  }
}

/// Scores become exponentials, each less the largest so far of its query; `sum` is this lane's part
/// of the sum of all so far, and `sums` of what was made of them is rescaled. `scale`: of scores,
/// to powers of two.
template <int blocks, int outputs>
__device__ void soften(float scale, float (&scores)[blocks][4], float (&largest)[2],
                       float (&sum)[2], float (&sums)[outputs][4]) {
  MPAR_UNROLL
  for (int half = 0; half < 2; ++half) {
    float most = largest[half];
    MPAR_UNROLL
    for (int n = 0; n < blocks; ++n)
      most = fmaxf(most, fmaxf(scores[n][half * 2], scores[n][half * 2 + 1]));
    // Four lanes have a query.
    most = fmaxf(most, __shfl_xor_sync(whole_warp, most, 1));
    most = fmaxf(most, __shfl_xor_sync(whole_warp, most, 2));
    const float rescale = largest[half] == most ? 1 : exp2f((largest[half] - most) * scale);
    largest[half] = most;
    float part = 0;
    MPAR_UNROLL
    for (int n = 0; n < blocks; ++n) {
      MPAR_UNROLL
      for (int i = half * 2; i < half * 2 + 2; ++i) {
        scores[n][i] = exp2f(fmaf(scores[n][i], scale, -most * scale));
        part += scores[n][i];
      }
    }
    sum[half] = fmaf(sum[half], rescale, part);
    MPAR_UNROLL
    for (int n = 0; n < outputs; ++n) {
      sums[n][half * 2] *= rescale;
      sums[n][half * 2 + 1] *= rescale;
    }
  }
}

template <typename T, int depth>
__global__ void __launch_bounds__(rounded_threads)
    attend(AttentionProblem problem, Alignment aligned, Heads<float> y, float *log_sums) {
  const AttentionSizes &sizes = problem.sizes;
  using Tile = RoundedTile<depth>;
  const Tile q{dynamic_shared<uint16_t>()};
  const Tile k{q.at(owned_rows, 0)}, v{k.at(keys_each, 0)};
  const int64_t batch = blockIdx.z, head = blockIdx.y;
  // Queries that see many keys first: the last blocks are then short ones.
  const int64_t query = int64_t(gridDim.x - 1 - blockIdx.x) * owned_rows;
  const int64_t own_query = query + first_row_of_warp();
  const int64_t of_keys = head / (sizes.heads / sizes.shared_heads);
  const bool causal = sizes.causal == Causal::yes;
  const int64_t seen = causal && query + owned_rows < sizes.keys ? query + owned_rows : sizes.keys;
  const HeadRows keys = rows_of(problem.k, batch, of_keys, sizes.keys, sizes.depth, aligned.k);
  const HeadRows values = rows_of(problem.v, batch, of_keys, sizes.keys, sizes.width, aligned.v);
  Passage<depth, keys_each> passage;

  load_owned<T>(q, rows_of(problem.q, batch, head, sizes.queries, sizes.depth, aligned.q), query);
  passage.read(keys, 0);
  passage.template write<T>(k);
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
  WarpSums<depth> sums;
  clear(sums);
  for (int64_t key = 0; key < seen; key += keys_each) {
    passage.read(values, key);
    __syncthreads(); // the keys are there, and all have read the values before
    const bool sees = !causal || key < own_query + 16; // any of its queries, any of the keys
    WarpSums<keys_each> scores;
    if (sees) {
      multiply_rows<T>(q, k, scores);
      if (key + keys_each > sizes.keys || (causal && key + keys_each - 1 > own_query))
        hide(sizes, own_query, key, scores);
      soften(problem.scale * log2_of_e, scores, largest, sum, sums);
    }
    passage.template write<T>(v);
    __syncthreads(); // the values are there, and all have read the keys
    passage.read(keys, key + keys_each);
    if (sees)
      add_weighted<T>(scores, v, sums);
    passage.template write<T>(k);
  }
  float factors[2];
  MPAR_UNROLL
  for (int half = 0; half < 2; ++half) {
    sum[half] += __shfl_xor_sync(whole_warp, sum[half], 1);
    sum[half] += __shfl_xor_sync(whole_warp, sum[half], 2);
    factors[half] = 1 / sum[half];
    const int64_t row = own_query + lane_of_warp() / 4 + half * 8;
    if (row < sizes.queries && lane_of_warp() % 4 == 0)
      log_sums[(batch * sizes.heads + head) * sizes.queries + row] =
          largest[half] * problem.scale + logf(sum[half]);
  }
  write_rows(sums, factors, head_of(y, batch, head), y.row, query, sizes.queries,
             static_cast<int>(sizes.width));
}

} // namespace

void attend_rounded(const Queue &queue, const AttentionProblem &problem, const Heads<float> &y,
                    float *log_sums) {
  const AttentionSizes &sizes = problem.sizes;
  const Alignment aligned{is_aligned(problem.q, sizes.depth), is_aligned(problem.k, sizes.depth),
                          is_aligned(problem.v, sizes.width), false};
  for_rounded(sizes, [&](auto number, auto depth) {
    constexpr size_t bytes = forward_bytes<depth()>();
    const auto kernel = attend<decltype(number), depth()>;
    allow_if_large(kernel, bytes);
    launch("attention", kernel, attention_grid(sizes, sizes.queries, owned_rows, sizes.heads),
           rounded_threads, bytes, queue.stream, problem, aligned, y, log_sums);
  });
}

} // namespace mpar::cuda
