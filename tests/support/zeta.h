// Small models of zeta with random weights, and passes through them.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "zeta/generate.h"
#include "zeta/weights.h"

namespace paligemma::test {

using ZetaWeights = HostWeights<float>;
inline constexpr const zeta::Memories<Reference>* kNoMemories = nullptr;

// Random numbers for whatever is asked: of a size that makes attention choose.
inline zeta::WeightStore<Reference, float> random_weights(unsigned seed = 1) {
  return {reference, [seed](const std::string& name, const std::vector<Index>& shape) mutable {
            Index count = 1;
            for (const Index size : shape) count *= size;
            const auto numbers = random<float, 1>({count}, seed++);
            const bool attends = name.find("to_q") != name.npos || name.find("to_k") != name.npos;
            std::vector<float> scaled(numbers.view().data(), numbers.view().data() + count);
            for (float& x : scaled) x *= attends ? 1.0f : 0.5f;
            return scaled;
          }};
}

// Three heads of 8 in a width of 20: N H is not D, and no two sizes are alike.
inline zeta::LayersShape small_layers(const std::string& blocks, bool causal) {
  zeta::LayersShape shape;
  for (const char c : blocks) {
    shape.blocks.push_back(c == 'a'   ? zeta::BlockKind::self_attention
                           : c == 'c' ? zeta::BlockKind::cross_attention
                                      : zeta::BlockKind::feed_forward);
  }
  shape.causal = causal;
  shape.width = 20;
  shape.heads = shape.kv_heads = 3;
  shape.head_size = 8;
  shape.score_scale = 0.35f;
  shape.feed_forward.width = 28;
  return shape;
}

// A head of 8 turns 6 of its features.
inline zeta::RotaryShape small_xpos() {
  return {.channels = 6, .base = 100, .xpos_scale_base = 16};
}

struct SmallLayers {
  zeta::LayersShape shape;
  zeta::WeightStore<Reference, float> store = random_weights();
  zeta::LayersWeights<ZetaWeights> weights = zeta::load_layers<ZetaWeights>(shape, "", store);

  zeta::LayersScratch<Reference> scratch(zeta::Room room) const {
    return {reference, shape, weights.distance, room};
  }

  // All rows at once, or `at_once` by `at_once` in one scratch that keeps.
  Buffer<float, 2> run(View<const float, 2> x, View<const float, 2> context = {},
                       const zeta::Looks& looks = {}, Index at_once = 0) const {
    const Index T = x.size(0), step = at_once == 0 ? T : at_once;
    auto s = scratch({.rows = step, .keys = T, .context = context.size(0), .keeps = step < T});
    if (context.size(0) > 0) zeta::take_context(reference, weights, shape, context, s);
    Buffer<float, 2> y(x.shape());
    for (Index t = 0; t < T; t += step) {
      const Index end = std::min(t + step, T);
      copy(reference, x.rows(t, end), s.x.view().rows(0, end - t));
      zeta::layers(reference, weights, shape, end - t, looks, kNoMemories, s, NoTap());
      copy(reference, s.normed.view().rows(0, end - t), y.view().rows(t, end));
    }
    return y;
  }
};

inline zeta::TransformerShape small_transformer(zeta::LayersShape layers) {
  zeta::TransformerShape shape;
  shape.vocabulary = shape.outputs = 13;
  shape.max_positions = 12;
  shape.embedding_width = layers.width;
  shape.layers = std::move(layers);
  return shape;
}

struct SmallTransformer {
  zeta::TransformerShape shape;
  zeta::WeightStore<Reference, float> store = random_weights();
  zeta::TransformerWeights<ZetaWeights> weights =
      zeta::load_transformer<ZetaWeights>(shape, "", store);

  zeta::TransformerScratch<Reference> scratch(zeta::Room room) const {
    return {reference, shape, weights, room, room.rows};
  }

  // Logits of all words.
  Buffer<float, 2> run(const std::vector<TokenId>& ids, zeta::TransformerScratch<Reference>& s,
                       const zeta::Memories<Reference>* memories = nullptr,
                       const zeta::Looks& looks = {}) const {
    zeta::Words<Reference> words;
    words.ids = ids;
    words.looks = looks;
    const auto rows = zeta::transformer(reference, weights, shape, words, memories, s, NoTap());
    const auto y = zeta::logits(reference, weights, rows, s, NoTap());
    Buffer<float, 2> kept(y.shape());
    copy(reference, y, kept.view());
    return kept;
  }
  Buffer<float, 2> run(const std::vector<TokenId>& ids, const zeta::Looks& looks = {}) const {
    auto s = scratch({.rows = static_cast<Index>(ids.size())});
    return run(ids, s, nullptr, looks);
  }
};

// What two orders of the same sums may differ by, in rows of a few layers of this size.
inline constexpr Tolerance kOtherOrder{1e-5, 1e-5};

}  // namespace paligemma::test
