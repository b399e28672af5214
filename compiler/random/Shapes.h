// Shapes of the values in a generated program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mparc::random {

/// One dimension: a constant, or a constant times the batch.
struct Dimension {
  int64_t size = 1;
  bool batch = false;
  bool operator==(const Dimension &other) const {
    return size == other.size && batch == other.batch;
  }
  bool isOne() const { return size == 1 && !batch; }
};

using Shape = std::vector<Dimension>;

/// A name that is bound in `forward`.
struct Variable {
  std::string name;
  Shape shape;
  double bound = 1; // its elements are no larger, with the inputs that mp-run draws
  int uses = 0;
};

/// The shape of `a` and `b` broadcast together; nothing (rank -1 is `false`) where they do not.
bool broadcast(const Shape &a, const Shape &b, Shape &result);
bool hasBatch(const Shape &shape);
/// Elements, or elements a row.
int64_t count(const Shape &shape);
/// As a shape list in the language, `[batch, 3, 2 * batch]`.
std::string list(const Shape &shape);

} // namespace mparc::random
