// The layers that a random model has as members.
#include "random/ForwardWriter.h"

namespace mparc::random {

static std::string linear(int64_t in, int64_t out) {
  return "Linear(" + std::to_string(in) + ", " + std::to_string(out) + ")";
}

/// The list of layers of a Sequential; at times the first of them is one that has a name already.
std::string ForwardWriter::sequence(const Member &member, int64_t inner) {
  static const std::vector<std::string> between = {"Tanh()", "Sigmoid()",
                                                   "Sequential([SiLU(), Tanh()])"};
  std::string first = linear(member.in, inner);
  for (const Member &known : instances_)
    if (known.in == member.in && known.out == inner && random_.chance(0.5))
      first = known.name;
  return "[" + first + ", " + random_.pick(between) + ", " + linear(inner, member.out) + "]";
}

std::string ForwardWriter::makeComposite(Member &member) {
  const int64_t inner = random_.between(1, 4);
  const std::string sizes = std::to_string(member.in) + ", " + std::to_string(member.out);
  for (const Member &known : instances_)
    if (known.isLinear && known.in == member.in && known.out == member.out && random_.chance(0.7)) {
      member.isLinear = true;
      return "Linear(" + sizes + ", bias: " + (random_.chance(0.5) ? "true" : "false") +
             ", weight: " + known.name + ".weight)";
    }
  member.bound = static_cast<double>(inner) + 1;
  if (member.in == member.out && random_.chance(0.5)) {
    member.bound += 1;
    return "Residual(Sequential(" + sequence(member, inner) + "))";
  }
  if (random_.chance(0.5))
    return "MLP([" + std::to_string(member.in) + ", " + std::to_string(inner) + ", " +
           std::to_string(member.out) +
           "], activation: " + (random_.chance(0.5) ? "Tanh()" : "Sigmoid()") + ")";
  return "Sequential(" + sequence(member, inner) + ")";
}

const ForwardWriter::Member &ForwardWriter::addMember(int64_t in, int64_t out, bool rows) {
  const std::string sizes = std::to_string(in) + ", " + std::to_string(out);
  Member member{fresh("layer"), in, out, static_cast<double>(in) + 1};
  std::string text = "Linear(" + sizes + (random_.chance(0.25) ? ", bias: false)" : ")");
  const OwnLayer *chosen = layers_.empty() ? nullptr : &random_.pick(layers_);
  member.isLinear = true;
  if (random_.chance(0.3)) {
    member.isLinear = false;
    text = makeComposite(member);
  } else if (chosen && !chosen->isPair && random_.chance(0.4)) {
    member.isLinear = false;
    const OwnLayer &own = *chosen;
    text = own.name + "(" + sizes;
    for (const std::string &option : own.options) {
      const bool isNew = text.find(option.substr(0, option.find(':') + 1)) == std::string::npos;
      if (isNew && random_.chance(0.4))
        text += ", " + option;
    }
    text += ")";
    member.bound = 4;
  }
  Statement statement(member.name + " = " + text);
  std::vector<Cuttable> names;
  if (rows && text.rfind("Mix", 0) != 0) // whose operations may all be placed within
    names.push_back({"batch", 0});
  if (member.isLinear && text.find("weight") == std::string::npos) {
    names.push_back({"in", in});
    names.push_back({"out", out});
  }
  annotator_.annotate(statement, false, names);
  members_.push_back(std::move(statement));
  instances_.push_back(member);
  return instances_.back();
}

void ForwardWriter::addWords(const std::string &ids, Shape shape, int64_t rows) {
  const int64_t columns = random_.between(1, 4);
  Statement member("words = Embedding(" + std::to_string(rows) + ", " + std::to_string(columns) +
                   ")");
  annotator_.annotate(member, false,
                      {{"batch", 0}, {"num_embeddings", rows}, {"embedding_dim", columns}});
  members_.push_back(std::move(member));
  shape.push_back({columns, false});
  append({"words(" + ids + ")", shape, 4, ""});
}

} // namespace mparc::random
