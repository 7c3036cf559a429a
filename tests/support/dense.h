// A dense head with room for its gradients, and targets for it.
#pragma once

#include <utility>
#include <vector>

#include "tests/support/data.h"
#include "train/dense_head.h"

namespace paligemma::test {

struct HeadAndGradients {
  Buffer<float, 2> weight, dweight;
  Buffer<float, 1> bias, dbias;

  HeadAndGradients(Buffer<float, 2> weight_, Buffer<float, 1> bias_)
      : weight(std::move(weight_)),
        dweight(weight.view().shape()),
        bias(std::move(bias_)),
        dbias(bias.view().shape()) {}
  // C columns over rows of D, by chance.
  HeadAndGradients(Index C, Index D)
      : HeadAndGradients(random<float, 2>({C, D}, 2), random<float, 1>({C}, 3)) {}

  DenseHead views() {
    return {{std::as_const(weight).view(), std::as_const(bias).view()},
            {dweight.view(), dbias.view()}};
  }
};

// Two parts that name, one that measures, for R rows, of which every third does not count.
inline DenseTargets dense_targets_of(Index R) {
  DenseTargets targets;
  std::vector<float> weights;
  for (Index r = 0; r < R; ++r) weights.push_back(r % 3 == 1 ? 0.0f : 1 / static_cast<float>(R));
  for (const Index width : {3, 5}) {
    DenseTargets::Name part{width, {}, weights};
    for (Index r = 0; r < R; ++r) {
      part.targets.push_back(static_cast<TokenId>((5 * r + 3) % width));
    }
    targets.names.push_back(part);
  }
  const auto values = random<float, 1>({2 * R}, 4);
  const float* const first = values.view().data();
  targets.measures.push_back({2, {first, first + 2 * R}, weights});
  return targets;
}

}  // namespace paligemma::test
