// What the tests of SigLIP's composites share: weights out of nothing, and an ear for the taps.
#pragma once

#include <cmath>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tensor/weights.h"
#include "tests/support/data.h"

namespace paligemma::test {

// Random weights under any name: a source for load_encoder. A matrix of I columns holds numbers in
// [-2, 2) / sqrt(I), so that activations keep their size from layer to layer.
template <class Real>
class RandomWeights {
 public:
  View<const Real, 2> matrix(const std::string&, const std::vector<Index>& shape) {
    Index columns = 1;
    for (std::size_t axis = 1; axis < shape.size(); ++axis) columns *= shape[axis];
    const auto numbers = random<float, 2>({shape[0], columns}, ++seed_);
    const float size = 2 / std::sqrt(static_cast<float>(columns));
    auto& kept = matrices_.emplace_back(std::array<Index, 2>{shape[0], columns});
    for (Index i = 0; i < shape[0] * columns; ++i) {
      kept.view().data()[i] = narrow<Real>(size * numbers.view().data()[i]);
    }
    return kept.view();
  }

  View<const Real, 1> vector(const std::string&, Index length) {
    return vectors_.emplace_back(random<Real, 1>({length}, ++seed_)).view();
  }

  Linear<HostWeights<Real>> linear(Index O, Index I) { return {matrix("", {O, I}), vector("", O)}; }

 private:
  unsigned seed_ = 0;
  std::deque<Buffer<Real, 2>> matrices_;
  std::deque<Buffer<Real, 1>> vectors_;
};

// Writes down what it hears. A Tap holds a reference to it: Tap tap(heard, "img/").
struct HeardTaps {
  std::vector<std::string> names;
  std::map<std::string, std::vector<float>> numbers;

  void operator()(const std::string& name, const auto& view) {
    names.push_back(name);
    numbers[name].assign(view.data(), view.data() + view.count());
  }

  // As rows of D numbers.
  View<const float, 2> rows(const std::string& name, Index D) const {
    const std::vector<float>& all = numbers.at(name);
    return {all.data(), {static_cast<Index>(all.size()) / D, D}};
  }
};

}  // namespace paligemma::test
