// Logits: how well a row of the decoder matches each token of the vocabulary.
//
//   logits[b,v] = sum_d normed[t,d] head[v,d]          t = rows[b]; then soft_cap, in Gemma 2
//
//   rows      [B]      ascending: as a rule the last token of each sequence
//   s.normed  [T, D]   row rows[b] is read, and moved to row b
//   s.logits  [B, V]
//
// The head is the embedding table itself in every published checkpoint (tied weights), here without
// the factor sqrt(D). Only the rows that are asked for are computed: an answer needs one token at a
// time, and a full table of logits for the prefix would be read by nobody. All of them are one product, so
// that the head, the largest matrix of all, is read once.
//
// Paper: Press & Wolf 2016, "Using the output embedding to improve language models"; Gemma Team
// 2024, "Gemma 2", section 2, for the cap.
//
// Read next: gemma/soft_cap.h.
#pragma once

#include <span>

#include "gemma/decoder.h"
#include "gemma/soft_cap.h"
#include "tensor/linear.h"

namespace paligemma::gemma {

template <class On, class W>
void logits(const On& on, const DecoderWeights<W>& w, const DecoderShape& shape,
            std::span<const Index> rows, DecoderScratch<On>& s) {
  const auto normed = s.normed.view();
  const auto B = static_cast<Index>(rows.size());
  for (Index b = 0; b < B; ++b) {
    const Index t = rows[static_cast<std::size_t>(b)];
    PG_CHECK(t >= b, "rows must ascend");
    if (t > b) copy(on, normed.rows(t, t + 1), normed.rows(b, b + 1));
  }
  const auto logits = s.logits.view().rows(0, B);
  linear(on, normed.rows(0, B), w.head, logits);
  if (shape.final_soft_cap != kNoSoftCap) soft_cap(on, shape.final_soft_cap, logits);
}

}  // namespace paligemma::gemma
