// The reference kernels of operations that take positions from another tensor.
#include "interpreter/Kernels.h"

#include "mpar/scalar.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

/// The position of the first number that is not in [0, limit), or -1.
static int64_t findOutside(const View &numbers, int64_t limit) {
  for (int64_t index = 0, end = numbers.count(); index < end; ++index)
    if (numbers.as<int32_t>()[index] < 0 || numbers.as<int32_t>()[index] >= limit)
      return index;
  return -1;
}

static LogicalResult checkIds(Operation *op, const View &ids, const View &table) {
  const int64_t outside = findOutside(ids, table.extents.front());
  if (outside < 0)
    return success();
  return op->emitError("id ") << ids.as<int32_t>()[outside] << " is not in a table of "
                              << table.extents.front() << " rows";
}

static LogicalResult checkTargets(Operation *op, const View &target, const View &x) {
  const int64_t outside = findOutside(target, x.extents.back());
  if (outside < 0)
    return success();
  return op->emitError("the target ")
         << target.as<int32_t>()[outside] << " is no class of " << x.extents.back();
}

template <typename Scalar>
static LogicalResult gather(Operation *op, const View &table, const View &ids, const View &result) {
  if (failed(checkIds(op, ids, table)))
    return failure();
  const int64_t width = getCount(ArrayRef<int64_t>(table.extents).drop_front());
  const int64_t bytes = width * getElementBytes(table.kind, sizeof(Scalar));
  for (int64_t index = 0, end = ids.count(); index < end; ++index)
    std::memcpy(result.as<std::byte>() + index * bytes,
                table.as<std::byte>() + ids.as<int32_t>()[index] * bytes, bytes);
  return success();
}

template <typename Scalar>
static LogicalResult scatterAdd(Operation *op, const View &ids, const View &rows,
                                const View &result) {
  if (failed(checkIds(op, ids, result)))
    return failure();
  const int64_t width = getCount(ArrayRef<int64_t>(result.extents).drop_front());
  fillZero<Scalar>(result);
  for (int64_t index = 0, end = ids.count(); index < end; ++index)
    for (int64_t column = 0; column < width; ++column)
      result.as<Scalar>()[ids.as<int32_t>()[index] * width + column] +=
          rows.as<Scalar>()[index * width + column];
  return success();
}

/// The largest element of a row and the sum of the exponentials of the differences to it.
template <typename Scalar> struct RowSum {
  RowSum(const Scalar *row, int64_t classes) : largest(row[0]) {
    for (int64_t each = 0; each < classes; ++each)
      largest = mpar::maximum(largest, row[each]);
    for (int64_t each = 0; each < classes; ++each)
      sum += std::exp(row[each] - largest);
  }
  Scalar largest, sum = 0;
};

template <typename Scalar>
static LogicalResult crossEntropy(Operation *op, const View &x, const View &target,
                                  const View &result) {
  if (failed(checkTargets(op, target, x)))
    return failure();
  const int64_t classes = x.extents.back();
  for (int64_t index = 0, end = target.count(); index < end; ++index) {
    const Scalar *row = x.as<Scalar>() + index * classes;
    const RowSum<Scalar> sums(row, classes);
    result.as<Scalar>()[index] =
        std::log(sums.sum) + (sums.largest - row[target.as<int32_t>()[index]]);
  }
  return success();
}

template <typename Scalar>
static LogicalResult crossEntropyGradient(Operation *op, const View &x, const View &target,
                                          const View &g, const View &result) {
  if (failed(checkTargets(op, target, x)))
    return failure();
  const int64_t classes = x.extents.back();
  for (int64_t index = 0, end = target.count(); index < end; ++index) {
    const Scalar *row = x.as<Scalar>() + index * classes;
    const RowSum<Scalar> sums(row, classes);
    for (int64_t each = 0; each < classes; ++each) {
      const Scalar share = std::exp(row[each] - sums.largest) / sums.sum;
      const bool isTarget = each == target.as<int32_t>()[index];
      result.as<Scalar>()[index * classes + each] =
          (share - static_cast<Scalar>(isTarget)) * g.as<Scalar>()[index];
    }
  }
  return success();
}

static LogicalResult checkIndex(CheckIndexOp op, const View &ids, const View &result) {
  const auto limit = static_cast<int64_t>(op.getLimit());
  if (const int64_t outside = findOutside(ids, limit); outside >= 0) {
    const int32_t number = ids.as<int32_t>()[outside];
    if (op.getTable())
      return op.emitError("id ") << number << " is not in a table of " << limit << " rows";
    return op.emitError("the target ") << number << " is no class of " << limit;
  }
  std::memcpy(result.data, ids.data, ids.count() * sizeof(int32_t));
  return success();
}

template <typename Scalar>
LogicalResult computeIndexed(Operation *op, ArrayRef<View> operands, const View &result) {
  if (isa<CrossEntropyOp, CrossEntropyGradientOp>(op) && operands[0].kind != ElementKind::real) {
    const Tensor wide = widen<Scalar>(operands[0]);
    SmallVector<View> given(operands);
    given[0] = wide.view();
    return computeIndexed<Scalar>(op, given, result);
  }
  if (isa<CrossEntropyGradientOp>(op) && result.kind != ElementKind::real) {
    LogicalResult done = success();
    narrow<Scalar>(result,
                   [&](const View &wide) { done = computeIndexed<Scalar>(op, operands, wide); });
    return done;
  }
  if (isa<GatherOp>(op))
    return gather<Scalar>(op, operands[0], operands[1], result);
  if (auto check = dyn_cast<CheckIndexOp>(op))
    return checkIndex(check, operands[0], result);
  if (isa<ScatterAddOp>(op))
    return scatterAdd<Scalar>(op, operands[0], operands[1], result);
  if (isa<CrossEntropyOp>(op))
    return crossEntropy<Scalar>(op, operands[0], operands[1], result);
  return crossEntropyGradient<Scalar>(op, operands[0], operands[1], operands[2], result);
}

template LogicalResult computeIndexed<float>(Operation *, ArrayRef<View>, const View &);
template LogicalResult computeIndexed<double>(Operation *, ArrayRef<View>, const View &);

} // namespace mparc::interpreter
