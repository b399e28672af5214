// Convolutions and pooling over the last dimensions of a value.
#include "random/ForwardWriter.h"

#include <algorithm>

namespace mparc::random {

static std::string numbers(const std::vector<int64_t> &sizes) {
  std::string text;
  for (int64_t size : sizes)
    text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

/// The last dimensions that do not contain the batch.
static int64_t countFixed(const Shape &shape) {
  int64_t count = 0;
  while (count < static_cast<int64_t>(shape.size()) && !shape[shape.size() - 1 - count].batch)
    ++count;
  return count;
}

/// A layer over the channels and the dimensions after them: of one size in all of these.
std::optional<Expression> ForwardWriter::makeConvolution(const Variable &x) {
  const int64_t spatial = std::min<int64_t>(2, random_.between(1, countFixed(x.shape) - 1));
  const size_t first = x.shape.size() - spatial;
  const int64_t channels = x.shape[first - 1].size;
  int64_t least = x.shape[first].size;
  for (size_t i = first; i < x.shape.size(); ++i)
    least = std::min(least, x.shape[i].size);
  const int64_t padding = random_.below(2), dilation = random_.chance(0.2) ? 2 : 1;
  const int64_t room = least + 2 * padding;
  const int64_t kernel = random_.between(1, std::min<int64_t>(3, (room - 1) / dilation + 1));
  const int64_t stride = random_.chance(0.3) ? 2 : 1;
  const int64_t groups = random_.chance(0.3) ? channels : 1;
  const int64_t out = groups * random_.between(1, groups > 1 ? 2 : 3);
  std::string text = "Conv" + std::to_string(spatial) + "d(" + std::to_string(channels) + ", " +
                     std::to_string(out) + ", " + std::to_string(kernel);
  const auto option = [&](const char *name, int64_t size, int64_t otherwise) {
    if (size != otherwise)
      text += std::string(", ") + name + ": " + std::to_string(size);
  };
  option("stride", stride, 1);
  option("padding", padding, 0);
  option("dilation", dilation, 1);
  option("groups", groups, 1);
  if (random_.chance(0.3))
    text += ", bias: false";
  if (padding > 0 && random_.chance(0.3)) {
    const char *modes[] = {"circular", "replicate", "reflect"}; // a single element has no mirror
    text += std::string(", padding_mode: \"") + modes[random_.below(least > 1 ? 3 : 2)] + '"';
  }
  const std::string name = fresh("conv");
  Statement member(name + " = " + text + ")");
  annotator_.annotate(member);
  members_.push_back(std::move(member));
  Shape shape = x.shape;
  shape[first - 1].size = out;
  int64_t terms = channels / groups;
  for (size_t i = first; i < shape.size(); ++i) {
    terms *= kernel;
    shape[i].size = (shape[i].size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  }
  return Expression{name + "(" + x.name + ")", shape, static_cast<double>(terms) * x.bound + 1, ""};
}

std::optional<Expression> ForwardWriter::makeWindow(const Variable &x) {
  const int64_t fixed = countFixed(x.shape);
  if (fixed >= 2 && random_.chance(0.6))
    return makeConvolution(x);
  if (fixed < 1)
    return std::nullopt;
  const int64_t spatial = random_.between(1, std::min<int64_t>(3, fixed));
  std::vector<int64_t> kernel, stride, padding, dilation;
  Shape shape = x.shape;
  const bool isMean = random_.chance(0.5);
  for (size_t i = shape.size() - spatial; i < shape.size(); ++i) {
    kernel.push_back(random_.between(1, std::min<int64_t>(3, shape[i].size)));
    stride.push_back(random_.between(1, 2));
    padding.push_back(random_.chance(0.3) ? kernel.back() / 2 : 0);
    const int64_t room = shape[i].size + 2 * padding.back() - kernel.back();
    // A kernel of one element may have any.
    const bool fits = !isMean && room >= kernel.back() - 1;
    dilation.push_back(fits && random_.chance(0.15) ? 2 : 1);
    shape[i].size = (room - (dilation.back() - 1) * (kernel.back() - 1)) / stride.back() + 1;
  }
  std::string text = std::string(isMean ? "avg" : "max") + "_pool" + std::to_string(spatial) +
                     "d(" + x.name + ", " + numbers(kernel) + ", " + numbers(stride) + ", " +
                     numbers(padding);
  if (std::count(dilation.begin(), dilation.end(), 1) < spatial)
    text += ", " + numbers(dilation);
  if (isMean && random_.chance(0.5))
    text += ", count_include_pad: false";
  double bound = x.bound;
  if (isMean && random_.chance(0.1)) {
    text += ", divisor_override: " + std::to_string(random_.between(1, 5));
    for (int64_t size : kernel)
      bound *= static_cast<double>(size);
  }
  return Expression{text + ")", shape, bound, shape == x.shape ? x.name : ""};
}

} // namespace mparc::random
