// Calls of convolution and pooling.
#include "emit/PrintCalls.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

static std::string braces(ArrayRef<int64_t> sizes) {
  return "{" +
         llvm::join(llvm::map_range(sizes, [](int64_t size) { return std::to_string(size); }),
                    ", ") +
         "}";
}

/// `{32, 32}`: the last dimensions of a tensor, which do not contain the batch.
static std::string lastSizes(Value value, size_t count) {
  return braces(llvm::map_to_vector(getDimensions(value.getType()).take_back(count),
                                    [](DimensionAttr each) { return each.getSize(); }));
}

std::string CallPrinter::countBeforeLast(Value value, size_t count) {
  ElementCount all{1, false};
  for (DimensionAttr dimension : getDimensions(value.getType()).drop_back(count))
    all = all.times(dimension);
  return size(all);
}

template <typename Op> void CallPrinter::convolution(Op op, Value x, Value weight) {
  auto kernel = getDimensions(weight.getType());
  size_t spatial = kernel.size() - 2;
  int64_t groups = op.getGroups();
  out << op->getName().stripDialect() << "(" << device(op) << ", "
      << countBeforeLast(x, spatial + 1) << ", {" << kernel[1].getSize() * groups << ", "
      << kernel[0].getSize() << ", " << groups << ", " << lastSizes(x, spatial) << ", "
      << lastSizes(weight, spatial) << ", " << braces(op.getStride()) << ", "
      << braces(op.getPadding()) << ", " << braces(op.getDilation()) << "}"
      << names(op->getOperands()) << names(op->getResults()) << store(op) << ");\n";
}

void CallPrinter::call(ConvOp op) { convolution(op, op.getX(), op.getWeight()); }
void CallPrinter::call(ConvInputGradientOp op) { convolution(op, op.getResult(), op.getWeight()); }
void CallPrinter::call(ConvWeightGradientOp op) { convolution(op, op.getX(), op.getResult()); }

/// Whether a window has a position more than it fits into what is pooled.
template <typename Op> static bool isRoundedUp(Op op, Value x, Value y) {
  size_t spatial = op.getKernel().size();
  auto in = getDimensions(x.getType()).take_back(spatial);
  auto out = getDimensions(y.getType()).take_back(spatial);
  for (size_t i = 0; i < spatial; ++i)
    if (out[i].getSize() >
        (in[i].getSize() + 2 * op.getPadding()[i] - op.getKernel()[i]) / op.getStride()[i] + 1)
      return true;
  return false;
}

template <typename Op> void CallPrinter::pooling(Op op, Value x, Value y, StringRef further) {
  size_t spatial = op.getKernel().size();
  out << op->getName().stripDialect() << "(" << device(op) << ", " << countBeforeLast(x, spatial)
      << ", {" << lastSizes(x, spatial) << ", " << braces(op.getKernel()) << ", "
      << braces(op.getStride()) << ", " << braces(op.getPadding())
      << (isRoundedUp(op, x, y) ? ", true" : "") << "}" << further << names(op->getOperands())
      << names(op->getResults()) << ");\n";
}

static StringRef countPadding(bool yes) {
  return yes ? ", CountPadding::yes" : ", CountPadding::no";
}

void CallPrinter::call(MaxPoolOp op) { pooling(op, op.getX(), op.getResult(), ""); }
void CallPrinter::call(AvgPoolOp op) {
  pooling(op, op.getX(), op.getResult(), countPadding(op.getCountPadding()));
}
void CallPrinter::call(AvgPoolGradientOp op) {
  pooling(op, op.getResult(), op.getGradient(), countPadding(op.getCountPadding()));
}

void CallPrinter::call(MaxPoolGradientOp op) {
  size_t spatial = op.getDimensions();
  auto count = [&](Value value) {
    int64_t elements = 1;
    for (DimensionAttr dimension : getDimensions(value.getType()).take_back(spatial))
      elements *= dimension.getSize();
    return elements;
  };
  out << "max_pool_gradient(" << device(op) << ", " << countBeforeLast(op.getResult(), spatial)
      << ", " << count(op.getGradient()) << ", " << count(op.getResult())
      << names(op->getOperands()) << names(op->getResults()) << ");\n";
}

} // namespace mparc::emit
