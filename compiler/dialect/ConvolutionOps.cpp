// Verifiers of convolution and pooling; the rules' letters are those of MpConvolution.td.
#include "dialect/MpDialect.h"
#include "dialect/VerifyShapes.h"

using namespace mlir;
using namespace mparc::mp;

using Sizes = ArrayRef<int64_t>;

static ArrayRef<DimensionAttr> dimensionsOf(Value value) { return getDimensions(value.getType()); }

static bool isSize(DimensionAttr dimension, int64_t size) {
  return !dimension.hasBatch() && dimension.getStaticSize() == size;
}

static bool hasBatch(ArrayRef<DimensionAttr> dimensions) {
  return llvm::any_of(dimensions, [](DimensionAttr each) { return each.hasBatch(); });
}

/// Positions of a window over one spatial dimension; less than 1 where it does not fit.
static int64_t countPositions(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                              int64_t dilation) {
  int64_t room = size + 2 * padding - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

/// Whether there is one window more where positions are rounded up: it begins within x or the
/// padding before it. torch's rule.
static bool hasFurtherPosition(int64_t size, int64_t kernel, int64_t stride, int64_t padding) {
  int64_t room = size + 2 * padding - kernel;
  return room >= 0 && room % stride != 0 && (room / stride + 1) * stride < size + padding;
}

//===- Convolution
//-----------------------------------------------------------------------------------===//

/// (C1)–(C4) of the three tensors of a convolution, whichever of them the operation makes.
template <typename Op>
static LogicalResult verifyConvolution(Op op, Value x, Value weight, Value result) {
  auto in = dimensionsOf(x), kernel = dimensionsOf(weight), out = dimensionsOf(result);
  size_t spatial = kernel.size() < 2 ? 0 : kernel.size() - 2;
  if (spatial < 1 || spatial > 3 || in.size() < spatial + 1 || out.size() != in.size())
    return op.emitOpError("expected one to three spatial dimensions, after the channels");
  Sizes stride = op.getStride(), padding = op.getPadding(), dilation = op.getDilation();
  for (Sizes each : {stride, padding, dilation})
    if (each.size() != spatial)
      return op.emitOpError("expected ") << spatial << " sizes, got " << each.size();
  for (Value each : {x, weight, result})
    if (!getElementTypeOrSelf(each.getType()).isF32())
      return op.emitOpError("expected f32, got ") << each.getType();
  if (hasBatch(kernel) || hasBatch(in.take_back(spatial + 1)))
    return op.emitOpError(
        "expected the batch neither in the weight nor after the first dimensions");
  if (!haveSameSizes(in.drop_back(spatial + 1), out.drop_back(spatial + 1)))
    return op.emitOpError("expected equal dimensions before the channels");
  int64_t groups = op.getGroups(), outChannels = kernel[0].getStaticSize();
  if (groups < 1 || outChannels % groups != 0 ||
      !isSize(in[in.size() - spatial - 1], kernel[1].getStaticSize() * groups) ||
      !isSize(out[out.size() - spatial - 1], outChannels))
    return op.emitOpError("expected the weight's channels in ") << groups << " groups";
  for (size_t index = 0; index < spatial; ++index) {
    if (stride[index] < 1 || dilation[index] < 1 || padding[index] < 0)
      return op.emitOpError("expected steps of at least 1, and padding of at least 0");
    int64_t positions = countPositions(in[in.size() - spatial + index].getStaticSize(),
                                       kernel[2 + index].getStaticSize(), stride[index],
                                       padding[index], dilation[index]);
    if (positions < 1 || !isSize(out[out.size() - spatial + index], positions))
      return op.emitOpError("expected ") << positions << " positions of the kernel";
  }
  return success();
}

LogicalResult ConvOp::verify() {
  return verifyConvolution(*this, getX(), getWeight(), getResult());
}

LogicalResult ConvInputGradientOp::verify() {
  return verifyConvolution(*this, getResult(), getWeight(), getGradient());
}

LogicalResult ConvWeightGradientOp::verify() {
  return verifyConvolution(*this, getX(), getResult(), getGradient());
}

//===- Pooling
//---------------------------------------------------------------------------------------===//

/// (W1)–(W3) of what is pooled and what comes of it, whichever of them the operation makes.
template <typename Op> static LogicalResult verifyPooling(Op op, Value x, Value result) {
  auto in = dimensionsOf(x), out = dimensionsOf(result);
  Sizes kernel = op.getKernel(), stride = op.getStride(), padding = op.getPadding();
  size_t spatial = kernel.size();
  if (spatial < 1 || spatial > 3 || stride.size() != spatial || padding.size() != spatial ||
      in.size() < spatial)
    return op.emitOpError("expected one to three sizes, and as many dimensions");
  for (Value each : {x, result})
    if (!getElementTypeOrSelf(each.getType()).isF32())
      return op.emitOpError("expected f32, got ") << each.getType();
  if (hasBatch(in.take_back(spatial)) ||
      !haveSameSizes(in.drop_back(spatial), out.drop_back(std::min(out.size(), spatial))))
    return op.emitOpError("expected the batch before the window's dimensions, and these equal");
  int64_t elements = 1;
  for (size_t index = 0; index < spatial; ++index) {
    if (kernel[index] < 1 || stride[index] < 1 || padding[index] < 0 ||
        2 * padding[index] > kernel[index])
      return op.emitOpError("expected steps of at least 1, and padding of half a window at most");
    int64_t size = in[in.size() - spatial + index].getStaticSize();
    int64_t positions = countPositions(size, kernel[index], stride[index], padding[index], 1);
    DimensionAttr given = out[out.size() - spatial + index];
    bool isMore = isSize(given, positions + 1) &&
                  hasFurtherPosition(size, kernel[index], stride[index], padding[index]);
    if (positions < 1 || (!isSize(given, positions) && !isMore))
      return op.emitOpError("expected ") << positions << " positions of the window";
    elements = std::min<int64_t>(elements, INT32_MAX) * std::min<int64_t>(size, INT32_MAX);
  }
  if (elements > INT32_MAX)
    return op.emitOpError("expected positions that 32 bits can number");
  return success();
}

LogicalResult MaxPoolOp::verify() {
  if (!haveSameShape(getResult().getType(), getPositions().getType()) ||
      !getElementTypeOrSelf(getPositions().getType()).isInteger(32))
    return emitOpError("expected positions of i32 like the result");
  return verifyPooling(*this, getX(), getResult());
}

LogicalResult MaxPoolGradientOp::verify() {
  auto from = dimensionsOf(getGradient()), to = dimensionsOf(getResult());
  if (!haveSameShape(getGradient().getType(), getPositions().getType()) ||
      !getElementTypeOrSelf(getPositions().getType()).isInteger(32) ||
      !getElementTypeOrSelf(getGradient().getType()).isF32() ||
      !getElementTypeOrSelf(getResult().getType()).isF32())
    return emitOpError("expected positions of i32 like the gradient, which is f32");
  uint64_t spatial = getDimensions();
  if (spatial < 1 || spatial > 3 || from.size() < spatial || to.size() != from.size() ||
      hasBatch(to.take_back(spatial)) ||
      !haveSameSizes(from.drop_back(spatial), to.drop_back(spatial)))
    return emitOpError("expected the gradient's dimensions but for the last ") << spatial;
  return success();
}

LogicalResult AvgPoolOp::verify() { return verifyPooling(*this, getX(), getResult()); }

LogicalResult AvgPoolGradientOp::verify() {
  return verifyPooling(*this, getResult(), getGradient());
}
