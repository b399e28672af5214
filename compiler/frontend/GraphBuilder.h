//===- GraphBuilder.h - Operations of the graph from checked operands -------===//
//
// Makes operations with their types, places and locations. What can be wrong with the user's
// program is checked by the callers, or reported here at `range`, the expression being built.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_GRAPHBUILDER_H
#define MPARC_FRONTEND_GRAPHBUILDER_H

#include "frontend/Session.h"
#include "llvm/ADT/MapVector.h"

namespace mparc {

using Dimensions = llvm::SmallVector<mp::DimensionAttr, 6>;

/// Equal sizes; names may differ.
bool haveSameSize(mp::DimensionAttr a, mp::DimensionAttr b);
bool haveSameSizes(llvm::ArrayRef<mp::DimensionAttr> a, llvm::ArrayRef<mp::DimensionAttr> b);
/// The dimensions of a new tensor, or null, with an error at `where`, if no tensor may have them:
/// the batch twice, or too many elements. `operands` says what they come from.
mp::DimensionsAttr checkDimensions(Session &session, SourceRange where,
                                   llvm::ArrayRef<mp::DimensionAttr> dimensions,
                                   const llvm::Twine &operands);
/// Whether any factor, or the whole, has a name.
bool isNamed(mp::DimensionAttr dimension);

class GraphBuilder {
public:
  GraphBuilder(Session &theSession, mlir::Block *block)
      : session(theSession), builder(mlir::OpBuilder::atBlockEnd(block)),
        location(builder.getUnknownLoc()) {}

  Session &session;
  mlir::OpBuilder builder;
  /// The layer whose forward is being built, and the annotation that is innermost in it.
  Instance *instance = nullptr;
  std::optional<Devices> device;
  std::optional<SplitMark> split;
  bool training = false;
  /// Whether what is built may combine rows though the batch is cut, each part by itself.
  bool eachPart = false;
  /// The element type that the operands of matrix products are rounded to; null: their own.
  mlir::Type precision;
  /// The part being built, whose activations the backward pass recomputes; 0 in none. A part
  /// within another is part of that.
  int64_t recomputedPart = 0;
  int64_t recomputedParts = 0;

  /// The expression that operations are now made for.
  void at(const SourceRange &where);
  const SourceRange &where() const { return range; }

  /// One operation whose result has these dimensions and elements.
  template <typename Op, typename... Arguments>
  Tensor create(mp::DimensionsAttr dims, mlir::Type element, Arguments &&...arguments) {
    mlir::Type type = mp::getTensorType(&session.context, dims.getDimensions(), element);
    auto op = builder.create<Op>(location, type, std::forward<Arguments>(arguments)...);
    annotate(op);
    return {op->getResult(0), dims, nullptr};
  }
  /// An operation with several results, of which the first has these dimensions and is what the
  /// source's expression stands for.
  template <typename Op, typename... Arguments>
  Tensor createSeveral(mp::DimensionsAttr dims, mlir::TypeRange types, Arguments &&...arguments) {
    auto op = builder.create<Op>(location, types, std::forward<Arguments>(arguments)...);
    annotate(op);
    return {op->getResult(0), dims, nullptr};
  }
  /// An element-wise operation on one tensor, with its dimensions and, unless given, elements.
  template <typename Op> Tensor unary(Tensor x, mlir::Type element = {}) {
    return create<Op>(x.dims, element ? element : x.element(), x.value);
  }
  /// An element-wise operation on tensors of one shape.
  template <typename Op> Tensor binary(Tensor a, Tensor b) {
    return create<Op>(a.dims, a.element(), a.value, b.value);
  }

  /// checkDimensions at `where()`.
  mp::DimensionsAttr checked(llvm::ArrayRef<mp::DimensionAttr> dimensions,
                             const llvm::Twine &operands) {
    return checkDimensions(session, range, dimensions, operands);
  }

  /// The tensor of a parameter, once a program however many ends are tied to it; of a buffer that
  /// has been set, what it was set to.
  Tensor read(ParameterInfo &end);
  /// From here on the buffer is `value`, which has its type.
  void assign(ParameterInfo &buffer, Tensor value);
  /// At the end of @train: what buffers have been set to becomes theirs.
  void finishAssignments();
  Tensor constant(double value, mp::DimensionsAttr dims);
  /// A number in every element, rounded once to the element type. A number with the batch as factor
  /// is computed at run time.
  Tensor constant(const Number &value, mp::DimensionsAttr dims, mlir::Type element);
  Tensor constant(bool value, mp::DimensionsAttr dims);
  Tensor cast(Tensor x, mlir::Type element);

  /// NumPy's rule: the common shape, or null, with an error at `where()` naming both.
  mp::DimensionsAttr broadcastShape(Tensor a, Tensor b);
  /// `x` repeated to a shape it broadcasts to; `x` itself where it has that shape.
  Tensor broadcast(Tensor x, mp::DimensionsAttr dims);
  Tensor reshape(Tensor x, mp::DimensionsAttr dims);
  Tensor permute(Tensor x, llvm::ArrayRef<int64_t> permutation);
  /// Over ascending dimensions. With `keep` the result has them, of size 1.
  Tensor reduce(mp::ReductionKind kind, Tensor x, llvm::ArrayRef<int64_t> dimensions,
                bool keep = false);

  /// Both operands in one shape and element type, numbers as constants; false after errors. The
  /// element type is at least `least` in the order bool, i32, f32.
  bool unify(Value &a, Value &b, mlir::Type least);

  /// A stand-in for a value whose shape is wrong, so that checking can go on.
  Tensor placeholder(mp::DimensionsAttr dims, mlir::Type element);

private:
  void annotate(mlir::Operation *op);
  void place(mlir::Operation *op, const Devices &devices, const std::optional<SplitMark> &split,
             bool isOfStatement = false);
  /// Puts an operation where a parameter lives: a statement's annotation does not move it.
  void placeWith(mlir::Operation *op, const ParameterInfo &parameter);

  SourceRange range;
  mlir::Location location;
  std::optional<mlir::Location> called; // the last expression that is not of the standard library
  llvm::DenseMap<ParameterInfo *, mlir::Value> reads;
  llvm::MapVector<ParameterInfo *, mlir::Value> assigned;
  llvm::DenseSet<ParameterInfo *> setInParts; // of those, what is set in each part of a batch
};

/// Whether an element type only stores numbers that are computed with in f32: bf16, f16.
bool isLowPrecision(mlir::Type element);
/// The element type that both are computed in: bool, then i32, then f32.
mlir::Type promote(mlir::Type a, mlir::Type b);

} // namespace mparc

#endif // MPARC_FRONTEND_GRAPHBUILDER_H
