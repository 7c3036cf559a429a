// The sampler on the CPU, fast. The contract is gemma/sampler.h's. What every token needs, the largest
// logit and how sure the model was, is done by all lanes and threads; a drawn token is the reference's.
#pragma once

#include "fast/core/fast.h"
#include "gemma/sampler.h"

namespace paligemma {

TokenId sample(const Fast&, View<const float, 1> logits, const SamplerOptions& options,
               std::uint64_t step);

float log_probability(const Fast&, View<const float, 1> logits, TokenId id);

}  // namespace paligemma
