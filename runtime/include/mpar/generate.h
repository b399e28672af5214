// Continuing a text with a model that scores the next token of each.
#pragma once

#include "mpar/model.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mpar {

/// How a text goes on.
struct GenerationSettings {
  std::vector<int32_t> prompt; // at least one token
  int64_t tokens = 256;        // that are added
  double temperature = 1;      // what scores are divided by; 0: always the likeliest
  int64_t top_k = 0;           // above 0: only so many of the likeliest are drawn from
  uint64_t seed = 0;
};

/// What of a model's ports keeps it from continuing texts; empty where nothing does: it takes one
/// row of i32 tokens and gives scores of the next one for each.
std::string why_not_generate(const ModelDescription &model);

/// The tokens of a text: its bytes where the model knows at most 256 tokens, else numbers separated
/// by blanks or commas. Fails where there is none, or one that the model does not know.
std::vector<int32_t> read_prompt(const ModelDescription &model, const std::string &text);

/// Calls `write` with the prompt and then with each token that is added, as text. The model sees
/// the last tokens that fit into its input, at the front of it; what follows them there is 0, and
/// the scores of the last one count, so that a model must not look ahead. Draws come from a
/// generator of their own. Fails where no score is a number.
void generate(Model &model, const GenerationSettings &settings,
              const std::function<void(std::string_view)> &write);

} // namespace mpar
