#include "tests/support/rounded.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/dot.h"

namespace paligemma::test {
namespace {

float in_bf16(float x) { return widen(narrow<bf16>(x)); }

template <int Rank>
Buffer<float, Rank> all_in_bf16(View<const float, Rank> x) {
  PG_CHECK(x.is_row_major(), "rows must be contiguous");
  Buffer<float, Rank> rounded(x.shape());
  std::transform(x.data(), x.data() + x.count(), rounded.view().data(), in_bf16);
  return rounded;
}

// A block of 256 features, of which the largest becomes 127.
void round_to_8_bits(const float* x, Index count, float* rounded) {
  float largest = 0;
  for (Index i = 0; i < count; ++i) largest = std::max(largest, std::abs(x[i]));
  const float scale = largest / 127, inverse = scale > 0 ? 1 / scale : 0;
  for (Index i = 0; i < count; ++i) rounded[i] = scale * std::nearbyint(x[i] * inverse);
}

Buffer<float, 2> all_in_8_bits(View<const float, 2> x) {
  Buffer<float, 2> rounded(x.shape());
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index i = 0; i < x.size(1); i += kBlock) {
      round_to_8_bits(&x(t, i), std::min(kBlock, x.size(1) - i), &rounded.view()(t, i));
    }
  }
  return rounded;
}

// What a warp of cuda/tensor/scaled_dot_product_attention/tensor_core.cu has seen of the keys of one query:
// it rounds weights against the largest score so far, and sums them up unrounded.
struct Seen {
  float largest = -INFINITY, total = 0;
  std::vector<float> mean;  // times the total

  explicit Seen(Index H) : mean(static_cast<std::size_t>(H)) {}

  void rescale_to(float larger) {
    const float by = std::exp(largest - larger);
    total *= by;
    for (float& x : mean) x *= by;
    largest = larger;
  }
  void add(float score, const float* value) {
    const float weight = std::exp(score - largest);
    total += weight;
    for (std::size_t h = 0; h < mean.size(); ++h) mean[h] += in_bf16(weight) * value[h];
  }
};
constexpr Index kWarps = 2, kKeysOfWarp = 32, kRowsOfBlock = 32;

// Of all queries in the block of query t, of a head that is the i-th of `group` to share keys.
Index first_key_of_block(View<const KeyRange, 1> visible, Index t, Index i, Index group) {
  const Index row = (t * group + i) / kRowsOfBlock * kRowsOfBlock;
  const Index end = std::min((row + kRowsOfBlock - 1) / group + 1, visible.size(0));
  Index first = kNever;
  for (Index u = row / group; u < end; ++u) first = std::min(first, visible(u).begin);
  return visible.size(0) > 0 ? first : 0;
}

}  // namespace

template <class W>
void linear(const Rounded& on, View<const float, 2> x, const Linear<W>& w, View<float, 2> y,
            const Epilogue<W>& epilogue) {
  const auto by_reference = [&](View<const float, 2> of) { linear(reference, of, w, y, epilogue); };
  constexpr bool kHasBf16 = std::is_same_v<W, HostWeights<bf16>>;
  constexpr bool kHasBlocks = std::is_same_v<W, QuantizedWeights<Int8Block>> ||
                              std::is_same_v<W, QuantizedWeights<Int4Block>>;
  if (kHasBlocks && on.rounding.to_8_bits) return by_reference(all_in_8_bits(x).view());
  if (kHasBf16 && x.size(0) > on.rounding.tokens && x.size(1) % on.rounding.pack == 0) {
    return by_reference(all_in_bf16(x).view());
  }
  by_reference(x);
}

template <class Weight>
void patch_embedding(const Rounded& on, View<const float, 3> pixels, View<const Weight, 2> weight,
                     View<const Weight, 1> bias, Index patch_size, View<float, 2> y) {
  if (!std::is_same_v<Weight, bf16> || y.size(0) <= on.rounding.tokens) {
    return patch_embedding(reference, pixels, weight, bias, patch_size, y);
  }
  const auto rounded = all_in_bf16(pixels);
  patch_embedding(reference, rounded.view(), weight, bias, patch_size, y);
}

void scaled_dot_product_attention(const Rounded& on, View<const float, 3> q, View<const float, 3> k,
                                  View<const float, 3> v, View<const KeyRange, 1> visible,
                                  AttentionRule rule, View<float, 3> out) {
  const Index T = q.size(0), N = q.size(1), H = q.size(2), S = k.size(0), K = k.size(1);
  if (T <= on.rounding.queries) {
    return scaled_dot_product_attention(reference, q, k, v, visible, rule, out);
  }
  check_attention(q, k, v, visible, out);
  const auto rounded_q = all_in_bf16(q), rounded_k = all_in_bf16(k), rounded_v = all_in_bf16(v);
  const auto score_of = [&](Index t, Index n, Index s, Index g) {
    const float score = rule.scale * dot(&rounded_q.view()(t, n, 0), &rounded_k.view()(s, g, 0), H);
    return rule.soft_cap == kNoSoftCap ? score : soft_capped(score, rule.soft_cap);
  };

  for (Index n = 0; n < N; ++n) {
    const Index g = kv_head_of(n, N, K), group = N / K;
    for (Index t = 0; t < T; ++t) {
      const KeyRange keys = visible.size(0) > 0 ? visible(t) : KeyRange{0, S};
      const Index first = first_key_of_block(visible, t, n % group, group);
      Seen seen[kWarps] = {Seen(H), Seen(H)};
      for (Index tile = first; tile < keys.end; tile += kKeysOfWarp) {
        Seen& by_warp = seen[(tile - first) / kKeysOfWarp % kWarps];
        const Index begin = std::max(tile, keys.begin);
        const Index end = std::min(tile + kKeysOfWarp, keys.end);
        float largest = by_warp.largest;
        for (Index s = begin; s < end; ++s) largest = std::max(largest, score_of(t, n, s, g));
        if (begin < end) by_warp.rescale_to(largest);
        for (Index s = begin; s < end; ++s) {
          by_warp.add(score_of(t, n, s, g), &rounded_v.view()(s, g, 0));
        }
      }
      const float largest = std::max(seen[0].largest, seen[1].largest);
      for (Seen& s : seen) s.rescale_to(largest);
      for (Index h = 0; h < H; ++h) {
        out(t, n, h) = (seen[0].mean[h] + seen[1].mean[h]) / (seen[0].total + seen[1].total);
      }
    }
  }
}

#define PG_LINEAR_OF(W)                                                                        \
  template void linear(const Rounded&, View<const float, 2>, const Linear<W>&, View<float, 2>, \
                       const Epilogue<W>&);
PG_LINEAR_OF(HostWeights<float>)
PG_LINEAR_OF(HostWeights<bf16>)
PG_LINEAR_OF(HostWeights<f16>)
PG_LINEAR_OF(QuantizedWeights<Int8Block>)
PG_LINEAR_OF(QuantizedWeights<Int4Block>)
#undef PG_LINEAR_OF

#define PG_PATCH_EMBEDDING_OF(Weight)                                                        \
  template void patch_embedding(const Rounded&, View<const float, 3>, View<const Weight, 2>, \
                                View<const Weight, 1>, Index, View<float, 2>);
PG_PATCH_EMBEDDING_OF(float)
PG_PATCH_EMBEDDING_OF(bf16)
PG_PATCH_EMBEDDING_OF(f16)
#undef PG_PATCH_EMBEDDING_OF

}  // namespace paligemma::test
