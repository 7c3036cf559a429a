// The activations of the decoder for up to T tokens at a time: of fewer, the first rows. Many answers use
// the same (paligemma/pipeline.h); what one has not written is anything.
#pragma once

#include "gemma/shape.h"
#include "tensor/buffer.h"

namespace paligemma::gemma {

template <class On>
struct DecoderScratch {           // T tokens, D width, N and K heads of size H, F hidden features
  BufferOn<On, float, 2> x;       // [T, D]   the residual stream
  BufferOn<On, float, 2> normed;  // [T, D]   what a branch reads
  BufferOn<On, float, 2> branch;  // [T, D]   what a branch produces
  BufferOn<On, float, 2> q;       // [T, N * H]
  BufferOn<On, float, 2> k, v;    // [T, K * H]
  BufferOn<On, float, 2> mixed;   // [T, N * H]   what attention made of the values
  BufferOn<On, float, 2> hidden;  // [T, F]
  BufferOn<On, KeyRange, 1> visible;  // [T]      the mask
  BufferOn<On, float, 2> logits;      // [B, V]   of one token for each of B sequences

  DecoderScratch(const DecoderShape& d, Index T, Index B = 1)
      : x({T, d.width}, unwritten),
        normed({T, d.width}, unwritten),
        branch({T, d.width}, unwritten),
        q({T, d.heads * d.head_size}, unwritten),
        k({T, d.kv_heads * d.head_size}, unwritten),
        v({T, d.kv_heads * d.head_size}, unwritten),
        mixed({T, d.heads * d.head_size}, unwritten),
        hidden({T, d.mlp_width}, unwritten),
        visible({T}, unwritten),
        logits({B, d.vocabulary}, unwritten) {}
};

}  // namespace paligemma::gemma
