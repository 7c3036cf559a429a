#include "zeta/alibi.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace paligemma {

std::vector<float> alibi_slopes(Index heads) {
  PG_CHECK(heads > 0, std::to_string(heads) + " heads");
  const auto p = static_cast<Index>(std::bit_floor(static_cast<std::size_t>(heads)));
  std::vector<float> slopes;
  for (Index n = 0; n < heads; ++n) {
    // The 1st, 3rd, ... of 2p heads are half a step before the 1st, 2nd, ... of p.
    const double steps = n < p ? static_cast<double>(n + 1) : static_cast<double>(n - p) + 0.5;
    slopes.push_back(static_cast<float>(std::exp2(-8 * steps / static_cast<double>(p))));
  }
  return slopes;
}

Buffer<float, 1> alibi(Index biased_heads, Index N) {
  PG_CHECK(biased_heads <= N, std::to_string(biased_heads) + " of " + std::to_string(N) + " heads");
  const std::vector<float> slopes = alibi_slopes(biased_heads);
  Buffer<float, 1> all({N});
  std::copy(slopes.begin(), slopes.end(), all.view().data());
  return all;
}

}  // namespace paligemma
