// Contrastive: of the k likeliest tokens the one that is least like what was there before.
//
//   score[i] = (1 - alpha) p[i] - alpha max_j cos(h[i], h_j)        j: every token so far; -1 where there is none
//
//   p  [k]      probabilities of the candidates
//   h  [k, D]   hidden states of the candidates: the rows that their logits would be made of
//   alpha       0 takes the likeliest; 1 asks for likeness alone
//
// A text that repeats itself is likely, and its hidden states are alike: the second term, the "degeneration penalty",
// is what a repetition costs. Of equal scores the first candidate's wins. A state of nothing but zeros is
// like no other: its cosines are 0.
//
// Paper: Su et al. 2022, "A contrastive framework for neural text generation", section 3.2 ("contrastive search").
// Read next: processing/prompt.h.
#pragma once

#include <span>
#include <vector>

#include "tensor/view.h"

namespace paligemma {

struct ContrastiveOptions {
  float alpha = 0;  // 0: no contrastive search
  Index k = 5;

  bool operator==(const ContrastiveOptions&) const = default;
};

class Contrastive {
 public:
  // Throws ContractError unless 0 <= alpha <= 1.
  Contrastive(float alpha, Index width);

  // A further token of the text.
  void see(View<const float, 1> hidden);

  // The candidate to take, from 0.
  Index best(std::span<const float> probabilities, View<const float, 2> hidden) const;

 private:
  float alpha_;
  Index width_;
  std::vector<float> seen_;  // [tokens, D], rows of length 1
};

}  // namespace paligemma
