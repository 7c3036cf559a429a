// Logits: how well one row of the decoder matches each token of the vocabulary.
//
//   logits[v] = sum_d normed[t,d] head[v,d]            then soft_cap, in Gemma 2
//
//   s.normed  [T, D]   row t is read
//   s.logits  [1, V]
//
// The head is the embedding table itself in every published checkpoint (tied weights), here without
// the factor sqrt(D). Only the row that is asked for is computed: the answer needs one token at a
// time, and a full table of logits for the prefix would be read by nobody.
//
// Paper: Press & Wolf 2016, "Using the output embedding to improve language models"; Gemma Team
// 2024, "Gemma 2", section 2, for the cap.
//
// Read next: gemma/sampler.h.
#pragma once

#include "gemma/decoder.h"
#include "gemma/soft_cap.h"
#include "tensor/linear.h"

namespace paligemma::gemma {

template <class On, class W>
void logits(const On& on, const DecoderWeights<W>& w, const DecoderShape& shape, Index t,
            DecoderScratch<On>& s) {
  linear(on, s.normed.view().rows(t, t + 1), w.head, s.logits.view());
  if (shape.final_soft_cap != kNoSoftCap) soft_cap(on, shape.final_soft_cap, s.logits.view());
}

}  // namespace paligemma::gemma
