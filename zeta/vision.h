// Vision: pixels in, one row of D numbers per patch out, and scores of classes if the model has them.
//
//   x = linear( layer_norm( patch_rows(pixels) ) )
//   x = layer_norm(x) + positions
//   y = layers(x)                       an Encoder: every patch sees every patch
//   classes = linear( mean_l y[l] )     where there is a head
//
//   pixels           [S, S, C]   in any scale; zeta's examples take 0 to 1
//   s.layers.normed  [L, D]      the result; L = (S / P)^2
//
// Paper: Dosovitskiy et al. 2020, "An image is worth 16x16 words", eq. 1 to 4, with no class token. The norms
// before and behind the patches' layer are x-transformers'. Taps: pixels, stem, with_posemb,
// encoder/blockNN/..., encoded.
//
// Read next: zeta/layers.h.
#pragma once

#include "siglip/position_embedding.h"
#include "zeta/layers.h"
#include "zeta/patch_rows.h"

namespace paligemma::zeta {

template <class W>
struct VisionWeights {
  NormWeights<W> patch_norm;           // [P * P * C]
  Linear<W> patches;                   // [D, P * P * C]
  NormWeights<W> stem_norm;            // [D]
  typename W::Matrix positions;        // [L, D]
  NormWeights<W> embedding_norm = {};  // [D]
  LayersWeights<W> layers;
  Linear<W> head = {};  // [classes, D]
};

template <class On>
struct VisionScratch {
  LayersScratch<On> layers;
  BufferOn<On, float, 2> patches;  // [L, P * P * C]
  BufferOn<On, float, 2> mean;     // [1, D]
  BufferOn<On, float, 2> classes;  // [1, classes]

  template <class W>
  VisionScratch(const On& on, const VisionShape& d, const VisionWeights<W>& w)
      : layers(on, d.layers, w.layers.distance, {.rows = d.patches(), .keys = d.patches()}),
        patches({d.patches(), d.patch_numbers()}, unwritten),
        mean({1, d.layers.width}, unwritten),
        classes({1, d.classes}, unwritten) {}
};

template <class On, class W, class Pixels, class Tap>
void vision(const On& on, const VisionWeights<W>& w, const VisionShape& shape, const Pixels& pixels,
            VisionScratch<On>& s, const Tap& tap) {
  const auto x = s.layers.x.view(), patches = s.patches.view();
  tap("pixels", pixels);
  patch_rows(on, pixels, shape.patch_size, patches);
  norm(on, NormKind::layer, w.patch_norm, patches, patches);
  linear(on, patches, w.patches, x);
  norm(on, NormKind::layer, w.stem_norm, x, x);
  tap("stem", x);
  position_embedding(on, w.positions, x);
  if (shape.norm_embeddings) norm(on, NormKind::layer, w.embedding_norm, x, x);
  tap("with_posemb", x);
  layers(on, w.layers, shape.layers, shape.patches(), {}, static_cast<const Memories<On>*>(nullptr),
         s.layers, tap.in("encoder"));
  tap("encoded", s.layers.normed.view());
}

// Reads s.layers.normed, writes s.classes. Attention whose scores are all 0 is the mean of the values.
template <class On, class W>
void classify(const On& on, const VisionWeights<W>& w, const VisionShape& shape,
              VisionScratch<On>& s) {
  const Index L = shape.patches(), D = shape.layers.width;
  const auto rows = s.layers.normed.view().template reshaped<3>({L, 1, D});
  scaled_dot_product_attention(on, rows.rows(0, 1), rows, rows, {}, AttentionRule{0},
                               s.mean.view().template reshaped<3>({1, 1, D}));
  linear(on, s.mean.view(), w.head, s.classes.view());
}

}  // namespace paligemma::zeta
