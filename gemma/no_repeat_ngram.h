// No repeated n-grams: a token that would end n tokens which stood in this order before cannot come.
//
//   l_v <- -infinity   if some i has  history[i .. i+n-2] = the last n - 1 tokens,  history[i+n-1] = v
//
//   logits   [V]
//   history  the ids so far, image tokens and prompt included; ids that the row has not are passed over
//   n        >= 1; 1: no token comes twice
//
// Paper: Paulus et al. 2017, "A deep reinforced model for abstractive summarization", section 2.5, for
// trigrams of what is written; as in Hugging Face transformers, the prompt counts here.
//
// Read next: gemma/min_p.h.
#pragma once

#include <span>

#include "gemma/token_embedding.h"  // TokenId
#include "tensor/view.h"

namespace paligemma {

void no_repeat_ngram(Index n, std::span<const TokenId> history, View<float, 1> logits);

}  // namespace paligemma
