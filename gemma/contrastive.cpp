#include "gemma/contrastive.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "tensor/dot.h"

namespace paligemma {
namespace {

// What a row is divided by to have length 1.
float length(const float* row, Index width) {
  const float sum = dot(row, row, width);
  return sum > 0 ? std::sqrt(sum) : 1;
}

}  // namespace

Contrastive::Contrastive(float alpha, Index width) : alpha_(alpha), width_(width) {
  PG_CHECK(0 <= alpha && alpha <= 1, "alpha " + std::to_string(alpha));
  PG_CHECK(width > 0, "width " + std::to_string(width));
}

void Contrastive::see(View<const float, 1> hidden) {
  PG_CHECK(hidden.size(0) == width_, "hidden " + shape_text(hidden));
  const float by = length(hidden.data(), width_);
  for (Index d = 0; d < width_; ++d) seen_.push_back(hidden(d) / by);
}

Index Contrastive::best(std::span<const float> probabilities, View<const float, 2> hidden) const {
  const auto k = static_cast<Index>(probabilities.size());
  PG_CHECK(k > 0 && hidden.size(0) == k && hidden.size(1) == width_ && hidden.is_row_major(),
           std::to_string(k) + " candidates, hidden " + shape_text(hidden));
  Index best = 0;
  float best_score = -INFINITY;
  for (Index i = 0; i < k; ++i) {
    const float* const row = hidden.row(i).data();
    const float by = length(row, width_);
    float likeness = -1;
    for (auto seen = seen_.begin(); seen != seen_.end(); seen += width_) {
      likeness = std::max(likeness, dot(row, &*seen, width_) / by);
    }
    const float p = probabilities[static_cast<std::size_t>(i)];
    const float score = (1 - alpha_) * p - alpha_ * likeness;
    if (score > best_score) best = i, best_score = score;
  }
  return best;
}

}  // namespace paligemma
