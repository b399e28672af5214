//===- IndexingFunctions.cpp - Functions that take positions from a tensor --===//

#include "frontend/Functions.h"

using namespace mlir;

namespace mparc {

static Value buildEmbedding(FunctionCall &call) {
  std::optional<Tensor> table = call.tensor(0), ids = call.tensor(1);
  if (!table || !ids)
    return Poison();
  if (!ids->element().isInteger(32)) {
    call.session.error(call.where(1), call.what(1) + " must be i32, got " + describe(*ids));
    return Poison();
  }
  if (table->rank() == 0 || table->dimensions().front().hasBatch()) {
    call.session.error(call.where(0), call.what(0) +
                                          " must have a first dimension of constant size, got " +
                                          describe(*table));
    return Poison();
  }
  Dimensions dimensions(ids->dimensions());
  llvm::append_range(dimensions, table->dimensions().drop_front());
  mp::DimensionsAttr dims =
      call.graph().checked(dimensions, describe(*table) + " and " + describe(*ids));
  if (!dims)
    return Poison();
  return call.graph().create<mp::GatherOp>(dims, table->element(), table->value, ids->value);
}

static Value buildCrossEntropy(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0), target = call.tensor(1);
  if (!x || !target)
    return Poison();
  if (x->rank() == 0 || x->dimensions().back().hasBatch()) {
    call.session.error(call.where(0), call.what(0) +
                                          " must have its classes in the last dimension, got " +
                                          describe(*x));
    return Poison();
  }
  ArrayRef<mp::DimensionAttr> positions = x->dimensions().drop_back();
  if (!target->element().isInteger(32) || !haveSameSizes(target->dimensions(), positions)) {
    call.session.error(call.where(1), call.what(1) + " must be " +
                                          describe(call.session.i32(), positions) + ", got " +
                                          describe(*target));
    return Poison();
  }
  return call.graph().create<mp::CrossEntropyOp>(call.session.dims(positions), x->element(),
                                                 x->value, target->value);
}

void addIndexingFunctions(FunctionTable &table) {
  add(table, "embedding", "table, ids", buildEmbedding);
  add(table, "softmax_cross_entropy", "x, target", buildCrossEntropy);
}

} // namespace mparc
