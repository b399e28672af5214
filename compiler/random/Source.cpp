// Prints generated programs.
#include "random/Source.h"

namespace mparc::random {

static void print(const Statement &statement, Placement placement, size_t depth, std::string &out) {
  const std::string indentation(2 * depth, ' ');
  out += indentation;
  if (!statement.device.empty())
    out += "@device(" + (placement == Placement::oneDevice ? "0" : statement.device) + ") ";
  out += statement.text;
  if (!statement.isBlock) {
    out += ";\n";
    return;
  }
  out += statement.text.empty() ? "{\n" : " {\n";
  for (const Statement &each : statement.body)
    print(each, placement, depth + 1, out);
  if (!statement.other.empty()) {
    out += indentation + "} else {\n";
    for (const Statement &each : statement.other)
      print(each, placement, depth + 1, out);
  }
  out += indentation + "}\n";
}

std::string print(const std::vector<Statement> &file, Placement placement) {
  std::string out;
  for (const Statement &statement : file)
    print(statement, placement, 0, out);
  return out;
}

} // namespace mparc::random
