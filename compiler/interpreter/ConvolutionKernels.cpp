// The reference kernels of convolution and pooling, for float and double.
#include "interpreter/Kernels.h"

#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

namespace {

/// One spatial dimension; those that a tensor lacks have size 1.
struct Along {
  int64_t size = 1, kernel = 1, stride = 1, padding = 0, dilation = 1, positions = 1;

  /// Where element `offset` of the window lies at a position; outside of x, -1.
  int64_t at(int64_t position, int64_t offset) const {
    int64_t place = position * stride - padding + offset * dilation;
    return place < size ? std::max<int64_t>(place, -1) : -1;
  }
};

/// All three dimensions of a window that moves over planes.
struct Window {
  /// `x` and `y` end in the spatial dimensions and the positions.
  Window(ArrayRef<int64_t> kernel, ArrayRef<int64_t> stride, ArrayRef<int64_t> padding,
         ArrayRef<int64_t> dilation, const View &x, const View &y) {
    size_t missing = 3 - kernel.size();
    auto in = ArrayRef<int64_t>(x.extents).take_back(kernel.size());
    auto out = ArrayRef<int64_t>(y.extents).take_back(kernel.size());
    for (size_t i = 0; i < kernel.size(); ++i)
      along[missing + i] = {
          in[i], kernel[i], stride[i], padding[i], dilation.empty() ? 1 : dilation[i], out[i]};
    size = getCount(in);
    positions = getCount(out);
    elements = getCount(kernel);
  }

  /// Calls body(number of the position, number of the window's element, number of x's element) for
  /// every pair of a position and an element of the window that lies within x.
  template <typename Body> void forEach(const Body &body) const {
    for (int64_t position = 0; position < positions; ++position)
      for (int64_t element = 0; element < elements; ++element)
        if (int64_t place = placeOf(position, element); place >= 0)
          body(position, element, place);
  }
  int64_t placeOf(int64_t position, int64_t element) const {
    int64_t place = 0, step = 1;
    for (int i = 2; i >= 0; --i) {
      int64_t here = along[i].at(position % along[i].positions, element % along[i].kernel);
      if (here < 0)
        return -1;
      place += here * step;
      step *= along[i].size;
      position /= along[i].positions;
      element /= along[i].kernel;
    }
    return place;
  }
  /// How many elements the mean at a position is of.
  int64_t divisor(int64_t position, bool countsPadding) const {
    int64_t count = 1;
    for (int i = 2; i >= 0; --i) {
      const Along &each = along[i];
      int64_t start = position % each.positions * each.stride - each.padding;
      int64_t padding = countsPadding ? each.padding : 0;
      count *= std::min(start + each.kernel, each.size + padding) - std::max(start, -padding);
      position /= each.positions;
    }
    return count;
  }

  Along along[3];
  int64_t size, positions, elements;
};

} // namespace

/// Calls body(x's element, the weight's, y's) for each product of a convolution.
template <typename Op, typename Body>
static void forEachProduct(Op op, const View &x, const View &weight, const View &y,
                           const Body &body) {
  auto kernel = ArrayRef<int64_t>(weight.extents).drop_front(2);
  const Window window(kernel, op.getStride(), op.getPadding(), op.getDilation(), x, y);
  const int64_t groups = op.getGroups(), out = weight.extents[0], inOfGroup = weight.extents[1];
  const int64_t rows = x.count() / (groups * inOfGroup * window.size);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t channel = 0; channel < out; ++channel)
      for (int64_t from = 0; from < inOfGroup; ++from) {
        const int64_t group = channel / (out / groups);
        const int64_t atX = ((row * groups + group) * inOfGroup + from) * window.size;
        const int64_t atY = (row * out + channel) * window.positions;
        const int64_t atWeight = (channel * inOfGroup + from) * window.elements;
        window.forEach([&](int64_t position, int64_t element, int64_t place) {
          body(atX + place, atWeight + element, atY + position);
        });
      }
}

