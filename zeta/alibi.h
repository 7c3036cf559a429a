// ALiBi: a score loses in proportion to the distance of query and key, in each head at another rate.
//
//   bias[n,t,s] = -slope[n] |s - t|
//   slope[n]    = 2^(-8 (n + 1) / h)          of h heads, a power of 2: n = 0 ... h - 1
//
// Of h heads between two powers of 2, p and 2p, the first p have the slopes of p heads, and the other
// h - p those of 2p heads that lie between: the 1st, the 3rd, ...
//
// Attention works the bias out where the score is (tensor/distance_bias.h) and takes the slopes alone:
// one number for each head, no matrix.
//
// Paper: Press et al. 2022, "Train short, test long", section 3, where keys are always behind the
// query; here the distance counts both ways, so that an encoder can use it too. Heads between two
// powers of 2 are those of the authors' code. PalmE gives slopes to the first half of its heads.
//
// Read next: zeta/relative_position.h.
#pragma once

#include <vector>

#include "tensor/buffer.h"

namespace paligemma {

std::vector<float> alibi_slopes(Index heads);

// Of N heads, of which the first biased_heads have a slope; the others do not see distance: 0.
Buffer<float, 1> alibi(Index biased_heads, Index N);

}  // namespace paligemma
