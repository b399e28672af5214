// Texts that a model goes on with: windows, draws, and what is refused.
#include "temporary.h"

#include "mpar/generate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

namespace {

using mpar::ElementType;
using mpar::GenerationSettings;

mpar::ModelDescription describe(int64_t context, int64_t known) {
  mpar::ModelDescription model;
  model.name = "Net";
  model.devices = {{0, 0, 0, 4}};
  model.inputs = {{"text", ElementType::i32, {context}}};
  model.output = {"output", ElementType::f32, {context, known}};
  return model;
}

// Scores of each position that are what the test says they are, of the tokens up to it.
class Scorer : public mpar::Model {
public:
  using Scores = std::function<float(const std::vector<int32_t> &seen, int32_t token)>;
  Scorer(const mpar::ModelDescription &description, Scores function)
      : Model(description, {}), function_(std::move(function)) {}

  float train_step(const mpar::Batch &) override { return 0; }
  float evaluate(const mpar::Batch &, const void *&) override { return 0; }
  const void *predict(const mpar::Batch &batch) override {
    check(batch);
    const auto &shape = description().output.shape;
    const auto *tokens = static_cast<const int32_t *>(batch.inputs[0]);
    windows.emplace_back(tokens, tokens + shape[0]);
    scores_.clear();
    for (int64_t at = 0; at < shape[0]; ++at)
      for (int32_t token = 0; token < shape[1]; ++token)
        scores_.push_back(function_({tokens, tokens + at + 1}, token));
    return scores_.data();
  }

