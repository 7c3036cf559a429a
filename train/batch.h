// Batch: examples that are learned from together.
//
//   ids      <image> x L  <bos>  prefix  \n  suffix  <eos>
//   sees     the first `prefix` ids one another, the suffix what came before it
//   learned  the suffix and <eos>: from the row of \n the suffix's first token, from its last one <eos>
//
// Examples stand one behind the other, whatever their lengths: nothing is padded. transformers' labels and keras_hub's
// response mask say the same of padded rows (processing/padding.h).
//
// Every token that is learned counts alike, whichever example it is of: `weight` is one over how many there are in
// all that is summed up before the next change of the weights. A mean of the examples' means is another number.
//
// Paper: Beyer et al. 2024, "PaliGemma", section 3.1 and figure 2. Source: transformers 5.23.0,
// ForCausalLMLoss (a mean over all labels of the batch).
//
// Read next: train/parameters.h.
#pragma once

#include <span>
#include <vector>

#include "gemma/token_embedding.h"  // TokenId
#include "tensor/buffer.h"
#include "train/gradients.h"

namespace paligemma {

struct Example {
  Buffer<float, 4> pixels{{0, 0, 0, 0}};  // [pictures, R, R, 3]
  std::vector<TokenId> ids;               // all of the above
  Index prefix = 0;                       // how many of them the suffix follows

  Index learned() const { return static_cast<Index>(ids.size()) - prefix; }
};

// How many tokens of them are learned.
Index learned_tokens(std::span<const Example* const> examples);

// Throws ContractError if an example has no suffix, or pictures of another size.
TrainingBatch make_batch(std::span<const Example* const> examples, float weight);

}  // namespace paligemma
