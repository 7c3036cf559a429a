// The vision tower: pixels in, one row of D numbers per patch out.
//
//   x = patch_embedding(pixels);  x = position_embedding(x)
//   x = encoder_block(x)                       27 times in SigLIP-So400m
//   y = layer_norm(x)
//
//   pixels     [R, R, 3]   in [-1, 1]
//   s.normed   [L, D]      the result
//
// Paper: Zhai et al. 2023, "Sigmoid loss for language image pre-training"; the tower is the ViT of
// Dosovitskiy et al. 2020, eq. 1 to 4, with no class token and no pooling: PaliGemma keeps every
// patch. Taps: img/pixels, img/stem, img/with_posemb, img/encoder/block00/..., img/encoded.
//
// Read next: siglip/encoder_block.h.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "siglip/encoder_block.h"
#include "siglip/patch_embedding.h"
#include "siglip/position_embedding.h"
#include "tensor/recompute.h"

namespace paligemma::siglip {

template <class W>
struct EncoderWeights {
  typename W::Matrix patch_embedding;       // [D, 3 * P * P]
  typename W::Vector patch_embedding_bias;  // [D]
  typename W::Matrix position_embedding;    // [L, D]
  std::vector<EncoderBlockWeights<W>> blocks;
  LayerNormWeights<W> post_norm;
};

template <class On, class W, class Pixels, class Tap>
void encoder(const On& on, const EncoderWeights<W>& w, const EncoderShape& shape,
             const Pixels& pixels, EncoderScratch<On>& s, const Tap& tap) {
  tap("pixels", pixels);
  patch_embedding(on, pixels, w.patch_embedding, w.patch_embedding_bias, shape.patch_size,
                  s.x.view());
  tap("stem", s.x.view());
  position_embedding(on, w.position_embedding, s.x.view());
  tap("with_posemb", s.x.view());

  for (Index i = 0; i < shape.layers; ++i) {
    encoder_block(on, w.blocks[i], shape, s, tap.in("encoder").block(i));
  }

  layer_norm(on, s.x.view(), w.post_norm.scale, w.post_norm.bias, shape.norm_eps, s.normed.view());
  tap("encoded", s.normed.view());
}

// ---- backward --------------------------------------------------------------------------------------

// Of some pictures, whose rows stand one behind the other.
template <class On>
struct EncoderActivations {
  Recompute recompute;
  std::vector<BufferOn<On, float, 2>> x;            // [R, D]: what each block reads, and the norm
  std::vector<EncoderBlockActivations<On>> blocks;  // of each, or of the one at hand
  BufferOn<On, float, 2> normed;                    // [R, D]   the result

  EncoderActivations(const EncoderShape& shape, Index pictures, Recompute how)
      : recompute(how), normed({pictures * shape.patches(), shape.width}, unwritten) {
    const Index R = pictures * shape.patches();
    for (Index i = 0; i <= shape.layers; ++i) x.emplace_back(std::array{R, shape.width}, unwritten);
    for (Index i = 0; i < (how == Recompute::none ? shape.layers : 1); ++i) {
      blocks.emplace_back(shape, R);
    }
  }

  EncoderBlockActivations<On>& block(Index i) {
    return blocks[recompute == Recompute::none ? static_cast<std::size_t>(i) : 0];
  }
};

// pixels [pictures, R, R, 3]
template <class On, class W, class Pixels>
void encoder(const On& on, const EncoderWeights<W>& w, const EncoderShape& shape,
             const Pixels& pixels, EncoderActivations<On>& kept) {
  const auto x = [&](Index i) { return kept.x[static_cast<std::size_t>(i)].view(); };
  const Index L = shape.patches();
  for (Index p = 0; p < pixels.size(0); ++p) {
    const auto rows = x(0).rows(p * L, (p + 1) * L);
    patch_embedding(on, pixels.row(p), w.patch_embedding, w.patch_embedding_bias, shape.patch_size,
                    rows);
    position_embedding(on, w.position_embedding, rows);
  }
  for (Index i = 0; i < shape.layers; ++i) {
    encoder_block(on, w.blocks[static_cast<std::size_t>(i)], shape, x(i), kept.block(i), x(i + 1));
  }
  layer_norm(on, x(shape.layers), w.post_norm.scale, w.post_norm.bias, shape.norm_eps,
             kept.normed.view());
}

// Whether anything of the tower is.
template <class Gradients>
bool is_learned(const EncoderWeights<Gradients>& dw) {
  const auto any = [](const auto&... views) { return ((views.data() != nullptr) || ...); };
  const auto layer = [&](const auto& linear) {
    return any(linear.weight, linear.bias) || linear.adapter != nullptr;
  };
  const auto block = [&](const EncoderBlockWeights<Gradients>& b) {
    const auto& sa = b.self_attention;
    return any(b.norm1.scale, b.norm1.bias, b.norm2.scale, b.norm2.bias) || layer(sa.q) ||
           layer(sa.k) || layer(sa.v) || layer(sa.out) || layer(b.mlp.fc1) || layer(b.mlp.fc2);
  };
  return any(dw.patch_embedding, dw.patch_embedding_bias, dw.position_embedding, dw.post_norm.scale,
             dw.post_norm.bias) ||
         std::any_of(dw.blocks.begin(), dw.blocks.end(), block);
}

// From dnormed [R, D], the gradient of the result.
template <class On, class W, class Pixels, class Dnormed, class Gradients>
void encoder_backward(const On& on, const EncoderWeights<W>& w, const EncoderShape& shape,
                      const Pixels& pixels, EncoderActivations<On>& kept, const Dnormed& dnormed,
                      const EncoderWeights<Gradients>& dw) {
  const auto x = [&](Index i) { return kept.x[static_cast<std::size_t>(i)].view(); };
  const Index L = shape.patches();
  EncoderBlockGradients<On> d(shape, dnormed.size(0));
  BufferOn<On, float, 2> dx(dnormed.shape());
  layer_norm_backward(on, x(shape.layers), w.post_norm.scale, shape.norm_eps, dnormed, dx.view(),
                      dw.post_norm.scale, dw.post_norm.bias);
  for (Index i = shape.layers - 1; i >= 0; --i) {
    const auto& block = w.blocks[static_cast<std::size_t>(i)];
    if (kept.recompute == Recompute::blocks) {
      encoder_block(on, block, shape, x(i), kept.block(i), x(i + 1));
    }
    encoder_block_backward(on, block, shape, x(i), kept.block(i), d, dx.view(),
                           dw.blocks[static_cast<std::size_t>(i)]);
  }
  for (Index p = 0; p < pixels.size(0); ++p) {
    const auto rows = dx.view().rows(p * L, (p + 1) * L);
    if (dw.position_embedding.data() != nullptr) {
      position_embedding_backward(on, rows, dw.position_embedding);
    }
    patch_embedding_backward(on, pixels.row(p), shape.patch_size, rows, dw.patch_embedding,
                             dw.patch_embedding_bias);
  }
}

}  // namespace paligemma::siglip