  std::vector<std::vector<int32_t>> windows;

private:
  Scores function_;
  std::vector<float> scores_;
};

std::string go_on(Scorer &model, GenerationSettings settings) {
  std::string text;
  mpar::generate(model, settings, [&](std::string_view part) { text += part; });
  return text;
}

// The likeliest token is the last one's successor.
float successor(const std::vector<int32_t> &seen, int32_t token) {
  return token == (seen.back() + 1) % 256 ? 1.0f : 0.0f;
}

TEST(Generation, GoesOnFromTheLastTokenInTheWindow) {
  Scorer model(describe(4, 256), successor);
  GenerationSettings settings;
  settings.prompt = {'a', 'b'};
  settings.tokens = 5;
  settings.temperature = 0;
  EXPECT_EQ("abcdefg", go_on(model, settings));
  // Short texts stand at the front, with zeros after them; long ones lose their beginning.
  using Window = std::vector<int32_t>;
  ASSERT_EQ(5u, model.windows.size());
  EXPECT_EQ(model.windows[0], (Window{'a', 'b', 0, 0}));
  EXPECT_EQ(model.windows[2], (Window{'a', 'b', 'c', 'd'}));
  EXPECT_EQ(model.windows[3], (Window{'b', 'c', 'd', 'e'}));
}

TEST(Generation, TakesTheEndOfALongPrompt) {
  Scorer model(describe(3, 256), successor);
  GenerationSettings settings;
  settings.prompt = {'s', 't', 'u', 'v', 'w'};
  settings.tokens = 2;
  settings.temperature = 0;
  EXPECT_EQ("stuvwxy", go_on(model, settings));
  EXPECT_EQ(model.windows[0], (std::vector<int32_t>{'u', 'v', 'w'}));
}

// How often each token comes of 4000 draws.
std::map<char, int> draw(GenerationSettings settings, Scorer::Scores scores) {
  Scorer model(describe(1, 256), std::move(scores));
  settings.prompt = {' '};
  settings.tokens = 4000;
  std::map<char, int> counts;
  for (char c : go_on(model, settings).substr(1))
    ++counts[c];
  return counts;
}

float three(const std::vector<int32_t> &, int32_t token) {
  return token == 'a'   ? std::log(0.5f)
         : token == 'b' ? std::log(0.3f)
         : token == 'c' ? std::log(0.2f)
                        : -INFINITY;
}

TEST(Generation, DrawsByTheScores) {
  auto counts = draw({}, three);
  EXPECT_EQ(3u, counts.size());
  EXPECT_NEAR(counts['a'], 2000, 150);
  EXPECT_NEAR(counts['b'], 1200, 150);
  EXPECT_NEAR(counts['c'], 800, 150);
}

TEST(Generation, DividesScoresByTheTemperature) {
  GenerationSettings settings;
  settings.temperature = 0.5; // squares, that is 25 : 9 : 4
  auto counts = draw(settings, three);
  EXPECT_NEAR(counts['a'], 4000 * 25 / 38, 150);
  EXPECT_NEAR(counts['c'], 4000 * 4 / 38, 100);
}

TEST(Generation, LeavesOutAllButTheLikeliest) {
  GenerationSettings settings;
  settings.top_k = 2;
  auto counts = draw(settings, three);
  EXPECT_EQ(2u, counts.size());
  EXPECT_NEAR(counts['a'], 2500, 150);
  settings.top_k = 1000; // more than there are
  EXPECT_EQ(3u, draw(settings, three).size());
}

TEST(Generation, FollowsTheSeed) {
  GenerationSettings settings;
  settings.prompt = {'x'};
  settings.tokens = 40;
  Scorer model(describe(2, 256), three);
  const std::string first = go_on(model, settings);
  EXPECT_EQ(first, go_on(model, settings));
  settings.seed = 1;
  EXPECT_NE(first, go_on(model, settings));
}

TEST(Generation, KnowsWhatItCannotContinue) {
  EXPECT_EQ("", mpar::why_not_generate(describe(4, 256)));
  auto model = describe(4, 256);
  model.inputs[0].type = ElementType::f32;
  EXPECT_EQ("Net takes f32[rows, 4], not rows of i32 tokens", mpar::why_not_generate(model));
  model = describe(4, 256);
  model.output.shape = {256};
  EXPECT_EQ("Net gives f32[rows, 256], not scores for each of its 4 tokens",
            mpar::why_not_generate(model));
  model.inputs.push_back(model.inputs[0]);
  EXPECT_EQ("Net takes 2 inputs", mpar::why_not_generate(model));
}

TEST(Generation, ReadsPrompts) {
  auto few = describe(4, 100), many = describe(4, 1000);
  EXPECT_EQ((std::vector<int32_t>{'a', ' ', ':'}), mpar::read_prompt(few, "a :"));
  EXPECT_EQ((std::vector<int32_t>{3, 999, 0}), mpar::read_prompt(many, " 3, 999 0"));
  auto fails = [](const mpar::ModelDescription &model, const std::string &text) {
    return test::failure([&] { mpar::read_prompt(model, text); });
  };
  EXPECT_EQ("the prompt is empty; a text goes on from at least one token", fails(few, ""));
  EXPECT_EQ("the prompt is empty; a text goes on from at least one token", fails(many, " ,"));
  EXPECT_EQ("the prompt has token 122; Net knows 0 to 99", fails(few, "az"));
  EXPECT_EQ("the prompt has token 1000; Net knows 0 to 999", fails(many, "7 1000"));
  EXPECT_EQ("the prompt of Net, which knows more than 256 tokens, is their numbers; got \"to be\"",
            fails(many, "to be"));
}

TEST(Generation, PrintsNumbersWhereTokensAreNoBytes) {
  Scorer model(describe(2, 300),
               [](const auto &seen, int32_t token) { return float(token == seen.back() + 100); });
  GenerationSettings settings;
  settings.prompt = {7, 20};
  settings.tokens = 2;
  settings.temperature = 0;
  EXPECT_EQ("7 20 120 220", go_on(model, settings));
}

TEST(Generation, RefusesScoresThatAreNoNumbers) {
  Scorer model(describe(2, 256),
               [](const auto &, int32_t token) { return token == 9 ? NAN : 0.0f; });
  GenerationSettings settings;
  settings.prompt = {'a'};
  EXPECT_EQ("the score of token 9 is nan", test::failure([&] { go_on(model, settings); }));
}

} // namespace
