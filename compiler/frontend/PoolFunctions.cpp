//===- PoolFunctions.cpp - Maxima and means under windows -------------------------===//

#include "frontend/WindowArguments.h"

#include <cmath>

using namespace mlir;

namespace mparc {

namespace {
/// What max_pool and avg_pool have in common.
struct Pooled {
  Tensor x;
  Sizes kernel, stride, padding;
  mp::DimensionsAttr dims;
};
} // namespace

/// `ceil`: the index of `ceil_mode` among the arguments.
static std::optional<Pooled> readPooled(FunctionCall &call, unsigned ceil,
                                        ArrayRef<int64_t> dilation = {}) {
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
      positionsOf(call, *x, *kernel, *stride, *padding, dilation, *isCeil);
  if (!dimensions)
    return std::nullopt;
  mp::DimensionsAttr dims = call.graph().checked(*dimensions, describe(*x));
  if (!dims)
    return std::nullopt;
  return Pooled{*x, *kernel, *stride, *padding, dims};
}

/// The largest elements under windows that fit into `x` where they stand. Nothing, with an error,
/// of more elements than are numbered.
static std::optional<Tensor> maximaOf(FunctionCall &call, const Pooled &pooled) {
  int64_t elements = 1;
  for (mp::DimensionAttr dimension : pooled.x.dimensions().take_back(pooled.kernel.size()))
    elements *= dimension.getSize();
  if (!llvm::isInt<32>(elements)) {
    call.error("`" + call.function.name + "` numbers what it chooses from in i32, which " +
               llvm::Twine(elements) + " does not fit: " + describe(pooled.x));
    return std::nullopt;
  }
  auto type = [&](Type element) {
    return mp::getTensorType(&call.session.context, pooled.dims.getDimensions(), element);
  };
  return call.graph().createSeveral<mp::MaxPoolOp>(
      pooled.dims, {type(call.session.f32()), type(call.session.i32())}, pooled.x.value,
      pooled.kernel, pooled.stride, pooled.padding);
}

namespace {
/// A dimension of which every `apart`-th element belongs together.
struct Phases {
  int64_t apart, groups; // the dimension is [groups, apart]
};
} // namespace

/// The same under windows whose elements lie apart: elements of one phase, a remainder of the
/// division by the dilation, are made adjacent, and a window of each phase goes by single steps;
/// back in order, what the strides step over is left out. So of equal elements the first counts, as
/// of adjacent ones. Nothing, with an error, where that takes too many elements.
static std::optional<Tensor> dilatedMaxima(FunctionCall &call, const Pooled &pooled,
                                           ArrayRef<int64_t> dilation) {
  GraphBuilder &graph = call.graph();
  Session &session = call.session;
  MLIRContext *context = &session.context;
  const size_t spatial = pooled.kernel.size(), leading = pooled.x.rank() - spatial;
  auto positions = pooled.dims.getDimensions().take_back(spatial);
  auto plain = [&](int64_t size) { return mp::getDimension(context, "", size); };

  // Padded to whole phases that hold every window; padding is no element.
  Margins margins;
  SmallVector<Phases, 3> phases;
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t size = pooled.x.dimensions()[leading + i].getSize(), apart = dilation[i];
    const int64_t windows =
        (positions[i].getSize() - 1) * pooled.stride[i] + apart * (pooled.kernel[i] - 1) + 1;
    const int64_t least = std::max(windows, size + pooled.padding[i]);
    phases.push_back({apart, (least + apart - 1) / apart});
    margins.push_back({pooled.padding[i], phases.back().groups * apart - size - pooled.padding[i]});
  }
  std::optional<Tensor> padded = padWithConstant(call, pooled.x, margins, -INFINITY);
  if (!padded)
    return std::nullopt;

