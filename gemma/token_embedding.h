// Token embedding: look up one learned row per token, times a factor.
//
//   y[t,d] = scale table[ids[t], d]
//
//   ids    [T]      token ids, 0 <= id < V
//   table  [V, D]   V rows (257216 in the published checkpoints); also the output head, unscaled
//   scale           sqrt(D) in Gemma, 1 in families that have none
//   y      [T, D]
//
// Paper: Vaswani et al. 2017, "Attention is all you need", section 3.4, for the factor. It belongs
// to words only: image rows enter the decoder as the projector made them. The factor is float here
// and in the original; implementations that work in bf16 round it (45.25 for sqrt(2048) = 45.2548).
//
// Read next: gemma/rms_norm.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/quantized_linear.h"
#include "tensor/view.h"

namespace paligemma {

using TokenId = int;  // as in processing/tokenizer.h

// Table is float, bf16, f16 or a block of quantised weights.
template <class Table>
void token_embedding(Reference, View<const TokenId, 1> ids, View<const Table, 2> table, float scale,
                     View<float, 2> y);

// Backward: dtable[ids[t], d] += scale dy[t,d]. A token that stands twice gets both.
void token_embedding_backward(Reference, View<const TokenId, 1> ids, float scale,
                              View<const float, 2> dy, View<float, 2> dtable);

}  // namespace paligemma
