// What an adapter makes of a layer's weights, row by row.
//
//   changed[p,q] = magnitude W[p,q] + sum_k left[p,k] right[k,q]
//
// A linear layer's rows are outputs, each with a magnitude; an embedding's are words, and its columns have them.
#pragma once

#include <span>
#include <vector>

#include "paligemma/weight_entry.h"

namespace paligemma {

struct LowRank {
  std::vector<float> left;            // [P, r]
  std::vector<float> right;           // [r, Q]
  std::vector<float> magnitude = {};  // of rows or of columns; nothing: 1
  bool of_columns = false;

  void changed_row(const WeightEntry& w, Index p, std::span<float> row) const;

  // The lengths of the changed rows, or columns, as they are without magnitudes.
  std::vector<float> lengths(const WeightEntry& w) const;
};

std::vector<float> transposed(std::span<const float> x, Index rows, Index columns);

}  // namespace paligemma
