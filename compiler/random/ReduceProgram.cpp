// Makes a failing program small: leaves out what does not matter to the failure.
#include "random/CheckProgram.h"

namespace mparc::random {

namespace {

/// Tries changes one by one, and keeps those after which the program still fails.
class Reduction {
public:
  Reduction(std::vector<Statement> file, const CheckOptions &options)
      : file_(std::move(file)), options_(options) {}

  std::vector<Statement> run() {
    for (bool changed = true; changed && tries_ > 0;)
      changed = visit(file_);
    return std::move(file_);
  }

private:
  /// Well-typed and still wrong. A reduced program that the front end refuses shows nothing.
  bool stillFails() {
    --tries_;
    return check(file_, options_).kind == Verdict::Kind::failed;
  }

  bool visit(std::vector<Statement> &statements) {
    bool changed = false;
    for (size_t index = statements.size(); index-- > 0 && tries_ > 0;) {
      const Statement before = statements[index];
      statements.erase(statements.begin() + index);
      if (stillFails()) {
        changed = true;
        continue;
      }
      statements.insert(statements.begin() + index, before);
      changed |= simplify(statements[index]);
      changed |= visit(statements[index].body);
      changed |= visit(statements[index].other);
    }
    return changed;
  }

  /// A simpler statement in its place; and no annotation.
  bool simplify(Statement &statement) {
    bool changed = false;
    const Statement before = statement;
    if (!statement.simpler.empty()) {
      statement.text = statement.simpler;
      statement.simpler.clear();
      changed = stillFails();
      if (!changed)
        statement = before;
    }
    if (!statement.device.empty() && !(statement.isBlock && statement.text.empty())) {
      const std::string device = statement.device;
      statement.device.clear();
      const bool kept = stillFails();
      if (!kept)
        statement.device = device;
      changed |= kept;
    }
    for (auto leaveOut : {+[](Statement &each) { each.split.clear(); },
                          +[](Statement &each) { each.precision.clear(); },
                          +[](Statement &each) { each.recompute = false; }}) {
      const Statement annotated = statement;
      leaveOut(statement);
      if (annotated.split == statement.split && annotated.precision == statement.precision &&
          annotated.recompute == statement.recompute)
        continue;
      const bool fails = stillFails();
      if (!fails)
        statement = annotated;
      changed |= fails;
    }
    return changed;
  }

  std::vector<Statement> file_;
  const CheckOptions &options_;
  int tries_ = 2000;
};

} // namespace

std::vector<Statement> reduce(std::vector<Statement> file, const CheckOptions &options) {
  return Reduction(std::move(file), options).run();
}

} // namespace mparc::random