template <typename Scalar>
static void maxPool(MaxPoolOp op, const View &x, const View &y, const View &positions) {
  const Window window(op.getKernel(), op.getStride(), op.getPadding(), {}, x, y);
  for (int64_t plane = 0; plane < x.count() / window.size; ++plane) {
    const Scalar *in = x.as<Scalar>() + plane * window.size;
    Scalar *out = y.as<Scalar>() + plane * window.positions;
    int32_t *where = positions.as<int32_t>() + plane * window.positions;
    for (int64_t position = 0; position < window.positions; ++position)
      where[position] = -1;
    window.forEach([&](int64_t position, int64_t, int64_t place) {
      if (where[position] >= 0 && !(in[place] > out[position]) && in[place] == in[place])
        return;
      out[position] = in[place];
      where[position] = static_cast<int32_t>(place);
    });
  }
}

template <typename Scalar>
static void maxPoolGradient(const View &g, const View &positions, int64_t dimensions,
                            const View &dx) {
  const int64_t windows = getCount(ArrayRef<int64_t>(g.extents).take_back(dimensions));
  const int64_t size = getCount(ArrayRef<int64_t>(dx.extents).take_back(dimensions));
  fillZero<Scalar>(dx);
  for (int64_t index = 0, end = g.count(); index < end; ++index)
    dx.as<Scalar>()[index / windows * size + positions.as<int32_t>()[index]] +=
        g.as<Scalar>()[index];
}

/// Calls body(x's element, y's, the divisor of y's mean) for each part of each mean.
template <typename Op, typename Body>
static void forEachShare(Op op, const View &x, const View &y, const Body &body) {
  const Window window(op.getKernel(), op.getStride(), op.getPadding(), {}, x, y);
  for (int64_t plane = 0; plane < x.count() / window.size; ++plane)
    window.forEach([&](int64_t position, int64_t, int64_t place) {
      body(plane * window.size + place, plane * window.positions + position,
           window.divisor(position, op.getCountPadding()));
    });
}

template <typename Scalar>
void computeWindowed(Operation *op, ArrayRef<View> operands, ArrayRef<View> results) {
  const View &a = operands[0], &result = results[0];
  Scalar *const to = result.as<Scalar>();
  if (auto pool = dyn_cast<MaxPoolOp>(op))
    return maxPool<Scalar>(pool, a, result, results[1]);
  if (auto gradient = dyn_cast<MaxPoolGradientOp>(op))
    return maxPoolGradient<Scalar>(a, operands[1], gradient.getDimensions(), result);
  fillZero<Scalar>(result);
  const Scalar *const from = a.as<Scalar>();
  const Scalar *const other = operands.size() > 1 ? operands[1].as<Scalar>() : nullptr;
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](ConvOp conv) {
        forEachProduct(conv, a, operands[1], result, [&](int64_t x, int64_t weight, int64_t y) {
          to[y] += from[x] * other[weight];
        });
      })
      .Case([&](ConvInputGradientOp conv) {
        forEachProduct(conv, result, operands[1], a, [&](int64_t x, int64_t weight, int64_t y) {
          to[x] += from[y] * other[weight];
        });
      })
      .Case([&](ConvWeightGradientOp conv) {
        forEachProduct(conv, operands[1], result, a, [&](int64_t x, int64_t weight, int64_t y) {
          to[weight] += from[y] * other[x];
        });
      })
      .Case([&](AvgPoolOp pool) {
        forEachShare(pool, a, result, [&](int64_t x, int64_t y, int64_t divisor) {
          to[y] += from[x] / static_cast<Scalar>(divisor);
        });
      })
      .Case([&](AvgPoolGradientOp pool) {
        forEachShare(pool, result, a, [&](int64_t x, int64_t y, int64_t divisor) {
          to[x] += from[y] / static_cast<Scalar>(divisor);
        });
      });
}

template void computeWindowed<float>(Operation *, ArrayRef<View>, ArrayRef<View>);
template void computeWindowed<double>(Operation *, ArrayRef<View>, ArrayRef<View>);

} // namespace mparc::interpreter
