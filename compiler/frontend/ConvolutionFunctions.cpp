//===- ConvolutionFunctions.cpp - Kernels that move over dimensions ---------------===//

#include "frontend/WindowArguments.h"

using namespace mlir;

namespace mparc {

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

void addConvolutionFunctions(FunctionTable &table) {
  for (const char *name : {"conv1d", "conv2d", "conv3d"})
    add(table, name, "x, weight, bias?, stride?, padding?, dilation?, groups?, padding_mode?",
        buildConv);
}

} // namespace mparc
