// Rounded: an executor for tests, the reference with the roundings of a faster one, in plain loops. What
// differs between the two is the order of sums and the last bits of exp and tanh, which decide now and then
// to which side a number is rounded (step_by_step.h).
//
//   linear(kRoundedAsCuda, x, w, y);
//
// It is a Reference, which computes whatever is not declared here. docs/numerics.md says who rounds what.
#pragma once

#include <limits>

#include "siglip/patch_embedding.h"
#include "tensor/linear.h"
#include "tensor/quantized_linear.h"
#include "tensor/scaled_dot_product_attention.h"

namespace paligemma::test {

inline constexpr Index kNever = std::numeric_limits<Index>::max();

struct Rounding {
  Index tokens = kNever;   // more than so many that meet bf16 weights are rounded to bf16,
  Index pack = 1;          // if they have a multiple of so many features
  Index queries = kNever;  // of more than so many, q, k, v and the weights of v are rounded to bf16
  bool to_8_bits = false;  // what meets quantised weights, with a scale for every 256 features
};

struct Rounded : Reference {
  Rounding rounding = {};
};

// A cuda::Stream with Math::bf16.
inline constexpr Rounded kRoundedAsCuda{{}, {.tokens = 8, .pack = 8, .queries = 4}};
// Fast, on processors that multiply bf16 and on others.
inline constexpr Rounded kRoundedAsFastBf16{{}, {.tokens = 4, .to_8_bits = true}};
inline constexpr Rounded kRoundedAsFast{{}, {.to_8_bits = true}};

// W is HostWeights of float, bf16 or f16, or QuantizedWeights of Int8Block or Int4Block.
template <class W>
void linear(const Rounded& on, View<const float, 2> x, const Linear<W>& w, View<float, 2> y,
            const Epilogue<W>& epilogue = {});

// The patches are rounded whatever their number of features: kernels add zeros to a whole pack.
// Weight is float, bf16 or f16.
template <class Weight>
void patch_embedding(const Rounded& on, View<const float, 3> pixels, View<const Weight, 2> weight,
                     View<const Weight, 1> bias, Index patch_size, View<float, 2> y);

void scaled_dot_product_attention(const Rounded& on, View<const float, 3> q, View<const float, 3> k,
                                  View<const float, 3> v, View<const KeyRange, 1> visible,
                                  AttentionRule rule, View<float, 3> out);

}  // namespace paligemma::test
