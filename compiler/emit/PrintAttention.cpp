// Calls of attention and normalization.
#include "emit/PrintCalls.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

static ElementCount countOf(ArrayRef<DimensionAttr> dimensions) {
  ElementCount all{1, false};
  for (DimensionAttr dimension : dimensions)
    all = {all.count * dimension.getStaticSize(), all.perRow || dimension.hasBatch()};
  return all;
}

std::string CallPrinter::names(ValueRange values) {
  std::string text;
  for (Value value : values)
    text += ", " + (value ? name(value) : "nullptr");
  return text;
}

std::string CallPrinter::headSizes(Value q, Value k, Value v, bool causal) {
  auto queries = getDimensions(q.getType()), keys = getDimensions(k.getType()),
       values = getDimensions(v.getType());
  size_t rank = queries.size();
  // As many heads on both sides are as good as more of what comes before.
  bool grouped = rank > 2 && queries[rank - 3].getStaticSize() != keys[rank - 3].getStaticSize();
  std::string text = size(countOf(queries.drop_back(grouped ? 3 : 2)));
  text += grouped ? ", " + size(sizeOf(queries[rank - 3])) + ", " + size(sizeOf(keys[rank - 3]))
                  : ", 1, 1";
  for (DimensionAttr dimension :
       {queries[rank - 2], keys[rank - 2], queries[rank - 1], values[rank - 1]})
    text += ", " + size(sizeOf(dimension));
  return "{" + text + (causal ? ", Causal::yes}" : ", Causal::no}");
}

void CallPrinter::call(AttentionOp op) {
  out << "attention(" << device(op) << ", "
      << headSizes(op.getQ(), op.getK(), op.getV(), op.getCausal()) << names(op->getOperands())
      << names(op->getResults()) << ");\n";
}

void CallPrinter::call(AttentionGradientOp op) {
  out << "attention_gradient(" << device(op) << ", "
      << headSizes(op.getQ(), op.getK(), op.getV(), op.getCausal()) << names(op->getOperands())
      << names(op->getResults()) << ");\n";
}

std::string CallPrinter::normSizes(Value x, int64_t dimensions) {
  auto all = getDimensions(x.getType());
  return size(countOf(all.drop_back(dimensions))) + ", " + size(countOf(all.take_back(dimensions)));
}

static std::string epsilon(const APFloat &eps) {
  return "float(" + number(eps.convertToDouble()) + ")";
}

void CallPrinter::call(LayerNormOp op) {
  out << "layer_norm(" << device(op) << ", " << normSizes(op.getX(), op.getDimensions()) << ", "
      << epsilon(op.getEps()) << names({op.getX(), op.getWeight(), op.getBias()})
      << names(op->getResults()) << ");\n";
}

void CallPrinter::call(LayerNormGradientOp op) {
  out << "layer_norm_gradient(" << device(op) << ", " << normSizes(op.getX(), op.getDimensions())
      << names({op.getGradient(), op.getX(), op.getMean(), op.getScale(), op.getWeight()})
      << names(op->getResults()) << store(op) << ");\n";
}

void CallPrinter::call(RmsNormOp op) {
  out << "rms_norm(" << device(op) << ", " << normSizes(op.getX(), op.getDimensions()) << ", "
      << epsilon(op.getEps()) << names({op.getX(), op.getWeight()}) << names(op->getResults())
      << ");\n";
}

void CallPrinter::call(RmsNormGradientOp op) {
  out << "rms_norm_gradient(" << device(op) << ", " << normSizes(op.getX(), op.getDimensions())
      << names({op.getGradient(), op.getX(), op.getScale(), op.getWeight()})
      << names(op->getResults()) << store(op) << ");\n";
}

} // namespace mparc::emit
