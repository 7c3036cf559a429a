// Whether a composite's way back agrees with its way there: its loss is computed again with every tensor moved a
// little.
//
// The leaves are held to slopes in double, each by itself; what a composite can get wrong is which of them it calls
// with what. So here a difference of floats will do. A tensor is moved along one direction, +1 or -1 in each of its
// numbers: a term that is missing or doubled shows as a part of the gradient's length, not as 1 % of it.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "tensor/weights.h"
#include "tests/support/data.h"
#include "tests/support/vision_tower.h"

namespace paligemma::test {

// A source for load_encoder and load_decoder: random weights, and by sums() a source of their gradients.
class Slopes {
 public:
  View<const float, 2> matrix(const std::string& name, const std::vector<Index>& shape) {
    return add(name, random_.matrix(name, shape));
  }
  View<const float, 1> vector(const std::string& name, Index length) {
    return add(name, View<const float, 2>(random_.vector(name, length).data(), {1, length})).row(0);
  }
  // Numbers that are no weights: what a composite reads.
  View<const float, 2> input(const std::string& name, Index T, Index D) {
    inputs_.push_back(random<float, 2>({T, D}, 100 + static_cast<unsigned>(inputs_.size())));
    return add(name, std::as_const(inputs_.back()).view());
  }
  View<float, 2> gradient(const std::string& name) {
    for (Tensor& tensor : tensors_) {
      if (tensor.name == name) return tensor.gradient.view();
    }
    throw ContractError("no tensor " + name);
  }

  struct Sums {
    Slopes& of;
    View<float, 2> matrix(const std::string& name, const std::vector<Index>&) {
      return of.gradient(name);
    }
    View<float, 1> vector(const std::string& name, Index) { return of.gradient(name).row(0); }
  };
  Sums sums() { return {*this}; }

  // loss() is computed from what matrix(), vector() and input() gave; the gradients have been summed up.
  template <class Loss>
  void expect_of(const Loss& loss, double tolerance = 4e-3, float size = 0x1p-9f) {
    for (Tensor& tensor : tensors_) {
      const Index n = tensor.value.count();
      auto* const numbers = const_cast<float*>(tensor.value.data());
      std::mt19937 bits(7);
      std::vector<float> direction, before(numbers, numbers + n);
      for (Index i = 0; i < n; ++i) direction.push_back(bits() % 2 == 0 ? 1.0f : -1.0f);
      const auto moved = [&](float step) {
        for (Index i = 0; i < n; ++i) numbers[i] = before[i] + step * direction[i];
        const double value = loss();
        std::copy(before.begin(), before.end(), numbers);
        return value;
      };
      const double slope = (moved(size) - moved(-size)) / (2 * double{size});
      double expected = 0, length = 0;
      for (Index i = 0; i < n; ++i) {
        const double number = tensor.gradient.view().data()[i];
        expected += number * double{direction[i]};
        length += number * number;
      }
      EXPECT_NEAR(slope, expected, tolerance * (std::sqrt(length) + 1)) << tensor.name;
    }
  }

 private:
  struct Tensor {
    std::string name;
    View<const float, 2> value;
    Buffer<float, 2> gradient;
  };

  View<const float, 2> add(const std::string& name, View<const float, 2> value) {
    tensors_.push_back({name, value, Buffer<float, 2>(value.shape())});
    return value;
  }

  RandomWeights<float> random_;
  std::deque<Buffer<float, 2>> inputs_;
  std::deque<Tensor> tensors_;
};

// sum dy y
inline double loss_of(View<const float, 2> dy, View<const float, 2> y) {
  double sum = 0;
  for (Index i = 0; i < y.count(); ++i) sum += double{dy.data()[i]} * double{y.data()[i]};
  return sum;
}

}  // namespace paligemma::test
