// Pooling: what of a picture's L rows becomes its embedding.
//
//   none        y = x                       every patch
//   mean        y = 1/L sum_l x[l]
//   first       y = x[0]                    the patch in the upper left corner
//   attention   y = attention_pool(x)       what a learned probe finds (siglip/attention_pool.h)
//
//   x  [L, D]   encoded patches
//   y  [1, D]   or [L, D] for none
//
// Source: keras_hub's `vit_pooling`, which calls the last three gap, zero and map. "first" was made
// for towers whose first row is a class token, which SigLIP does not have: there it has seen all
// patches too, but nobody taught it to speak for them. Taps: pooled.
//
// Read next: siglip/attention_pool.h.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "siglip/attention_pool.h"

namespace paligemma::siglip {

enum class Pool { none, mean, first, attention };

inline constexpr std::array<std::string_view, 4> kPoolNames{"none", "mean", "first", "attention"};

inline std::string_view name_of(Pool pool) { return kPoolNames[static_cast<std::size_t>(pool)]; }

inline std::optional<Pool> pool_named(std::string_view name) {
  for (std::size_t i = 0; i < kPoolNames.size(); ++i) {
    if (name == kPoolNames[i]) return static_cast<Pool>(i);
  }
  return std::nullopt;
}

// Reads s.normed, and gives back rows of the scratch. A mean is what attention says whose scores are
// all 0.
template <class On, class W, class Tap>
auto pooled(const On& on, Pool pool, const AttentionPoolWeights<W>& head, const EncoderShape& shape,
            EncoderScratch<On>& s, const Tap& tap) {
  const auto rows = s.normed.view();
  if (pool == Pool::none) return rows;
  const auto y = pool == Pool::first ? rows.rows(0, 1) : s.x.view().rows(0, 1);
  if (pool == Pool::mean) {
    const Index D = shape.width, N = shape.heads;
    const auto heads = [&](const auto& x) { return x.template reshaped<3>({x.size(0), N, D / N}); };
    scaled_dot_product_attention(on, heads(rows.rows(0, 1)), heads(rows), heads(rows), {},
                                 AttentionRule{0}, heads(y));
  } else if (pool == Pool::attention) {
    attention_pool(on, head, shape, s, y);
  }
  tap("pooled", y);
  return y;
}

}  // namespace paligemma::siglip
