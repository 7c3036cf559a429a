// The largest logit and the sum of all exponentials, by however many blocks: each leaves a Partial
// of its own logits, and whoever needs the whole combines the Partials. Included by the sampler's
// kernels only.
#pragma once

#include "cuda/core/block_reduce.h"
#include "cuda/gemma/sampler.h"

namespace paligemma::cuda::sampler {

using Word = unsigned long long;  // the 64-bit type that CUDA's atomics take

// A number that is larger for a larger logit, and among equals for a lower id. What is no finite
// number is larger than any. A float's bits are in the order of floats already, but for the sign:
// negative ones run backwards.
//
//   logit     -inf          -1            0             1             NaN
//   bits      ff800000      bf800000      00000000      3f800000
//   ordered   007fffff      407fffff      80000000      bf800000      ffffffff
__device__ inline Word logit_key(float logit, Index id) {
  const unsigned bits = __float_as_uint(logit + 0.0f);  // -0 becomes 0
  unsigned ordered = bits >> 31 != 0 ? ~bits : bits | 0x8000'0000u;
  if (!(logit < INFINITY)) ordered = 0xffff'ffffu;
  return Word{ordered} << 32 | ~static_cast<unsigned>(id);
}
__device__ inline TokenId id_of(Word key) {
  return static_cast<TokenId>(~static_cast<unsigned>(key));
}
__device__ inline float logit_of(Word key) {  // NaN of what is no finite number
  const auto ordered = static_cast<unsigned>(key >> 32);
  return __uint_as_float(ordered >> 31 != 0 ? ordered & 0x7fff'ffffu : ~ordered);
}

struct Partial {
  Word key;        // of the largest logit, l*
  float sum;       // of exp(l - l*)
  float tempered;  // of exp((l - l*) / temperature)
};

// Shared memory for reductions: each its own, so that no warp writes what another still reads.
template <int Warps>
struct Reductions {
  Word key[Warps];
  float sum[Warps], tempered[Warps];
};

template <int Warps>
__device__ Word block_largest(Word key, Word (&partial)[Warps]) {
  const auto warp_largest = [](Word value) {
    for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
      value = max(value, __shfl_xor_sync(kAllLanes, value, offset));
    }
    return value;
  };
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  key = warp_largest(key);
  if (lane == 0) partial[threadIdx.x / kWarpSize] = key;
  __syncthreads();  // every warp's largest is there before anyone reads it
  return warp_largest(lane < Warps ? partial[lane] : 0);
}

// The Partial of all logits, in every thread. The order of additions depends on n alone.
template <int Warps>
__device__ Partial combine(const Partial* partials, int n, float temperature,
                           Reductions<Warps>& shared) {
  Word key = 0;
  for (int i = threadIdx.x; i < n; i += Warps * kWarpSize) key = max(key, partials[i].key);
  key = block_largest(key, shared.key);

  float sum = 0.0f, tempered = 0.0f;
  for (int i = threadIdx.x; i < n; i += Warps * kWarpSize) {
    const float below = logit_of(partials[i].key) - logit_of(key);
    sum += partials[i].sum * expf(below);
    tempered += partials[i].tempered * expf(below / temperature);
  }
  return {key, block_sum(sum, shared.sum), block_sum(tempered, shared.tempered)};
}

__device__ inline Sampled report(TokenId id, const float* logits, Word key, double sum) {
  Sampled sampled{id, logits[id] - logit_of(key) - static_cast<float>(log(sum)), Sampled::kFine};
  if (logit_of(key) == -INFINITY) sampled.problem = Sampled::kAllMinusInfinity;
  if (!(logit_of(key) < INFINITY)) sampled.problem = Sampled::kNotFinite;
  return sampled;
}

}  // namespace paligemma::cuda::sampler
