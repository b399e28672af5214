// Attention and its gradient, of tensors or of views: what a view sees is copied into a tensor of
// its own, and what is made of it back.
#include "interpreter/Kernels.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

namespace {

/// The tensors of an operation as its kernel reads and writes them.
template <typename Scalar> class Seen {
public:
  Seen(Operation *op, std::optional<ArrayAttr> views) : op(op), views(views) {}

  /// What view number `index` sees of an operand.
  View read(unsigned index, Value operand, const View &whole) {
    if (!views)
      return whole;
    Tensor &copied = allocate(index, operand, whole);
    ViewAttr view = getView(index);
    copy<Scalar>(copied.extents(), whole, view.getOffset(), view.getSteps(), copied.view(), 0,
                 getStrides(copied.extents()));
    return copied.view();
  }
  /// Where the kernel writes what view number `index` sees of a result.
  View write(unsigned index, unsigned result, ArrayRef<View> results) {
    if (!views)
      return results[result];
    unsigned number = getView(index).getTensor();
    written.push_back({index, results[number]});
    return allocate(index, op->getResult(number), results[number]).view();
  }
  /// After the kernel: brings what it wrote to the results.
  void finish() {
    for (auto &[index, whole] : written) {
      ViewAttr view = getView(index);
      const Tensor &copied = tensors[index];
      copy<Scalar>(copied.extents(), copied.view(), 0, getStrides(copied.extents()), whole,
                   view.getOffset(), view.getSteps());
    }
  }

private:
  ViewAttr getView(unsigned index) { return cast<ViewAttr>((*views)[index]); }
  Tensor &allocate(unsigned index, Value tensor, const View &whole) {
    int64_t rows = whole.count() / getElementCount(tensor.getType()).count;
    Type seen = getTensorType(op->getContext(), getView(index).getDimensions().getDimensions(),
                              getElementTypeOrSelf(tensor.getType()));
    // So many of its own, be it a piece or not.
    Extents extents;
    for (DimensionAttr dimension : getDimensions(seen))
      extents.push_back(dimension.getStaticSize() * (dimension.hasBatch() ? rows : 1));
    return tensors[index] = Tensor(whole.kind, extents, sizeof(Scalar));
  }

  Operation *op;
  std::optional<ArrayAttr> views;
  Tensor tensors[8];
  SmallVector<std::pair<unsigned, View>> written;
};

} // namespace

template <typename Scalar>
void computeAttention(AttentionOp op, ArrayRef<View> operands, ArrayRef<View> results) {
  Seen<Scalar> seen(op, op.getViews());
  View tensors[3];
  for (unsigned index = 0; index < 3; ++index)
    tensors[index] = seen.read(index, op->getOperand(index), operands[index]);
  View y = seen.write(3, 0, results);
  attention<Scalar>(tensors[0], tensors[1], tensors[2], op.getCausal(), op.getRounding(), y,
                    results.back());
  seen.finish();
}

template <typename Scalar>
void computeAttention(AttentionGradientOp op, ArrayRef<View> operands, ArrayRef<View> results) {
  Seen<Scalar> seen(op, op.getViews());
  View tensors[8];
  for (unsigned index = 0; index < 5; ++index)
    tensors[index] = seen.read(index, op->getOperand(index), operands[index]);
  for (unsigned index = 5; index < 8; ++index)
    tensors[index] = seen.write(index, index - 5, results);
  attentionGradient<Scalar>(tensors[0], tensors[1], tensors[2], tensors[3], tensors[4],
                            operands.back(), op.getCausal(), op.getRounding(), tensors[5],
                            tensors[6], tensors[7]);
  seen.finish();
}

#define INSTANTIATE(SCALAR)                                                                        \
  template void computeAttention<SCALAR>(AttentionOp, ArrayRef<View>, ArrayRef<View>);             \
  template void computeAttention<SCALAR>(AttentionGradientOp, ArrayRef<View>, ArrayRef<View>);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

} // namespace mparc::interpreter
