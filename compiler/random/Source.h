// A generated program as a tree of statements, each of which may be annotated.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace mparc::random {

/// A statement or declaration: a line, or a line that opens a block of others.
struct Statement {
  std::string text;             // "h3 = relu(h2)", "for i in 0..2"; empty: a group or the file
  std::vector<Statement> body;  // what it holds in braces
  std::vector<Statement> other; // of an if: what follows `else`
  std::string device;           // what stands in `@device(…)`; empty: no annotation
  std::string split;            // what stands in `@split(…)`, of a group of devices
  std::string precision;        // what stands in `@precision(…)`, the same
  bool recompute = false;       // whether `@recompute` stands before it
  std::string simpler;          // a statement that may stand for it when a failure is reduced
  bool isBlock = false;

  Statement() = default;
  explicit Statement(std::string line) : text(std::move(line)) {}

  bool isAnnotated() const { return !device.empty() || !precision.empty() || recompute; }
};

/// A line that opens a block.
inline Statement makeBlock(std::string text) {
  Statement block(std::move(text));
  block.isBlock = true;
  return block;
}

/// How a program is written; as generated where nothing is set.
struct Form {
  bool oneDevice = false; // device 0 everywhere
  bool keepsAll = false;  // without `@recompute`
  bool exact = false; // all in f32, and a gradient through everything: what finite differences see
};

/// The whole text, two spaces an indentation.
std::string print(const std::vector<Statement> &file, Form form);

} // namespace mparc::random
