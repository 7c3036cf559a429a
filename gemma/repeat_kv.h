// repeat_kv: give every query head a key and value head of its own, by repeating the shared ones.
//
//   y[s,n,h] = x[s, kv_head_of(n), h]          kv_head_of(n) = n / (N / K)
//
//   x  [S, K, H]   K shared heads
//   y  [S, N, H]   N query heads, N a multiple of K; neighbours share: with N = 8, K = 4 the heads
//                  of y are 0 0 1 1 2 2 3 3
//
// Paper: Ainslie et al. 2023, "GQA", section 2.2 and figure 2; with K = 1 it is Shazeer 2019,
// "Fast transformer decoding", section 3. This is the definition, written out for the reader and the
// tests. The model never copies: scaled_dot_product_attention reads head kv_head_of(n) in place,
// and a test shows that both give the same bits.
//
// Read next: gemma/kv_cache.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/scaled_dot_product_attention.h"  // kv_head_of
#include "tensor/view.h"

namespace paligemma {

void repeat_kv(Reference, View<const float, 3> x, View<float, 3> y);

}  // namespace paligemma
