// A token that a model has chosen.
#pragma once

#include <chrono>
#include <vector>

#include "gemma/token_embedding.h"  // TokenId

namespace paligemma {

// The logarithm is natural, of the id among all tokens, before any rule.
struct Choice {
  TokenId id;
  float log_probability;
};

struct GeneratedToken {
  TokenId id;
  float log_probability;
  std::chrono::steady_clock::time_point start;
  double milliseconds;  // what it took the model: the first one holds the prefill, and its taps
  std::vector<Choice> likeliest = {};  // of all tokens at its place, where they were asked for
};

}  // namespace paligemma
