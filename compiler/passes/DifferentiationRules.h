// The table of reverse-mode rules: for each primitive, the adjoint of an operand from the adjoint
// of the result.
//
// Convention: the adjoint of `x` is called `g` for the result's and `dx` for an operand's; torch's
// formulas are followed down to their order of rounding where they are known.
#pragma once

#include "dialect/MpDialect.h"

namespace mparc::mp {

/// Builds adjoint expressions at one place of a program; every operation it makes carries the
/// location, the layer and the `mp.of` of the forward operation. Results take the type of the first
/// operand unless a type is given.
class AdjointBuilder {
public:
  explicit AdjointBuilder(mlir::OpBuilder &builder) : builder(builder) {}
  /// From here on, adjoints of `op`.
  void enter(mlir::Operation *op);

  /// Adjoints are f32, also those of values of less precision.
  template <typename Op, typename... Arguments>
  mlir::Value make(mlir::Type type, Arguments &&...arguments) {
    mlir::Operation *op =
        builder.create<Op>(location(), adjointType(type), std::forward<Arguments>(arguments)...);
    mark(op);
    return op->getResult(0);
  }
  template <typename Op> mlir::Value unary(mlir::Value x) { return make<Op>(x.getType(), x); }
  template <typename Op> mlir::Value binary(mlir::Value a, mlir::Value b) {
    return make<Op>(a.getType(), a, b);
  }
  /// An operation that gives the adjoints of all operands at once: made for the first operand that
  /// asks, found again for the others.
  template <typename Op, typename... Arguments>
  Op shared(mlir::TypeRange types, Arguments &&...arguments) {
    mlir::Operation *&made = sharedAdjoints[forward];
    if (!made) {
      made = builder.create<Op>(location(), types, std::forward<Arguments>(arguments)...);
      mark(made);
    }
    return llvm::cast<Op>(made);
  }
  mlir::Value add(mlir::Value a, mlir::Value b) { return binary<AddOp>(a, b); }
  mlir::Value sub(mlir::Value a, mlir::Value b) { return binary<SubOp>(a, b); }
  mlir::Value mul(mlir::Value a, mlir::Value b) { return binary<MulOp>(a, b); }
  mlir::Value div(mlir::Value a, mlir::Value b) { return binary<DivOp>(a, b); }
  mlir::Value neg(mlir::Value x) { return unary<NegOp>(x); }
  /// `value` in every element of a tensor like `like`.
  mlir::Value constant(double value, mlir::Value like);
  mlir::Value compare(ComparisonKind kind, mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  /// The adjoint `g` where `condition` holds, else 0.
  mlir::Value gate(mlir::Value condition, mlir::Value g);
  /// `x` itself where it has the elements already.
  mlir::Value cast(mlir::Value x, mlir::Type element);
  /// The adjoint of what `op` reads from that of what it gives, `g`, which is rounded where the
  /// cast is marked so.
  mlir::Value castBack(mlir::Value g, CastOp op);
  /// `y` as those read it who come after its rounding, where that alone reads it; else itself.
  mlir::Value asRounded(mlir::Value y);
  /// `x` rounded to the element type of `like`, as an operand of a product with it.
  mlir::Value roundLike(mlir::Value x, mlir::Value like);
  mlir::Value sum(mlir::Value x, llvm::ArrayRef<int64_t> dimensions);
  /// Lays `x`, which lacks `dimensions`, along them in a tensor like `like`.
  mlir::Value expand(mlir::Value x, llvm::ArrayRef<int64_t> dimensions, mlir::Value like);
  /// What `x`, like `like`, was a broadcast of along `map`: the sum over what was repeated.
  mlir::Value unbroadcast(mlir::Value x, llvm::ArrayRef<int64_t> map, mlir::Type type);
  /// The sum of two tensors that are padded with zeros and lie side by side along one dimension:
  /// one after the other, as the parts of what was split. Null where they are not such.
  mlir::Value join(mlir::Value a, mlir::Value b);

private:
  static mlir::Type adjointType(mlir::Type type);
  mlir::Location location() const { return forward->getLoc(); }
  void mark(mlir::Operation *op);

  mlir::OpBuilder &builder;
  mlir::Operation *forward = nullptr;
  llvm::DenseMap<mlir::Operation *, mlir::Operation *> sharedAdjoints; // by forward operation
};

/// The adjoint of operand `index` of `op` from the adjoint `g` of its result; null: it is zero.
using DifferentiationRule = mlir::Value (*)(mlir::Operation *op, unsigned index, mlir::Value g,
                                            AdjointBuilder &build);

/// The rule of an operation, or null where there is none.
DifferentiationRule findDifferentiationRule(mlir::Operation *op);

inline constexpr llvm::StringLiteral kId = "mp.id"; // of a forward operation
inline constexpr llvm::StringLiteral kOf = "mp.of"; // of an adjoint: its operation's id
inline constexpr llvm::StringLiteral kRoundsAdjoint = "mp.rounds_adjoint"; // of a cast to two bytes
inline constexpr llvm::StringLiteral kSum = "mp.sum"; // an addition that sums a gradient over uses

} // namespace mparc::mp
