// The reference kernels of attention and normalization, for float and double.
#include "interpreter/Kernels.h"

#include "mpar/low_precision.h"
#include "mpar/scalar.h"

using llvm::ArrayRef;

namespace mparc::interpreter {

namespace {

/// One matrix of a head after the other: [count, rows, columns].
struct Matrices {
  explicit Matrices(const View &x)
      : rows(x.extents[x.extents.size() - 2]), columns(x.extents.back()),
        heads(x.extents.size() > 2 ? x.extents[x.extents.size() - 3] : 1),
        count(getCount(ArrayRef<int64_t>(x.extents).drop_back(2))) {}
  int64_t rows, columns, heads, count;
};

/// The sizes of attention, and which keys belong to which queries.
struct Heads {
  Heads(const View &q, const View &k, const View &v, bool isCausal)
      : queries(q), keys(k), values(v), causal(isCausal) {}

  /// Of the queries' matrix number `each`: that of its keys and values.
  int64_t shared(int64_t each) const {
    return each / queries.heads * keys.heads + each % queries.heads / (queries.heads / keys.heads);
  }
  /// How many keys query `row` sees.
  int64_t seen(int64_t row) const { return causal ? std::min(keys.rows, row + 1) : keys.rows; }

  Matrices queries, keys, values;
  bool causal;
};

} // namespace

namespace {
/// Rounds operands of products, or leaves them as they are.
template <typename Scalar> class Rounder {
public:
  explicit Rounder(std::optional<mlir::Type> rounding) : rounding(rounding) {}

  Scalar operator()(Scalar x) const {
    if (!rounding)
      return x;
    return rounding->isBF16() ? static_cast<float>(mpar::bfloat16(static_cast<float>(x)))
                              : static_cast<float>(mpar::float16(static_cast<float>(x)));
  }
  std::vector<Scalar> operator()(const View &x) const {
    std::vector<Scalar> rounded(x.as<Scalar>(), x.as<Scalar>() + x.count());
    for (Scalar &each : rounded)
      each = (*this)(each);
    return rounded;
  }

private:
  std::optional<mlir::Type> rounding;
};
} // namespace

template <typename Scalar> static Scalar dot(const Scalar *a, const Scalar *b, int64_t count) {
  Scalar sum = 0;
  for (int64_t index = 0; index < count; ++index)
    sum += a[index] * b[index];
  return sum;
}

template <typename Scalar>
void attention(const View &q, const View &k, const View &v, bool causal,
               std::optional<mlir::Type> rounding, const View &y, const View &logSums) {
  const Heads heads(q, k, v, causal);
  const Rounder<Scalar> round(rounding);
  const std::vector<Scalar> allQueries = round(q), allKeys = round(k), allValues = round(v);
  const int64_t rows = heads.queries.rows, depth = heads.queries.columns,
                width = heads.values.columns;
  const Scalar scale = Scalar(1) / std::sqrt(static_cast<Scalar>(depth));
  std::vector<Scalar> scores(heads.keys.rows);
  for (int64_t each = 0; each < heads.queries.count; ++each) {
    const Scalar *key = allKeys.data() + heads.shared(each) * heads.keys.rows * depth;
    const Scalar *value = allValues.data() + heads.shared(each) * heads.keys.rows * width;
    for (int64_t row = each * rows; row < (each + 1) * rows; ++row) {
      const int64_t seen = heads.seen(row - each * rows);
      for (int64_t other = 0; other < seen; ++other)
        scores[other] = dot(allQueries.data() + row * depth, key + other * depth, depth) * scale;
      Scalar largest = scores[0], sum = 0;
      for (int64_t other = 0; other < seen; ++other)
        largest = mpar::maximum(largest, scores[other]);
      for (int64_t other = 0; other < seen; ++other)
        sum += scores[other] = std::exp(scores[other] - largest);
      for (int64_t column = 0; column < width; ++column) {
        Scalar total = 0;
        for (int64_t other = 0; other < seen; ++other)
          total += round(scores[other]) * value[other * width + column];
        y.as<Scalar>()[row * width + column] = total / sum;
      }
      logSums.as<Scalar>()[row] = largest + std::log(sum);
    }
  }
}

template <typename Scalar>
void attentionGradient(const View &g, const View &q, const View &k, const View &v, const View &y,
                       const View &logSums, bool causal, std::optional<mlir::Type> rounding,
                       const View &dq, const View &dk, const View &dv) {
  const Heads heads(q, k, v, causal);
  const Rounder<Scalar> round(rounding);
  const std::vector<Scalar> allGradients = round(g), allQueries = round(q), allKeys = round(k),
                            allValues = round(v);
  const int64_t rows = heads.queries.rows, depth = heads.queries.columns,
                width = heads.values.columns;
  const Scalar scale = Scalar(1) / std::sqrt(static_cast<Scalar>(depth));
  for (const View &each : {dq, dk, dv})
    fillZero<Scalar>(each);
  for (int64_t each = 0; each < heads.queries.count; ++each) {
    const int64_t atKey = heads.shared(each) * heads.keys.rows * depth;
    const int64_t atValue = heads.shared(each) * heads.keys.rows * width;
    const Scalar *key = allKeys.data() + atKey, *value = allValues.data() + atValue;
    Scalar *keyGradient = dk.as<Scalar>() + atKey, *valueGradient = dv.as<Scalar>() + atValue;
    for (int64_t row = each * rows; row < (each + 1) * rows; ++row) {
      const Scalar *query = allQueries.data() + row * depth,
                   *out = allGradients.data() + row * width;
      Scalar *queryGradient = dq.as<Scalar>() + row * depth;
      const Scalar mean = dot(out, y.as<Scalar>() + row * width, width);
      const int64_t seen = heads.seen(row - each * rows);
      for (int64_t other = 0; other < seen; ++other) {
        const Scalar score = dot(query, key + other * depth, depth) * scale;
        const Scalar probability = std::exp(score - logSums.as<Scalar>()[row]);
        const Scalar change = probability * (dot(out, value + other * width, width) - mean) * scale;
        const Scalar share = round(probability), slope = round(change);
        for (int64_t column = 0; column < width; ++column)
          valueGradient[other * width + column] += share * out[column];
        for (int64_t column = 0; column < depth; ++column) {
          queryGradient[column] += slope * key[other * depth + column];
          keyGradient[other * depth + column] += slope * query[column];
        }
      }
    }
  }
}

template <typename Scalar>
void normalize(const View &x, int64_t dimensions, const View &weight, const View &bias, double eps,
               const View &y, const View &mean, const View &scale) {
  const int64_t size = getCount(ArrayRef<int64_t>(x.extents).take_back(dimensions));
  for (int64_t row = 0; row < scale.count(); ++row) {
    const Scalar *in = x.as<Scalar>() + row * size;
    Scalar *out = y.as<Scalar>() + row * size;
    Scalar centre = 0, squares = 0;
    if (mean.data) {
      for (int64_t index = 0; index < size; ++index)
        centre += in[index];
      mean.as<Scalar>()[row] = centre /= static_cast<Scalar>(size);
    }
    for (int64_t index = 0; index < size; ++index)
      squares += (in[index] - centre) * (in[index] - centre);
    const Scalar factor =
        mpar::rsqrt(squares / static_cast<Scalar>(size) + static_cast<Scalar>(eps));
    scale.as<Scalar>()[row] = factor;
    for (int64_t index = 0; index < size; ++index) {
      Scalar value = (in[index] - centre) * factor;
      if (weight.data)
        value *= weight.as<Scalar>()[index];
      out[index] = bias.data ? value + bias.as<Scalar>()[index] : value;
    }
  }
}

// With n = (x - mean) · scale and gw = g · weight: dx = scale · (gw - mean(gw) - n · mean(gw · n)),
// where the middle term is there only if a mean was taken off.
template <typename Scalar>
void normalizeGradient(const View &g, const View &x, const View &mean, const View &scale,
                       const View &weight, const View &dx, const View &dweight, const View &dbias) {
  const int64_t size = dweight.count();
  fillZero<Scalar>(dweight);
  if (dbias.data)
    fillZero<Scalar>(dbias);
  for (int64_t row = 0; row < scale.count(); ++row) {
    const Scalar *gradient = g.as<Scalar>() + row * size, *in = x.as<Scalar>() + row * size;
    const Scalar factor = scale.as<Scalar>()[row];
    const Scalar centre = mean.data ? mean.as<Scalar>()[row] : Scalar(0);
    auto weighted = [&](int64_t index) {
      return weight.data ? gradient[index] * weight.as<Scalar>()[index] : gradient[index];
    };
    Scalar sum = 0, product = 0;
    for (int64_t index = 0; index < size; ++index) {
      const Scalar normal = (in[index] - centre) * factor;
      sum += weighted(index);
      product += weighted(index) * normal;
      dweight.as<Scalar>()[index] += gradient[index] * normal;
      if (dbias.data)
        dbias.as<Scalar>()[index] += gradient[index];
    }
    const Scalar shift = mean.data ? sum / static_cast<Scalar>(size) : Scalar(0);
    const Scalar slope = product / static_cast<Scalar>(size);
    for (int64_t index = 0; index < size; ++index) {
      const Scalar normal = (in[index] - centre) * factor;
      dx.as<Scalar>()[row * size + index] = factor * (weighted(index) - shift - normal * slope);
    }
  }
}

#define INSTANTIATE(SCALAR)                                                                        \
  template void attention<SCALAR>(const View &, const View &, const View &, bool,                  \
                                  std::optional<mlir::Type>, const View &, const View &);          \
  template void attentionGradient<SCALAR>(                                                         \
      const View &, const View &, const View &, const View &, const View &, const View &, bool,    \
      std::optional<mlir::Type>, const View &, const View &, const View &);                        \
  template void normalize<SCALAR>(const View &, int64_t, const View &, const View &, double,       \
                                  const View &, const View &, const View &);                       \
  template void normalizeGradient<SCALAR>(const View &, const View &, const View &, const View &,  \
                                          const View &, const View &, const View &, const View &);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

} // namespace mparc::interpreter
