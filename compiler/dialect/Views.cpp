// Views of tensors, and their rules: the letters are those of MpAttention.td.
#include "dialect/Views.h"

using namespace mlir;

namespace mparc::mp {

ArrayRef<DimensionAttr> getSeenDimensions(Value tensor, std::optional<ArrayAttr> views,
                                          unsigned index) {
  if (!views)
    return getDimensions(tensor.getType());
  return cast<ViewAttr>((*views)[index]).getDimensions().getDimensions();
}

std::optional<SmallVector<int64_t>> getSteps(ArrayRef<DimensionAttr> dimensions) {
  SmallVector<int64_t> steps(dimensions.size());
  int64_t step = 1;
  for (size_t index = dimensions.size(); index-- > 0;) {
    if (index > 0 && dimensions[index].hasBatch())
      return std::nullopt;
    steps[index] = step;
    step *= dimensions[index].getStaticSize();
  }
  return steps;
}

bool isWalkable(ViewAttr view) {
  ArrayRef<DimensionAttr> dimensions = view.getDimensions().getDimensions();
  ArrayRef<int64_t> steps = view.getSteps();
  if (dimensions.back().getStaticSize() > 1 && steps.back() != 1)
    return false;
  // Before heads, rows and columns: what is inside of a dimension is walked by the same step.
  int64_t leading = static_cast<int64_t>(dimensions.size()) - 3, inner = -1;
  for (int64_t index = leading - 1; index >= 0; --index) {
    if (!dimensions[index].hasBatch() && dimensions[index].getStaticSize() == 1)
      continue;
    if (inner >= 0 && steps[index] != inner)
      return false;
    inner = steps[index] * dimensions[index].getStaticSize();
  }
  return true;
}

LogicalResult verifyView(Operation *op, ViewAttr view, Value tensor) {
  ArrayRef<DimensionAttr> dimensions = view.getDimensions().getDimensions();
  ArrayRef<int64_t> steps = view.getSteps();
  if (steps.size() != dimensions.size() || dimensions.size() < 2)
    return op->emitOpError("expected a step for each of at least 2 dimensions of a view");
  if (!isWalkable(view))
    return op->emitOpError("expected a view with rows of consecutive elements, and one step across "
                           "what comes before the heads");
  ElementCount count = getElementCount(tensor.getType());
  int64_t last = view.getOffset();
  bool inside = last >= 0;
  for (auto [index, dimension] : llvm::enumerate(dimensions)) {
    inside &= steps[index] >= 0 && (index == 0 || !dimension.hasBatch());
    if (index == 0 && dimension.hasBatch())
      inside &= steps[0] * dimension.getStaticSize() == count.count;
    last += steps[index] * (dimension.getStaticSize() - 1);
  }
  if (!inside || last >= count.count || dimensions.front().hasBatch() != count.perRow)
    return op->emitOpError("expected a view inside its tensor");
  return success();
}

/// Of a view's elements: `width` that follow one another, again and again after `period`.
struct Band {
  int64_t begin, width, period;
};

/// The band that a view of a tensor of `count` elements, or as many a row, is; nothing where it is
/// none.
static std::optional<Band> findBand(ViewAttr view, int64_t count) {
  SmallVector<std::pair<int64_t, int64_t>> walk; // steps and sizes, from the inside
  for (auto [step, dimension] : llvm::zip(view.getSteps(), view.getDimensions().getDimensions()))
    if (dimension.getStaticSize() > 1)
      walk.push_back({step, dimension.getStaticSize()});
  llvm::sort(walk);
  Band band{view.getOffset(), 1, count};
  bool repeats = false;
  int64_t next = 1;
  for (auto [step, size] : walk) {
    if (step != next && !repeats) {
      band.width = next;
      band.period = next = step;
      repeats = true;
    }
    if (step != next)
      return std::nullopt;
    next *= size;
  }
  if (!repeats)
    band.width = next;
  return !repeats || next == count ? std::optional(band) : std::nullopt;
}

LogicalResult verifyCover(Operation *op, ArrayRef<ViewAttr> views, Value result) {
  int64_t count = getElementCount(result.getType()).count;
  SmallVector<Band> bands;
  for (ViewAttr view : views)
    if (std::optional<Band> band = findBand(view, count))
      bands.push_back(*band);
  llvm::sort(bands, [](const Band &a, const Band &b) { return a.begin < b.begin; });
  int64_t end = 0;
  bool covers = bands.size() == views.size() && !bands.empty();
  for (const Band &band : bands) {
    covers &= band.begin == end && band.period == bands.front().period;
    end += band.width;
  }
  if (!covers || end != bands.front().period)
    return op->emitOpError("expected views that cover each element of a result once");
  return success();
}

} // namespace mparc::mp
