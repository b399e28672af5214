// How statements are put together, and how the output is.
#include "random/ForwardWriter.h"

#include <algorithm>

namespace mparc::random {

/// Beyond this a value is brought back to [-1, 1].
static constexpr double kLargest = 6;
/// Values are no larger than this in elements a row, so that thousands of programs run in seconds.
static constexpr int64_t kMostElements = 96;

Variable &ForwardWriter::pick() {
  // Recent and unused values are likelier: chains and fan-out both.
  const auto total = static_cast<int64_t>(variables_.size());
  Variable *chosen = &variables_[random_.below(total)];
  for (int attempt = 0; attempt < 2; ++attempt) {
    Variable &other = variables_[std::max<int64_t>(0, total - 1 - random_.below(4))];
    if (random_.chance(0.5) && other.uses <= chosen->uses)
      chosen = &other;
  }
  return *chosen;
}

void ForwardWriter::addIntegers(const std::string &name, const Shape &shape) {
  static const std::vector<std::string> uses = {
      "cast($ % 5, f32) * 0.25",
      "where($ % 2 == 1, 0.5, -0.25)",
      "cast(minimum($ * $ - 2 * $, 7), f32) * 0.125",
      "cast(clamp($ - 1, -2, 3) > 0 && $ < 9, f32)",
      "max(cast($, f32), dim: -1, keepdim: true) * 0.25 + cast(-$ + 2, f32) * 0.125",
      "cast(sum($, dim: -1, keepdim: true) + abs($), f32) * 0.0625"};
  addUse(uses, name, shape);
}

void ForwardWriter::addTruths(const std::string &name, const Shape &shape) {
  static const std::vector<std::string> uses = {
      "cast($, f32)", "where($, 0.5, -0.25)", "cast(!$, f32) - 0.5",
      "cast(sum($, dim: -1, keepdim: true), f32) * 0.25 + where($ && !$, 1.0, 0.25)"};
  addUse(uses, name, shape);
}

void ForwardWriter::addUse(const std::vector<std::string> &uses, const std::string &name,
                           const Shape &shape) {
  std::string value = random_.pick(uses);
  for (size_t at; (at = value.find('$')) != std::string::npos;)
    value.replace(at, 1, name);
  append({value, shape, 4, ""});
}

Statement ForwardWriter::bind(const Expression &expression, const std::string &name) {
  Statement statement(name + " = " + expression.text);
  if (!expression.simpler.empty())
    statement.simpler = name + " = " + expression.simpler;
  return statement;
}

const Variable &ForwardWriter::append(Expression expression, bool annotated) {
  if (expression.bound > kLargest) {
    expression.text = "tanh(" + expression.text + ")";
    expression.bound = 1;
  }
  Variable variable{fresh("h"), expression.shape, expression.bound};
  Statement statement = bind(expression, variable.name);
  // What only calls a member has no operation of its own.
  const std::string called = expression.text.substr(0, expression.text.find('(')) + " = ";
  const bool isCall = std::any_of(members_.begin(), members_.end(), [&](const Statement &member) {
    return member.text.rfind(called, 0) == 0;
  });
  const bool rows = hasBatch(expression.shape) && !isCall;
  if (annotated)
    annotator_.annotate(statement, false,
                        rows ? std::vector<Cuttable>{{"batch", 0}} : std::vector<Cuttable>{});
  statements_.push_back(std::move(statement));
  variables_.push_back(std::move(variable));
  return variables_.back();
}

std::optional<Expression> ForwardWriter::makeAny() {
  Variable &x = pick(), &y = pick();
  std::optional<Expression> made;
  bool both = false;
  switch (random_.below(24)) {
  case 0:
  case 1:
  case 2:
    made = makeUnary(x);
    break;
  case 3:
  case 4:
    both = true;
    made = makeBinary(x, y);
    break;
  case 5:
    both = true;
    made = makeChoice(x, y);
    break;
  case 6:
    made = makeReduction(x);
    break;
  case 7:
    made = makeAlong(x);
    break;
  case 8:
    made = makeShape(x);
    break;
  case 9:
    made = makeReshape(x);
    break;
  case 10:
    both = true;
    made = makeConcat(x, y);
    break;
  case 11:
    both = true;
    made = makeProduct(x, y);
    break;
  case 12:
    made = makeInteger(x);
    break;
  case 13:
    made = makePipeline(x);
    break;
  case 14:
    both = true;
    made = makeLookup(x, y);
    break;
  case 15:
    both = true;
    made = makeAttention(x, y);
    break;
  case 16: // of a value with itself, batched where it has leading dimensions
    made = makeProduct(x, x);
    break;
  case 17:
    both = true;
    made = makeRounded(x, y);
    break;
  case 18:
  case 22:
    made = makeStandard(x);
    break;
  case 19:
    both = true;
    made = makeForeign(x, y);
    break;
  case 23:
    made = makeWindow(x);
    break;
  default:
    made = makeLayer(x);
    break;
  }
  if (!made || count(made->shape) > kMostElements || made->shape.size() > 4)
    return std::nullopt;
  ++x.uses;
  y.uses += both;
  return made;
}

/// A loop, a choice or a group around statements that rebind or bind names.
bool ForwardWriter::addControl() {
  Variable &x = pick();
  const int64_t kind = random_.below(4);
  if (kind == 3) {
    Statement group = makeBlock("");
    annotator_.annotate(group);
    if (!group.isAnnotated())
      return false;
    const size_t before = statements_.size();
    for (int64_t each = random_.between(1, 3); each > 0; --each)
      if (auto made = makeAny())
        append(std::move(*made));
    group.body.assign(statements_.begin() + before, statements_.end());
    statements_.resize(before);
    if (!group.body.empty())
      statements_.push_back(std::move(group));
    return true;
  }
  if (x.shape.size() < 2 || x.shape.back().batch)
    return false;
  // What is bound again keeps its shape.
  const int64_t width = x.shape.back().size;
  ++x.uses;
  const Variable start = append({x.name + " * 0.75", x.shape, x.bound, x.name});
  double ignored = 0;
  auto rebind = [&](const std::string &text) {
    Statement statement(start.name + " = " + text);
    annotator_.annotate(statement);
    return statement;
  };
  Statement block;
  if (kind == 0) {
    const std::string name = fresh("block");
    Statement loop = makeBlock("for i in 0.." + std::to_string(random_.between(1, 3)));
    Statement layer(name + "[i] = Linear(" + std::to_string(width) + ", " + std::to_string(width) +
                    (random_.chance(0.3) ? ", bias: false)" : ")"));
    annotator_.annotate(layer, true);
    loop.body.push_back(std::move(layer));
    block = makeBlock(loop.text);
    members_.push_back(std::move(loop));
    Statement call(start.name + " = tanh(" + name + "[i](" + start.name + "))" +
                   (random_.chance(0.5) ? " * 0.5 + " + start.name : ""));
    annotator_.annotate(call, true);
    block.body.push_back(std::move(call));
    if (random_.chance(0.3))
      block.body.push_back(rebind("tanh(" + unaryText(start, start.name, ignored) + ")"));
  } else {
    static const std::vector<std::string> conditions = {
        "deep", "!deep", "width > 3", "training", "width % 2 == 0 && deep", "!training"};
    block = makeBlock("if " + random_.pick(conditions));
    block.body.push_back(rebind("tanh(" + start.name + ") * 0.5"));
    if (random_.chance(0.6))
      block.other.push_back(rebind("sin(" + start.name + ") + 0.125"));
  }
  annotator_.annotate(block);
  statements_.push_back(std::move(block));
  variables_.back().bound = std::max(4.0, start.bound);
  return true;
}

/// Several results bound at once: equal parts of a dimension, two values exchanged, or what a layer
/// of two results gives.
bool ForwardWriter::addPair() {
  Variable &x = pick(), &y = pick();
  std::vector<Variable> results;
  std::string value;
  if (random_.chance(0.5)) {
    const auto rank = static_cast<int64_t>(x.shape.size());
    const int64_t along = rank ? random_.below(rank) : 0, parts = random_.between(2, 3);
    if (rank == 0 || x.shape[along].batch || x.shape[along].size % parts != 0)
      return false;
    Shape shape = x.shape;
    shape[along].size /= parts;
    for (int64_t part = 0; part < parts; ++part)
      results.push_back({fresh("h"), shape, x.bound});
    value = "split(" + x.name + ", " + std::to_string(parts) +
            ", dim: " + std::to_string(random_.chance(0.5) ? along : along - rank) + ")";
  } else if (random_.chance(0.3)) {
    results = {{fresh("h"), y.shape, y.bound}, {fresh("h"), x.shape, x.bound}};
    value = "(" + y.name + ", " + x.name + ")";
    ++y.uses;
  } else {
    std::vector<const OwnLayer *> pairs;
    for (const OwnLayer &layer : layers_)
      if (layer.isPair)
        pairs.push_back(&layer);
    if (pairs.empty() || x.shape.size() < 2 || x.shape.back().batch)
      return false;
    const int64_t out = random_.between(1, 4);
    const std::string name = fresh("pair");
    Statement member(name + " = " + random_.pick(pairs)->name + "(" +
                     std::to_string(x.shape.back().size) + ", " + std::to_string(out) + ")");
    annotator_.annotate(member);
    members_.push_back(std::move(member));
    Shape shape = x.shape;
    shape.back().size = out;
    results = {{fresh("h"), shape, 4}, {fresh("h"), shape, 4}};
    value = name + "(" + x.name + ")";
  }
  ++x.uses;
  std::string names;
  std::vector<Variable> kept;
  for (const Variable &result : results) {
    const bool isWanted = kept.empty() || random_.chance(0.9);
    names += (names.empty() ? "" : ", ") + (isWanted ? result.name : std::string("_"));
    if (isWanted)
      kept.push_back(result);
  }
  Statement statement(names + " = " + value);
  annotator_.annotate(statement);
  statements_.push_back(std::move(statement));
  std::move(kept.begin(), kept.end(), std::back_inserter(variables_));
  return true;
}

/// Sets a buffer that has been read to something of its shape, or to a number for all of it.
void ForwardWriter::addUpdate(const Variable &buffer) {
  const Variable &x = pick();
  const std::string mixed = "0.5 * " + buffer.name + " + 0.25 * ";
  Statement statement("update(" + buffer.name + ", " + mixed + "mean(" + x.name + "))");
  if (x.shape == buffer.shape)
    statement = Statement("update(" + buffer.name + ", " + mixed + x.name + ")");
  else if (random_.chance(0.3))
    statement = Statement("update(" + buffer.name + ", 0.5)");
  annotator_.annotate(statement);
  statements_.push_back(std::move(statement));
}

void ForwardWriter::addStatement() {
  for (int attempt = 0; attempt < 20; ++attempt) {
    if (random_.chance(0.08)) {
      if (addPair())
        return;
      continue;
    }
    if (random_.chance(0.15)) {
      if (addControl())
        return;
      continue;
    }
    if (auto made = makeAny()) {
      append(std::move(*made));
      return;
    }
  }
}

/// Adds values that nothing reads to the output, as [batch, 1] or as a scalar. Some are left: what
/// a program does not need must not disturb it.
void ForwardWriter::addUnused(Variable &output) {
  // Sums that this adds are read by the next.
  for (size_t index = 0, end = variables_.size(); index < end; ++index) {
    const Variable unused = variables_[index];
    if (unused.uses > 0 || unused.name == output.name || random_.chance(0.1))
      continue;
    variables_[index].uses = 1;
    std::string term = unused.name;
    const bool rows = !unused.shape.empty() && unused.shape[0].batch;
    if (rows && (unused.shape.size() > 1 || unused.shape[0].size > 1))
      term = "mean(reshape(" + term + ", [batch, -1]), dim: 1, keepdim: true)";
    else if (!unused.shape.empty())
      term = "mean(" + term + ")";
    if (rows && unused.shape.size() == 1 && unused.shape[0].size == 1)
      term = "reshape(" + unused.name + ", [batch, 1])";
    output = append(
        {output.name + " + " + term, output.shape, output.bound + unused.bound, output.name});
  }
}

Variable ForwardWriter::finish(int64_t widest) {
  // The latest value that has the rows of the batch.
  auto found = std::find_if(variables_.rbegin(), variables_.rend(),
                            [](const Variable &each) { return hasBatch(each.shape); });
  ++found->uses;
  Variable output = *found;
  auto batch = std::find_if(output.shape.begin(), output.shape.end(),
                            [](Dimension dimension) { return dimension.batch; });
  if (batch != output.shape.begin()) {
    std::string order = std::to_string(batch - output.shape.begin());
    Shape shape = {*batch};
    for (size_t index = 0; index < output.shape.size(); ++index)
      if (!output.shape[index].batch) {
        order += ", " + std::to_string(index);
        shape.push_back(output.shape[index]);
      }
    output = append({"permute(" + output.name + ", [" + order + "])", shape, output.bound, ""});
  }
  const int64_t width = count(output.shape);
  if (output.shape.size() != 2 || output.shape[0].size != 1)
    output = append({"reshape(" + output.name + ", [batch, " + std::to_string(width) + "])",
                     {{1, true}, {width, false}},
                     output.bound,
                     ""});
  if (width > widest || width < 2) {
    const int64_t narrow = random_.between(2, widest);
    const Member &layer = addMember(width, narrow, hasBatch(output.shape));
    output = append(
        {layer.name + "(" + output.name + ")", {{1, true}, {narrow, false}}, layer.bound, ""});
  }
  for (Variable &variable : variables_)
    variable.uses += variable.name == output.name;
  addUnused(output);
  return output;
}

Variable ForwardWriter::write(int64_t count, int64_t widest) {
  for (int64_t each = 0; each < count; ++each)
    addStatement();
  Variable output = finish(widest);
  for (const Variable &buffer : buffers_)
    addUpdate(buffer);
  return output;
}

} // namespace mparc::random
