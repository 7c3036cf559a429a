// Comparing numbers. Every tolerance in the tests comes from one of the functions here, so each has
// a stated cause. A bare 1e-2 in a test is a review comment.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma::test {

// |actual - expected| <= relative * |expected| + absolute
struct Tolerance {
  double relative;
  double absolute = 0;
};

// The relative error of rounding once to float: half a unit in the last place.
inline constexpr double kUnitRoundoff = 0x1p-24;

// The same bits.
inline constexpr Tolerance kExact{0};

// A few float operations (k of them), each rounding once.
constexpr Tolerance float_operations(double k) { return {k * kUnitRoundoff}; }

// A sum of `n` floats in some order and a few more operations. The errors of a sum grow like sqrt(n)
// in practice (like n at worst); 2 sqrt(n) leaves room and still catches a lost term. If the terms
// have both signs, the error is measured against the sum of their magnitudes, given as `magnitude`.
inline Tolerance float_sum_of(Index n, double magnitude = 0) {
  const double relative = (2 * std::sqrt(static_cast<double>(n)) + 4) * kUnitRoundoff;
  return {relative, relative * magnitude};
}

// A sum of `n` products of numbers up to 1 in magnitude, of which one factor was rounded to bf16: by up
// to 2^-9, half its spacing below 1. The errors have both signs, so they grow like sqrt(n); if the
// numbers are uniform, their root mean square is a sixth of what is allowed for each.
inline Tolerance bf16_products_of(Index n) {
  return {0, 1.5 * std::sqrt(static_cast<double>(n)) * 0x1p-9};
}

// A mean of numbers of at most `magnitude` whose weights are rounded to bf16: by at most 2^-8 of each, up
// or down.
constexpr Tolerance weights_in_bf16(double magnitude) { return {0, 0x1p-8 * magnitude}; }

// The same with the numbers rounded as well, and weights exp(score) of scores that are `scale` times a
// sum of n products of two rounded numbers of at most 1: an error of 2^-8 each, of either sign.
inline Tolerance attention_in_bf16(Index n, double scale, double magnitude) {
  const double score = scale * std::sqrt(static_cast<double>(n)) * 0x1p-8;
  return {0, (0x1p-8 + 0x1p-8 + score) * magnitude};
}

// For comparing two results with each other when each is within `t` of the truth.
constexpr Tolerance twice(Tolerance t) { return {2 * t.relative, 2 * t.absolute}; }

// Passes if every element is within tolerance. If not, names the worst one.
template <class A, class E, int Rank>
::testing::AssertionResult close(View<A, Rank> actual, View<E, Rank> expected,
                                 Tolerance tolerance) {
  if (actual.shape() != expected.shape()) {
    return ::testing::AssertionFailure()
           << "shape " << shape_text(actual) << ", expected " << shape_text(expected);
  }
  Index wrong = 0, worst = 0;
  double worst_ratio = 0;  // of error to what is allowed
  for (Index i = 0; i < actual.count(); ++i) {
    const double a = widen(actual.data()[i]);
    const double e = widen(expected.data()[i]);
    const double allowed = tolerance.relative * std::abs(e) + tolerance.absolute;
    if (std::abs(a - e) <= allowed) continue;  // not taken by a NaN

    ++wrong;
    const double ratio = std::isnan(a) ? INFINITY : std::abs(a - e) / std::max(allowed, 1e-300);
    if (ratio > worst_ratio) worst_ratio = ratio, worst = i;
  }
  if (wrong == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << wrong << " of " << actual.count() << " elements are off. The worst, at flat index "
         << worst << ", is " << widen(actual.data()[worst]) << " where "
         << widen(expected.data()[worst]) << " is expected: " << worst_ratio << " x the tolerance.";
}

}  // namespace paligemma::test
