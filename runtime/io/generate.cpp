#include "mpar/generate.h"

#include "mpar/errors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace mpar {

namespace {

// Up to so many tokens are bytes.
constexpr int64_t bytes = 256;

int64_t vocabulary(const ModelDescription &model) { return model.output.shape.back(); }

std::string token_text(const ModelDescription &model, int32_t token, bool first) {
  if (vocabulary(model) <= bytes)
    return std::string(1, static_cast<char>(static_cast<unsigned char>(token)));
  return (first ? "" : " ") + std::to_string(token);
}

std::string type_text(const PortDescription &port) {
  std::string text = port.type == ElementType::f32   ? "f32[rows"
                     : port.type == ElementType::i32 ? "i32[rows"
                                                     : "bool[rows";
  for (int64_t extent : port.shape)
    text += ", " + std::to_string(extent);
  return text + "]";
}

// Draws tokens by their scores.
class Sampler {
public:
  Sampler(const GenerationSettings &settings, int64_t count)
      : settings_(settings), generator_(settings.seed), order_(static_cast<size_t>(count)),
        weights_(static_cast<size_t>(count)) {}

  int32_t next(const float *scores) {
    std::iota(order_.begin(), order_.end(), 0);
    auto likelier = [scores](int32_t a, int32_t b) {
      return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
    };
    auto nan = std::find_if(order_.begin(), order_.end(),
                            [scores](int32_t token) { return std::isnan(scores[token]); });
    if (nan != order_.end())
      fail("the score of token " + std::to_string(*nan) + " is nan");
    const size_t kept =
        settings_.top_k > 0 ? std::min<size_t>(settings_.top_k, order_.size()) : order_.size();
    // Which of them are kept, not their order, decides what is drawn from.
    if (kept < order_.size())
      std::nth_element(order_.begin(), order_.begin() + kept, order_.end(), likelier);
    std::sort(order_.begin(), order_.begin() + kept);
    const int32_t best = *std::min_element(order_.begin(), order_.begin() + kept, likelier);
    if (settings_.temperature == 0)
      return best;
    double sum = 0;
    for (size_t i = 0; i < kept; ++i) {
      const double difference = static_cast<double>(scores[order_[i]]) - scores[best];
      sum += weights_[i] = scores[order_[i]] == scores[best]
                               ? 1 // of infinities there is no difference
                               : std::exp(difference / settings_.temperature);
    }
    double left = static_cast<double>(generator_.random64() >> 11) * 0x1p-53 * sum;
    for (size_t i = 0; i < kept; ++i) {
      left -= weights_[i];
      if (left < 0)
        return order_[i];
    }
    return best; // rounding has left nothing
  }

private:
  const GenerationSettings &settings_;
  Generator generator_;
  std::vector<int32_t> order_;
  std::vector<double> weights_;
};

} // namespace

std::string why_not_generate(const ModelDescription &model) {
  if (model.inputs.size() != 1)
    return model.name + " takes " + std::to_string(model.inputs.size()) + " inputs";
  const PortDescription &input = model.inputs[0], &output = model.output;
  if (input.type != ElementType::i32 || input.shape.size() != 1)
    return model.name + " takes " + type_text(input) + ", not rows of i32 tokens";
  if (output.type != ElementType::f32 || output.shape.size() != 2 ||
      output.shape[0] != input.shape[0])
    return model.name + " gives " + type_text(output) + ", not scores for each of its " +
           std::to_string(input.shape[0]) + " tokens";
  return {};
}

std::vector<int32_t> read_prompt(const ModelDescription &model, const std::string &text) {
  const int64_t known = vocabulary(model);
  std::vector<int32_t> tokens;
  auto add = [&](int64_t token) {
    if (token < 0 || token >= known)
      fail("the prompt has token " + std::to_string(token) + "; " + model.name + " knows 0 to " +
           std::to_string(known - 1));
    tokens.push_back(static_cast<int32_t>(token));
  };
  if (known <= bytes) {
    for (unsigned char byte : text)
      add(byte);
  } else {
    const char *at = text.data(), *end = at + text.size();
    while (at < end) {
      if (*at == ' ' || *at == ',' || *at == '\n' || *at == '\t') {
        ++at;
        continue;
      }
      int64_t token = 0;
      auto [rest, error] = std::from_chars(at, end, token);
      if (error != std::errc())
        fail("the prompt of " + model.name +
             ", which knows more than 256 tokens, is their numbers; got \"" + text + "\"");
      add(token);
      at = rest;
    }
  }
  if (tokens.empty())
    fail("the prompt is empty; a text goes on from at least one token");
  return tokens;
}

void generate(Model &model, const GenerationSettings &settings,
              const std::function<void(std::string_view)> &write) {
  const ModelDescription &description = model.description();
  if (std::string why = why_not_generate(description); !why.empty())
    fail("no text can be generated: " + why);
  const int64_t known = vocabulary(description);
  const auto context = static_cast<size_t>(description.inputs[0].shape[0]);
  Sampler sampler(settings, known);
  std::vector<int32_t> tokens = settings.prompt;
  for (size_t i = 0; i < tokens.size(); ++i)
    write(token_text(description, tokens[i], i == 0));
  for (int64_t step = 0; step < settings.tokens; ++step) {
    const size_t seen = std::min(tokens.size(), context);
    std::vector<int32_t> window(tokens.end() - static_cast<int64_t>(seen), tokens.end());
    window.resize(context, 0);
    Batch batch;
    batch.rows = 1;
    batch.inputs = {window.data()};
    const auto *scores = static_cast<const float *>(model.predict(batch));
    tokens.push_back(sampler.next(scores + static_cast<int64_t>(seen - 1) * known));
    write(token_text(description, tokens.back(), false));
  }
}

} // namespace mpar
