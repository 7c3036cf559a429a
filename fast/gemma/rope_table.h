// The cosines and sines of RoPE's angles (gemma/rope.h), computed once for all layers and tokens.
#pragma once

#include <vector>

#include "tensor/view.h"

namespace paligemma {

// Of position t and frequency j, for H / 2 frequencies and as many positions as have been asked for.
class RopeTable {
 public:
  RopeTable(float theta, Index H);

  // At least so many positions; twice as many as before, so that decoding seldom computes any.
  void extend(Index positions);

  const float* cos(Index t) const { return cos_.data() + t * half_; }
  const float* sin(Index t) const { return sin_.data() + t * half_; }

 private:
  Index half_, positions_ = 0;
  std::vector<float> frequency_, cos_, sin_;
};

}  // namespace paligemma
