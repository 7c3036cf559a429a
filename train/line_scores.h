// Line scores: how far answers are those of the lines of a file (train/examples.h).
//
//   exact    the share of answers that are the suffix, word for word
//   f1       of the words of each answer and its suffix, whatever their order: 2 common / (one + other)
//   overlap  where a suffix has boxes, for each the intersection over union of it and the box found for it, 0 if none;
//            pairs are made greedily by overlap among the same label
//   recall50 the share of those above 0.5
//
// A mean of nothing is NaN, null in JSON.
#pragma once

#include <string>

#include "tensor/view.h"

namespace paligemma {

struct LineScores {
  struct Mean {
    double sum = 0;
    Index count = 0;
    void add(double number) { sum += number, ++count; }
    double value() const;
  };
  Mean exact, f1, overlap, recall50;

  void add(const std::string& suffix, const std::string& answer);
};

}  // namespace paligemma
