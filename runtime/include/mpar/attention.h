// Scaled dot-product attention and its gradient, without a matrix of queries by keys in memory.
#pragma once

#include "mpar/device.h"

#include <cstdint>

namespace mpar {

/// Whether query i sees keys 0 to i only, or all of them.
enum class Causal { no, yes };

/// What the operands of attention's products are rounded to before they are multiplied: queries,
/// keys, values and probabilities, and in the gradient also that of the result and those of the
/// scores. Sums, the softmax and all results are float; of probabilities their exponentials are
/// rounded, before they are divided by their sum, which is of those that are not rounded.
enum class Rounding { none, bf16, f16 };

/// Of operands q [batch, heads, queries, depth], k [batch, shared_heads, keys, depth] and
/// v [batch, shared_heads, keys, width], all sizes at least 1; `shared_heads` divides `heads`,
/// and head h reads keys and values of head h / (heads / shared_heads).
struct AttentionSizes {
  int64_t batch, heads, shared_heads, queries, keys, depth, width;
  Causal causal;
  Rounding rounding = Rounding::none;
};

/// A tensor of heads that lies in another: element (b, h, i, j) at data[b · batch + h · head +
/// i · row + j]. Heads may be interleaved; what is written must not overlap.
template <typename T> struct Heads {
  T *data;
  int64_t batch, head, row;
};

/// y = softmax(q · kᵀ / √depth) · v, [batch, heads, queries, width]; `log_sums`, [batch, heads,
/// queries] and contiguous: the logarithm of the sum of each query's exponentials. An element
/// depends on its query, its keys and its values alone: not on what else is in the batch, where
/// anything lies, or the number of threads.
void attention(Device &device, const AttentionSizes &sizes, const Heads<const float> &q,
               const Heads<const float> &k, const Heads<const float> &v, const Heads<float> &y,
               float *log_sums);
/// The same of contiguous tensors.
void attention(Device &device, const AttentionSizes &sizes, const float *q, const float *k,
               const float *v, float *y, float *log_sums);

/// The gradients of q, k and v from `gradient`, that of y. Probabilities are computed anew, from
/// `log_sums`, as in Dao, Fu, Ermon, Rudra and Ré, "FlashAttention", arXiv:2205.14135, algorithm 4.
void attention_gradient(Device &device, const AttentionSizes &sizes,
                        const Heads<const float> &gradient, const Heads<const float> &q,
                        const Heads<const float> &k, const Heads<const float> &v,
                        const Heads<const float> &y, const float *log_sums, const Heads<float> &dq,
                        const Heads<float> &dk, const Heads<float> &dv);
/// The same of contiguous tensors.
void attention_gradient(Device &device, const AttentionSizes &sizes, const float *gradient,
                        const float *q, const float *k, const float *v, const float *y,
                        const float *log_sums, float *dq, float *dk, float *dv);

} // namespace mpar
