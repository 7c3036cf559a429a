// Dropout: while a model learns, some numbers are left out by chance, and the others grow for it.
//
//   x[t,d] *= factor[t,d]      0 with probability `rate`, else 1 / (1 - rate)
//
//   x  [T, D]   as large on average as it was
//
// A factor is a function of seed, number, place, t and d. So nothing is kept for the way back, which multiplies dx by
// the same factors, and what is computed again is what it was.
//
// Paper: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", section 4. They
// scale when a model answers; PyTorch and Keras scale while it learns, as here.
//
// Read next: train/examples.h.
#pragma once

#include <cstdint>

#include "tensor/execution.h"
#include "tensor/philox.h"
#include "tensor/view.h"

namespace paligemma {

struct Dropout {
  float rate = 0;            // 0: nothing is left out
  std::uint64_t seed = 0;    // of a run
  std::uint64_t number = 0;  // of a batch in it
  std::uint32_t place = 0;   // in the model
  Index first = 0;           // t counts from here
};

inline constexpr std::uint32_t kFirstNumber = 16;  // those below are of other draws of a run

inline float dropout_factor(const Dropout& rule, Index t, Index d) {
  const PhiloxBlock bits =
      philox({static_cast<std::uint32_t>(rule.seed), static_cast<std::uint32_t>(rule.seed >> 32)},
             {static_cast<std::uint32_t>(rule.first + t), static_cast<std::uint32_t>(d), rule.place,
              static_cast<std::uint32_t>(rule.number) + kFirstNumber});
  const float uniform = static_cast<float>(bits[0] >> 8) * 0x1p-24f;
  return uniform < rule.rate ? 0.0f : 1.0f / (1.0f - rule.rate);
}

// Throws ContractError unless 0 <= rate < 1.
void check_dropout(const Dropout& rule);

// Forward and backward.
void dropout(Reference, const Dropout& rule, View<float, 2> x);

}  // namespace paligemma
