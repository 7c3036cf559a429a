// The k tokens that a model holds likeliest, the likeliest first, of equals the one with the lowest id.
//
//   logits  [V]   no NaN and no +infinity
#pragma once

#include <vector>

#include "gemma/generated_token.h"
#include "tensor/view.h"

namespace paligemma {

std::vector<Choice> likeliest_tokens(View<const float, 1> logits, Index k);

}  // namespace paligemma
