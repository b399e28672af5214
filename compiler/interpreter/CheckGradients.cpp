// Central finite differences of the loss by elements of parameters.
#include "interpreter/CheckGradients.h"

#include <cmath>

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

namespace {

/// The loss as a function of the parameters.
class Loss {
public:
  Loss(ModelOp model, const Inputs &inputs, const RunOptions &options)
      : model_(model), inputs_(inputs), options_(options) {
    options_.forwardOnly = true;
  }

  Tensor &parameter(StringRef name) { return inputs_.parameters[name]; }

  struct Point {
    double loss;
    uint64_t piece; // the smooth piece on which it lies
  };
  FailureOr<Point> evaluate() {
    Trace trace;
    options_.trace = &trace;
    auto outcome = run<double>(model_, "train", inputs_, options_);
    if (failed(outcome))
      return failure();
    return Point{outcome->returned.front().get(0), trace.hash()};
  }

private:
  ModelOp model_;
  Inputs inputs_;
  RunOptions options_;
};

} // namespace

/// The derivative of the loss by one element; nothing where all steps cross a kink.
static FailureOr<std::optional<double>> differentiate(Loss &loss, StringRef name, int64_t index,
                                                      uint64_t piece, double firstStep) {
  const double value = loss.parameter(name).get(index);
  std::optional<double> derivative;
  for (double step = firstStep * std::max(1.0, std::abs(value)); step > firstStep * 1e-5;
       step /= 100) {
    loss.parameter(name).set(index, value + step);
    auto above = loss.evaluate();
    loss.parameter(name).set(index, value - step);
    auto below = loss.evaluate();
    loss.parameter(name).set(index, value);
    if (failed(above) || failed(below))
      return failure();
    if (above->piece == piece && below->piece == piece) {
      derivative = (above->loss - below->loss) / ((value + step) - (value - step));
      break;
    }
  }
  return derivative;
}

static LogicalResult checkParameter(Loss &loss, uint64_t piece, double scaleOfLoss,
                                    const Tensor &gradient, const GradientCheckOptions &options,
                                    GradientCheck &check) {
  const int64_t count = gradient.count();
  double scale = std::max(1.0, scaleOfLoss);
  for (int64_t index = 0; index < count; ++index)
    scale = std::max(scale, std::abs(gradient.get(index)));
  const int64_t elements = std::min(count, options.elements);
  for (int64_t each = 0; each < elements; ++each) {
    const int64_t index = each * count / elements;
    auto derivative = differentiate(loss, check.parameter, index, piece, options.step);
    if (failed(derivative))
      return failure();
    if (!*derivative) {
      ++check.skipped;
      continue;
    }
    ++check.checked;
    const double difference = std::abs(gradient.get(index) - **derivative) / scale;
    if (!(difference <= check.worst)) {
      check.worst = difference;
      check.index = index;
      check.computed = gradient.get(index);
      check.expected = **derivative;
    }
    // Not a number is a failure too.
    check.passed &= difference <= options.tolerance;
  }
  return success();
}

FailureOr<std::vector<GradientCheck>> checkGradients(ModelOp model, const Inputs &inputs,
                                                     const RunOptions &options,
                                                     const GradientCheckOptions &check) {
  auto computed = run<double>(model, "train", inputs, options);
  if (failed(computed))
    return failure();
  if (computed->returned.empty() || computed->returned.front().count() != 1)
    return model.emitError("@train returns no scalar to differentiate");
  Loss loss(model, inputs, options);
  auto here = loss.evaluate();
  if (failed(here))
    return failure();
  std::vector<GradientCheck> checks;
  for (auto &[name, gradient] : computed->gradients) {
    GradientCheck &each = checks.emplace_back();
    each.parameter = name;
    if (failed(checkParameter(loss, here->piece, std::abs(here->loss), gradient, check, each)))
      return failure();
  }
  return checks;
}

} // namespace mparc::interpreter
