// The softmax of a block of queries and keys. Included by attention.cpp alone.
//
// Scores lie transposed, a row a key, so that what is asked of a query goes down a column and all
// columns are worked on side by side.
#pragma once

#include "mpar/attention.h"
#include "mpar/elementary.h"

#include "attention_rounding.h"
#include "fold_lanes.h"
#include "multiversion.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace mpar {
namespace {

/// Queries that are worked on together, at most: see queries_of_a_block.
constexpr int64_t block_queries = 64;
/// Keys whose exponentials are added up before they are added to those before.
constexpr int64_t block_sum = 32;
constexpr float infinity = std::numeric_limits<float>::infinity();

/// Queries and keys that are worked on together.
struct Block {
  int64_t query, queries; // the first, and how many
  int64_t key, keys;
};

/// Makes minus infinity of the scores of keys that a query does not see.
MPAR_INLINE void hide(const Block &block, float *scores) {
  for (int64_t key = std::max<int64_t>(0, block.query - block.key + 1); key < block.keys; ++key) {
    float *row = scores + key * block.queries;
    const int64_t hidden = std::min(block.queries, block.key + key - block.query);
    for (int64_t i = 0; i < hidden; ++i)
      row[i] = -infinity;
  }
}

/// A block's scores become exponentials, each less the largest so far of its query, rounded to T;
/// `sum` is that of all so far, not rounded, and `rescale` what was made for earlier blocks of keys
/// is to be multiplied by.
template <typename T>
MPAR_INLINE void soften_columns(int64_t keys, int64_t queries, float scale, float *scores,
                                float *largest, float *sum, float *rescale) {
  float most[block_queries];
  for (int64_t i = 0; i < queries; ++i)
    most[i] = scores[i];
  for (int64_t key = 1; key < keys; ++key)
    for (int64_t i = 0; i < queries; ++i) {
      const float score = scores[key * queries + i];
      most[i] = score > most[i] || score != score ? score : most[i];
    }
  for (int64_t i = 0; i < queries; ++i) {
    const float before = largest[i], here = most[i] * scale;
    largest[i] = here > before || here != here ? here : before;
    rescale[i] = exponential(before - largest[i]);
    sum[i] *= rescale[i];
  }
  for (int64_t begin = 0; begin < keys; begin += block_sum) {
    const int64_t end = std::min(keys, begin + block_sum);
    float partial[block_queries];
    for (int64_t i = 0; i < queries; ++i)
      partial[i] = 0;
    for (int64_t key = begin; key < end; ++key) {
      float *row = scores + key * queries;
      MPAR_INDEPENDENT
      for (int64_t i = 0; i < queries; ++i) {
        const float power = exponential(row[i] * scale - largest[i]);
        partial[i] += power;
        row[i] = rounded<T>(power);
      }
    }
    for (int64_t i = 0; i < queries; ++i)
      sum[i] += partial[i];
  }
}

template <typename T>
MPAR_INLINE void soften_block(const Block &block, float scale, float *scores, float *largest,
                              float *sum, float *rescale) {
  if (block.queries == block_queries) // a constant count of columns stays in registers
    soften_columns<T>(block.keys, block_queries, scale, scores, largest, sum, rescale);
  else if (block.queries == block_queries / 2)
    soften_columns<T>(block.keys, block_queries / 2, scale, scores, largest, sum, rescale);
  else
    soften_columns<T>(block.keys, block.queries, scale, scores, largest, sum, rescale);
}

MPAR_MULTIVERSION void soften(const Block &block, const AttentionSizes &sizes, float scale,
                              float *scores, float *largest, float *sum, float *rescale) {
  if (sizes.causal == Causal::yes)
    hide(block, scores);
  if (sizes.rounding == Rounding::bf16)
    soften_block<bfloat16>(block, scale, scores, largest, sum, rescale);
  else if (sizes.rounding == Rounding::f16)
    soften_block<float16>(block, scale, scores, largest, sum, rescale);
  else
    soften_block<float>(block, scale, scores, largest, sum, rescale);
}

/// Multiplies each row of y by its factor.
MPAR_MULTIVERSION void scale_rows(int64_t rows, int64_t columns, const float *factor, float *y,
                                  int64_t step) {
  for (int64_t i = 0; i < rows; ++i, y += step) {
    MPAR_INDEPENDENT
    for (int64_t j = 0; j < columns; ++j)
      y[j] *= factor[i];
  }
}

/// Divides each row of y by its divisor.
MPAR_MULTIVERSION void divide_rows(int64_t rows, int64_t columns, const float *divisor, float *y,
                                   int64_t step) {
  for (int64_t i = 0; i < rows; ++i, y += step) {
    MPAR_INDEPENDENT
    for (int64_t j = 0; j < columns; ++j)
      y[j] /= divisor[i];
  }
}

} // namespace
} // namespace mpar
