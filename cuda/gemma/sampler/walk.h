// The order of the sampler, and a walk through it by the threads of one block that needs no sort:
// the order is that of 50-bit numbers, the order_keys, and a place in it is found digit by digit,
// as one looks up a word. Included by the sampler's kernels only.
#pragma once

#include "cuda/gemma/sampler/largest.h"

namespace paligemma::cuda::sampler {

inline constexpr int kDigit = 10;  // bits
inline constexpr int kBins = 1 << kDigit;
inline constexpr int kWalkThreads = 512;
inline constexpr int kTop = 40;  // where the first of an order_key's five digits begins

// A number that is larger for a token that comes earlier: the larger p, of equals the lower id. The
// bits of a float in [0, 1] are in the order of the floats, and fewer than 30; an id has at most
// 20.
__device__ inline Word order_key(float p, Index id) {
  return Word{__float_as_uint(p)} << 20 | static_cast<Word>(kMaxTokens - 1 - id);
}
__device__ inline float p_of(Word key) { return __uint_as_float(static_cast<unsigned>(key >> 20)); }
__device__ inline TokenId id_in_order(Word key) {
  return static_cast<TokenId>(kMaxTokens - 1 - static_cast<Index>(key % kMaxTokens));
}

// The mass of tokens in units of 2^-60, their number, and the largest of their ids: that of the
// token, if it is one. Whole numbers: they come out the same in every order, so that atomicAdd
// gives the same token in every run.
struct Tally {
  Word mass;
  unsigned count;
  TokenId id;
};
__device__ inline Tally operator+(Tally a, Tally b) {
  return {a.mass + b.mass, a.count + b.count, max(a.id, b.id)};
}
__device__ inline Word mass_of(float p) { return static_cast<Word>(p * 0x1p60f); }

// Where a walk stands: the tokens whose order_keys begin with `prefix`, and those before them.
struct Place {
  Word prefix;
  Tally before, own;
};

// A limit is passed by the first token with which there are so many, or more mass than so much.
__device__ inline bool passes(Tally tally, Tally limit) {
  return tally.count >= limit.count || tally.mass > limit.mass;
}

// One digit further: the bin, from the highest down, in which the limit is passed. One warp looks:
// each lane adds up 32 bins, then all of them what stands before theirs; the lane that passes the
// limit goes through its bins again.
__device__ inline Place step_into(Place at, const Tally* bins, Tally limit, Place& next) {
  if (threadIdx.x < kWarpSize) {
    constexpr int kEach = kBins / kWarpSize;
    const int lane = static_cast<int>(threadIdx.x), highest = kBins - 1 - lane * kEach;
    Tally own{0, 0, 0};
    for (int i = 0; i < kEach; ++i) own = own + bins[highest - i];

    Tally through = own;  // of this lane's bins and those of all lanes before it
    for (int offset = 1; offset < kWarpSize; offset *= 2) {
      const Tally earlier{__shfl_up_sync(kAllLanes, through.mass, offset),
                          __shfl_up_sync(kAllLanes, through.count, offset), 0};
      if (lane >= offset) through = through + earlier;
    }
    through = at.before + through;
    Tally before{through.mass - own.mass, through.count - own.count, 0};
    if (passes(through, limit) && !passes(before, limit)) {  // in one lane
      int bin = highest;
      for (; !passes(before + bins[bin], limit); --bin) before = before + bins[bin];
      const Word digit = static_cast<unsigned>(bin);
      next = {at.prefix << kDigit | digit, before, bins[bin]};
    }
  }
  __syncthreads();  // the place is there before anyone reads it
  return next;
}

// Counts the tokens under `prefix` by their next digit. All of p are read, a batch at a time: its
// loads are under way together, where the atomics between them would let each wait for the one
// before.
__device__ inline void count_digits(const float* p, Index V, Word prefix, int shift,
                                    Tally (&bins)[kBins]) {
  constexpr int kBatch = 16;
  for (int bin = threadIdx.x; bin < kBins; bin += kWalkThreads) bins[bin] = {0, 0, 0};
  __syncthreads();  // all bins are empty before anyone counts
  for (Index begin = threadIdx.x; begin < V; begin += kBatch * kWalkThreads) {
    float batch[kBatch];
    for (int i = 0; i < kBatch; ++i) {
      const Index v = begin + i * kWalkThreads;
      batch[i] = v < V ? p[v] : -1.0f;  // whose bits begin with no prefix
    }
    for (int i = 0; i < kBatch; ++i) {
      const Index v = begin + i * kWalkThreads;
      const Word key = order_key(batch[i], v) >> shift;
      if (key >> kDigit != prefix) continue;
      Tally& bin = bins[key % kBins];
      atomicAdd(&bin.mass, mass_of(batch[i]));
      atomicAdd(&bin.count, 1);
      atomicMax(&bin.id, static_cast<TokenId>(v));
    }
  }
  __syncthreads();  // all tokens are counted before anyone looks
}

// The token at which the limit is passed. `first` tells of the first digit; `place` is shared
// memory of this walk alone. Ends when one token is left, which is at the last digit at the latest:
// no two keys are equal.
__device__ inline Place walk_to(Tally limit, const Tally* first, const float* p, Index V,
                                Tally (&bins)[kBins], Place& place) {
  Place at = step_into({0, {0, 0, 0}, {0, 0, 0}}, first, limit, place);
  int shift = kTop;
  do {
    shift -= kDigit;
    count_digits(p, V, at.prefix, shift, bins);
    at = step_into(at, bins, limit, place);
  } while (at.own.count > 1);
  return at;
}

}  // namespace paligemma::cuda::sampler
