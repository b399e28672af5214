// Plain reference kernels: one loop nest each, every sum in ascending order of its elements, so
// that a result depends on the operands alone. Views are contiguous; results are written in full.
#pragma once

#include "interpreter/ElementProgram.h"

#include <optional>

namespace mparc::interpreter {

/// An operand of an element-wise loop: for each dimension of the result, the operand's step, 0
/// where it is broadcast.
struct StridedView {
  View view;
  Extents strides;
};

/// result[i] = program(operands[i]…), in ascending order of i.
template <typename Scalar>
void map(const ElementProgram &program, llvm::ArrayRef<StridedView> operands, const View &result,
         const Surroundings &surroundings);

/// Copies elements between two strided layouts of `extents`; offsets are in elements.
template <typename Scalar>
void copy(llvm::ArrayRef<int64_t> extents, const View &from, int64_t fromOffset,
          llvm::ArrayRef<int64_t> fromStrides, const View &to, int64_t toOffset,
          llvm::ArrayRef<int64_t> toStrides);

/// The elements of a view as reals.
template <typename Scalar> Tensor widen(const View &view);
/// Rounds to the elements of `view` what `compute` writes to reals.
template <typename Scalar>
void narrow(const View &view, llvm::function_ref<void(const View &)> compute);

/// Zero in every element.
template <typename Scalar> void fillZero(const View &to);

/// y = positions of a dimension of x, from `from` on, as many as y has.
template <typename Scalar>
void slice(const View &x, int64_t dimension, int64_t from, const View &y);

/// y = x, with `before` zeros before the positions of a dimension and as many after as y has left.
template <typename Scalar>
void pad(const View &x, int64_t dimension, int64_t before, const View &y);

/// y = the parts, one after the other along a dimension.
template <typename Scalar>
void concat(llvm::ArrayRef<View> parts, int64_t dimension, const View &y);

/// c = op(a) · op(b) over the last two dimensions, batched over the others.
template <typename Scalar>
void matmul(const View &a, bool transposeA, const View &b, bool transposeB, const View &c);

/// y = activation(x · weightᵀ + bias); `bias` may have no data.
template <typename Scalar>
void linear(const View &x, const View &weight, const View &bias, bool relu, const View &y,
            const Surroundings &surroundings);

/// Reduces over `dimensions`; real or integer elements.
template <typename Scalar>
void reduce(mp::ReductionKind kind, const View &x, llvm::ArrayRef<int64_t> dimensions,
            const View &y, const Surroundings &surroundings);

/// y = sum + Σ x²; `sum` may have no data.
template <typename Scalar> void squaredNorm(const View &x, const View &sum, const View &y);

/// y = min(1, norm / (√squared + 1e-6)).
template <typename Scalar> void clipScale(const View &squared, double norm, const View &y);
/// What gradients of a loss scaled by `scale` are multiplied by; NaN where they are not finite.
template <typename Scalar>
void unscale(const View &squared, std::optional<double> norm, double scale, const View &y);

/// softmax, or its logarithm, along a dimension. `y` may be `x`.
template <typename Scalar>
void softmax(const View &x, int64_t dimension, bool logarithm, const View &y);

/// softmax(q · kᵀ / √dim) · v head by head (MpAttention.td), and the logarithms of the sums. What
/// is multiplied is first rounded to `rounding`, bf16 or f16, where that is given.
template <typename Scalar>
void attention(const View &q, const View &k, const View &v, bool causal,
               std::optional<mlir::Type> rounding, const View &y, const View &logSums);

/// The gradients of its operands from `g`, that of `y`.
template <typename Scalar>
void attentionGradient(const View &g, const View &q, const View &k, const View &v, const View &y,
                       const View &logSums, bool causal, std::optional<mlir::Type> rounding,
                       const View &dq, const View &dk, const View &dv);

/// Attention and its gradient as operations, which may see views of their operands and results.
template <typename Scalar>
void computeAttention(mp::AttentionOp op, llvm::ArrayRef<View> operands,
                      llvm::ArrayRef<View> results);
template <typename Scalar>
void computeAttention(mp::AttentionGradientOp op, llvm::ArrayRef<View> operands,
                      llvm::ArrayRef<View> results);

/// y = (x - mean) · scale · weight + bias over the last `dimensions`, with scale = 1 / √(mean of
/// squares + eps). Without data in `mean` nothing is taken off; weight and bias may have none.
template <typename Scalar>
void normalize(const View &x, int64_t dimensions, const View &weight, const View &bias, double eps,
               const View &y, const View &mean, const View &scale);

/// The gradients of x, weight and bias from `g`, that of y; without data in `mean` or `dbias` as
/// there.
template <typename Scalar>
void normalizeGradient(const View &g, const View &x, const View &mean, const View &scale,
                       const View &weight, const View &dx, const View &dweight, const View &dbias);

/// The position of the first largest element along a dimension; a NaN counts as largest.
template <typename Scalar>
void argmax(const View &x, int64_t dimension, const View &y, const Surroundings &surroundings);

/// Convolution and pooling, and their gradients, of the views of their operands and results.
template <typename Scalar>
void computeWindowed(mlir::Operation *op, llvm::ArrayRef<View> operands,
                     llvm::ArrayRef<View> results);

/// The operations that take positions from another tensor, of the views of their operands; a
/// position outside is an error at `op`.
template <typename Scalar>
mlir::LogicalResult computeIndexed(mlir::Operation *op, llvm::ArrayRef<View> operands,
                                   const View &result);

} // namespace mparc::interpreter