  // What comes before is one dimension, so that there are not more than a tensor may have.
  Dimensions before;
  if (leading > 0) {
    SmallVector<mp::FactorAttr> factors;
    for (mp::DimensionAttr dimension : pooled.x.dimensions().drop_back(spatial))
      llvm::append_range(factors, dimension.getFactors());
    before.push_back(mp::DimensionAttr::get(context, "", factors));
  }
  const auto first = static_cast<int64_t>(before.size()), count = static_cast<int64_t>(spatial);
  Dimensions apart(before), maxima(before), joined(before);
  SmallVector<int64_t> together, back; // [groups, phases, …] to [phases…, groups…], and back
  for (int64_t i = 0; i < first; ++i) {
    together.push_back(i);
    back.push_back(i);
  }
  for (int64_t i = 0; i < count; ++i) {
    apart.append({plain(phases[i].groups), plain(phases[i].apart)});
    maxima.push_back(plain(phases[i].apart));
    together.push_back(first + 2 * i + 1);
    back.append({first + count + i, first + i});
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t windows = phases[i].groups - pooled.kernel[i] + 1;
    maxima.push_back(plain(windows));
    together.push_back(first + 2 * i);
    joined.push_back(plain(windows * phases[i].apart));
  }
  Tensor adjacent = graph.permute(graph.reshape(*padded, session.dims(apart)), together);
  const Sizes ones(spatial, 1), zeros(spatial, 0);
  std::optional<Tensor> y =
      maximaOf(call, {adjacent, pooled.kernel, ones, zeros, session.dims(maxima)});
  if (!y)
    return std::nullopt;
  Tensor inOrder = graph.reshape(graph.permute(*y, back), session.dims(joined));

  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = (positions[i].getSize() - 1) * pooled.stride[i] + 1;
    if (joined[first + i].getSize() == end)
      continue;
    joined[first + i] = plain(end);
    inOrder = graph.create<mp::SliceOp>(session.dims(joined), inOrder.element(), inOrder.value,
                                        first + i, int64_t(0), end);
  }
  // Of a window of one element, the largest is that: pooling steps over the rest.
  if (pooled.stride != ones) {
    for (int64_t i = 0; i < count; ++i)
      joined[first + i] = positions[i];
    y = maximaOf(call, {inOrder, ones, pooled.stride, zeros, session.dims(joined)});
    if (!y)
      return std::nullopt;
    inOrder = *y;
  }
  return graph.reshape(inOrder, pooled.dims);
}

static Value buildMaxPool(FunctionCall &call) {
  std::optional<Sizes> dilation = readSizes(call, 4, 1, Sizes(spatialCount(call), 1));
  std::optional<bool> returnsIndices = call.boolean(6, false);
  if (!dilation || !returnsIndices)
    return Poison();
  std::optional<Pooled> pooled = readPooled(call, 5, *dilation);
  if (!pooled)
    return Poison();
  if (*returnsIndices) {
    call.session.error(call.where(6), "`return_indices` is not supported: `" + call.function.name +
                                          "` gives the largest elements only");
    return Poison();
  }
  const bool isDense = llvm::all_of(*dilation, [](int64_t apart) { return apart == 1; });
  std::optional<Tensor> maxima =
      isDense ? maximaOf(call, *pooled) : dilatedMaxima(call, *pooled, *dilation);
  return maxima ? Value(*maxima) : Value(Poison());
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

/// Means over `count` windows along one dimension, from ⌊i size / count⌋ to ⌈(i + 1) size / count⌉:
/// not all of one size, and perhaps overlapping.
static std::optional<Tensor> poolUnevenly(FunctionCall &call, Tensor x, int64_t along,
                                          int64_t count) {
  GraphBuilder &graph = call.graph();
  const int64_t size = x.dimensions()[along].getSize();
  Dimensions dimensions(x.dimensions());
  SmallVector<mlir::Value> means;
  for (int64_t i = 0; i < count && !call.session.isStopped(); ++i) {
    const int64_t from = i * size / count, to = ((i + 1) * size + count - 1) / count;
    dimensions[along] = mp::getDimension(&call.session.context, "", to - from);
    Tensor window = graph.create<mp::SliceOp>(call.session.dims(dimensions), x.element(), x.value,
                                              along, from, to);
    means.push_back(graph.reduce(mp::ReductionKind::mean, window, {along}, /*keep=*/true).value);
  }
  dimensions[along] = mp::getDimension(&call.session.context, "", count);
  mp::DimensionsAttr dims = graph.checked(dimensions, describe(x));
  if (!dims || call.session.isStopped())
    return std::nullopt;
  return graph.create<mp::ConcatOp>(dims, x.element(), means, along);
}

/// Windows of one size lie side by side and are one pooling; else dimension after dimension.
static Value buildAdaptiveAvgPool(FunctionCall &call) {
  std::optional<Tensor> x = call.real(0);
  std::optional<Sizes> output = readSizes(call, 1, 1, {});
  if (!x || !output || !checkRank(call, *x, 0))
    return Poison();
  const int64_t leading = x->rank() - static_cast<int64_t>(output->size());
  Sizes kernel;
  for (auto [index, count] : llvm::enumerate(*output)) {
    const int64_t along = leading + static_cast<int64_t>(index);
    if (x->dimensions()[along].getSize() % count != 0) {
      x = poolUnevenly(call, *x, along, count);
      if (!x)
        return Poison();
    }
    kernel.push_back(x->dimensions()[along].getSize() / count);
  }
  if (llvm::all_of(kernel, [](int64_t size) { return size == 1; }))
    return *x;
  const Sizes zeros(kernel.size(), 0);
  std::optional<Dimensions> dimensions = positionsOf(call, *x, kernel, kernel, zeros, {});
  mp::DimensionsAttr dims =
      dimensions ? call.graph().checked(*dimensions, describe(*x)) : mp::DimensionsAttr();
  if (!dims)
    return Poison();
  return call.graph().create<mp::AvgPoolOp>(dims, call.session.f32(), x->value, kernel, kernel,
                                            zeros, false);
}

void addPoolFunctions(FunctionTable &table) {
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
