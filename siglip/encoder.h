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

#include <vector>

#include "siglip/encoder_block.h"
#include "siglip/patch_embedding.h"
#include "siglip/position_embedding.h"

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

}  // namespace paligemma::siglip
