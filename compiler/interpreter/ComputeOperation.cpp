// From an operation to the kernel that computes it.
#include "interpreter/ComputeOperation.h"

#include "interpreter/Kernels.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

/// A loop over elements: of one operation, or of a fused chain of them.
template <typename Scalar>
static LogicalResult computeElements(Operation *op, OperandView get, const View &result,
                                     const Surroundings &surroundings) {
  auto program = ElementProgram::compile(op);
  if (failed(program))
    return failure();
  SmallVector<StridedView> operands;
  auto map = dyn_cast<MapOp>(op);
  for (auto [index, operand] : llvm::enumerate(op->getOperands())) {
    const View &view = get(operand);
    Extents strides = getStrides(view.extents), steps;
    if (!map)
      steps = strides;
    else
      for (int64_t source : map.getMap(index))
        steps.push_back(source < 0 || view.extents[source] == 1 ? 0 : strides[source]);
    operands.push_back({view, steps});
  }
  interpreter::map<Scalar>(*program, operands, result, surroundings);
  return success();
}

template <typename Scalar>
LogicalResult compute(Operation *op, OperandView get, ArrayRef<View> results,
                      const Surroundings &surroundings) {
  const View &result = results.front();
  auto getIf = [&](Value value) { return value ? get(value) : View(); };
  if (isa<ScalarExpression, MapOp, ConstantOp, ExtentOp, DropoutMaskOp, IotaOp>(op))
    return computeElements<Scalar>(op, get, result, surroundings);
  if (auto call = dyn_cast<CallTensorOp>(op))
    return op->emitError("`") << call.getFunction() << "` is C++ of `" << call.getHeader()
                              << "`, which is compiled and not interpreted";
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](TransferOp transfer) {
        const View &from = get(transfer.getInput());
        std::memmove(result.data, from.data,
                     from.count() * getElementBytes(from.kind, sizeof(Scalar)));
        return success();
      })
      .Case([&](BroadcastOp broadcast) {
        const View &from = get(broadcast.getInput());
        Extents strides = getStrides(from.extents), steps;
        for (int64_t source : broadcast.getDimensions())
          steps.push_back(source < 0 || from.extents[source] == 1 ? 0 : strides[source]);
        copy<Scalar>(result.extents, from, 0, steps, result, 0, getStrides(result.extents));
        return success();
      })
      .Case([&](PermuteOp permute) {
        const View &from = get(permute.getInput());
        Extents strides = getStrides(from.extents), steps;
        for (int64_t source : permute.getPermutation())
          steps.push_back(strides[source]);
        copy<Scalar>(result.extents, from, 0, steps, result, 0, getStrides(result.extents));
        return success();
      })
      .Case([&](SliceOp slice) {
        const View &from = get(slice.getInput());
        DimensionAttr own = getDimensions(slice.getType())[slice.getDimension()];
        int64_t first = slice.getFrom();
        if (slice.takesRows())
          first =
              own.getRowPiece().first(from.extents[slice.getDimension()] / own.getStaticSize()) *
              own.getStaticSize();
        interpreter::slice<Scalar>(from, slice.getDimension(), first, result);
        return success();
      })
      .Case([&](PadOp pad) {
        interpreter::pad<Scalar>(get(pad.getInput()), pad.getDimension(), pad.getBefore(), result);
        return success();
      })
      .Case([&](ConcatOp concat) {
        SmallVector<View> parts;
        for (Value input : concat.getInputs())
          parts.push_back(get(input));
        interpreter::concat<Scalar>(parts, concat.getDimension(), result);
        return success();
      })
      .Case([&](MatmulOp matmul) {
        interpreter::matmul<Scalar>(get(matmul.getA()), matmul.getTransposeA(), get(matmul.getB()),
                                    matmul.getTransposeB(), result);
        return success();
      })
      .Case([&](LinearOp linear) {
        interpreter::linear<Scalar>(
            get(linear.getX()), get(linear.getWeight()), getIf(linear.getBias()),
            linear.getActivation() == ActivationKind::relu, result, surroundings);
        return success();
      })
      .Case([&](ReduceOp reduce) {
        interpreter::reduce<Scalar>(reduce.getKind(), get(reduce.getInput()),
                                    reduce.getDimensions(), result, surroundings);
        return success();
      })
      .template Case<SoftmaxOp, LogSoftmaxOp>([&](auto softmax) {
        interpreter::softmax<Scalar>(get(softmax.getInput()), softmax.getDimension(),
                                     isa<LogSoftmaxOp>(op), result);
        return success();
      })
      .template Case<AttentionOp, AttentionGradientOp>([&](auto attention) {
        auto views = llvm::map_to_vector(op->getOperands(), [&](Value each) { return get(each); });
        computeAttention<Scalar>(attention, views, results);
        return success();
      })
      .Case([&](LayerNormOp norm) {
        interpreter::normalize<Scalar>(
            get(norm.getX()), norm.getDimensions(), getIf(norm.getWeight()), getIf(norm.getBias()),
            norm.getEps().convertToDouble(), result, results[1], results[2]);
        return success();
      })
      .Case([&](RmsNormOp norm) {
        interpreter::normalize<Scalar>(get(norm.getX()), norm.getDimensions(),
                                       getIf(norm.getWeight()), {}, norm.getEps().convertToDouble(),
                                       result, {}, results[1]);
        return success();
      })
      .Case([&](LayerNormGradientOp norm) {
        interpreter::normalizeGradient<Scalar>(
            get(norm.getGradient()), get(norm.getX()), get(norm.getMean()), get(norm.getScale()),
            getIf(norm.getWeight()), result, results[1], results[2]);
        return success();
      })
      .Case([&](RmsNormGradientOp norm) {
        interpreter::normalizeGradient<Scalar>(get(norm.getGradient()), get(norm.getX()), {},
                                               get(norm.getScale()), getIf(norm.getWeight()),
                                               result, results[1], {});
        return success();
      })
      .Case([&](ArgmaxOp argmax) {
        interpreter::argmax<Scalar>(get(argmax.getInput()), argmax.getDimension(), result,
                                    surroundings);
        return success();
      })
      .template Case<GatherOp, ScatterAddOp, CheckIndexOp, CrossEntropyOp, CrossEntropyGradientOp>(
          [&](auto) {
            auto views =
                llvm::map_to_vector(op->getOperands(), [&](Value each) { return get(each); });
            return computeIndexed<Scalar>(op, views, result);
          })
      .template Case<ConvOp, ConvInputGradientOp, ConvWeightGradientOp, MaxPoolOp,
                     MaxPoolGradientOp, AvgPoolOp, AvgPoolGradientOp>([&](auto) {
        auto views = llvm::map_to_vector(op->getOperands(), [&](Value each) { return get(each); });
        computeWindowed<Scalar>(op, views, results);
        return success();
      })
      .Case([&](SquaredNormOp norm) {
        interpreter::squaredNorm<Scalar>(get(norm.getInput()), getIf(norm.getSum()), result);
        return success();
      })
      .Case([&](ClipScaleOp clip) {
        interpreter::clipScale<Scalar>(get(clip.getSquaredNorm()), clip.getNorm().convertToDouble(),
                                       result);
        return success();
      })
      .Case([&](LossScaleOp) {
        *result.as<Scalar>() = static_cast<Scalar>(surroundings.lossScale);
        return success();
      })
      .Case([&](UnscaleOp unscale) {
        std::optional<double> norm;
        if (auto given = unscale.getNorm())
          norm = given->convertToDouble();
        interpreter::unscale<Scalar>(get(unscale.getSquaredNorm()), norm, surroundings.lossScale,
                                     result);
        return success();
      })
      .Default([](Operation *other) {
        return other->emitError("cannot interpret ") << other->getName();
      });
}

template LogicalResult compute<float>(Operation *, OperandView, ArrayRef<View>,
                                      const Surroundings &);
template LogicalResult compute<double>(Operation *, OperandView, ArrayRef<View>,
                                       const Surroundings &);

} // namespace mparc::interpreter
