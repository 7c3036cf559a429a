// A random adapter of a linear layer.
#pragma once

#include "tensor/lora.h"
#include "tests/support/data.h"

namespace paligemma::test {

struct RandomLora {
  Buffer<float, 2> a, b;
  Buffer<float, 1> magnitude, bias;

  // b is small, so that what is added is of the size of what is there.
  RandomLora(Index O, Index I, Index rank, unsigned seed)
      : a(random<float, 2>({rank, I}, seed)),
        b(random<float, 2>({rank, O}, seed + 1)),
        magnitude(random<float, 1>({O}, seed + 2)),
        bias(random<float, 1>({O}, seed + 3)) {
    for (Index i = 0; i < b.view().count(); ++i) b.view().data()[i] *= 0.1f;
  }

  // As LoRA is without a bias, and as DoRA is with one.
  Lora<HostWeights<float>> plain() const { return {a.view(), b.view()}; }
  Lora<HostWeights<float>> whole() const {
    return {a.view(), b.view(), magnitude.view(), bias.view()};
  }
};

}  // namespace paligemma::test
