// Verifiers of attention and normalization; the rules' letters are those of MpAttention.td.
#include "dialect/MpDialect.h"

using namespace mlir;
using namespace mparc::mp;

static bool haveSameSizes(ArrayRef<DimensionAttr> a, ArrayRef<DimensionAttr> b) {
  return a.size() == b.size() && llvm::all_of(llvm::zip(a, b), [](auto pair) {
           auto [x, y] = pair;
           return x.hasBatch() == y.hasBatch() && x.getStaticSize() == y.getStaticSize();
         });
}

//===- Attention
//-------------------------------------------------------------------------------------===//

/// (A1)–(A4) of the three operands.
static LogicalResult verifyHeads(Operation *op, Value query, Value key, Value value) {
  auto q = getDimensions(query.getType()), k = getDimensions(key.getType()),
       v = getDimensions(value.getType());
  size_t rank = q.size();
  if (rank < 2 || k.size() != rank || v.size() != rank)
    return op->emitOpError("expected operands of one rank of at least 2");
  auto leading = [&](ArrayRef<DimensionAttr> x) { return x.drop_back(std::min<size_t>(rank, 3)); };
  if (!haveSameSizes(leading(q), leading(k)) || !haveSameSizes(leading(q), leading(v)))
    return op->emitOpError("expected equal dimensions before the heads");
  if (rank > 2) {
    DimensionAttr heads = q[rank - 3], shared = k[rank - 3];
    bool divides =
        haveSameSizes({shared}, {v[rank - 3]}) &&
        (haveSameSizes({heads}, {shared}) || (!heads.hasBatch() && !shared.hasBatch() &&
                                              heads.getStaticSize() % shared.getStaticSize() == 0));
    if (!divides)
      return op->emitOpError("expected as many heads in the values as in the keys, which divide "
                             "those of the queries");
  }
  if (!haveSameSizes(q.take_back(1), k.take_back(1)) ||
      !haveSameSizes({k[rank - 2]}, {v[rank - 2]}))
    return op->emitOpError("expected queries as long as the keys, and as many keys as values");
  for (ArrayRef<DimensionAttr> each : {q, k, v})
    if (each[rank - 1].hasBatch() || each[rank - 2].hasBatch())
      return op->emitOpError("expected the batch in no matrix of a head");
  return success();
}

/// The results of attention on these operands.
static LogicalResult verifyAttended(Operation *op, Value q, Value v, Value result, Value sums) {
  SmallVector<DimensionAttr> expected(getDimensions(q.getType()));
  if (!haveSameSizes(ArrayRef(expected).drop_back(), getDimensions(sums.getType())))
    return op->emitOpError("expected a sum a query");
  expected.back() = getDimensions(v.getType()).back();
  if (!haveSameSizes(expected, getDimensions(result.getType())))
    return op->emitOpError("expected a result of the queries' dimensions, as long as the values");
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyHeads(*this, getQ(), getK(), getV())))
    return failure();
  return verifyAttended(*this, getQ(), getV(), getResult(), getLogSums());
}

LogicalResult AttentionGradientOp::verify() {
  if (failed(verifyHeads(*this, getQ(), getK(), getV())) ||
      failed(verifyAttended(*this, getQ(), getV(), getResult(), getLogSums())))
    return failure();
  if (!haveSameShape(getGradient().getType(), getResult().getType()) ||
      !haveSameShape(getDq().getType(), getQ().getType()) ||
      !haveSameShape(getDk().getType(), getK().getType()) ||
      !haveSameShape(getDv().getType(), getV().getType()))
    return emitOpError("expected gradients like what they are the gradients of");
  return success();
}

//===- Normalization
//---------------------------------------------------------------------------------===//

/// (N1), and (N2) or (N3) of `lasts`, which may hold nulls; `statistics` have what comes before.
static LogicalResult verifyNormalized(Operation *op, Value x, Value like, int64_t count,
                                      ArrayRef<Value> lasts, ArrayRef<Value> statistics) {
  auto dimensions = getDimensions(x.getType());
  if (count < 1 || count > static_cast<int64_t>(dimensions.size()))
    return op->emitOpError("expected between 1 and ")
           << dimensions.size() << " dimensions, got " << count;
  auto last = dimensions.take_back(count);
  if (llvm::any_of(last, [](DimensionAttr dimension) { return dimension.hasBatch(); }))
    return op->emitOpError("expected no batch among the dimensions normalized");
  if (!haveSameShape(x.getType(), like.getType()))
    return op->emitOpError("expected a result like the operand");
  for (Value each : lasts)
    if (each && !haveSameSizes(getDimensions(each.getType()), last))
      return op->emitOpError("expected the last dimensions in ") << each.getType();
  for (Value each : statistics)
    if (!haveSameSizes(getDimensions(each.getType()), dimensions.drop_back(count)))
      return op->emitOpError("expected the first dimensions in ") << each.getType();
  return success();
}

LogicalResult LayerNormOp::verify() {
  return verifyNormalized(*this, getX(), getResult(), getDimensions(), {getWeight(), getBias()},
                          {getMean(), getScale()});
}

LogicalResult LayerNormGradientOp::verify() {
  if (!haveSameShape(getGradient().getType(), getX().getType()))
    return emitOpError("expected a gradient like the operand");
  return verifyNormalized(*this, getX(), getDx(), getDimensions(),
                          {getWeight(), getDweight(), getDbias()}, {getMean(), getScale()});
}

LogicalResult RmsNormOp::verify() {
  return verifyNormalized(*this, getX(), getResult(), getDimensions(), {getWeight()}, {getScale()});
}

LogicalResult RmsNormGradientOp::verify() {
  if (!haveSameShape(getGradient().getType(), getX().getType()))
    return emitOpError("expected a gradient like the operand");
  return verifyNormalized(*this, getX(), getDx(), getDimensions(), {getWeight(), getDweight()},
                          {getScale()});
}
