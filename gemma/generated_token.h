// A token that a model has chosen.
#pragma once

#include <chrono>

#include "gemma/token_embedding.h"  // TokenId

namespace paligemma {

struct GeneratedToken {
  TokenId id;
  float log_probability;  // natural, of the id among all tokens, before any sampling rule
  std::chrono::steady_clock::time_point start;
  double milliseconds;  // what it took the model: the first one holds the prefill, and its taps
};

}  // namespace paligemma
