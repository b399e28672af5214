// Attention, a block of queries against a block of keys at a time.
//
// The scores of such a block are kept transposed, a row a key: what softmax asks of a query then
// goes down a column, and all columns are worked on side by side. A maximum is exact, sums go up
// the keys in blocks of a fixed size, and products are those of product.h: an element does not
// depend on the queries it is worked on with.
#include "mpar/attention.h"

#include "backend.h"

#include "attention_products.h"
#include "attention_rounding.h"
#include "attention_softmax.h"
#include "multiversion.h"
#include "parallel.h"
#include "product.h"
#include "scratch.h"

#include <cmath>

namespace mpar {
namespace {

/// Up to so many keys, causal attention takes half as many queries at a time: of what is computed
/// for the keys beside the diagonal, which only some of the queries see, less is thrown away.
constexpr int64_t few_keys = 512;
constexpr int64_t block_keys = 256;
// The first query of a block sees the first key of every block of keys that is worked on with it.
static_assert(block_keys % block_queries == 0);
/// Multiplications below which a second thread costs more than it takes over.
constexpr int64_t smallest_shared = int64_t(1) << 18;

int64_t queries_of_a_block(const AttentionSizes &sizes) {
  return sizes.causal == Causal::yes && sizes.keys <= few_keys ? block_queries / 2 : block_queries;
}

/// What a thread works in.
struct Workspace {
  float *scores;  // [keys, queries] of a block
  float *changes; // of the same size: the scores' gradients
  float *packing; // what products pack into
  float *rounded; // operands of a head, where they are rounded: k, v, then q, gradient
};

Workspace make_workspace(const AttentionSizes &sizes) {
  const int64_t longest = std::max(sizes.depth, sizes.width);
  const int64_t scores = block_keys * block_queries;
  Product widest{};
  widest.k = std::max(longest, block_keys);
  const int64_t packing = product_scratch(widest, std::max(longest, block_queries));
  const bool rounds = sizes.rounding != Rounding::none;
  const int64_t rounded = rounds ? (sizes.keys + sizes.queries) * (sizes.depth + sizes.width) : 0;
  float *floats = scratch(2 * scores + packing + rounded, "attention");
  return {floats, floats + scores, floats + 2 * scores, floats + 2 * scores + packing};
}

/// An operand of products: the rows as they are, or a rounded copy in `to`, which `to` then passes.
ReadRows rounded_operand(Rounding rounding, ReadRows x, int64_t rows, int64_t columns, float *&to) {
  if (rounding == Rounding::none)
    return x;
  round_rows(rounding, rows, columns, x.data, x.step, to);
  const ReadRows copy{to, columns};
  to += rows * columns;
  return copy;
}

void multiply(const Product &product, const Workspace &workspace) {
  multiply(product, workspace.packing);
}

/// The operands of one head.
struct Head {
  ReadRows q, k, v;
  WriteRows y;
  float *log_sums;
};

/// Head `head` of those of element `batch`.
template <typename T> Rows<T> rows_of(const Heads<T> &heads, int64_t batch, int64_t head) {
  return {heads.data + batch * heads.batch + head * heads.head, heads.row};
}

/// One head's result for a block of queries.
void attend_block(const AttentionSizes &sizes, const Head &head, int64_t query, float scale,
                  const Workspace &workspace) {
  const bool causal = sizes.causal == Causal::yes;
  const int64_t queries = std::min(queries_of_a_block(sizes), sizes.queries - query);
  const int64_t seen = causal ? std::min(sizes.keys, query + queries) : sizes.keys;
  float largest[block_queries], sum[block_queries] = {}, rescale[block_queries];
  std::fill_n(largest, block_queries, -infinity);
  const WriteRows y = head.y.from(query);
  for (int64_t key = 0; key < seen; key += block_keys) {
    const Block block{query, queries, key, std::min(block_keys, seen - key)};
    multiply(rows_by_rows(block.keys, queries, sizes.depth, head.k.from(key), head.q.from(query),
                          workspace.scores),
             workspace);
    soften(block, sizes, scale, workspace.scores, largest, sum, rescale);
    if (key > 0)
      scale_rows(queries, sizes.width, rescale, y.data, y.step);
    multiply(columns_by_rows(queries, sizes.width, block.keys, workspace.scores, head.v.from(key),
                             y, key > 0),
             workspace);
  }
  divide_rows(queries, sizes.width, sum, y.data, y.step);
  for (int64_t i = 0; i < queries; ++i)
    head.log_sums[query + i] = largest[i] + std::log(sum[i]);
}

/// Calls body(batch, shared head) for each, threads sharing them out.
template <typename Body>
void for_each_shared_head(const Device &device, const AttentionSizes &sizes, const Body &body) {
  const int64_t work =
      sizes.heads / sizes.shared_heads * sizes.queries * sizes.keys * (sizes.depth + sizes.width);
  const int64_t grain = std::max<int64_t>(1, smallest_shared / work);
  parallel_parts(device, sizes.batch * sizes.shared_heads, grain, [&](int64_t begin, int64_t end) {
    const Workspace workspace = make_workspace(sizes);
    for (int64_t i = begin; i < end; ++i)
      body(i / sizes.shared_heads, i % sizes.shared_heads, workspace);
  });
}

float scale_of(const AttentionSizes &sizes) {
  return 1 / std::sqrt(static_cast<float>(sizes.depth));
}

//===- The gradient
//---------------------------------------------------------------------------------===//

/// The operands and results of the gradient for one head; those of keys and values are shared.
struct HeadGradient {
  ReadRows gradient, q, k, v, y;
  const float *log_sums;
  WriteRows dq, dk, dv;
};

/// means[i] = Σ_j gradient[i, j] · y[i, j]: what softmax's gradient takes off.
MPAR_MULTIVERSION void row_products(int64_t rows, int64_t columns, const float *gradient,
                                    int64_t gradient_step, const float *y, int64_t y_step,
                                    float *means) {
  for (int64_t i = 0; i < rows; ++i, gradient += gradient_step, y += y_step)
    means[i] = sum_lanes<16>(columns, [&](int64_t j) { return gradient[j] * y[j]; });
}

/// Scores become probabilities, and the probabilities' gradients those of the scores, both rounded
/// to T.
template <typename T>
MPAR_INLINE void differentiate_columns(int64_t keys, int64_t queries, float scale,
                                       const float *log_sums, const float *means, float *scores,
                                       float *changes) {
  for (int64_t key = 0; key < keys; ++key, scores += queries, changes += queries) {
    MPAR_INDEPENDENT
    for (int64_t i = 0; i < queries; ++i) {
      const float probability = exponential(scores[i] * scale - log_sums[i]);
      scores[i] = rounded<T>(probability);
      changes[i] = rounded<T>(probability * (changes[i] - means[i]) * scale);
    }
  }
}

template <typename T>
MPAR_INLINE void differentiate_block(const Block &block, float scale, const float *log_sums,
                                     const float *means, float *scores, float *changes) {
  if (block.queries == block_queries)
    differentiate_columns<T>(block.keys, block_queries, scale, log_sums, means, scores, changes);
  else if (block.queries == block_queries / 2)
    differentiate_columns<T>(block.keys, block_queries / 2, scale, log_sums, means, scores,
                             changes);
  else
    differentiate_columns<T>(block.keys, block.queries, scale, log_sums, means, scores, changes);
}

MPAR_MULTIVERSION void differentiate(const Block &block, const AttentionSizes &sizes, float scale,
                                     const float *log_sums, const float *means, float *scores,
                                     float *changes) {
  if (sizes.causal == Causal::yes)
    hide(block, scores);
  if (sizes.rounding == Rounding::bf16)
    differentiate_block<bfloat16>(block, scale, log_sums, means, scores, changes);
  else if (sizes.rounding == Rounding::f16)
    differentiate_block<float16>(block, scale, log_sums, means, scores, changes);
  else
    differentiate_block<float>(block, scale, log_sums, means, scores, changes);
}

/// Adds what a block of queries and keys gives to the gradients; to those of the queries only after
/// their first block of keys, to those of the keys unless the block is the first that sees them.
void add_block(const AttentionSizes &sizes, const HeadGradient &head, const Block &block,
               bool is_first, float scale, const Workspace &workspace) {
  const int64_t depth = sizes.depth, width = sizes.width;
  const ReadRows q = head.q.from(block.query), k = head.k.from(block.key);
  const ReadRows gradient = head.gradient.from(block.query), y = head.y.from(block.query);
  float means[block_queries];
  row_products(block.queries, width, gradient.data, gradient.step, y.data, y.step, means);
  multiply(rows_by_rows(block.keys, block.queries, depth, k, q, workspace.scores), workspace);
  multiply(rows_by_rows(block.keys, block.queries, width, head.v.from(block.key), gradient,
                        workspace.changes),
           workspace);
  differentiate(block, sizes, scale, head.log_sums + block.query, means, workspace.scores,
                workspace.changes);
  multiply(rows_by_columns(block.keys, width, block.queries, workspace.scores, gradient,
                           head.dv.from(block.key), !is_first),
           workspace);
  multiply(rows_by_columns(block.keys, depth, block.queries, workspace.changes, q,
                           head.dk.from(block.key), !is_first),
           workspace);
  multiply(columns_by_rows(block.queries, depth, block.keys, workspace.changes, k,
                           head.dq.from(block.query), block.key > 0),
           workspace);
}

void fill_zero(int64_t rows, int64_t columns, WriteRows y) {
  for (int64_t i = 0; i < rows; ++i)
    std::fill_n(y.from(i).data, columns, 0.0f);
}

/// A contiguous tensor [batch, heads, rows, columns].
template <typename T> Heads<T> contiguous(T *data, int64_t heads, int64_t rows, int64_t columns) {
  return {data, heads * rows * columns, rows * columns, columns};
}

} // namespace

void attention(Device &device, const AttentionSizes &sizes, const Heads<const float> &q,
               const Heads<const float> &k, const Heads<const float> &v, const Heads<float> &y,
               float *log_sums) {
  if (Backend *const backend = device.backend())
    return backend->attention(device, sizes, q, k, v, y, log_sums);
  const float scale = scale_of(sizes);
  const int64_t group = sizes.heads / sizes.shared_heads;
  for_each_shared_head(
      device, sizes, [&](int64_t batch, int64_t shared, const Workspace &workspace) {
        float *rounded = workspace.rounded;
        const ReadRows keys = rounded_operand(sizes.rounding, rows_of(k, batch, shared), sizes.keys,
                                              sizes.depth, rounded);
        const ReadRows values = rounded_operand(sizes.rounding, rows_of(v, batch, shared),
                                                sizes.keys, sizes.width, rounded);
        for (int64_t i = shared * group; i < (shared + 1) * group; ++i) {
          float *of_head = rounded;
          const Head head{rounded_operand(sizes.rounding, rows_of(q, batch, i), sizes.queries,
                                          sizes.depth, of_head),
                          keys, values, rows_of(y, batch, i),
                          log_sums + (batch * sizes.heads + i) * sizes.queries};
          for (int64_t query = 0; query < sizes.queries; query += queries_of_a_block(sizes))
            attend_block(sizes, head, query, scale, workspace);
        }
      });
}

void attention(Device &device, const AttentionSizes &s, const float *q, const float *k,
               const float *v, float *y, float *log_sums) {
  attention(device, s, contiguous(q, s.heads, s.queries, s.depth),
            contiguous(k, s.shared_heads, s.keys, s.depth),
            contiguous(v, s.shared_heads, s.keys, s.width),
            contiguous(y, s.heads, s.queries, s.width), log_sums);
}

void attention_gradient(Device &device, const AttentionSizes &sizes,
                        const Heads<const float> &gradient, const Heads<const float> &q,
                        const Heads<const float> &k, const Heads<const float> &v,
                        const Heads<const float> &y, const float *log_sums, const Heads<float> &dq,
                        const Heads<float> &dk, const Heads<float> &dv) {
  if (Backend *const backend = device.backend())
    return backend->attention_gradient(device, sizes, gradient, q, k, v, y, log_sums, dq, dk, dv);
  const float scale = scale_of(sizes);
  const int64_t group = sizes.heads / sizes.shared_heads;
  const bool causal = sizes.causal == Causal::yes;
  const int64_t step = queries_of_a_block(sizes);
  const auto differentiate_shared = [&](int64_t batch, int64_t shared, const Workspace &workspace) {
    float *rounded = workspace.rounded;
    const ReadRows keys = rounded_operand(sizes.rounding, rows_of(k, batch, shared), sizes.keys,
                                          sizes.depth, rounded);
    const ReadRows values = rounded_operand(sizes.rounding, rows_of(v, batch, shared), sizes.keys,
                                            sizes.width, rounded);
    const WriteRows dkeys = rows_of(dk, batch, shared), dvalues = rows_of(dv, batch, shared);
    // Unless the last queries see them all.
    const bool zeroed = sizes.queries < (causal ? sizes.keys : 1);
    if (zeroed) {
      fill_zero(sizes.keys, sizes.depth, dkeys);
      fill_zero(sizes.keys, sizes.width, dvalues);
    }
    for (int64_t key = 0; key < sizes.keys; key += block_keys)
      for (int64_t i = shared * group; i < (shared + 1) * group; ++i) {
        float *of_head = rounded;
        const ReadRows queries = rounded_operand(sizes.rounding, rows_of(q, batch, i),
                                                 sizes.queries, sizes.depth, of_head);
        const HeadGradient head{rounded_operand(sizes.rounding, rows_of(gradient, batch, i),
                                                sizes.queries, sizes.width, of_head),
                                queries,
                                keys,
                                values,
                                rows_of(y, batch, i),
                                log_sums + (batch * sizes.heads + i) * sizes.queries,
                                rows_of(dq, batch, i),
                                dkeys,
                                dvalues};
        // Queries before the first key see none of the block, the last ones see the most.
        const int64_t first = causal ? key : 0;
        const int64_t blocks = (sizes.queries - first + step - 1) / step;
        for (int64_t number = blocks - 1; number >= 0; --number) {
          const int64_t query = first + number * step;
          const int64_t count = std::min(step, sizes.queries - query);
          const int64_t seen = causal ? std::min(sizes.keys, query + count) : sizes.keys;
          const Block block{query, count, key, std::min(block_keys, seen - key)};
          add_block(sizes, head, block, !zeroed && i == shared * group && number == blocks - 1,
                    scale, workspace);
        }
      }
  };
  for_each_shared_head(device, sizes, differentiate_shared);
}

void attention_gradient(Device &device, const AttentionSizes &s, const float *gradient,
                        const float *q, const float *k, const float *v, const float *y,
                        const float *log_sums, float *dq, float *dk, float *dv) {
  attention_gradient(
      device, s, contiguous(gradient, s.heads, s.queries, s.width),
      contiguous(q, s.heads, s.queries, s.depth), contiguous(k, s.shared_heads, s.keys, s.depth),
      contiguous(v, s.shared_heads, s.keys, s.width), contiguous(y, s.heads, s.queries, s.width),
      log_sums, contiguous(dq, s.heads, s.queries, s.depth),
      contiguous(dk, s.shared_heads, s.keys, s.depth),
      contiguous(dv, s.shared_heads, s.keys, s.width));
}

} // namespace mpar
