// Writes the statements of a random model's `forward`, and the members they call for.
#pragma once

#include "random/Random.h"
#include "random/Shapes.h"
#include "random/Source.h"

#include <optional>

namespace mparc::random {

/// A layer of the program's own that may be instantiated: `layer Mix0(n: int, m: int, …)`.
struct OwnLayer {
  std::string name;
  std::vector<std::string> options; // named arguments that may follow n and m
  bool isPair = false;              // it gives two results of m features
};

/// A name that `@split` may say of a statement, and how many pieces it can be cut into; 0: any.
struct Cuttable {
  std::string name;
  int64_t size;
};

/// Puts `@device(k)` on some statements, on few `@recompute` and `@precision`; groups of devices,
/// and `@split`, where a program has them.
class Annotator {
public:
  /// `precisions`: those that a program has beside f32; empty, it says none. `grouped`: the part of
  /// the placed statements that are placed on groups, drawn from `groups`.
  Annotator(Random &random, int64_t devices, double density, double recomputed,
            std::vector<std::string> precisions, Random groups, double grouped)
      : random_(random), devices_(devices), density_(density), recomputed_(recomputed),
        precisions_(std::move(precisions)), groups_(groups), grouped_(grouped) {}

  /// A device, or none. In the body of a loop over `i` it may depend on it. A group may be split by
  /// one of the names that are given, or form a grid of two.
  void annotate(Statement &statement, bool inLoop = false,
                const std::vector<Cuttable> &names = {}) {
    statement.recompute = random_.chance(recomputed_);
    if (!precisions_.empty() && random_.chance(0.2))
      statement.precision = random_.pick(precisions_);
    if (!random_.chance(density_))
      return;
    if (inLoop && random_.chance(0.5))
      statement.device =
          "(i + " + std::to_string(random_.below(3)) + ") % " + std::to_string(devices_);
    else
      statement.device = std::to_string(random_.below(devices_));
    if (!inLoop && grouped_ > 0 && groups_.chance(grouped_))
      group(statement, names);
  }

private:
  void group(Statement &statement, const std::vector<Cuttable> &names);

  Random &random_;
  int64_t devices_;
  double density_;
  double recomputed_;
  std::vector<std::string> precisions_;
  Random groups_;
  double grouped_;
};

/// A value that a statement may bind.
struct Expression {
  std::string text;
  Shape shape;
  double bound;
  std::string simpler; // an expression of the same shape, where there is one
};

class ForwardWriter {
public:
  /// `foreign`: whether the functions of `foreignDeclarations` may be called.
  ForwardWriter(Random &random, Annotator &annotator, const std::vector<OwnLayer> &layers,
                bool foreign)
      : random_(random), annotator_(annotator), layers_(layers), foreign_(foreign) {}

  /// A name that `forward` may read: an input, a parameter, a constant.
  void addVariable(Variable variable) { variables_.push_back(std::move(variable)); }
  /// An input of i32: a statement makes numbers of it.
  void addIntegers(const std::string &name, const Shape &shape);
  /// The same of `bool`.
  void addTruths(const std::string &name, const Shape &shape);
  /// A buffer of f32, of the model itself; it is read, and at the end of `forward` set.
  void addBuffer(Variable buffer) {
    buffers_.push_back(buffer);
    addVariable(std::move(buffer));
  }

  /// Adds a table of the model's own, of `rows` vectors, and the statement that looks `ids`, an i32
  /// of this shape, up in it.
  void addWords(const std::string &ids, Shape shape, int64_t rows);

  /// Adds about `count` statements; returns the name of an output of shape [batch, m] for an m of
  /// at most `widest`, into which most of what is not used otherwise has been added.
  Variable write(int64_t count, int64_t widest);

  std::vector<Statement> takeMembers() { return std::move(members_); }
  std::vector<Statement> takeStatements() { return std::move(statements_); }

private:
  struct Member {
    std::string name;
    int64_t in; // 0: any
    int64_t out;
    double bound; // of its result
    bool isLinear = false;
  };

  // One kind of statement each; nothing where the values at hand do not allow it.
  std::optional<Expression> makeUnary(const Variable &x);
  std::optional<Expression> makeBinary(const Variable &x, const Variable &y);
  std::optional<Expression> makeChoice(const Variable &x, const Variable &y);
  std::optional<Expression> makeReduction(const Variable &x);
  std::optional<Expression> makeAlong(const Variable &x);
  std::optional<Expression> makeShape(const Variable &x);
  std::optional<Expression> makeReshape(const Variable &x);
  std::optional<Expression> makeConcat(const Variable &x, const Variable &y);
  std::optional<Expression> makeProduct(const Variable &x, const Variable &y);
  /// `type`: what all three operands are cast to, or nothing.
  std::optional<Expression> makeAttention(const Variable &x, const Variable &y,
                                          const std::string &type = "");
  std::optional<Expression> makeLayer(const Variable &x);
  std::optional<Expression> makeWindow(const Variable &x);
  std::optional<Expression> makeConvolution(const Variable &x);
  std::optional<Expression> makePipeline(const Variable &x);
  std::optional<Expression> makeInteger(const Variable &x);
  std::optional<Expression> makeLookup(const Variable &x, const Variable &y);
  std::optional<Expression> makeRounded(const Variable &x, const Variable &y);
  std::optional<Expression> makeStandard(const Variable &x);
  std::optional<Expression> tryStandard(const Variable &x);
  std::optional<Expression> makeForeign(const Variable &x, const Variable &y);
  std::optional<Expression> makeAny();

  bool addControl();
  bool addPair();
  void addUpdate(const Variable &buffer);
  void addStatement();
  void addUnused(Variable &output);
  Variable finish(int64_t widest);

  /// Binds one of `uses`, in which `$` stands for `name`.
  void addUse(const std::vector<std::string> &uses, const std::string &name, const Shape &shape);
  std::string unaryText(const Variable &x, const std::string &argument, double &bound);
  const Member *findMember(const Variable &x);
  /// `rows`: whether what it is called on has the batch.
  const Member &addMember(int64_t in, int64_t out, bool rows);
  /// A layer of others, or one that shares its weight, from `in` to `out` features.
  std::string makeComposite(Member &member);
  std::string sequence(const Member &member, int64_t inner);
  Statement bind(const Expression &expression, const std::string &name);
  const Variable &append(Expression expression, bool annotated = true);
  std::string fresh(const char *prefix) { return prefix + std::to_string(++names_); }
  Variable &pick();

  Random &random_;
  Annotator &annotator_;
  const std::vector<OwnLayer> &layers_;
  bool foreign_;
  std::vector<Variable> variables_;
  std::vector<Variable> buffers_;
  std::vector<Member> instances_;
  std::vector<Statement> members_;
  std::vector<Statement> statements_;
  int names_ = 0;
};

/// `extern` declarations of functions, and the header that has them.
std::vector<std::string> foreignDeclarations();
std::string foreignHeader();

} // namespace mparc::random
