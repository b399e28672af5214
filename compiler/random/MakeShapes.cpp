// The expressions that statements bind: shapes, and products, whose shapes must fit.
#include "random/ForwardWriter.h"

#include <algorithm>

namespace mparc::random {

std::optional<Expression> ForwardWriter::makeShape(const Variable &x) {
  const auto rank = static_cast<int64_t>(x.shape.size());
  if (rank == 0)
    return std::nullopt;
  Shape shape = x.shape;
  switch (random_.below(5)) {
  case 0: {
    if (rank < 2)
      return std::nullopt;
    std::swap(shape[rank - 1], shape[rank - 2]);
    return Expression{"transpose(" + x.name + ")", shape, x.bound, ""};
  }
  case 1: {
    const int64_t i = random_.below(rank), j = random_.below(rank);
    if (i == j)
      return std::nullopt;
    std::swap(shape[i], shape[j]);
    return Expression{"transpose(" + x.name + ", " + std::to_string(i) + ", " +
                          std::to_string(j - rank) + ")",
                      shape, x.bound, ""};
  }
  case 2: {
    if (rank < 2)
      return std::nullopt;
    std::vector<int64_t> order;
    for (int64_t index = 0; index < rank; ++index)
      order.insert(order.begin() + random_.below(index + 1), index);
    std::string text;
    for (int64_t index = 0; index < rank; ++index) {
      shape[index] = x.shape[order[index]];
      text += (index ? ", " : "") + std::to_string(order[index]);
    }
    return Expression{"permute(" + x.name + ", [" + text + "])", shape, x.bound, ""};
  }
  case 3: {
    const int64_t along = random_.below(rank), size = shape[along].size;
    if (shape[along].batch || size < 2)
      return std::nullopt;
    const int64_t from = random_.below(size), to = random_.between(from + 1, size);
    shape[along].size = to - from;
    return Expression{"slice(" + x.name + ", " + std::to_string(along) + ", " +
                          std::to_string(from) + ", " + std::to_string(to) + ")",
                      shape, x.bound, ""};
  }
  default: {
    // In front of a new dimension, and along those of size 1.
    for (Dimension &dimension : shape)
      if (dimension.isOne())
        dimension.size = random_.between(1, 3);
    if (rank < 4 && !shape[0].batch)
      shape.insert(shape.begin(), hasBatch(shape) || random_.chance(0.5) ? Dimension{2, false}
                                                                         : Dimension{1, true});
    if (shape == x.shape)
      return std::nullopt;
    return Expression{"broadcast(" + x.name + ", " + list(shape) + ")", shape, x.bound, ""};
  }
  }
}

std::optional<Expression> ForwardWriter::makeReshape(const Variable &x) {
  // Splits one dimension, or merges two.
  const auto rank = static_cast<int64_t>(x.shape.size());
  if (rank == 0)
    return std::nullopt;
  Shape shape = x.shape;
  const int64_t at = random_.below(rank);
  if (random_.chance(0.5) && at + 1 < rank) {
    if (shape[at + 1].batch)
      return std::nullopt; // rows of the batch would no longer lie together
    shape[at].size *= shape[at + 1].size;
    shape.erase(shape.begin() + at + 1);
  } else {
    if (rank == 4 || shape[at].size == 1)
      return std::nullopt;
    int64_t factor = shape[at].size;
    for (int64_t each = 2; each < shape[at].size; ++each)
      if (shape[at].size % each == 0 && random_.chance(0.6)) {
        factor = each;
        break;
      }
    shape[at].size /= factor;
    shape.insert(shape.begin() + at + 1, Dimension{factor, false});
  }
  std::string text = list(shape);
  // One of the sizes may be left to the compiler.
  if (random_.chance(0.4)) {
    Shape rest = shape;
    const int64_t inferred = random_.below(static_cast<int64_t>(rest.size()));
    rest.erase(rest.begin() + inferred);
    if (hasBatch(rest) == hasBatch(shape) || rest.empty()) {
      Shape before(shape.begin(), shape.begin() + inferred),
          after(shape.begin() + inferred + 1, shape.end());
      std::string head = list(before), tail = list(after);
      text = head.substr(0, head.size() - 1) + (before.empty() ? "-1" : ", -1") +
             (after.empty() ? "]" : ", " + tail.substr(1));
    }
  }
  return Expression{"reshape(" + x.name + ", " + text + ")", shape, x.bound, ""};
}

std::optional<Expression> ForwardWriter::makeConcat(const Variable &x, const Variable &y) {
  const auto rank = static_cast<int64_t>(x.shape.size());
  if (rank == 0 || y.shape.size() != x.shape.size())
    return std::nullopt;
  int64_t along = -1;
  for (int64_t index = 0; index < rank; ++index)
    if (!(x.shape[index] == y.shape[index])) {
      if (along >= 0)
        return std::nullopt;
      along = index;
    }
  if (along < 0)
    along = random_.below(rank);
  Shape shape = x.shape;
  if (shape[along].batch || y.shape[along].batch)
    return std::nullopt;
  shape[along].size += y.shape[along].size;
  std::string third;
  if (random_.chance(0.3)) {
    third = ", " + x.name;
    shape[along].size += x.shape[along].size;
  }
  return Expression{"concat([" + x.name + ", " + y.name + third + "], dim: " +
                        std::to_string(random_.chance(0.5) ? along : along - rank) + ")",
                    shape, std::max(x.bound, y.bound), ""};
}

std::optional<Expression> ForwardWriter::makeProduct(const Variable &x, const Variable &y) {
  const auto rankX = static_cast<int64_t>(x.shape.size()),
             rankY = static_cast<int64_t>(y.shape.size());
  if (rankX < 2 || rankY < 2)
    return std::nullopt;
  Shape a = x.shape, b = y.shape;
  std::string left = x.name, right = y.name;
  // What fits is transposed to fit.
  if (!(a[rankX - 1] == b[rankY - 2])) {
    if (a[rankX - 1] == b[rankY - 1]) {
      right = "transpose(" + right + ")";
      std::swap(b[rankY - 1], b[rankY - 2]);
    } else if (a[rankX - 2] == b[rankY - 2]) {
      left = "transpose(" + left + ")";
      std::swap(a[rankX - 1], a[rankX - 2]);
    } else {
      return std::nullopt;
    }
  }
  // A sum over the rows of the batch is left to the loss.
  const Dimension inner = a[rankX - 1];
  if (inner.batch)
    return std::nullopt;
  const Dimension row = a[rankX - 2], column = b[rankY - 1];
  Shape shape;
  if (!broadcast(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2), shape))
    return std::nullopt;
  shape.push_back(row);
  shape.push_back(column);
  int batches = 0;
  for (const Dimension &dimension : shape)
    batches += dimension.batch;
  if (batches > 1)
    return std::nullopt;
  return Expression{"matmul(" + left + ", " + right + ")", shape,
                    x.bound * y.bound * static_cast<double>(inner.size), ""};
}

