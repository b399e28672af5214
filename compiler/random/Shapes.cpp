// Broadcasting and printing of shapes.
#include "random/Shapes.h"

namespace mparc::random {

bool broadcast(const Shape &a, const Shape &b, Shape &result) {
  const Shape &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
  result = longer;
  const size_t offset = longer.size() - shorter.size();
  for (size_t index = 0; index < shorter.size(); ++index) {
    Dimension &into = result[offset + index];
    if (into == shorter[index] || shorter[index].isOne())
      continue;
    if (!into.isOne())
      return false;
    into = shorter[index];
  }
  // Two dimensions with the batch would combine rows of it with one another.
  int batches = 0;
  for (const Dimension &dimension : result)
    batches += dimension.batch;
  return batches <= 1;
}

bool hasBatch(const Shape &shape) {
  for (const Dimension &dimension : shape)
    if (dimension.batch)
      return true;
  return false;
}

int64_t count(const Shape &shape) {
  int64_t elements = 1;
  for (const Dimension &dimension : shape)
    elements *= dimension.size;
  return elements;
}

std::string list(const Shape &shape) {
  std::string text;
  for (const Dimension &dimension : shape) {
    text += text.empty() ? "" : ", ";
    if (!dimension.batch)
      text += std::to_string(dimension.size);
    else
      text += dimension.size == 1 ? "batch" : "batch * " + std::to_string(dimension.size);
  }
  return "[" + text + "]";
}

} // namespace mparc::random
