// Dense head: what lies under each patch, said by the vision tower alone.
//
//   y       = linear(encoded)                                              [R, C], part by part
//   loss    = sum over parts and rows:  cross_entropy(y, target)           of a part that names
//                                       weight |y - value| of each column  of a part that measures
//   dencoded += ...                                                        the way back
//
//   encoded  [R, D]   of the vision tower, a row a patch
//   head     [C, D]   C columns of all parts, those that name before those that measure
//
// A caption says little about 64 patches. With targets for each of them a tower learns in minutes what captions alone
// do not teach one of this size; the head is thrown away in the end (docs/tiny.md).
//
// Read next: train/next_token_loss.h.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/linear.h"
#include "train/cross_entropy.h"

namespace paligemma {

struct DenseTargets {
  struct Name {  // one of `width` classes
    Index width;
    std::vector<TokenId> targets;  // [R]
    std::vector<float> weights;    // [R]
  };
  struct Measure {  // `width` numbers
    Index width;
    std::vector<float> values;   // [R * width]
    std::vector<float> weights;  // [R]   of each of them
  };
  std::vector<Name> names;
  std::vector<Measure> measures;

  Index columns() const {
    Index sum = 0;
    for (const Name& part : names) sum += part.width;
    for (const Measure& part : measures) sum += part.width;
    return sum;
  }
};

struct DenseHead {
  Linear<HostWeights<float>> weights;
  Linear<HostGradients> gradients;
};

// The loss; dencoded [R, D] is added to, or a view of nothing.
template <class On, class Encoded, class Dencoded>
double dense_loss(const On& on, const Encoded& encoded, const DenseHead& head,
                  const DenseTargets& targets, const Dencoded& dencoded) {
  const Index R = encoded.size(0), C = targets.columns();
  PG_CHECK(head.weights.weight.size(0) == C,
           "head " + shape_text(head.weights.weight) + ", " + std::to_string(C) + " columns");
  BufferOn<On, float, 2> y_({R, C}, unwritten);
  const auto y = y_.view();  // from here on what comes back, too
  linear(on, encoded, head.weights, y);
  Buffer<float, 1> losses({R});
  double loss = 0;
  Index column = 0;
  const auto next = [&](Index width) {
    const View<float, 2> part(y.data() + column, {R, width}, {y.stride()[0], 1});
    column += width;
    return part;
  };
  for (const auto& [width, classes, weights] : targets.names) {
    const View<float, 2> part = next(width);
    cross_entropy(on, part, View<const TokenId, 1>(classes.data(), {std::ssize(classes)}),
                  View<const float, 1>(weights.data(), {std::ssize(weights)}), {}, losses.view(),
                  part);
    for (Index r = 0; r < R; ++r) loss += double{losses.view()(r)};
  }
  for (const auto& [width, values, weights] : targets.measures) {
    const View<float, 2> part = next(width);
    PG_CHECK(std::ssize(values) == R * width && std::ssize(weights) == R,
             std::to_string(values.size()) + " values of " + std::to_string(R) + " rows");
    for (Index r = 0; r < R; ++r) {
      const float weight = weights[static_cast<std::size_t>(r)];
      for (Index i = 0; i < width; ++i) {
        const float off = part(r, i) - values[static_cast<std::size_t>(r * width + i)];
        loss += double{weight} * std::abs(double{off});
        part(r, i) = off > 0 ? weight : off < 0 ? -weight : 0.0f;
      }
    }
  }
  linear_backward(on, encoded, head.weights, std::as_const(y_).view(), dencoded, head.gradients);
  return loss;
}

}  // namespace paligemma
