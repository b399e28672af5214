// A generated program as a tree of statements, each of which may be annotated with a device.
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
  std::string simpler;          // a statement that may stand for it when a failure is reduced
  bool isBlock = false;

  Statement() = default;
  explicit Statement(std::string line) : text(std::move(line)) {}
};

/// A line that opens a block.
inline Statement makeBlock(std::string text) {
  Statement block(std::move(text));
  block.isBlock = true;
  return block;
}

/// How annotations are written: as generated, or all with device 0.
enum class Placement { asGenerated, oneDevice };

/// The whole text, two spaces an indentation.
std::string print(const std::vector<Statement> &file, Placement placement);

} // namespace mparc::random
