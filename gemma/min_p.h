// Min-p: a token stays if it is at least this share as likely as the likeliest one.
//
//   p = softmax(logits / temperature)      l_v <- -infinity   if p_v < share max p
//
//   logits       [V]   no NaN and no +infinity
//   share        from 0, where all stay, to 1, where only the likeliest do
//   temperature  > 0
//
// Returned is the mass of p that stays. Whoever measures top-p of what is left divides by it, so that the
// mass is one of all tokens: Hugging Face transformers applies min-p last.
//
// Paper: Nguyen et al. 2024, "Turning up the heat: min-p sampling", section 3.
//
// Read next: gemma/token_rules.h.
#pragma once

#include "tensor/view.h"

namespace paligemma {

double min_p(float share, float temperature, View<float, 1> logits);

}  // namespace paligemma
