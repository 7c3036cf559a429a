// Vocabulary: the words of a small model, as its config.json lists them.
//
//   {".", "x", "o", "<end>"}:   ".xo"  <->  [0, 1, 2]
//
// A text is its words one behind the other, with no blanks but those that stand in words. Of several words
// that a text may go on with, the longest is taken.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/token_embedding.h"  // TokenId

namespace paligemma::zeta {

// Throws PromptError where no word fits.
std::vector<TokenId> ids_of(const std::vector<std::string>& vocabulary, std::string_view text);

}  // namespace paligemma::zeta
