//===- WindowArguments.cpp - What functions of windows are given ------------------===//

#include "frontend/WindowArguments.h"

using namespace mlir;

namespace mparc {

unsigned spatialCount(const FunctionCall &call) { return call.function.name.end()[-2] - '0'; }

std::optional<Sizes> readSizes(FunctionCall &call, unsigned index, int64_t least,
                               ArrayRef<int64_t> otherwise) {
  if (!call.isGiven(index))
    return Sizes(otherwise);
  unsigned count = spatialCount(call);
  SourceRange where = call.where(index);
  Value value = call.values[index];
  if (const ast::Expr *expr = call.actuals[index].expr; expr && llvm::isa<ast::ListExpr>(*expr))
    value = call.evaluator.evaluateConstant(*expr);
  if (std::holds_alternative<None>(value))
    return Sizes(otherwise);
  std::vector<Value> single{value};
  const std::vector<Value> *elements = asList(value);
  if (elements && elements->size() != count && elements->size() != 1) {
    call.session.error(where, call.what(index) + " is one int or a list of " + llvm::Twine(count) +
                                  ", got " + llvm::Twine(elements->size()));
    return std::nullopt;
  }
  Sizes sizes;
  for (const Value &element : elements ? *elements : single) {
    std::optional<int64_t> size = call.evaluator.toInteger(element, where, call.what(index));
    if (!size)
      return std::nullopt;
    if (*size < least || *size > kLargestSize) {
      call.session.error(where, call.what(index) + " must be " +
                                    (*size < least ? "at least " + llvm::Twine(least)
                                                   : "at most " + llvm::Twine(kLargestSize)) +
                                    ", got " + llvm::Twine(*size));
      return std::nullopt;
    }
    sizes.push_back(*size);
  }
  if (sizes.size() == 1)
    sizes.resize(count, sizes.front());
  return sizes;
}

bool checkRank(FunctionCall &call, const Tensor &x, unsigned before) {
  unsigned spatial = spatialCount(call);
  if (x.rank() < int64_t(spatial) + before) {
    call.error("`" + call.function.name + "` takes a tensor of at least " +
               llvm::Twine(spatial + before) + " dimensions, got " + describe(x));
    return false;
  }
  for (mp::DimensionAttr dimension : x.dimensions().take_back(spatial + before))
    if (dimension.hasBatch()) {
      call.error("`" + call.function.name + "` combines the rows of `" + dimension.str() +
                 "` with one another: " + describe(x));
      return false;
    }
  return true;
}

std::optional<Dimensions> positionsOf(FunctionCall &call, const Tensor &x, ArrayRef<int64_t> kernel,
                                      ArrayRef<int64_t> stride, ArrayRef<int64_t> padding,
                                      ArrayRef<int64_t> dilation, bool isCeil) {
  size_t spatial = kernel.size();
  Dimensions dimensions(x.dimensions().drop_back(spatial));
  for (size_t index = 0; index < spatial; ++index) {
    mp::DimensionAttr dimension = x.dimensions()[x.rank() - spatial + index];
    int64_t apart = dilation.empty() ? 1 : dilation[index], span = 0;
    bool isTooLarge = __builtin_mul_overflow(apart, kernel[index] - 1, &span) ||
                      __builtin_add_overflow(span, 1, &span);
    int64_t room = dimension.getSize() + 2 * padding[index];
    if (isTooLarge || span > room) {
      std::string text = "`" + call.function.name.str() + "` of " + describe(x) + ": a kernel of " +
                         std::to_string(kernel[index]);
      if (apart > 1)
        text += " whose elements are " + std::to_string(apart) + " apart";
      text += " does not fit into " + std::to_string(dimension.getSize());
      if (padding[index] > 0)
        text += " with " + std::to_string(padding[index]) + " of padding on both sides";
      Report &report = call.error(text);
      if (x.origin)
        report.note(x.origin->where, x.origin->what + " gives " + describe(x));
      return std::nullopt;
    }
    int64_t positions = (room - span) / stride[index] + 1;
    // One more, of which only a part lies within: unless it would begin beyond x.
    if (isCeil && (room - span) % stride[index] != 0 &&
        positions * stride[index] < dimension.getSize() + padding[index])
      ++positions;
    dimensions.push_back(positions == dimension.getSize()
                             ? dimension
                             : mp::getDimension(&call.session.context, "", positions));
  }
  return dimensions;
}

} // namespace mparc
