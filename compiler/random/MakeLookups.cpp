// Rows of tables by their numbers, and the cross-entropy of classes.
#include "random/ForwardWriter.h"

namespace mparc::random {

/// The shape of what `ids` look up in a table; nothing where the batch would be in it twice.
static std::optional<Shape> shapeOfRows(const Shape &ids, const Shape &table) {
  Shape shape = ids;
  shape.insert(shape.end(), table.begin() + 1, table.end());
  int batches = 0;
  for (const Dimension &dimension : shape)
    batches += dimension.batch;
  if (batches > 1)
    return std::nullopt;
  return shape;
}

std::optional<Expression> ForwardWriter::makeLookup(const Variable &x, const Variable &y) {
  if (x.shape.empty() || x.shape.back().batch)
    return std::nullopt;
  const int64_t width = x.shape.back().size;
  const std::string largest = "argmax(" + x.name + ", dim: -1)";
  const Shape positions(x.shape.begin(), x.shape.end() - 1);
  switch (random_.below(4)) {
  case 0: { // a table of the model's own, by numbers that depend on the input
    const int64_t columns = random_.between(1, 5);
    const std::string name = fresh("table");
    Statement member(name + " = Embedding(" + std::to_string(width) + ", " +
                     std::to_string(columns) + ")");
    annotator_.annotate(member);
    members_.push_back(std::move(member));
    Shape shape = positions;
    shape.push_back({columns, false});
    return Expression{name + "(" + largest + ")", shape, 4, ""};
  }
  case 1: { // any value as a table, by the same
    if (y.shape.empty() || y.shape.front().batch || y.shape.front().size < width)
      return std::nullopt;
    const std::optional<Shape> shape = shapeOfRows(positions, y.shape);
    if (!shape)
      return std::nullopt;
    return Expression{"embedding(" + y.name + ", " + largest + ")", *shape, y.bound, ""};
  }
  case 2: { // by numbers that do not depend on the input, some of them twice
    if (y.shape.empty() || y.shape.front().batch)
      return std::nullopt;
    const int64_t count = random_.between(1, 5);
    const std::optional<Shape> shape = shapeOfRows({{count, false}}, y.shape);
    return Expression{"embedding(" + y.name + ", iota(" + std::to_string(count) + ") % " +
                          std::to_string(y.shape.front().size) + ")",
                      *shape, y.bound, ""};
  }
  default:
    return Expression{"softmax_cross_entropy(" + x.name + ", " + largest + ")", positions,
                      2 * x.bound + 2, ""};
  }
}

} // namespace mparc::random
