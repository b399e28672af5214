// Verifiers of attention and normalization; the rules' letters are those of MpAttention.td.
#include "dialect/MpDialect.h"
#include "dialect/VerifyShapes.h"
#include "dialect/Views.h"

using namespace mlir;
using namespace mparc::mp;

bool mparc::mp::haveSameSizes(ArrayRef<DimensionAttr> a, ArrayRef<DimensionAttr> b) {
  return a.size() == b.size() && llvm::all_of(llvm::zip(a, b), [](auto pair) {
           auto [x, y] = pair;
           return x.hasBatch() == y.hasBatch() && x.getStaticSize() == y.getStaticSize() &&
                  x.getRowPiece() == y.getRowPiece();
         });
}

//===- Attention
//-------------------------------------------------------------------------------------===//

/// (A1)–(A4) of the three operands, by the dimensions that attention sees.
static LogicalResult verifyHeads(Operation *op, ArrayRef<DimensionAttr> q,
                                 ArrayRef<DimensionAttr> k, ArrayRef<DimensionAttr> v) {
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
static LogicalResult verifyAttended(Operation *op, ArrayRef<DimensionAttr> q,
                                    ArrayRef<DimensionAttr> v, ArrayRef<DimensionAttr> result,
                                    Value sums) {
  SmallVector<DimensionAttr> expected(q);
  if (!haveSameSizes(ArrayRef(expected).drop_back(), getDimensions(sums.getType())))
    return op->emitOpError("expected a sum a query");
  expected.back() = v.back();
  if (!haveSameSizes(expected, result))
    return op->emitOpError("expected a result of the queries' dimensions, as long as the values");
  return success();
}

/// What attention sees of its tensors; nothing, said to the user, where views are not as they must
/// be: of operands alone, the results' views are verified together.
static FailureOr<SmallVector<ArrayRef<DimensionAttr>>>
verifyViews(Operation *op, std::optional<ArrayAttr> views, ValueRange operands, ValueRange results,
            unsigned seenResults) {
  size_t count = operands.size() + seenResults;
  if (!views && results.size() != seenResults)
    return op->emitOpError("expected ") << seenResults << " results";
  if (views && (views->size() != count || !llvm::all_of(*views, llvm::IsaPred<ViewAttr>)))
    return op->emitOpError("expected ") << count << " views";
  SmallVector<ArrayRef<DimensionAttr>> seen;
  SmallVector<SmallVector<ViewAttr>> ofResult(results.size());
  for (size_t index = 0; index < count; ++index) {
    bool isResult = index >= operands.size();
    ViewAttr view = views ? cast<ViewAttr>((*views)[index]) : ViewAttr();
    size_t number = !isResult ? index : view ? view.getTensor() : index - operands.size();
    if (isResult && number >= results.size())
      return op->emitOpError("expected views of its results");
    Value tensor = isResult ? results[number] : operands[number];
    if (view && failed(verifyView(op, view, tensor)))
      return failure();
    if (view && isResult)
      ofResult[number].push_back(view);
    seen.push_back(getSeenDimensions(tensor, views, index));
  }
  for (auto [result, all] : llvm::zip(results, ofResult))
    if (views && failed(verifyCover(op, all, result)))
      return failure();
  return seen;
}

LogicalResult AttentionOp::verify() {
  auto seen = verifyViews(*this, getViews(), getOperands(), getResult(), 1);
  if (failed(seen) || failed(verifyHeads(*this, (*seen)[0], (*seen)[1], (*seen)[2])))
    return failure();
  return verifyAttended(*this, (*seen)[0], (*seen)[2], (*seen)[3], getLogSums());
}

LogicalResult AttentionGradientOp::verify() {
  auto seen = verifyViews(*this, getViews(), getOperands().drop_back(), getGradients(), 3);
  if (failed(seen))
    return failure();
  auto &all = *seen; // the gradient, q, k, v, the result, and the gradients of q, k and v
  if (failed(verifyHeads(*this, all[1], all[2], all[3])) ||
      failed(verifyAttended(*this, all[1], all[3], all[4], getLogSums())))
    return failure();
  if (!haveSameSizes(all[0], all[4]) || !haveSameSizes(all[5], all[1]) ||
      !haveSameSizes(all[6], all[2]) || !haveSameSizes(all[7], all[3]))
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
