// What a backward pass must give: central differences of a definition in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/numbers.h"
#include "tests/support/compare.h"

namespace paligemma::test {

using Doubles = std::vector<double>;

template <class Real, int Rank>
Doubles doubles(View<Real, Rank> numbers) {
  Doubles all;
  for (Index i = 0; i < numbers.count(); ++i) all.push_back(widen(numbers.data()[i]));
  return all;
}
template <class Real, int Rank>
Doubles doubles(const Buffer<Real, Rank>& numbers) {
  return doubles(numbers.view());
}

// dL/dx of L = sum_i dy[i] y(x)[i]. With steps of 1e-5 the formula's error and double's roundings are both near 1e-10.
template <class Function>
Doubles gradient_of(const Function& y, Doubles x, const Doubles& dy) {
  constexpr double kStep = 1e-5;
  Doubles dx;
  for (double& number : x) {
    const double at = number;
    number = at + kStep;
    const Doubles above = y(x);
    number = at - kStep;
    const Doubles below = y(x);
    number = at;
    double slope = 0;
    for (std::size_t i = 0; i < dy.size(); ++i) slope += dy[i] * (above[i] - below[i]);
    dx.push_back(slope / (2 * kStep));
  }
  return dx;
}

inline Doubles operator+(Doubles a, const Doubles& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

// Within what float's roundings make of sums of `terms` numbers as large as the largest here.
template <class Real, int Rank>
::testing::AssertionResult is_gradient(View<Real, Rank> found, const Doubles& expected,
                                       Index terms) {
  double largest = 1;
  for (const double number : expected) largest = std::max(largest, std::abs(number));
  Buffer<float, Rank> numbers(found.shape());
  std::transform(expected.begin(), expected.end(), numbers.view().data(),
                 [](double number) { return static_cast<float>(number); });
  return close(found, numbers.view(), float_sum_of(terms, largest));
}
template <class Real, int Rank>
::testing::AssertionResult is_gradient(const Buffer<Real, Rank>& found, const Doubles& expected,
                                       Index terms) {
  return is_gradient(found.view(), expected, terms);
}

}  // namespace paligemma::test
