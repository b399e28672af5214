// Calls of attention and normalization.
#include "emit/PrintCalls.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

std::string CallPrinter::names(ValueRange values) {
  std::string text;
  for (Value value : values)
    text += ", " + (value ? name(value) : "nullptr");
  return text;
}

std::string CallPrinter::headSizes(Value q, Value k, Value v) {
  auto queries = getDimensions(q.getType()), keys = getDimensions(k.getType()),
       values = getDimensions(v.getType());
  size_t rank = queries.size();
  // As many heads on both sides are as good as more of what comes before.
  bool grouped = rank > 2 && queries[rank - 3].getStaticSize() != keys[rank - 3].getStaticSize();
  std::string text = size(getElementCount(queries.drop_back(grouped ? 3 : 2)));
  text += grouped ? ", " + size(sizeOf(queries[rank - 3])) + ", " + size(sizeOf(keys[rank - 3]))
                  : ", 1, 1";
  for (DimensionAttr dimension :
       {queries[rank - 2], keys[rank - 2], queries[rank - 1], values[rank - 1]})
    text += ", " + size(sizeOf(dimension));
  return text;
}

std::string CallPrinter::seen(Value tensor, ViewAttr view) {
  ArrayRef<int64_t> steps = view.getSteps();
  auto dimensions = view.getDimensions().getDimensions();
  size_t rank = steps.size();
  // All that comes before the heads is walked by the step of the innermost of it that is walked.
  int64_t batch = 0;
  for (size_t index = 0; index + 3 < rank; ++index)
    if (dimensions[index].hasBatch() || dimensions[index].getStaticSize() > 1)
      batch = steps[index];
  std::string text = ", {" + name(tensor);
  if (view.getOffset() != 0)
    text += " + " + std::to_string(view.getOffset());
  for (int64_t step : {batch, rank > 2 ? steps[rank - 3] : 0, steps[rank - 2]})
    text += ", " + std::to_string(step);
  return text + "}";
}

std::string CallPrinter::seenSizes(ArrayAttr views, unsigned query) {
  auto dimensions = [&](unsigned index) {
    return cast<ViewAttr>(views[index]).getDimensions().getDimensions();
  };
  auto q = dimensions(query), k = dimensions(query + 1), v = dimensions(query + 2);
  size_t rank = q.size();
  std::string text = size(getElementCount(q.drop_back(std::min<size_t>(rank, 3))));
  for (ArrayRef<DimensionAttr> each : {q, k})
    text += ", " + (rank > 2 ? size(sizeOf(each[rank - 3])) : "1");
  for (DimensionAttr dimension : {q[rank - 2], k[rank - 2], q[rank - 1], v[rank - 1]})
    text += ", " + size(sizeOf(dimension));
  return text;
}

template <typename Op> std::string CallPrinter::attentionSizes(Op op, unsigned query) {
  std::string text =
      op.getViews() ? seenSizes(*op.getViews(), query) : headSizes(op.getQ(), op.getK(), op.getV());
  text += op.getCausal() ? ", Causal::yes" : ", Causal::no";
  if (std::optional<Type> rounding = op.getRounding())
    text += rounding->isBF16() ? ", Rounding::bf16" : ", Rounding::f16";
  return "{" + text + "}";
}

void CallPrinter::call(AttentionOp op) {
  out << "attention(" << device(op) << ", " << attentionSizes(op, 0);
  std::optional<ArrayAttr> views = op.getViews();
  if (!views) {
    out << names(op->getOperands()) << names(op->getResults()) << ");\n";
    return;
  }
  for (auto [index, tensor] : llvm::enumerate(op->getOperands()))
    out << seen(tensor, cast<ViewAttr>((*views)[index]));
  out << seen(op.getResult(), cast<ViewAttr>((*views)[3])) << names(op.getLogSums()) << ");\n";
}

void CallPrinter::call(AttentionGradientOp op) {
  out << "attention_gradient(" << device(op) << ", " << attentionSizes(op, 1);
  std::optional<ArrayAttr> views = op.getViews();
  if (!views) {
    out << names(op->getOperands()) << names(op->getResults()) << ");\n";
    return;
  }
  for (unsigned index = 0; index < 5; ++index)
    out << seen(op->getOperand(index), cast<ViewAttr>((*views)[index]));
  out << names(op.getLogSums());
  for (unsigned index = 5; index < views->size(); ++index) {
    auto view = cast<ViewAttr>((*views)[index]);
    out << seen(op->getResult(view.getTensor()), view);
  }
  out << ");\n";
}

std::string CallPrinter::normSizes(Value x, int64_t dimensions) {
  auto all = getDimensions(x.getType());
  return size(getElementCount(all.drop_back(dimensions))) + ", " +
         size(getElementCount(all.take_back(dimensions)));
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
