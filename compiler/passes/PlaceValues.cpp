// How a value that no group has yet comes to one: made there, in pieces at once where it can be, or
// cut out of the whole.
#include "passes/Reshard.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mparc::mp;

Spread Resharder::place(Value value, const Group &group, const Layout &to) {
  name = nameOf(value);
  auto type = cast<RankedTensorType>(value.getType());
  Spread whole{group, Layout(to.size()), type, SmallVector<Value, 4>(group.size(), value)};
  Operation *op = value.getDefiningOp();
  if (auto constant = dyn_cast_or_null<ConstantOp>(op)) {
    whole.layout = to;
    for (int64_t index = 0; index < group.size(); ++index)
      whole.pieces[index] = builder.create<ConstantOp>(
          constant.getLoc(), getLocalType(type, group, to, index), constant.getValue());
    return whole;
  }
  if (auto iota = dyn_cast_or_null<IotaOp>(op)) {
    auto along = static_cast<int64_t>(iota.getDimension());
    const State *own = llvm::find_if(
        to, [&](const State &state) { return state.isCut() && state.cut.dimension == along; });
    if (own == to.end() || own->cut.outer == 1) {
      whole.layout = to;
      for (int64_t index = 0; index < group.size(); ++index) {
        RankedTensorType local = getLocalType(type, group, to, index);
        Value numbers = builder.create<IotaOp>(iota.getLoc(), local, along);
        if (own != to.end()) {
          unsigned axis = own - to.begin();
          Positions piece =
              getPiece(own->cut.size, group.axes[axis].size, group.coordinate(index, axis));
          Value first = builder.create<ConstantOp>(
              iota.getLoc(), local, builder.getI64IntegerAttr(piece.from * own->cut.inner));
          numbers = make<AddOp>(group.devices[index], "numbers", local, numbers, first);
        }
        whole.pieces[index] = numbers;
      }
      return whole;
    }
  }
  if (auto mask = dyn_cast_or_null<DropoutMaskOp>(op))
    if (llvm::any_of(to, [](const State &state) { return state.isCut(); })) {
      whole.layout = to;
      for (int64_t index = 0; index < group.size(); ++index)
        whole.pieces[index] = maskPiece(mask, group, to, index);
      return whole;
    }
  if (isa_and_nonnull<IotaOp>(op) &&
      llvm::any_of(to, [](const State &state) { return state.isCut(); }))
    // Made whole where it is used, so that elements are numbered as in the whole.
    for (auto [piece, device] : llvm::zip(whole.pieces, group.devices)) {
      Value again = builder.clone(*op)->getResult(0);
      piece = make<DetachOp>(device, "numbers", type, again);
    }
  return change(std::move(whole), to, value);
}

/// The piece of a mask that one of the group's devices has: its elements keep their numbers. The
/// dimensions of the whole are divided at every cut, so that of each the piece has positions that
/// follow one another.
Value Resharder::maskPiece(DropoutMaskOp mask, const Group &group, const Layout &layout,
                           int64_t index) {
  auto type = cast<RankedTensorType>(mask.getType());
  MLIRContext *context = type.getContext();
  SmallVector<DimensionAttr> whole, piece;
  SmallVector<int64_t> from;
  bool isDivided = false;
  for (auto [number, given] : llvm::enumerate(getDimensions(type))) {
    DimensionAttr dimension = given;
    SmallVector<std::pair<Cut, unsigned>> cuts;
    for (auto [axis, state] : llvm::enumerate(layout))
      if (state.isCut() && state.cut.dimension == static_cast<int64_t>(number))
        cuts.push_back({state.cut, static_cast<unsigned>(axis)});
    // The batch is outermost; of the others, the inner ones come later.
    llvm::sort(cuts, [](auto &a, auto &b) {
      return a.first.isOfBatch() != b.first.isOfBatch() ? a.first.isOfBatch()
                                                        : a.first.inner > b.first.inner;
    });
    auto add = [&](DimensionAttr all, DimensionAttr own, int64_t first) {
      whole.push_back(all);
      piece.push_back(own);
      from.push_back(first);
    };
    // What lies before the batch is a dimension of its own.
    const int64_t before = cuts.empty() ? 1 : countBeforeBatch(dimension);
    if (before > 1) {
      add(getDimension(context, "", before), getDimension(context, "", before), 0);
      dimension = DimensionAttr::get(context, "", getFromBatchOn(dimension));
    }
    DimensionAttr rows = dimension;
    int64_t rest = dimension.getStaticSize();
    size_t parts = 0;
    for (auto [cut, axis] : cuts) {
      const int64_t count = group.axes[axis].size, coordinate = group.coordinate(index, axis);
      if (cut.isOfBatch()) {
        rows = takeRowPiece(dimension, {coordinate, count});
        continue;
      }
      // What is outside of the cut has the batch, if the dimension does.
      const int64_t outside = rest / (cut.size * cut.inner);
      if (outside > 1 || (parts == 0 && dimension.hasBatch())) {
        auto withRows = [&](DimensionAttr each) {
          SmallVector<FactorAttr> factors;
          for (FactorAttr factor : each.getFactors())
            if (parts == 0 && ShapedType::isDynamic(factor.getSize()))
              factors.push_back(factor);
          factors.push_back(FactorAttr::get(context, "", outside));
          return DimensionAttr::get(context, "", factors);
        };
        add(withRows(dimension), withRows(rows), 0);
        ++parts;
      }
      Positions positions = getPiece(cut, count, coordinate);
      rest = cut.inner;
      // The positions that are taken, and all within them, follow one another.
      const bool isLast = axis == cuts.back().second;
      const int64_t inner = isLast ? cut.inner : 1;
      add(getDimension(context, "", cut.size * inner),
          getDimension(context, "", (positions.to - positions.from) * inner),
          positions.from * inner);
      ++parts;
      if (isLast)
        rest = 1;
    }
    if (parts == 0)
      add(dimension, rows, 0);
    else if (rest > 1)
      add(getDimension(context, "", rest), getDimension(context, "", rest), 0);
    isDivided |= whole.size() != number + 1;
  }
  auto apart = getTensorType(context, piece, type.getElementType());
  RankedTensorType own = getLocalType(type, group, layout, index);
  Value made = builder.create<DropoutMaskOp>(
      mask.getLoc(), isDivided ? apart : own, mask.getP(), mask.getPath(), mask.getCall(),
      DimensionsAttr::get(context, whole), builder.getDenseI64ArrayAttr(from));
  return isDivided ? make<ReshapeOp>(group.devices[index], "mask", own, made) : made;
}
