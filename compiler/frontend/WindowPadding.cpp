//===- WindowPadding.cpp - What lies beside a tensor that a kernel moves over -----===//

#include "frontend/WindowPadding.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace mparc {

Margins marginsOf(ArrayRef<int64_t> padding) {
  Margins margins;
  for (int64_t size : padding)
    margins.push_back({size, size});
  return margins;
}

std::optional<Margins> marginsToSame(FunctionCall &call, unsigned padding, ArrayRef<int64_t> kernel,
                                     ArrayRef<int64_t> stride, ArrayRef<int64_t> dilation) {
  if (llvm::any_of(stride, [](int64_t step) { return step != 1; })) {
    call.session.error(call.where(padding), "`padding: \"same\"` of `" + call.function.name +
                                                "` goes with a stride of 1");
    return std::nullopt;
  }
  Margins margins;
  for (auto [size, apart] : llvm::zip(kernel, dilation)) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(apart, size - 1, &reach))
      reach = INT64_MAX;
    if (reach / 2 > kLargestSize) {
      call.session.error(call.where(padding), call.what(padding) + " must be at most " +
                                                  llvm::Twine(kLargestSize) + ", got " +
                                                  llvm::Twine(reach / 2));
      return std::nullopt;
    }
    margins.push_back({reach / 2, reach - reach / 2});
  }
  return margins;
}

/// The dimensions of `x` with `size` elements in dimension `along`; null, with an error, if they
/// are too many.
static mp::DimensionsAttr resized(GraphBuilder &graph, const Tensor &x, int64_t along,
                                  int64_t size) {
  Dimensions dimensions(x.dimensions());
  dimensions[along] = mp::getDimension(&graph.session.context, "", size);
  return graph.checked(dimensions, describe(x));
}

std::optional<Tensor> padWithZeros(FunctionCall &call, Tensor x, ArrayRef<Margin> margins) {
  GraphBuilder &graph = call.graph();
  for (auto [index, margin] : llvm::enumerate(margins)) {
    if (margin.before == 0 && margin.after == 0)
      continue;
    const int64_t along = x.rank() - int64_t(margins.size()) + int64_t(index);
    const int64_t size = x.dimensions()[along].getSize() + margin.before + margin.after;
    mp::DimensionsAttr dims = resized(graph, x, along, size);
    if (!dims)
      return std::nullopt;
    x = graph.create<mp::PadOp>(dims, x.element(), x.value, along, margin.before, margin.after);
  }
  return x;
}

std::optional<Tensor> padWithConstant(FunctionCall &call, Tensor x, ArrayRef<Margin> margins,
                                      double value) {
  GraphBuilder &graph = call.graph();
  for (auto [index, margin] : llvm::enumerate(margins)) {
    const int64_t along = x.rank() - int64_t(margins.size()) + int64_t(index);
    const int64_t size = x.dimensions()[along].getSize() + margin.before + margin.after;
    mp::DimensionsAttr dims = resized(graph, x, along, size);
    if (!dims)
      return std::nullopt;
    SmallVector<mlir::Value> parts;
    auto add = [&](int64_t count) {
      if (count > 0)
        parts.push_back(graph.constant(value, resized(graph, x, along, count)).value);
    };
    add(margin.before);
    parts.push_back(x.value);
    add(margin.after);
    if (parts.size() > 1)
      x = graph.create<mp::ConcatOp>(dims, x.element(), parts, along);
  }
  return x;
}

std::optional<PaddingMode> findPaddingMode(StringRef name) {
  return llvm::StringSwitch<std::optional<PaddingMode>>(name)
      .Case("zeros", PaddingMode::zeros)
      .Case("reflect", PaddingMode::reflect)
      .Case("replicate", PaddingMode::replicate)
      .Case("circular", PaddingMode::circular)
      .Default(std::nullopt);
}

namespace {
/// Fills the margin of one dimension.
class Filler {
public:
  Filler(GraphBuilder &graph, const Tensor &x, int64_t along)
      : graph(graph), x(x), along(along), size(x.dimensions()[along].getSize()) {}

  /// The most that a margin may have.
  int64_t room(PaddingMode mode) const {
    return mode == PaddingMode::reflect    ? size - 1
           : mode == PaddingMode::circular ? size
                                           : INT64_MAX;
  }
  SmallVector<mlir::Value> join(const Margin &margin, PaddingMode mode) {
    if (mode == PaddingMode::circular) {
      slice(size - margin.before, size);
      parts.push_back(x.value);
      slice(0, margin.after);
    } else if (mode == PaddingMode::reflect) {
      for (int64_t i = margin.before; i > 0 && !graph.session.isStopped(); --i)
        slice(i, i + 1);
      parts.push_back(x.value);
      for (int64_t i = 1; i <= margin.after && !graph.session.isStopped(); ++i)
        slice(size - 1 - i, size - i);
    } else {
      repeat(0, margin.before);
      parts.push_back(x.value);
      repeat(size - 1, margin.after);
    }
    return parts;
  }

private:
  Tensor sliced(int64_t from, int64_t to) {
    return graph.create<mp::SliceOp>(resized(graph, x, along, to - from), x.element(), x.value,
                                     along, from, to);
  }
  void slice(int64_t from, int64_t to) {
    if (from < to)
      parts.push_back(sliced(from, to).value);
  }
  void repeat(int64_t at, int64_t count) {
    if (count > 0)
      parts.push_back(graph.broadcast(sliced(at, at + 1), resized(graph, x, along, count)).value);
  }

  GraphBuilder &graph;
  const Tensor &x;
  int64_t along, size;
  SmallVector<mlir::Value> parts;
};
} // namespace

std::optional<Tensor> pad(FunctionCall &call, Tensor x, ArrayRef<Margin> margins,
                          PaddingMode mode) {
  if (mode == PaddingMode::zeros)
    return padWithZeros(call, x, margins);
  GraphBuilder &graph = call.graph();
  const Tensor given = x;
  for (auto [index, margin] : llvm::enumerate(margins)) {
    if (margin.before == 0 && margin.after == 0)
      continue;
    const int64_t along = x.rank() - int64_t(margins.size()) + int64_t(index);
    Filler filler(graph, x, along);
    const int64_t most = std::max(margin.before, margin.after);
    if (most > filler.room(mode)) {
      call.error("`" + call.function.name + "` of " + describe(given) + ": " +
                 (mode == PaddingMode::reflect ? "reflects" : "goes around by") + " at most " +
                 llvm::Twine(filler.room(mode)) + " of " + x.dimensions()[along].str() +
                 " elements, got a padding of " + llvm::Twine(most));
      return std::nullopt;
    }
    const int64_t size = x.dimensions()[along].getSize() + margin.before + margin.after;
    mp::DimensionsAttr dims = resized(graph, x, along, size);
    if (!dims)
      return std::nullopt;
    SmallVector<mlir::Value> parts = filler.join(margin, mode);
    if (graph.session.isStopped())
      return std::nullopt;
    x = graph.create<mp::ConcatOp>(dims, x.element(), parts, along);
  }
  return x;
}

} // namespace mparc
