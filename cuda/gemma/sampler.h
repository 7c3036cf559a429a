// Sampler on the GPU. The contract is gemma/sampler.h's: the same token from the same logits,
// options, seed and step. Views are row-major; at most kMaxTokens logits where the temperature is
// not 0.
//
// The first `sample` only queues kernels, so that a graph can record it: the step is read on the
// device and the answer stays there. The other two wait for the stream, and are what a model
// written for any executor calls.
//
// Two numbers that rounding cannot tell apart may change places: the GPU's exp may differ from the
// CPU's in the last bit, and so may the sum of all of them.
#pragma once

#include <cstdint>

#include "cuda/core/stream.h"
#include "gemma/sampler.h"

namespace paligemma::cuda {

inline constexpr Index kMaxTokens = Index{1} << 20;

struct Sampled {
  TokenId id;             // the token, or the first logit that is not a finite number
  float log_probability;  // natural, of the id among all tokens at temperature 1; NaN if refused
  int problem;            // one of these:

  static constexpr int kFine = 0;
  static constexpr int kNotFinite = 1;         // a logit is NaN or +infinity
  static constexpr int kAllMinusInfinity = 2;  // there is no token to choose
};

// Throws what the reference throws of such logits.
void throw_if_refused(const Sampled& sampled);

enum class SamplerKernel {
  best,
  one_thread,   // the definition; for each token that is kept, a walk over all of them
  one_block,    // 512 threads share every walk; tokens are chosen by their digits, without a sort
  many_blocks,  // the walks over all logits are shared by the whole GPU
};

// step [1], out [1].
void sample(const Stream& stream, DeviceView<const float, 1> logits, const SamplerOptions& options,
            DeviceView<const std::uint64_t, 1> step, DeviceView<Sampled, 1> out,
            SamplerKernel kernel = SamplerKernel::best);

TokenId sample(const Stream& stream, DeviceView<const float, 1> logits,
               const SamplerOptions& options, std::uint64_t step);

float log_probability(const Stream& stream, DeviceView<const float, 1> logits, TokenId id);

}  // namespace paligemma::cuda
