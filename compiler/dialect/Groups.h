// Groups of devices over which a layer is spread, and how a tensor lies on one.
#pragma once

#include "dialect/MpDialect.h"

#include "llvm/ADT/SmallVector.h"

namespace mparc::mp {

/// Of an operation, from the front end to mp-split: the group that it is spread over. A dictionary
/// of `devices`, and for each axis of the grid that these form, the last varying fastest, of
/// `names`, the factor that it cuts, empty where it only repeats, and `sizes`; `of_statement` where
/// a statement says so rather than a layer.
inline constexpr llvm::StringLiteral kGroup = "mp.group";
/// Of a parameter that mp-split made: what it is a piece of. A dictionary of the whole's name `of`
/// and `type`, and the box that it is: the whole seen as a tensor of `sizes`, in each of these the
/// positions [`from`, `to`).
inline constexpr llvm::StringLiteral kPiece = "mp.piece";
/// Of a program: what the devices of groups exchange, in order. A list of dictionaries of `kind`
/// (`all_reduce`, `all_gather`, `reduce_scatter`, `all_to_all`), `devices`, `bytes` of the whole
/// value, by row of the batch where `by_row`, its name `value`, and `backward`. `reduce` and
/// `gather` make a value whole on one device outside of the group.
inline constexpr llvm::StringLiteral kCollectives = "mp.collectives";

struct Group {
  struct Axis {
    std::string name;
    int64_t size;
  };
  llvm::SmallVector<int64_t, 4> devices;
  llvm::SmallVector<Axis, 2> axes;
  /// Whether it is of a statement's own: then what has no parameters is cut by name too.
  bool isOfStatement = false;

  static Group single(int64_t device) { return {{device}, {}, false}; }
  int64_t size() const { return static_cast<int64_t>(devices.size()); }
  /// Where the device number `index` of the group stands on an axis.
  int64_t coordinate(int64_t index, unsigned axis) const;
  /// The devices, by their numbers in the group, that differ from `index` in this axis alone.
  llvm::SmallVector<int64_t, 4> line(int64_t index, unsigned axis) const;
  /// The number of a device in the group, or -1.
  int64_t indexOf(int64_t device) const;
  /// Whether they are the same devices in the same grid; the names of axes say only what parameters
  /// are cut by.
  bool operator==(const Group &other) const;
  mlir::DictionaryAttr toAttribute(mlir::MLIRContext *context) const;
};

/// The group of an operation; nothing where it has one device or none.
std::optional<Group> getGroup(mlir::Operation *op);
Group readGroup(mlir::DictionaryAttr attribute);

/// Whether the devices of groups add up terms of a sum that the unsplit program adds up in another
/// order.
bool regroupsSums(ModelOp model);
/// Whether a layer is on a device: by itself, or spread over a group.
bool isOn(LayerOp layer, int64_t device);
/// The elements of a parameter that no parameter before it has: those of the whole where it is the
/// first of its pieces, none where it is another.
int64_t countOnce(ParameterOp parameter);

/// A cut of a dimension: its elements seen as [outer, size, inner], where the batch, if the
/// dimension has it, is outside of `size`; this is cut into as many contiguous pieces as an axis
/// has. It may be the batch itself: then `outer` is 1, `size` kDynamic and `inner` all of the rest,
/// what lies before the batch (`countBeforeBatch`) with it.
struct Cut {
  int64_t dimension, outer, size, inner;
  bool isOfBatch() const { return mlir::ShapedType::isDynamic(size); }
  bool operator==(const Cut &other) const {
    return dimension == other.dimension && outer == other.outer && size == other.size &&
           inner == other.inner;
  }
};

/// What the devices along one axis of a group have of a value: all of it each, pieces of it, or
/// terms of a sum (or maximum, minimum) of its size.
struct State {
  enum class Kind { replicated, cut, partial };
  Kind kind = Kind::replicated;
  Cut cut = {};
  ReductionKind reduction = ReductionKind::sum;

  static State whole() { return {}; }
  static State of(const Cut &cut) { return {Kind::cut, cut, ReductionKind::sum}; }
  static State partial(ReductionKind kind = ReductionKind::sum) {
    return {Kind::partial, {}, kind};
  }
  bool isWhole() const { return kind == Kind::replicated; }
  bool isCut() const { return kind == Kind::cut; }
  bool isPartial() const { return kind == Kind::partial; }
  bool operator==(const State &other) const {
    return kind == other.kind && (!isCut() || cut == other.cut) &&
           (!isPartial() || reduction == other.reduction);
  }
};

/// One state an axis.
using Layout = llvm::SmallVector<State, 2>;

/// The positions [from, to) of piece `number` of `count`: the larger come first.
struct Positions {
  int64_t from, to;
};
Positions getPiece(int64_t size, int64_t count, int64_t number);
/// The same of what a cut divides; of the batch, whose rows are not known, none.
Positions getPiece(const Cut &cut, int64_t count, int64_t number);

/// A cut as it is seen in a tensor that other axes have cut: by `others`, each to so many of its
/// positions.
using Others = llvm::SmallVector<std::pair<Cut, int64_t>, 2>;
Cut localize(Cut cut, const Others &others);
/// Whether two cuts can be made in one tensor, one within the other.
bool canNest(const Cut &a, const Cut &b);
/// The other cuts of a layout on one of the group's devices, but that of an axis.
Others getOthers(const Group &group, const Layout &layout, int64_t index, int64_t exceptAxis);
/// The type of what one of the group's devices has of a tensor.
mlir::RankedTensorType getLocalType(mlir::RankedTensorType type, const Group &group,
                                    const Layout &layout, int64_t index);
/// Of a dimension, piece `number` of `count` by a cut that is seen as in it.
DimensionAttr cutDimension(DimensionAttr dimension, const Cut &cut, int64_t count, int64_t number);

/// The factor of a tensor that a name of `@split` means: a factor of that name, else of the
/// dimension of that name the first that `pieces` divides, else its largest. All that it could
/// mean, where it is several; none where the tensor has no such name.
llvm::SmallVector<Cut, 2> findNamed(mlir::Type tensor, llvm::StringRef name, int64_t pieces);
/// Of these those that have a number for each piece: a dimension of 1 that a value has from
/// elsewhere, under the name of what a layer cuts, stays whole.
llvm::SmallVector<Cut, 2> findCuttable(mlir::Type tensor, llvm::StringRef name, int64_t pieces);

} // namespace mparc::mp
