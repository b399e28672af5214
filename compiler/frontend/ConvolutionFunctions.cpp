//===- ConvolutionFunctions.cpp - Kernels and windows that move over dimensions ---===//

#include "frontend/WindowPadding.h"

using namespace mlir;

namespace mparc {

/// The number of dimensions that a function's name ends in: 2 of `conv2d`.
static unsigned spatialCount(const FunctionCall &call) {
  return call.function.name.end()[-2] - '0';
}

/// One int for all spatial dimensions, or a list of one for each.
static std::optional<Sizes> readSizes(FunctionCall &call, unsigned index, int64_t least,
                                      ArrayRef<int64_t> otherwise) {
  if (!call.isGiven(index))
    return Sizes(otherwise);
  unsigned count = spatialCount(call);
  SourceRange where = call.where(index);
  Value value = call.values[index];
  if (const ast::Expr *expr = call.actuals[index].expr; expr && llvm::isa<ast::ListExpr>(*expr))
    value = call.evaluator.evaluateConstant(*expr);
  if (std::holds_alternative<None>(value))
    return Sizes(otherwise);
  std::vector<Value> single{value};
  const std::vector<Value> *elements = asList(value);
  if (elements && elements->size() != count && elements->size() != 1) {
    call.session.error(where, call.what(index) + " is one int or a list of " + llvm::Twine(count) +
                                  ", got " + llvm::Twine(elements->size()));
    return std::nullopt;
  }
  Sizes sizes;
  for (const Value &element : elements ? *elements : single) {
    std::optional<int64_t> size = call.evaluator.toInteger(element, where, call.what(index));
    if (!size)
      return std::nullopt;
    if (*size < least || *size > kLargestSize) {
      call.session.error(where, call.what(index) + " must be " +
                                    (*size < least ? "at least " + llvm::Twine(least)
                                                   : "at most " + llvm::Twine(kLargestSize)) +
                                    ", got " + llvm::Twine(*size));
      return std::nullopt;
    }
    sizes.push_back(*size);
  }
  if (sizes.size() == 1)
    sizes.resize(count, sizes.front());
  return sizes;
}

/// What a function of `x` needs before the spatial dimensions, which hold no batch.
static bool checkRank(FunctionCall &call, const Tensor &x, unsigned before) {
  unsigned spatial = spatialCount(call);
  if (x.rank() < int64_t(spatial) + before) {
    call.error("`" + call.function.name + "` takes a tensor of at least " +
               llvm::Twine(spatial + before) + " dimensions, got " + describe(x));
    return false;
  }
  for (mp::DimensionAttr dimension : x.dimensions().take_back(spatial + before))
    if (dimension.hasBatch()) {
      call.error("`" + call.function.name + "` combines the rows of `" + dimension.str() +
                 "` with one another: " + describe(x));
      return false;
    }
  return true;
}

/// x's dimensions but the spatial ones, then as many positions as the window has over each;
/// nothing, with an error, where it does not fit.
static std::optional<Dimensions> positionsOf(FunctionCall &call, const Tensor &x,
                                             ArrayRef<int64_t> kernel, ArrayRef<int64_t> stride,
                                             ArrayRef<int64_t> padding, ArrayRef<int64_t> dilation,
                                             bool isCeil = false) {
  size_t spatial = kernel.size();
  Dimensions dimensions(x.dimensions().drop_back(spatial));
  for (size_t index = 0; index < spatial; ++index) {
    mp::DimensionAttr dimension = x.dimensions()[x.rank() - spatial + index];
    int64_t apart = dilation.empty() ? 1 : dilation[index], span = 0;
    bool isTooLarge = __builtin_mul_overflow(apart, kernel[index] - 1, &span) ||
                      __builtin_add_overflow(span, 1, &span);
    int64_t room = dimension.getSize() + 2 * padding[index];
    if (isTooLarge || span > room) {
      std::string text = "`" + call.function.name.str() + "` of " + describe(x) + ": a kernel of " +
                         std::to_string(kernel[index]);
      if (apart > 1)
        text += " whose elements are " + std::to_string(apart) + " apart";
      text += " does not fit into " + std::to_string(dimension.getSize());
      if (padding[index] > 0)
        text += " with " + std::to_string(padding[index]) + " of padding on both sides";
      Report &report = call.error(text);
      if (x.origin)
        report.note(x.origin->where, x.origin->what + " gives " + describe(x));
      return std::nullopt;
    }
    int64_t positions = (room - span) / stride[index] + 1;
    // One more, of which only a part lies within: unless it would begin beyond x.
    if (isCeil && (room - span) % stride[index] != 0 &&
        positions * stride[index] < dimension.getSize() + padding[index])
      ++positions;
    dimensions.push_back(positions == dimension.getSize()
                             ? dimension
                             : mp::getDimension(&call.session.context, "", positions));
  }
  return dimensions;
}

//===----------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------===//

static Value refuseConvolution(FunctionCall &call, const Tensor &x, const Tensor &weight,
                               const llvm::Twine &why) {
  Report &report = call.error("`" + call.function.name + "` of " + describe(x) +
                              " with a weight of " + describe(weight) + ": " + why);
  for (const Tensor &operand : {x, weight})
    if (operand.origin)
      report.note(operand.origin->where, operand.origin->what + " gives " + describe(operand));
  return Poison();
}

/// What of margins the convolution itself adds, zeros on both sides; the rest, and all of what is
/// filled in another way, is put beside `x`.
static std::optional<Sizes> padForKernel(FunctionCall &call, Tensor &x, Margins margins,
                                         PaddingMode mode) {
  Sizes padding;
  for (Margin &margin : margins) {
    padding.push_back(mode == PaddingMode::zeros ? std::min(margin.before, margin.after) : 0);
    margin.before -= padding.back();
    margin.after -= padding.back();
  }
  std::optional<Tensor> padded = pad(call, x, margins, mode);
  if (!padded)
    return std::nullopt;
  x = *padded;
  return padding;
}

/// `y` plus a number for each channel.
static Value addBias(FunctionCall &call, const Tensor &y, const Tensor &bias) {
  unsigned spatial = spatialCount(call);
  mp::DimensionAttr channels = y.dimensions()[y.rank() - spatial - 1];
  if (bias.rank() != 1 || !haveSameSize(bias.dimensions()[0], channels)) {
    call.session.error(call.where(2), call.what(2) + " must be " +
                                          describe(call.session.f32(), {channels}) + ", got " +
                                          describe(bias));
    return Poison();
  }
  SmallVector<int64_t> along(y.rank(), -1);
  along[y.rank() - spatial - 1] = 0;
  GraphBuilder &graph = call.graph();
  Tensor wide = graph.create<mp::BroadcastOp>(y.dims, y.element(), bias.value, along);
  return graph.binary<mp::AddOp>(y, wide);
}

static Value buildConv(FunctionCall &call) {
  const unsigned spatial = spatialCount(call);
  const Sizes ones(spatial, 1), zeros(spatial, 0);
  std::optional<Tensor> x = call.real(0), weight = call.real(1), bias;
  bool isBiased = call.isGiven(2) && !std::holds_alternative<None>(call.values[2]);
  if (isBiased)
    bias = call.real(2);
  std::optional<Sizes> stride = readSizes(call, 3, 1, ones), padding = zeros,
                       dilation = readSizes(call, 5, 1, ones);
  std::string *word = call.isGiven(4) ? std::get_if<std::string>(&call.values[4]) : nullptr;
  if (!word)
    padding = readSizes(call, 4, 0, zeros);
  else if (*word != "same" && *word != "valid")
    return call.session.error(call.where(4), call.what(4) +
                                                 " is sizes, \"same\" or \"valid\", got \"" +
                                                 *word + "\""),
           Value(Poison());
  std::optional<int64_t> groups = call.isGiven(6) ? call.integer(6) : 1;
  std::optional<std::string> modeName = call.text(7, "zeros");
  if (!x || !weight || (isBiased && !bias) || !stride || !padding || !dilation || !groups ||
      !modeName || !checkRank(call, *x, 1))
    return Poison();
  std::optional<PaddingMode> mode = findPaddingMode(*modeName);
  if (!mode)
    return call.session.error(call.where(7), call.what(7) +
                                                 " is \"zeros\", \"reflect\", \"replicate\" or "
                                                 "\"circular\", got \"" +
                                                 *modeName + "\""),
           Value(Poison());
  auto kernel = weight->dimensions();
  if (kernel.size() != spatial + 2 ||
      llvm::any_of(kernel, [](mp::DimensionAttr each) { return each.hasBatch(); })) {
    call.session.error(call.where(1), call.what(1) + " must have " + llvm::Twine(spatial + 2) +
                                          " dimensions, none of them of the batch, got " +
                                          describe(*weight));
    return Poison();
  }
  int64_t in = x->dimensions()[x->rank() - spatial - 1].getSize(), out = kernel[0].getSize();
  if (*groups < 1 || in % *groups != 0 || out % *groups != 0)
    return refuseConvolution(call, *x, *weight,
                             llvm::Twine(in) + " channels to " + llvm::Twine(out) +
                                 " do not divide into " + llvm::Twine(*groups) + " groups");
  if (kernel[1].getSize() != in / *groups)
    return refuseConvolution(call, *x, *weight,
                             "a kernel over " + kernel[1].str() + " channels, got " +
                                 llvm::Twine(in / *groups) + (*groups > 1 ? " a group" : ""));
  Sizes window;
  for (mp::DimensionAttr dimension : kernel.drop_front(2))
    window.push_back(dimension.getSize());
  std::optional<Margins> margins = marginsOf(*padding);
  if (word && *word == "same")
    margins = marginsToSame(call, 4, window, *stride, *dilation);
  padding = margins ? padForKernel(call, *x, *margins, *mode) : std::nullopt;
  std::optional<Dimensions> dimensions =
      padding ? positionsOf(call, *x, window, *stride, *padding, *dilation) : std::nullopt;
  if (!dimensions)
    return Poison();
  (*dimensions)[x->rank() - spatial - 1] = kernel[0];
  GraphBuilder &graph = call.graph();
  mp::DimensionsAttr dims = graph.checked(*dimensions, describe(*x) + " and " + describe(*weight));
  if (!dims)
    return Poison();
  Tensor y = graph.create<mp::ConvOp>(dims, call.session.f32(), x->value, weight->value, *stride,
                                      *padding, *dilation, *groups);
  return bias ? addBias(call, y, *bias) : Value(y);
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

namespace {
/// What max_pool and avg_pool have in common.
struct Pooled {
  Tensor x;
  Sizes kernel, stride, padding;
  mp::DimensionsAttr dims;
};
} // namespace

/// `ceil`: the index of `ceil_mode` among the arguments.
static std::optional<Pooled> readPooled(FunctionCall &call, unsigned ceil) {
  std::optional<Tensor> x = call.real(0);
  std::optional<Sizes> kernel = readSizes(call, 1, 1, {});
  if (!x || !kernel || !checkRank(call, *x, 0))
    return std::nullopt;
  std::optional<Sizes> stride = readSizes(call, 2, 1, *kernel),
                       padding = readSizes(call, 3, 0, Sizes(kernel->size(), 0));
  std::optional<bool> isCeil = call.boolean(ceil, false);
  if (!stride || !padding || !isCeil)
    return std::nullopt;
  for (auto [size, window] : llvm::zip(*padding, *kernel))
    if (2 * size > window) {
      call.session.error(call.where(3), call.what(3) + " is at most half of the kernel, " +
                                            llvm::Twine(window) + ", got " + llvm::Twine(size));
      return std::nullopt;
    }
  std::optional<Dimensions> dimensions =
      positionsOf(call, *x, *kernel, *stride, *padding, {}, *isCeil);
  if (!dimensions)
    return std::nullopt;
  mp::DimensionsAttr dims = call.graph().checked(*dimensions, describe(*x));
  if (!dims)
    return std::nullopt;
  return Pooled{*x, *kernel, *stride, *padding, dims};
}

static Value buildMaxPool(FunctionCall &call) {
  std::optional<Pooled> pooled = readPooled(call, 5);
  std::optional<Sizes> dilation = readSizes(call, 4, 1, {});
  std::optional<bool> returnsIndices = call.boolean(6, false);
  if (!pooled || !dilation || !returnsIndices)
    return Poison();
  if (llvm::any_of(*dilation, [](int64_t apart) { return apart != 1; })) {
    call.session.error(call.where(4), "a window whose elements are apart is not supported");
    return Poison();
  }
  if (*returnsIndices) {
    call.session.error(call.where(6), "`return_indices` is not supported: `" + call.function.name +
                                          "` gives the largest elements only");
    return Poison();
  }
  int64_t elements = 1;
  for (mp::DimensionAttr dimension : pooled->x.dimensions().take_back(pooled->kernel.size()))
    elements *= dimension.getSize();
  if (!llvm::isInt<32>(elements)) {
    call.error("`" + call.function.name + "` numbers what it chooses from in i32, which " +
               llvm::Twine(elements) + " does not fit: " + describe(pooled->x));
    return Poison();
  }
  auto type = [&](Type element) {
    return mp::getTensorType(&call.session.context, pooled->dims.getDimensions(), element);
  };
  return call.graph().createSeveral<mp::MaxPoolOp>(
      pooled->dims, {type(call.session.f32()), type(call.session.i32())}, pooled->x.value,
      pooled->kernel, pooled->stride, pooled->padding);
}

/// The sum under each window over `divisor`: the mean of windows that all lie within x and zeros
/// beside it, and so have one divisor, times that of the two.
static Value poolSums(FunctionCall &call, const Pooled &pooled, int64_t divisor) {
  Margins margins;
  double elements = 1;
  for (size_t index = 0; index < pooled.kernel.size(); ++index) {
    const int64_t at = pooled.x.rank() - int64_t(pooled.kernel.size()) + int64_t(index);
    const int64_t last = (pooled.dims.getDimensions()[at].getSize() - 1) * pooled.stride[index];
    const int64_t before = pooled.padding[index];
    const int64_t size = pooled.x.dimensions()[at].getSize();
    margins.push_back({before, std::max(before, last + pooled.kernel[index] - before - size)});
    elements *= static_cast<double>(pooled.kernel[index]);
  }
  std::optional<Tensor> padded = padWithZeros(call, pooled.x, margins);
  if (!padded)
    return Poison();
  GraphBuilder &graph = call.graph();
  const Sizes zeros(pooled.kernel.size(), 0);
  Tensor mean = graph.create<mp::AvgPoolOp>(pooled.dims, call.session.f32(), padded->value,
                                            pooled.kernel, pooled.stride, zeros, false);
  const double factor = elements / static_cast<double>(divisor);
  return graph.binary<mp::MulOp>(mean, graph.constant(factor, pooled.dims));
}

static Value buildAvgPool(FunctionCall &call) {
  std::optional<Pooled> pooled = readPooled(call, 4);
  std::optional<bool> countsPadding = call.boolean(5, true);
  const bool hasDivisor = call.isGiven(6) && !std::holds_alternative<None>(call.values[6]);
  std::optional<int64_t> divisor = hasDivisor ? call.integer(6) : std::optional<int64_t>(1);
  if (!pooled || !countsPadding || !divisor)
    return Poison();
  if (hasDivisor && *divisor == 0) {
    call.session.error(call.where(6), call.what(6) + " must not be 0");
    return Poison();
  }
  if (hasDivisor)
    return poolSums(call, *pooled, *divisor);
  return call.graph().create<mp::AvgPoolOp>(pooled->dims, call.session.f32(), pooled->x.value,
                                            pooled->kernel, pooled->stride, pooled->padding,
                                            *countsPadding);
}

/// Windows of one size that lie side by side.
static Value buildAdaptiveAvgPool(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0);
  std::optional<Sizes> output = readSizes(call, 1, 1, {});
  if (!x || !output || !checkRank(call, *x, 0))
    return Poison();
  Sizes kernel;
  for (auto [dimension, size] : llvm::zip(x->dimensions().take_back(output->size()), *output)) {
    if (dimension.getSize() % size != 0) {
      call.error("`" + call.function.name + "` of " + describe(*x) + ": " +
                 llvm::Twine(dimension.getSize()) + " is not a multiple of " + llvm::Twine(size) +
                 " positions");
      return Poison();
    }
    kernel.push_back(dimension.getSize() / size);
  }
  const Sizes zeros(kernel.size(), 0);
  std::optional<Dimensions> dimensions = positionsOf(call, *x, kernel, kernel, zeros, {});
  mp::DimensionsAttr dims =
      dimensions ? call.graph().checked(*dimensions, describe(*x)) : mp::DimensionsAttr();
  if (!dims)
    return Poison();
  return call.graph().create<mp::AvgPoolOp>(dims, call.session.f32(), x->value, kernel, kernel,
                                            zeros, false);
}

void addConvolutionFunctions(FunctionTable &table) {
  for (const char *name : {"conv1d", "conv2d", "conv3d"})
    add(table, name, "x, weight, bias?, stride?, padding?, dilation?, groups?, padding_mode?",
        buildConv);
  for (const char *name : {"max_pool1d", "max_pool2d", "max_pool3d"})
    add(table, name, "x, kernel_size, stride?, padding?, dilation?, ceil_mode?, return_indices?",
        buildMaxPool);
  for (const char *name : {"avg_pool1d", "avg_pool2d", "avg_pool3d"})
    add(table, name,
        "x, kernel_size, stride?, padding?, ceil_mode?, count_include_pad?, divisor_override?",
        buildAvgPool);
  for (const char *name : {"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"})
    add(table, name, "x, output_size", buildAdaptiveAvgPool);
}

} // namespace mparc
