#include "paligemma/low_rank.h"

#include <cmath>

namespace paligemma {

std::vector<float> transposed(std::span<const float> x, Index rows, Index columns) {
  std::vector<float> y(x.size());
  for (Index i = 0; i < rows; ++i) {
    for (Index k = 0; k < columns; ++k) y[k * rows + i] = x[i * columns + k];
  }
  return y;
}

void LowRank::changed_row(const WeightEntry& w, Index p, std::span<float> row) const {
  const std::size_t Q = row.size(), r = Q > 0 ? right.size() / Q : 0;
  read_row(w, p, row);
  if (!magnitude.empty()) {
    for (std::size_t q = 0; q < Q; ++q) row[q] *= of_columns ? magnitude[q] : magnitude[p];
  }
  for (std::size_t k = 0; k < r; ++k) {
    const float factor = left[static_cast<std::size_t>(p) * r + k];
    for (std::size_t q = 0; q < Q; ++q) row[q] += factor * right[k * Q + q];
  }
}

std::vector<float> LowRank::lengths(const WeightEntry& w) const {
  const Index P = w.rows(), Q = w.columns();
  const LowRank plain{left, right};
  std::vector<double> squares(static_cast<std::size_t>(of_columns ? Q : P));
#pragma omp parallel
  {
    std::vector<float> row(static_cast<std::size_t>(Q));
    std::vector<double> mine(squares.size());
#pragma omp for
    for (Index p = 0; p < P; ++p) {
      plain.changed_row(w, p, row);
      for (Index q = 0; q < Q; ++q) mine[of_columns ? q : p] += double{row[q]} * row[q];
    }
#pragma omp critical
    for (std::size_t i = 0; i < mine.size(); ++i) squares[i] += mine[i];
  }
  std::vector<float> found(squares.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i] = static_cast<float>(std::sqrt(squares[i]));
  }
  return found;
}

}  // namespace paligemma
