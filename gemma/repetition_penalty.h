// Repetition penalty: a token that has been there already becomes less likely.
//
//   l_v <- l_v / penalty   if l_v > 0, else  l_v * penalty       for every v of the history, once
//
//   logits   [V]
//   history  the ids so far, image tokens and prompt included; ids that the row has not are passed over
//   penalty  > 0; 1: nothing changes; below 1 what was there becomes likelier
//
// Paper: Keskar et al. 2019, "CTRL", section 4.1, which divides negative logits too and so makes those
// likelier; this is the rule of Hugging Face transformers.
//
// Read next: gemma/no_repeat_ngram.h.
#pragma once

#include <span>

#include "gemma/token_embedding.h"  // TokenId
#include "tensor/view.h"

namespace paligemma {

void repetition_penalty(float penalty, std::span<const TokenId> history, View<float, 1> logits);

}  // namespace paligemma
