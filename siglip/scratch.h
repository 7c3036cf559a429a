// The activations of the vision tower. Many pictures use the same (paligemma/pipeline.h); what one has not
// written is anything.
#pragma once

#include "siglip/shape.h"
#include "tensor/buffer.h"

namespace paligemma::siglip {

template <class On>
struct EncoderScratch {            // L patches, D features, N heads, F hidden features
  BufferOn<On, float, 2> x;        // [L, D]   the residual stream
  BufferOn<On, float, 2> normed;   // [L, D]   what a branch reads
  BufferOn<On, float, 2> branch;   // [L, D]   what a branch produces
  BufferOn<On, float, 2> q, k, v;  // [L, D]   N heads of D / N side by side
  BufferOn<On, float, 2> mixed;    // [L, D]   what attention made of the values
  BufferOn<On, float, 2> hidden;   // [L, F]

  explicit EncoderScratch(const EncoderShape& shape)
      : EncoderScratch(shape.patches(), shape.width, shape.mlp_width) {}

 private:
  EncoderScratch(Index L, Index D, Index F)
      : x({L, D}, unwritten),
        normed({L, D}, unwritten),
        branch({L, D}, unwritten),
        q({L, D}, unwritten),
        k({L, D}, unwritten),
        v({L, D}, unwritten),
        mixed({L, D}, unwritten),
        hidden({L, F}, unwritten) {}
};

}  // namespace paligemma::siglip