/// Of a value with itself or, where its shape allows, with keys and values from another; with fewer
/// heads of keys than of queries now and then.
std::optional<Expression> ForwardWriter::makeAttention(const Variable &x, const Variable &y,
                                                       const std::string &type) {
  const auto rank = static_cast<int64_t>(x.shape.size());
  if (rank < 2 || x.shape[rank - 1].batch || x.shape[rank - 2].batch)
    return std::nullopt;
  Shape other = y.shape, shape = x.shape;
  bool fits =
      other.size() == shape.size() && other.back() == shape.back() && !other[rank - 2].batch;
  for (int64_t index = 0; fits && index < rank - 2; ++index)
    fits = other[index] == shape[index];
  if (!fits)
    other = shape;
  std::string key = fits ? y.name : x.name, value = key;
  double bound = fits ? y.bound : x.bound;
  // A tail that leaves fewer heads, of all or of none of keys and values.
  std::string fewer;
  if (rank > 2 && !shape[rank - 3].batch && shape[rank - 3].size > 1 && random_.chance(0.5)) {
    int64_t heads = 1;
    for (int64_t each = 2; each < shape[rank - 3].size; ++each)
      if (shape[rank - 3].size % each == 0 && random_.chance(0.5))
        heads = each;
    fewer = " |> slice(-3, 0, " + std::to_string(heads) + ")";
  }
  // Values of another length than the keys.
  if (random_.chance(0.3)) {
    value = "concat([" + value + ", sin(" + value + ")], dim: -1)";
    shape[rank - 1].size *= 2;
    bound = std::max(bound, 1.0);
  } else if (random_.chance(0.5)) {
    value = "sin(" + value + ")";
    bound = 1;
  }
  const char *causal[] = {"", ", true", ", causal: false", ", causal: true"};
  auto operand = [&](const std::string &text) {
    return type.empty() ? text : "cast(" + text + ", " + type + ")";
  };
  return Expression{"attention(" + operand(x.name) + ", " + operand(key + fewer) + ", " +
                        operand(value + fewer) + causal[random_.below(4)] + ")",
                    shape, bound, shape == x.shape ? x.name : ""};
}

} // namespace mparc::random
