// Prints generated programs.
#include "random/Source.h"

namespace mparc::random {

static void replaceAll(std::string &text, const std::string &from, const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// What stands before a statement.
static std::string annotations(const Statement &statement, Form form) {
  std::string out;
  if (!statement.device.empty())
    out += "@device(" + (form.oneDevice ? "0" : statement.device) + ") ";
  if (!statement.device.empty() && !statement.split.empty() && !form.oneDevice)
    out += "@split(" + statement.split + ") ";
  if (!statement.precision.empty() && !form.exact)
    out += "@precision(" + statement.precision + ") ";
  if (statement.recompute && !form.keepsAll)
    out += "@recompute ";
  return out;
}

static void print(const Statement &statement, Form form, size_t depth, std::string &out) {
  const std::string indentation(2 * depth, ' '), before = annotations(statement, form);
  // A group that nothing is said of is no group.
  if (statement.isBlock && statement.text.empty() && before.empty()) {
    for (const Statement &each : statement.body)
      print(each, form, depth, out);
    return;
  }
  out += indentation + before;
  std::string text = statement.text;
  if (form.exact) {
    replaceAll(text, ", bf16)", ", f32)");
    replaceAll(text, ", f16)", ", f32)");
    replaceAll(text, "detach(", "(");
  }
  out += text;
  if (!statement.isBlock) {
    out += ";\n";
    return;
  }
  out += statement.text.empty() ? "{\n" : " {\n";
  for (const Statement &each : statement.body)
    print(each, form, depth + 1, out);
  if (!statement.other.empty()) {
    out += indentation + "} else {\n";
    for (const Statement &each : statement.other)
      print(each, form, depth + 1, out);
  }
  out += indentation + "}\n";
}

std::string print(const std::vector<Statement> &file, Form form) {
  std::string out;
  for (const Statement &statement : file)
    print(statement, form, 0, out);
  return out;
}

} // namespace mparc::random
