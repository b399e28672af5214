// The expressions that statements bind: functions of elements, reductions, and layers.
#include "random/ForwardWriter.h"

#include <algorithm>
#include <cmath>

namespace mparc::random {

/// One function of one argument, which `argument` stands for; updates the bound.
std::string ForwardWriter::unaryText(const Variable &x, const std::string &argument,
                                     double &bound) {
  const std::string call = "(" + argument + ")";
  const double b = x.bound;
  switch (random_.below(24)) {
  case 0:
    bound = b;
    return "relu" + call;
  case 1:
    bound = b;
    return "leaky_relu(" + argument + ", slope: 0.25)";
  case 2:
    bound = b;
    return "leaky_relu" + call;
  case 3:
    bound = b;
    return "gelu" + call;
  case 4:
    bound = b;
    return "gelu(" + argument + ", approximate: \"tanh\")";
  case 5:
    bound = b;
    return "silu" + call;
  case 6:
    bound = 1;
    return "sigmoid" + call;
  case 7:
    bound = 1;
    return "tanh" + call;
  case 8:
    bound = b <= 2 ? std::exp(b) : 1;
    return b <= 2 ? "exp" + call : "exp(-abs" + call + ")";
  case 9:
    bound = std::max(1.0, std::log(b + 0.5));
    return "log(abs" + call + " + 0.5)";
  case 10:
    bound = std::sqrt(b + 0.25);
    return "sqrt(abs" + call + " + 0.25)";
  case 11:
    bound = 2;
    return "rsqrt(" + argument + " * " + argument + " + 0.25)";
  case 12:
    bound = b;
    return "abs" + call;
  case 13:
    bound = 1;
    return "sin" + call;
  case 14:
    bound = 1;
    return "cos" + call;
  case 15:
    bound = b * b;
    return "pow(" + argument + ", 2)";
  case 16:
    bound = std::pow(b + 0.5, 1.5);
    return "pow(abs" + call + " + 0.5, 1.5)";
  case 17:
    bound = b * b * b;
    return "pow(" + argument + ", 3.0)";
  case 18:
    bound = 0.75;
    return "clamp(" + argument + ", -0.5, 0.75)";
  case 19:
    bound = b;
    return "-" + argument;
  case 20:
    bound = b + 1;
    return "1 - " + argument;
  case 21:
    bound = 0.5 * b;
    return "0.5 * " + argument;
  case 22:
    bound = 4;
    return "2 / (abs" + call + " + 0.5)";
  default:
    bound = 0.7;
    return argument + " % 0.7";
  }
}

std::optional<Expression> ForwardWriter::makeUnary(const Variable &x) {
  double bound = 1;
  std::string text = unaryText(x, x.name, bound);
  return Expression{text, x.shape, bound, x.name};
}

std::optional<Expression> ForwardWriter::makeBinary(const Variable &x, const Variable &y) {
  Shape shape;
  if (!broadcast(x.shape, y.shape, shape))
    return std::nullopt;
  const std::string &a = x.name, &b = y.name;
  const std::string simpler = x.shape == shape ? a : y.shape == shape ? b : "";
  switch (random_.below(8)) {
  case 0:
    return Expression{a + " + " + b, shape, x.bound + y.bound, simpler};
  case 1:
    return Expression{a + " - " + b, shape, x.bound + y.bound, simpler};
  case 2:
  case 3:
    return Expression{a + " * " + b, shape, x.bound * y.bound, simpler};
  case 4:
    return Expression{a + " / (abs(" + b + ") + 0.5)", shape, x.bound * 2, simpler};
  case 5:
    return Expression{"minimum(" + a + ", " + b + ")", shape, std::max(x.bound, y.bound), simpler};
  case 6:
    return Expression{"maximum(" + a + ", " + b + ")", shape, std::max(x.bound, y.bound), simpler};
  default:
    return Expression{"pow(abs(" + a + ") + 0.5, sin(" + b + "))", shape,
                      std::max(2.0, x.bound + 0.5), simpler};
  }
}

std::optional<Expression> ForwardWriter::makeChoice(const Variable &x, const Variable &y) {
  Shape shape;
  if (!broadcast(x.shape, y.shape, shape))
    return std::nullopt;
  static const std::vector<std::string> comparisons = {"<", "<=", ">", ">=", "==", "!="};
  const std::string condition = x.name + " " + random_.pick(comparisons) + " " + y.name;
  const std::string simpler = x.shape == shape ? x.name : y.shape == shape ? y.name : "";
  switch (random_.below(4)) {
  case 0:
    return Expression{"where(" + condition + ", " + x.name + ", " + y.name + ")", shape,
                      std::max(x.bound, y.bound), simpler};
  case 1:
    return Expression{"cast(" + condition + ", f32)", shape, 1, simpler};
  case 2:
    return Expression{"where(!(" + condition + ") || " + x.name + " < 0.25, " + y.name + ", 0.5)",
                      shape, std::max(0.5, y.bound), simpler};
  default:
    return Expression{"where(" + condition + " && " + y.name + " > -0.5, 2 * " + x.name + ", " +
                          y.name + " - " + x.name + ")",
                      shape, 2 * (x.bound + y.bound), simpler};
  }
}

std::optional<Expression> ForwardWriter::makeReduction(const Variable &x) {
  static const std::vector<std::string> kinds = {"sum", "mean", "var", "max", "min"};
  const std::string &kind = random_.pick(kinds);
  const auto rank = static_cast<int64_t>(x.shape.size());
  auto boundOf = [&](int64_t elements) {
    return kind == "sum"   ? x.bound * static_cast<double>(elements)
           : kind == "var" ? 4 * x.bound * x.bound
                           : x.bound;
  };
  // Not over the rows of the batch but all together: a variance of one element is not a number.
  if (rank == 0 || (random_.chance(0.15) && count(x.shape) > 1)) {
    const std::string whole = kind == "sum" ? "mean" : kind;
    if (rank == 0)
      return std::nullopt;
    return Expression{whole + "(" + x.name + ")", {}, std::max(x.bound, boundOf(1)), ""};
  }
  const int64_t along = random_.below(rank);
  const Dimension dimension = x.shape[along];
  if (dimension.batch || (kind == "var" && dimension.size < 2))
    return std::nullopt;
  const bool keep = random_.chance(0.6);
  Shape shape = x.shape;
  if (keep)
    shape[along] = {1, false};
  else
    shape.erase(shape.begin() + along);
  const std::string number = std::to_string(random_.chance(0.5) ? along : along - rank);
  return Expression{kind + "(" + x.name + ", dim: " + number + (keep ? ", keepdim: true)" : ")"),
                    shape, boundOf(dimension.size), ""};
}

std::optional<Expression> ForwardWriter::makeAlong(const Variable &x) {
  if (x.shape.empty())
    return std::nullopt;
  const auto rank = static_cast<int64_t>(x.shape.size());
  const int64_t along = random_.below(rank);
  const Dimension last = x.shape.back();
  switch (random_.below(5)) {
  case 0:
    if (x.shape[along].batch)
      return std::nullopt;
    return Expression{"softmax(" + x.name + ", dim: " + std::to_string(along) + ")", x.shape, 1,
                      x.name};
  case 1:
    if (x.shape[along].batch)
      return std::nullopt;
    return Expression{"log_softmax(" + x.name + ", dim: " + std::to_string(along - rank) + ")",
                      x.shape, 2 * x.bound + 4, x.name};
  case 2:
    if (last.batch || last.size < 2)
      return std::nullopt;
    return Expression{"layer_norm(" + x.name + ", eps: 0.125)", x.shape,
                      std::min(3 * x.bound, std::sqrt(static_cast<double>(last.size))) + 1, x.name};
  case 3:
    if (last.batch)
      return std::nullopt;
    return Expression{"rms_norm(" + x.name + " + 0.5, eps: 0.0625)", x.shape,
                      std::sqrt(static_cast<double>(last.size)) + 1, x.name};
  default:
    return Expression{"dropout(" + x.name + ", 0.25)", x.shape, x.bound * 4 / 3, x.name};
  }
}

const ForwardWriter::Member *ForwardWriter::findMember(const Variable &x) {
  std::vector<const Member *> fitting;
  for (const Member &member : instances_)
    if (member.in == x.shape.back().size)
      fitting.push_back(&member);
  return fitting.empty() ? nullptr : random_.pick(fitting);
}

std::optional<Expression> ForwardWriter::makeLayer(const Variable &x) {
  if (x.shape.size() < 2 || x.shape.back().batch)
    return std::nullopt;
  const int64_t width = x.shape.back().size;
  if (random_.chance(0.35)) {
    static const std::vector<std::string> kinds = {
        "ReLU()",       "LeakyReLU(0.125)", "GELU()",         "GELU(approximate: \"tanh\")",
        "SiLU()",       "Sigmoid()",        "Tanh()",         "Softmax(dim: -1)",
        "LogSoftmax()", "Dropout(0.25)",    "Dropout(p: 0.5)"};
    const bool normalizes = width > 1 && random_.chance(0.3);
    const std::string name = fresh("module");
    Statement member(name + " = " +
                     (normalizes ? "LayerNorm(" + std::to_string(width) + ", eps: 0.125)"
                                 : random_.pick(kinds)));
    annotator_.annotate(member);
    members_.push_back(std::move(member));
    return Expression{name + "(" + x.name + ")", x.shape, 2 * x.bound + 4, x.name};
  }
  // A layer used twice is one parameter with two gradients.
  const Member *known = random_.chance(0.4) ? findMember(x) : nullptr;
  const Member &member =
      known ? *known : addMember(width, random_.between(1, 6), hasBatch(x.shape));
  Shape shape = x.shape;
  shape.back().size = member.out;
  return Expression{member.name + "(" + x.name + ")", shape, member.bound * x.bound, ""};
}

std::optional<Expression> ForwardWriter::makePipeline(const Variable &x) {
  static const std::vector<std::string> steps = {"relu", "tanh", "sigmoid",
                                                 "sin",  "silu", "leaky_relu(slope: 0.25)",
                                                 "gelu", "cos",  "clamp(-0.75, 0.5)"};
  if (x.shape.size() < 2 || x.shape.back().batch)
    return std::nullopt;
  std::string text = x.name;
  Shape shape = x.shape;
  for (int64_t each = random_.between(2, 4); each > 0; --each) {
    text += " |> ";
    if (random_.chance(0.3)) {
      const Member &member = addMember(shape.back().size, random_.between(1, 5), hasBatch(shape));
      text += member.name + " |> tanh";
      shape.back().size = member.out;
    } else {
      text += random_.pick(steps);
    }
  }
  return Expression{text + " |> tanh", shape, 1, shape == x.shape ? x.name : ""};
}

std::optional<Expression> ForwardWriter::makeInteger(const Variable &x) {
  if (x.shape.empty() || x.shape.back().batch)
    return std::nullopt;
  const int64_t width = x.shape.back().size;
  Shape without(x.shape.begin(), x.shape.end() - 1);
  switch (random_.below(4)) {
  case 0:
    return Expression{"cast(argmax(" + x.name + ", dim: -1), f32) * 0.25", without,
                      0.25 * static_cast<double>(width), ""};
  case 1:
    return Expression{x.name + " + cast(iota(" + std::to_string(width) + "), f32) * 0.125", x.shape,
                      x.bound + 0.125 * static_cast<double>(width), x.name};
  case 2:
    return Expression{"where(iota(" + std::to_string(width) + ") % 2 == 0, " + x.name + ", -" +
                          x.name + ")",
                      x.shape, x.bound, x.name};
  default:
    return Expression{"where(iota(" + std::to_string(width) + ") <= 1, " + x.name + ", 0.0)",
                      x.shape, x.bound, x.name};
  }
}

} // namespace mparc::random
