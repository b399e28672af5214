//===- Names.cpp - Suggestions and the binding of arguments -----------------===//

#include "frontend/Names.h"

namespace mparc {

/// Whether two neighbouring letters are the wrong way round.
static bool isSwapped(llvm::StringRef a, llvm::StringRef b) {
  if (a.size() != b.size() || a == b)
    return false;
  size_t first = 0;
  while (a[first] == b[first])
    ++first;
  return first + 1 < a.size() && a[first] == b[first + 1] && a[first + 1] == b[first] &&
         a.drop_front(first + 2) == b.drop_front(first + 2);
}

std::string didYouMean(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> candidates) {
  unsigned best = (name.size() + 1) / 3 + 1;
  llvm::StringRef nearest;
  for (llvm::StringRef candidate : candidates) {
    // Upper and lower case are half a mistake: `linear` for `Linear`.
    unsigned distance = candidate.equals_insensitive(name) ? 0
                        : isSwapped(candidate, name)
                            ? 1
                            : candidate.edit_distance(name, /*AllowReplacements=*/true, best);
    if (distance < best || (distance == best && !nearest.empty() && candidate < nearest)) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest.empty() ? "" : ("; did you mean `" + nearest + "`?").str();
}

static void findTensors(llvm::ArrayRef<ast::StmtPtr> statements,
                        llvm::SmallVectorImpl<Formal> &formals) {
  for (const ast::StmtPtr &stmt : statements) {
    if (auto *param = llvm::dyn_cast<ast::ParamStmt>(stmt.get())) {
      // A parameter in parentheses has the name first.
      bool isNew = llvm::none_of(
          formals, [&](const Formal &known) { return known.name == param->name.text; });
      if (isNew && !param->isBuffer)
        formals.push_back({param->name.text, false, param->range, true});
    } else if (auto *branches = llvm::dyn_cast<ast::IfStmt>(stmt.get())) {
      for (const ast::IfBranch &branch : branches->branches)
        findTensors(branch.body.statements, formals);
      if (branches->otherwise)
        findTensors(branches->otherwise->statements, formals);
    } else if (auto *loop = llvm::dyn_cast<ast::ForStmt>(stmt.get())) {
      findTensors(loop->body.statements, formals);
    } else if (auto *group = llvm::dyn_cast<ast::GroupStmt>(stmt.get())) {
      findTensors(group->body.statements, formals);
    }
  }
}

llvm::SmallVector<Formal> formalsOf(const ast::LayerDecl &declaration) {
  llvm::SmallVector<Formal> formals;
  for (const ast::Parameter &parameter : declaration.parameters)
    formals.push_back({parameter.name.text, !parameter.defaultValue, parameter.range});
  findTensors(declaration.body, formals);
  return formals;
}

static std::string countOf(size_t count, llvm::StringRef what) {
  return std::to_string(count) + " " + what.str() + (count == 1 ? "" : "s");
}

bool bindArguments(Session &session, const CallSite &call, llvm::ArrayRef<Formal> formals,
                   llvm::SmallVectorImpl<Actual> &actuals) {
  actuals.assign(formals.size(), Actual());
  bool isFine = true;
  auto fail = [&](SourceRange where, const llvm::Twine &message) -> Report & {
    isFine = false;
    return session.error(where, message);
  };
  std::string callee = "`" + call.callee.str() + "`";
  size_t places = llvm::count_if(formals, [](const Formal &formal) { return !formal.isTensor; });
  size_t next = 0, given = call.arguments.size() + (call.piped ? 1 : 0);
  bool reportedCount = false;
  auto positional = [&](Actual actual) {
    if (next < places) {
      actuals[next++] = actual;
      return;
    }
    if (reportedCount)
      return;
    reportedCount = true;
    Report &report = fail(actual.range, callee + " takes " + countOf(places, "argument") +
                                            ", got " + std::to_string(given));
    if (call.declared.isValid())
      report.note(call.declared, callee + " is declared here");
  };
  if (call.piped)
    positional({nullptr, call.piped, call.pipedRange});

  bool sawNamed = false;
  for (const ast::Argument &argument : call.arguments) {
    if (!argument.name) {
      if (sawNamed)
        fail(argument.range, "a positional argument after a named one");
      else
        positional({argument.value.get(), nullptr, argument.value->range});
      continue;
    }
    sawNamed = true;
    llvm::StringRef name = argument.name->text;
    const Formal *found = llvm::find_if(formals, [&](const Formal &f) { return f.name == name; });
    if (found == formals.end()) {
      llvm::SmallVector<llvm::StringRef> names;
      for (const Formal &formal : formals)
        names.push_back(formal.name);
      Report &report = fail(argument.name->range,
                            callee + " has no parameter `" + name + "`" + didYouMean(name, names));
      if (call.declared.isValid())
        report.note(call.declared, callee + " is declared here");
      continue;
    }
    Actual &actual = actuals[found - formals.begin()];
    if (actual) {
      fail(argument.name->range, "`" + name + "` of " + callee + " is given twice")
          .note(actual.range, "first given here");
      continue;
    }
    actual = {argument.value.get(), nullptr, argument.value->range};
  }
  if (!isFine)
    return false;
  for (auto [formal, actual] : llvm::zip(formals, actuals)) {
    if (!formal.isRequired || actual)
      continue;
    Report &report = fail(call.range, callee + " needs an argument for `" + formal.name + "`");
    if (formal.where.isValid())
      report.note(formal.where, "`" + formal.name + "` is declared here");
  }
  return isFine;
}

} // namespace mparc
