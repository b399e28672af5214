// Layers of the standard library that are more than one operation, numbers of two bytes, and
// functions in C++.
#include "random/ForwardWriter.h"

#include <cmath>

namespace mparc::random {

/// The largest of 2 and 1 that divides `width`.
static int64_t headsOf(int64_t width) { return width % 2 == 0 ? 2 : 1; }

/// A layer for sequences `[…, time, width]`; empty where it does not take such a width.
static std::string writeSequenceLayer(Random &random, int64_t width) {
  const int64_t heads = random.chance(0.7) ? headsOf(width) : 1;
  const std::string sizes = std::to_string(width) + ", " + std::to_string(heads);
  const std::string shared = random.chance(0.3) ? ", kv_heads: 1" : "";
  const std::string hidden = ", hidden: " + std::to_string(random.between(1, 4));
  switch (random.below(4)) {
  case 0:
    return "MultiHeadAttention(" + sizes + shared +
           (random.chance(0.5) ? ", causal: true)" : ", bias: false)");
  case 1:
    return width < 2 ? ""
                     : "TransformerBlock(" + sizes + shared + hidden +
                           (random.chance(0.5) ? ", dropout: 0.25)"
                                               : ", causal: false, approximate: \"tanh\")");
  case 2:
    return width / heads % 2 != 0
               ? ""
               : "LlamaBlock(" + sizes + shared + hidden + ", eps: 0.0625, base: 16.0)";
  default:
    return width % 2 != 0 ? "" : "Rotary(" + std::to_string(width) + ", base: 8.0)";
  }
}

std::optional<Expression> ForwardWriter::makeStandard(const Variable &x) {
  std::optional<Expression> made;
  for (int attempt = 0; attempt < 4 && !made; ++attempt)
    made = tryStandard(x);
  return made;
}

std::optional<Expression> ForwardWriter::tryStandard(const Variable &x) {
  const auto rank = static_cast<int64_t>(x.shape.size());
  if (rank < 2 || x.shape.back().batch)
    return std::nullopt;
  const int64_t width = x.shape.back().size;
  const std::string size = std::to_string(width);
  Shape shape = x.shape;
  auto call = [&](const std::string &layer, double bound) {
    Statement member(fresh("part") + " = " + layer);
    const std::string name = "part" + std::to_string(names_);
    annotator_.annotate(member);
    members_.push_back(std::move(member));
    return Expression{name + "(" + x.name + ")", shape, bound, shape == x.shape ? x.name : ""};
  };
  const bool isSequence = !x.shape[rank - 2].batch;
  switch (random_.below(10)) {
  case 0:
    if (width % 2 != 0)
      return std::nullopt;
    shape.back().size /= 2;
    return call(random_.chance(0.5) ? "GLU()" : "GLU(dim: -1)", x.bound);
  case 1:
    return call("RMSNorm(" + size + ", eps: 0.0625)", std::sqrt(static_cast<double>(width)) + 1);
  case 2: // of one value there is no variance
    if (rank != 3 || !x.shape[0].batch || x.shape[0].size != 1 || x.shape[1].batch || width < 2)
      return std::nullopt;
    return call("BatchNorm1d(" + std::to_string(x.shape[1].size) + ", eps: 0.125)",
                3 * x.bound + 1);
  case 3: {
    if (rank < 3 || !x.shape[0].batch)
      return std::nullopt;
    const bool isLayer = random_.chance(0.5);
    shape = {x.shape[0], {count(x.shape) / x.shape[0].size, false}};
    if (isLayer)
      return call("Flatten()", x.bound);
    return Expression{"flatten(" + x.name + ", start_dim: 1)", shape, x.bound, ""};
  }
  case 4:
    return call("SwiGLU(" + size + ", " + std::to_string(random_.between(1, 4)) + ")",
                x.bound * x.bound + 1);
  case 5: { // over two dimensions at once
    if (!isSequence)
      return std::nullopt;
    const bool keeps = random_.chance(0.5);
    shape.resize(rank - 2);
    if (keeps)
      shape.insert(shape.end(), 2, {1, false});
    static const std::vector<std::string> kinds = {"sum", "mean", "max"};
    const std::string &kind = random_.pick(kinds);
    return Expression{kind + "(" + x.name + ", dim: [-1, " + std::to_string(rank - 2) + "]" +
                          (keeps ? ", keepdim: true)" : ")"),
                      shape, x.bound * static_cast<double>(width * x.shape[rank - 2].size), ""};
  }
  case 6:
    shape.back().size = 1;
    return Expression{"var(" + x.name + ", dim: -1, keepdim: true, unbiased: false)", shape,
                      4 * x.bound * x.bound, ""};
  default: {
    const std::string layer = isSequence ? writeSequenceLayer(random_, width) : "";
    if (layer.empty())
      return std::nullopt;
    return call(layer, (x.bound + 1) * static_cast<double>(width + 1));
  }
  }
}

std::optional<Expression> ForwardWriter::makeRounded(const Variable &x, const Variable &y) {
  const std::string type = random_.chance(0.5) ? "bf16" : "f16";
  auto rounded = [&](const std::string &name) { return "cast(" + name + ", " + type + ")"; };
  switch (random_.below(5)) {
  case 0:
    return Expression{"cast(" + rounded(x.name) + ", f32)", x.shape, x.bound, x.name};
  case 1: { // a value that is kept, and perhaps moved, so
    Statement kept(fresh("r") + " = " + rounded(x.name));
    const std::string name = "r" + std::to_string(names_);
    annotator_.annotate(kept);
    statements_.push_back(std::move(kept));
    return Expression{"cast(" + name + ", f32) * 0.5 + cast(" + name + " > 0.25, f32)", x.shape,
                      x.bound + 1, x.name};
  }
  case 2: { // a product in that precision
    Variable left = x, right = y;
    left.name = rounded(x.name);
    right.name = rounded(y.name);
    return makeProduct(left, right);
  }
  case 3:
    return makeAttention(x, y, type);
  default:
    return Expression{"detach(" + x.name + ") * " + x.name, x.shape, x.bound * x.bound, x.name};
  }
}

std::vector<std::string> foreignDeclarations() {
  return {"extern \"random_ops.h\" op squash(x: f32[...]) -> f32[...] grad squash_grad",
          "extern \"random_ops.h\" op own::mix(a: f32[...], b: f32[...], share: f32[]) -> f32[...] "
          "grad own::mix_grad",
          "extern \"random_ops.h\" op own::cumulate(x: f32[..., n]) -> f32[..., n] grad "
          "own::cumulate_grad"};
}

std::string foreignHeader() {
  return "#pragma once\n#include \"mpar/extern.h\"\n"
         R"(
#include <array>
#include <cmath>

template <class T> T squash(T x) { return x / (T(1) + std::abs(x)); }
inline float squash_grad(float x) {
  const float s = 1 / (1 + std::abs(x));
  return s * s;
}

namespace own {

inline float mix(float a, float b, float share) { return a + (b - a) * share; }
inline std::array<float, 3> mix_grad(float a, float b, float share) {
  return {1 - share, share, b - a};
}

inline void cumulate(mpar::Device &, mpar::View<const float> x, mpar::View<float> y) {
  const int64_t n = x.extent(x.rank() - 1);
  for (int64_t i = 0; i < x.count(); ++i)
    y.data[i] = x.data[i] * 0.5f + (i % n == 0 ? 0 : y.data[i - 1]);
}
inline void cumulate_grad(mpar::Device &, mpar::View<const float> x, mpar::View<const float> g,
                          mpar::View<float> dx) {
  const int64_t n = x.extent(x.rank() - 1);
  float later = 0;
  for (int64_t i = x.count() - 1; i >= 0; --i) {
    later = g.data[i] + (i % n == n - 1 ? 0 : later);
    dx.data[i] = later * 0.5f;
  }
}

} // namespace own
)";
}

std::optional<Expression> ForwardWriter::makeForeign(const Variable &x, const Variable &y) {
  if (!foreign_ || x.shape.empty())
    return std::nullopt;
  switch (random_.below(3)) {
  case 0:
    return Expression{"squash(" + x.name + ")", x.shape, 1, x.name};
  case 1:
    if (x.shape != y.shape)
      return std::nullopt;
    return Expression{"mix(" + x.name + ", " + y.name + ", mean(" + y.name + "))", x.shape,
                      (x.bound + y.bound) * (y.bound + 1), x.name};
  default:
    if (x.shape.size() < 2 || x.shape.back().batch)
      return std::nullopt;
    return Expression{"cumulate(" + x.name + ")", x.shape,
                      x.bound * static_cast<double>(x.shape.back().size), x.name};
  }
}

} // namespace mparc::random
